"""A world in memory: which studies come in which order, which have which masked values, which the rules tell apart.

Every operation but `add` takes time in the number of its matches, and a few passes of machine code over small arrays.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.model import Permit

LISTINGS = 8
"""How many worlds a process keeps in memory."""
_CALLERS = 64
_MASKS = 32

Values = Mapping[int, tuple[str, Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One study in a world. `order` sorts the world; `values` maps a tag to VR and masked values; `facts` are what the
    rules can look at, by attribute; `revision` is that of the study's row. `series` and `instances` are how many there
    are to be found of it; one without any is not `listed`, and holds its place for when it has."""

    row: bytes
    revision: bytes
    order: bytes
    values: Values
    facts: Mapping[str, Hashable]
    series: int = 1
    instances: int = 1

    @property
    def listed(self) -> bool:
        return self.instances > 0


@dataclass(frozen=True, kw_only=True)
class Search:
    """One key of a search: the values of `tag` with a key within one of the closed intervals, as far as `test` takes
    them, or, if `absent`, that there is no value at all. Both depend on the VR that a value has; `value` is what is
    asked for, as it is written."""

    tag: int
    value: str
    intervals: Callable[[str], Sequence[tuple[str, str]]]
    test: Callable[[str], Callable[[str], bool]]
    absent: bool = False


class _Column:
    """The values of one tag and VR: sorted keys, under each the values, under each the studies by number."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._sorted = False
        # None: under the key is the value that is written like it, and no other.
        self._values: dict[str, list[str] | None] = {}
        self._numbers: dict[str, int | array[int]] = {}

    def add(self, value: str, keys: Iterable[str], number: int) -> None:
        known = self._numbers.get(value)
        if known is None:
            self._numbers[value] = number
            for key in set(keys):
                self._add_key(key, value)
        elif isinstance(known, int):
            self._numbers[value] = array("I", (known, number))
        else:
            known.append(number)

    def _add_key(self, key: str, value: str) -> None:
        if key not in self._values:
            if self._sorted:
                insort(self._keys, key)
            else:
                self._keys.append(key)
            self._values[key] = None if key == value else [value]
            return
        under = self._values[key]
        if under is None:
            self._values[key] = [key, value]
        else:
            under.append(value)

    def numbers(self) -> NDArray[np.uint32]:
        """All studies that have a value."""
        found = array("I")
        for numbers in self._numbers.values():
            found.extend((numbers,) if isinstance(numbers, int) else numbers)
        return np.array(found, np.uint32)

    def find(self, intervals: Sequence[tuple[str, str]], test: Callable[[str], bool]) -> NDArray[np.uint32]:
        if not self._sorted:
            self._keys.sort()
            self._sorted = True
        near: set[str] = set()
        for low, high in intervals:
            for key in self._keys[bisect_left(self._keys, low) : bisect_right(self._keys, high)]:
                near.update(self._values[key] or (key,))
        found = array("I")
        for value in near:
            if test(value):
                numbers = self._numbers[value]
                found.extend((numbers,) if isinstance(numbers, int) else numbers)
        return np.array(found, np.uint32)


class Listing:
    """`told_apart` gives, for each role, the attributes that the rules for it look at. For one thread at a time."""

    def __init__(self, *, changes: int, told_apart: Mapping[str, frozenset[str]]) -> None:
        self.changes = changes
        self._told_apart = told_apart
        self._columns: dict[tuple[int, str], _Column] = {}
        self._rows: list[tuple[bytes, bytes]] = []
        self._numbers: dict[bytes, int] = {}
        self._order_of: list[bytes] = []
        self._order: list[int] = []
        self._parts: dict[bool, array[int]] = {False: array("I"), True: array("I")}
        self._sorted = False
        self._places: NDArray[np.uint32] | None = None
        self._kinds: dict[str, dict[Hashable, int]] = {role: {} for role in told_apart}
        self._kind_of: dict[str, array[int]] = {role: array("I") for role in told_apart}
        self._shown: OrderedDict[tuple[str, Hashable], dict[int, Permit | None]] = OrderedDict()
        self._visible: dict[tuple[str, Hashable], NDArray[np.bool_]] = {}
        self._masks: OrderedDict[tuple[int, str], NDArray[np.bool_]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def dead(self) -> int:
        """How many lines have been replaced and still take room."""
        return len(self._rows) - len(self._numbers)

    @property
    def rows(self) -> Sequence[tuple[bytes, bytes]]:
        """Row and revision by number, those of former lines too; it only grows."""
        return self._rows

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self._told_apart)

    def add(self, line: Line, keys: Callable[[str, str], Iterable[str]]) -> None:
        """Put a study in its place; a former line of it no longer counts. `keys`: what a value of a VR is sorted by."""
        former = self._numbers.get(line.row)
        if former is not None and former in self._order:
            self._order.remove(former)
        number = len(self._rows)
        self._rows.append((line.row, line.revision))
        self._numbers[line.row] = number
        self._order_of.append(line.order)
        self._parts[False].append(line.series)
        self._parts[True].append(line.instances)
        if line.listed and self._sorted:
            insort(self._order, number, key=self._order_of.__getitem__)
        elif line.listed:
            self._order.append(number)
        self._places = None
        self._masks.clear()
        self._visible.clear()
        for tag, (vr, values) in line.values.items():
            column = self._columns.setdefault((tag, vr), _Column())
            for value in dict.fromkeys(values):
                column.add(value, keys(vr, value), number)
        for role, told in self._told_apart.items():
            kind = tuple(line.facts[name] for name in sorted(told))
            self._kind_of[role].append(self._kinds[role].setdefault(kind, len(self._kinds[role])))

    def find(self, searches: Sequence[Search], visible: NDArray[np.bool_]) -> NDArray[np.uint32]:
        """The numbers of the studies that match all keys and are `visible` (by number), in the order of the world."""
        wanted = visible
        for search in searches:
            wanted = wanted & self._matching(search)
        places = self._in_order()
        found: NDArray[np.uint32] = places[wanted[places]]
        return found

    def undecided(self, role: str, caller: Hashable) -> dict[int, tuple[bytes, bytes]]:
        """The kinds of study that the rules for this role tell apart and that nothing is known of for this caller:
        row and revision of one of each."""
        if (role, caller) in self._visible:
            return {}
        kinds = np.array(self._kind_of[role], np.uint32)[self._in_order()]
        present, first = np.unique(kinds, return_index=True)
        known = self._shown.get((role, caller), {})
        order = self._order
        return {
            int(kind): self._rows[order[int(at)]] for kind, at in zip(present, first, strict=True) if kind not in known
        }

    def decided(self, role: str, caller: Hashable, kinds: Mapping[int, Permit | None]) -> None:
        """Remember at what permit a caller is shown a kind of study, None for one that they are not shown."""
        self._shown.setdefault((role, caller), {}).update(kinds)
        self._shown.move_to_end((role, caller))
        while len(self._shown) > _CALLERS:
            self._visible.pop(self._shown.popitem(last=False)[0], None)

    def visible(self, role: str, caller: Hashable) -> NDArray[np.bool_]:
        """Which studies, by number, are of a kind that the caller is shown; one that nobody decided about is not."""
        known = self._visible.get((role, caller))
        if known is not None:
            return known
        table = np.zeros(len(self._kinds[role]) + 1, np.bool_)
        for kind, permit in self._shown.get((role, caller), {}).items():
            table[kind] = permit is not None
        found: NDArray[np.bool_] = table[np.array(self._kind_of[role], np.uint32)]
        self._visible[role, caller] = found
        return found

    def permit(self, role: str, caller: Hashable, number: int) -> Permit | None:
        """The permit of a study's kind, None if there is none or nobody decided about it."""
        return self._shown.get((role, caller), {}).get(self._kind_of[role][number])

    def parts(self, numbers: NDArray[np.uint32], *, instances: bool) -> NDArray[np.uint32]:
        """How many series, or instances, there are to be found of each of these studies."""
        found: NDArray[np.uint32] = np.array(self._parts[instances], np.uint32)[numbers]
        return found

    def row(self, number: int) -> tuple[bytes, bytes]:
        """The row and the revision of a study."""
        return self._rows[number]

    def _in_order(self) -> NDArray[np.uint32]:
        if not self._sorted:
            self._order.sort(key=self._order_of.__getitem__)
            self._sorted = True
        if self._places is None:
            self._places = np.array(self._order, np.uint32)
        return self._places

    def _matching(self, search: Search) -> NDArray[np.bool_]:
        known = self._masks.get((search.tag, search.value))
        if known is not None:
            return known
        found = np.zeros(len(self._rows), np.bool_)
        for (tag, vr), column in self._columns.items():
            if tag == search.tag:
                here = column.numbers() if search.absent else column.find(search.intervals(vr), search.test(vr))
                found[here] = True
        if search.absent:
            found = ~found
        self._masks[search.tag, search.value] = found
        while len(self._masks) > _MASKS:
            self._masks.popitem(last=False)
        return found


@dataclass(kw_only=True)
class Held:
    """A listing and what is to be held while it is used. `listing` is None until the world is complete and read;
    `pending` maps studies that changed since the world was written to the number of the change and their entry."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    listing: Listing | None = None
    pending: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)


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
