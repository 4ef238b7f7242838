"""The masked view of all studies, worked out ahead: fast searches that answer what the slow way would have answered.

A world is one project (or none) at one level under one policy. Its entries say nothing of who may see a study: for each
caller the rules are asked once for every kind of study that they can tell apart, and each study that is answered is
looked up, whether it still is what it was when its kind was told. While a world is not complete, or anything about it
is odd, there is no answer here and the slow way is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from server.admit import View
from server.catalog.lines import Near, Search
from server.catalog.listing import OWN, Held, Listing
from server.errors import SealBroken
from server.metadata.deidentify import Shared
from server.metadata.match import How, Key, key_inside, key_intervals, value_test
from server.model import Action, Caller, Permit, StudyRecord
from server.policy.decide import decide_many
from server.policy.words import PolicyBundle
from server.query import Query, SearchLevel
from server.rows import Match, Ready
from server.services import Services
from server.world_filling import CHUNK, Asked, Entered, asked_in, drop, listing_of, opened, told_apart, who

_LOG = logging.getLogger("safelight.search")
T = TypeVar("T")
_PATIENCE = 5.0


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The studies of one world that match, in its order: the `page` asked for, and how many there are in all."""

    page: Sequence[Match | Ready]
    count: int


def prepared(
    services: Services, bundle: PolicyBundle, caller: Caller, view: View, query: Query, page: slice
) -> Prepared | None:
    """The answer of a world, its rows ready to be sent; None where only the slow way has one."""
    if query.level is not SearchLevel.STUDY:
        return None
    asked = asked_in(services, bundle, caller, view)
    return in_world(asked, lambda held, listing: _found(asked, held, listing, query, page))


@dataclass(frozen=True, kw_only=True)
class Visible:
    """The studies of one world that a caller is shown, in its order, by number, and how many series or instances there
    are to be found of each. Numbers keep their meaning in `rows`, which only grows."""

    asked: Asked
    rows: Sequence[tuple[bytes, bytes]]
    numbers: NDArray[np.uint32]
    parts: NDArray[np.uint32]

    def matches(self, start: int, stop: int) -> list[Match] | None:
        """Each of some of them decided about by itself; None if one is not what it was."""
        rows = [self.rows[int(number)] for number in self.numbers[start:stop]]
        records = _current(self.asked, rows)
        permits = _permits(self.asked, records or [])
        if records is None or None in permits:
            return None
        shared = Shared()
        return [
            Match(permit=permit, view=self.asked.view, study=record, shared=shared)
            for record, permit in zip(records, permits, strict=True)
            if permit is not None
        ]


def visible(services: Services, bundle: PolicyBundle, caller: Caller, view: View, level: SearchLevel) -> Visible | None:
    """All that a caller is shown in a world; None where only the slow way knows."""
    asked = asked_in(services, bundle, caller, view)

    def found(_held: Held, listing: Listing) -> Visible | None:
        if not decide_kinds(asked, listing):
            return None
        numbers = listing.find((), who(asked))
        parts = listing.parts(numbers, instances=level is SearchLevel.INSTANCE)
        return Visible(asked=asked, rows=listing.rows, numbers=numbers, parts=parts)

    return in_world(asked, found)


def in_world(asked: Asked, use: Callable[[Held, Listing], T | None]) -> T | None:
    """What is made of a world in memory; None while there is none, or while somebody else uses it."""
    role = asked.caller.acting_role or ""
    if asked.caller.circumstances.broken_glass:
        # Kinds of study are told apart without the patient, whom a broken glass is about.
        return None
    held = asked.services.catalog.listings.of(asked.world.token)
    # Whoever works out a page is done in a moment, whoever fills or reads a world is not.
    if not held.lock.acquire(timeout=_PATIENCE if held.listing is not None else 0):
        return None
    try:
        if held.listing is None and role not in told_apart(asked):
            return None
        listing = listing_of(asked, held)
        if listing is None or role not in listing.roles or sum(map(len, who(asked).own.values())) > OWN:
            return None
        return use(held, listing)
    except SealBroken as error:
        _LOG.warning("the prepared rows of a search cannot be used: %s", error)
        drop(asked, held)
        return None
    finally:
        held.lock.release()


def _found(asked: Asked, held: Held, listing: Listing, query: Query, page: slice) -> Prepared | None:
    searches = []
    for key in query.keys:
        if len(key.path) > 1:
            # No attribute of a study is a sequence.
            if key.value and key.how is not How.EMPTY:
                return Prepared(page=(), count=0)
        elif key.value:
            searches.append(search_of(key))
    if not decide_kinds(asked, listing):
        return None
    numbers = listing.find(searches, who(asked))
    ready = _answered(asked, held, listing, [int(number) for number in numbers[page]])
    return None if ready is None else Prepared(page=ready, count=len(numbers))


def search_of(key: Key) -> Search:
    """A key at the top level as a world is asked for it."""
    return Search(
        tag=key.path[0],
        value=f"{key.how.value}/{key.value}",
        near=partial(_near, key),
        test=partial(_test, key),
        absent=key.how is How.EMPTY,
    )


def _near(key: Key, vr: str) -> Near:
    inside, sure = key_inside(vr, key.value, key.how)
    return Near(key_intervals(vr, key.value, key.how), inside, sure)


def _test(key: Key, vr: str) -> Callable[[str], bool]:
    return value_test(vr, key.value, key.how)


def decide_kinds(asked: Asked, listing: Listing) -> bool:
    """Have every kind of study decided that the rules can tell apart. False if one changed in the meantime."""
    caller = who(asked)
    kinds = list(listing.undecided(caller).items())
    for start in range(0, len(kinds), CHUNK):
        chunk = kinds[start : start + CHUNK]
        records = _current(asked, [row for _, row in chunk])
        if records is None:
            return False
        permits = _permits(asked, records)
        decided = {kind: permit for (kind, _), permit in zip(chunk, permits, strict=True)}
        listing.decided(caller, decided)
    return True


def _answered(asked: Asked, held: Held, listing: Listing, numbers: Sequence[int]) -> list[Ready] | None:
    """The rows of a page, each at the permit of its kind; None if a study is not what it was when it was prepared.

    A study whose row is of the very revision that was prepared has the facts that it had then, and so its kind's permit
    is its own.
    """
    rows = [listing.rows[number] for number in numbers]
    if not asked.services.catalog.unchanged(dict(rows)):
        return None
    permits = listing.permits(who(asked), numbers)
    known = [held.bodies.get((number, SearchLevel.STUDY)) for number in numbers]
    missing = [row for (row, _), body in zip(rows, known, strict=True) if body is None]
    entered = _entered(asked, held, missing)
    found = []
    for number, (row, revision), permit, body in zip(numbers, rows, permits, known, strict=True):
        entry = entered.get(row)
        if permit is None or (body is None and entry is None):
            # Dropped by another process, or not permitted as its kind was: nothing in memory counts any more.
            held.listing = None
            return None
        lines = body or ()
        if entry is not None:
            if entry.row != row:
                raise SealBroken("a prepared row is not the one that was listed")
            if entry.revision != revision:
                return None
            lines = (entry.body,)
            held.bodies.put((number, SearchLevel.STUDY), lines)
        found += [Ready(permit=permit, view=asked.view, row=row, body=one) for one in lines]
    return found


def _entered(asked: Asked, held: Held, rows: Sequence[bytes]) -> dict[bytes, Entered]:
    """The entries of these studies, as far as they are there. Raises `SealBroken`."""
    if not rows:
        return {}
    catalog = asked.services.catalog
    tokens = {catalog.entry_token(asked.world, row): row for row in rows}
    found = {token: held.pending[row][1] for token, row in tokens.items() if row in held.pending}
    found |= catalog.world_entries(asked.world, [token for token in tokens if token not in found])
    return {tokens[token]: opened(asked, token, sealed) for token, sealed in found.items()}


def _current(asked: Asked, rows: Sequence[tuple[bytes, bytes]]) -> list[StudyRecord] | None:
    found = asked.services.catalog.studies_at([row for row, _ in rows])
    if any(row not in found or found[row].record.revision != revision for row, revision in rows):
        return None
    return [found[row].record for row, _ in rows]


def _permits(asked: Asked, records: Sequence[StudyRecord]) -> list[Permit | None]:
    decisions = decide_many(asked.bundle, asked.caller, Action.SEARCH, records, asked.services.clock())
    level = asked.view.level.name
    return [one if isinstance(one, Permit) and one.level.name == level else None for one in decisions]
