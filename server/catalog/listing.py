"""A world in memory: which studies come in which order, which have which masked values, which the rules tell apart.

Packed into arrays: a study takes some hundred bytes. A search takes a few passes of machine code over small arrays, and
time in the number of its matches.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.catalog.columns import Column, Packed
from server.catalog.kept import Arrays, Bodies
from server.catalog.lines import Line, Near, Rows, Search, Told, Who
from server.model import Permit

LISTINGS = 8
"""How many worlds a process keeps in memory."""
OWN = 60
"""With so many values of a caller's own, studies can be told apart."""
_CALLERS = 64
_FEW = 500
_ANSWERS = 16

Kind = tuple[int, int]
"""A kind of study for one caller: what the rules look at whole, and what it shares with the caller."""


class Listing:
    """`told_apart` is for each role what the rules for it tell studies apart by, `keys` what a value of a VR is sorted
    by. For one thread at a time."""

    def __init__(
        self, *, changes: int, told_apart: Mapping[str, Told], keys: Callable[[str, str], Iterable[str]]
    ) -> None:
        self.changes = changes
        self.rows = Rows()
        self._told_apart = told_apart
        self._keys = keys
        self._columns: dict[tuple[int, str], Column] = {}
        self._members = {name: Column(lambda one: (one,)) for told in told_apart.values() for name in told.own}
        self._studies = 0
        self._order_of = Packed()
        self._order = array("I")
        self._sorted = True
        self._parts: dict[bool, array[int]] = {False: array("I"), True: array("I")}
        self._kinds: dict[str, dict[Hashable, int]] = {role: {} for role in told_apart}
        self._kind_of: dict[str, array[int]] = {role: array("I") for role in told_apart}
        self._permits: OrderedDict[Who, dict[Kind, Permit | None]] = OrderedDict()
        self._arrays, self._answers = Arrays(), Arrays(_ANSWERS)

    def __len__(self) -> int:
        return self._studies

    @property
    def dead(self) -> int:
        """How many lines have been replaced and still take room."""
        return len(self.rows) - self._studies

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self._told_apart)

    def load(self, line: Line) -> None:
        """Put down a study that has no line yet, many of them one after the other."""
        self._studies += 1
        if line.listed:
            self._order.append(len(self.rows))
            self._sorted = False
        self._put(line)

    def add(self, line: Line) -> None:
        """Put a study in its place; a former line of it no longer counts."""
        former, order = self.rows.find(line.row), self._in_order()
        if former is None:
            self._studies += 1
        else:
            at = bisect_left(order, self._order_of[former], key=self._order_of.__getitem__)
            if at < len(order) and order[at] == former:
                del order[at]
        if line.listed:
            order.insert(bisect_left(order, line.order, key=self._order_of.__getitem__), len(self.rows))
        self._put(line)

    def _put(self, line: Line) -> None:
        number = len(self.rows)
        self.rows.append(line.row, line.revision)
        self._order_of.append(line.order)
        self._parts[False].append(line.series)
        self._parts[True].append(line.instances)
        for tag, (vr, values) in line.values.items():
            column = self._columns.get((tag, vr))
            if column is None:
                column = self._columns[tag, vr] = Column(partial(self._keys, vr))
            for value in values if len(values) == 1 else dict.fromkeys(values):
                column.add(value, number)
        for name, column in self._members.items():
            for value in dict.fromkeys(line.members.get(name, ())):
                column.add(value, number)
        for role, told in self._told_apart.items():
            kind = tuple(line.facts[name] for name in sorted(told.whole))
            self._kind_of[role].append(self._kinds[role].setdefault(kind, len(self._kinds[role])))
        self._arrays, self._answers = Arrays(), Arrays(_ANSWERS)

    def find(self, searches: Sequence[Search], who: Who) -> NDArray[np.uint32]:
        """The numbers of the studies that match all keys and that the caller is shown, in the order of the world."""
        if not searches:
            return self._arrays.of("listed", who, lambda: self._places()[self.visible(who)[self._places()]])
        asked = tuple((search.tag, search.value) for search in searches)
        return self._answers.of("found", (asked, who), lambda: self._found(searches, who))

    def _found(self, searches: Sequence[Search], who: Who) -> NDArray[np.uint32]:
        wanted = self.visible(who) & self._live()
        for search in searches:
            wanted &= self._matching(search)
        found = np.flatnonzero(wanted).astype(np.uint32)
        ranks = self._ranks()[found]
        if len(found) <= _FEW:
            return found[np.argsort(ranks)]
        # Of many, marking their places is quicker than sorting them.
        marked = np.zeros(len(self._order), np.bool_)
        marked[ranks] = True
        return self._places()[np.flatnonzero(marked)]

    def undecided(self, who: Who) -> dict[Kind, tuple[bytes, bytes]]:
        """The kinds of study that the rules for this role tell apart and that nothing is known of for this caller:
        row and revision of one of each."""
        return self._arrays.of("undecided", who, lambda: self._undecided(who)) if len(self._order) else {}

    def _undecided(self, who: Who) -> dict[Kind, tuple[bytes, bytes]]:
        known = self._permits.get(who, {})
        kinds, shares, live = self._kinds_of(who.role), self._shares(who), self._live()
        found = {}
        for share in np.unique(shares):
            here = live & (shares == share)
            for kind in np.flatnonzero(np.bincount(kinds[here])):
                one = int(kind), int(share)
                if one not in known:
                    found[one] = self.rows[int(np.argmax(here & (kinds == kind)))]
        return found

    def decided(self, who: Who, kinds: Mapping[Kind, Permit | None]) -> None:
        """Remember at what permit a caller is shown a kind of study, None for one that they are not shown."""
        self._permits.setdefault(who, {}).update(kinds)
        self._permits.move_to_end(who)
        while len(self._permits) > _CALLERS:
            self._permits.popitem(last=False)
        self._arrays.forget("undecided", "visible", "listed", "ends/True", "ends/False", name=who)
        self._answers = Arrays(_ANSWERS)

    def visible(self, who: Who) -> NDArray[np.bool_]:
        """Which studies, by number, are of a kind that the caller is shown; one that nobody decided about is not."""
        return self._arrays.of("visible", who, lambda: self._visible(who))

    def _visible(self, who: Who) -> NDArray[np.bool_]:
        kinds, shares = self._kinds_of(who.role), self._shares(who)
        found = np.zeros(len(self.rows), np.bool_)
        permitted = [kind for kind, permit in self._permits.get(who, {}).items() if permit is not None]
        for share in {share for _, share in permitted}:
            table = np.zeros(len(self._kinds[who.role]) + 1, np.bool_)
            table[[kind for kind, of in permitted if of == share]] = True
            found |= table[kinds] & (shares == share)
        return found

    def permits(self, who: Who, numbers: Sequence[int]) -> list[Permit | None]:
        """The permit of each study's kind, None if there is none or nobody decided about it."""
        kinds, shares, known = self._kind_of[who.role], self._shares(who), self._permits.get(who, {})
        return [known.get((kinds[number], int(shares[number]))) for number in numbers]

    def parts(self, numbers: NDArray[np.uint32], *, instances: bool) -> NDArray[np.uint32]:
        """How many series, or instances, there are to be found of each of these studies."""
        found: NDArray[np.uint32] = np.array(self._parts[instances], np.uint32)[numbers]
        return found

    def part_ends(self, who: Who, *, instances: bool) -> NDArray[np.int64]:
        """For each study that the caller is shown, in order, how many of its parts and of those before there are."""

        def ends() -> NDArray[np.int64]:
            return np.cumsum(self.parts(self.find((), who), instances=instances), dtype=np.int64)

        return self._arrays.of(f"ends/{instances}", who, ends)

    def _in_order(self) -> array[int]:
        if not self._sorted:
            self._order = array("I", sorted(self._order, key=self._order_of.__getitem__))
            self._sorted = True
        return self._order

    def _places(self) -> NDArray[np.uint32]:
        return self._arrays.of("places", None, lambda: np.array(self._in_order(), np.uint32))

    def _ranks(self) -> NDArray[np.uint32]:
        """The place of each study, by number, as far as it is listed."""

        def ranks() -> NDArray[np.uint32]:
            found = np.zeros(len(self.rows), np.uint32)
            found[self._places()] = np.arange(len(self._order), dtype=np.uint32)
            return found

        return self._arrays.of("ranks", None, ranks)

    def _live(self) -> NDArray[np.bool_]:
        """Which studies, by number, are listed."""

        def live() -> NDArray[np.bool_]:
            found = np.zeros(len(self.rows), np.bool_)
            found[self._places()] = True
            return found

        return self._arrays.of("live", None, live)

    def _kinds_of(self, role: str) -> NDArray[np.uint32]:
        return self._arrays.of("kinds", role, lambda: np.array(self._kind_of[role], np.uint32))

    def _shares(self, who: Who) -> NDArray[np.unsignedinteger[Any]]:
        """What each study, by number, shares with the caller: a bit for each of the caller's own values."""

        def shares() -> NDArray[np.unsignedinteger[Any]]:
            own = [(name, value) for name in sorted(self._told_apart[who.role].own) for value in who.own[name]]
            found = np.zeros(len(self.rows), np.min_scalar_type(2 ** len(own) - 1))
            for bit, (name, value) in enumerate(own):
                mine = self._members[name].find(Near([(value, value)], sure=True), partial(eq, value))
                found[mine] |= found.dtype.type(1 << bit)
            return found

        return self._arrays.of("shares", who, shares)

    def _matching(self, search: Search) -> NDArray[np.bool_]:
        def matching() -> NDArray[np.bool_]:
            found = np.zeros(len(self.rows), np.bool_)
            for (tag, vr), column in self._columns.items():
                if tag == search.tag:
                    here = column.numbers() if search.absent else column.find(search.near(vr), search.test(vr))
                    found[here] = True
            return ~found if search.absent else found

        return self._arrays.of("matching", (search.tag, search.value), matching)


@dataclass(kw_only=True)
class Held:
    """A listing and what is to be held while it is used. `listing` is None until the world is complete and read;
    `pending` maps studies that changed since the world was written to the number of the change and their entry;
    `bodies` are of the listing's numbers."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    listing: Listing | None = None
    pending: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    bodies: Bodies = field(default_factory=Bodies)


class Listings:
    """The worlds in the memory of one process; the one that was used longest ago goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes, Held] = OrderedDict()

    def of(self, world: bytes) -> Held:
        with self._lock:
            held = self._held.setdefault(world, Held())
            self._held.move_to_end(world)
            while len(self._held) > LISTINGS:
                self._held.popitem(last=False)
            return held

    @property
    def complete(self) -> int:
        """How many worlds are in memory."""
        with self._lock:
            return sum(held.listing is not None for held in self._held.values())
