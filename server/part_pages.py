"""Pages of series and of instances over a whole world: which studies hold a page is known before any is opened.

The same rows in the same order as the slow way's: studies as the world orders them, their parts as each study does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import orjson

from server.admit import View
from server.catalog.kept import Bodies
from server.catalog.listing import Held, Listing
from server.metadata.deidentify import Shared
from server.metadata.match import Key
from server.model import Caller, Permit
from server.policy.words import PolicyBundle
from server.query import Query, SearchLevel
from server.rows import Match, Ready, order_of, row_of
from server.services import Services
from server.world_filling import Asked, asked_in, who
from server.worlds import Prepared, Visible, decide_kinds, in_world, search_of, visible

Unfold = Callable[[Sequence[Match]], Iterator[Match]]
"""The parts of studies: those that match, study by study, in no order that counts in a world of pseudonyms."""
_CHUNK = 64
_STUDY_UID = 0x0020000D


def part_page(
    services: Services,
    bundle: PolicyBundle,
    caller: Caller,
    view: View,
    query: Query,
    unfold: Unfold,
    page: slice,
    study: str | None = None,
) -> Prepared | None:
    """One page when every part matches, of one `study` if it is named; None where only the slow way has it."""
    asked = asked_in(services, bundle, caller, view)
    found = in_world(asked, lambda held, listing: _touched(asked, held, listing, query.level, study, page))
    if found is None:
        return None
    missing = [one for one in found.studies if found.bodies.get((one.number, query.level)) is None]
    records = services.catalog.studies_at([one.row for one in missing])
    if any(one.row not in records or records[one.row].record.revision != one.revision for one in missing):
        return None
    shared = Shared()
    matches = [Match(permit=one.permit, view=view, study=records[one.row].record, shared=shared) for one in missing]
    made: dict[int, tuple[bytes, ...]] = {}
    for one, its in zip(missing, _ordered(view, matches, unfold), strict=True):
        made[one.number] = tuple(orjson.dumps(row_of(services, part, query.level)) for part in its)
        if len(its) != one.parts:
            # Changed since its world was looked at.
            return None
        found.bodies.put((one.number, query.level), made[one.number])
    rows: list[Ready] = []
    for one in found.studies:
        bodies = made.get(one.number) or found.bodies.get((one.number, query.level)) or ()
        if len(bodies) != one.parts:
            return None
        rows += (Ready(permit=one.permit, view=view, row=one.row, body=body) for body in bodies)
    return Prepared(page=rows[page.start - found.before : page.stop - found.before], count=found.count)


@dataclass(frozen=True, kw_only=True)
class _Study:
    """A study that a page touches, as it is at this moment; `parts` are how many there are to be found of it."""

    number: int
    row: bytes
    revision: bytes
    permit: Permit
    parts: int


@dataclass(frozen=True, kw_only=True)
class _Touched:
    """The studies that a page touches, how many parts come `before` the first one's and are there in all, and the parts
    of studies as they were answered before."""

    studies: Sequence[_Study]
    before: int
    count: int
    bodies: Bodies


def _touched(
    asked: Asked, held: Held, listing: Listing, level: SearchLevel, study: str | None, page: slice
) -> _Touched | None:
    if not decide_kinds(asked, listing):
        return None
    caller, instances = who(asked), level is SearchLevel.INSTANCE
    if study is None:
        numbers, ends = listing.find((), caller), listing.part_ends(caller, instances=instances)
    else:
        numbers = listing.find([search_of(Key((_STUDY_UID,), study))], caller)
        ends = np.cumsum(listing.parts(numbers, instances=instances), dtype=np.int64)
    count = int(ends[-1]) if len(ends) else 0
    if page.start >= min(page.stop, count):
        return _Touched(studies=(), before=page.start, count=count, bodies=held.bodies)
    first, behind = (int(one) for one in np.searchsorted(ends, (page.start, min(page.stop, count)), side="right"))
    touched = [int(number) for number in numbers[first : behind + 1]]
    rows = [listing.rows[number] for number in touched]
    permits = listing.permits(caller, touched)
    if None in permits or not asked.services.catalog.unchanged(dict(rows)):
        return None
    starts = [int(ends[first - 1]) if first else 0, *map(int, ends[first : behind + 1])]
    studies = [
        _Study(number=number, row=row, revision=revision, permit=permit, parts=stop - start)
        for number, (row, revision), permit, start, stop in zip(
            touched, rows, permits, starts[:-1], starts[1:], strict=True
        )
        if permit is not None
    ]
    return _Touched(studies=studies, before=starts[0], count=count, bodies=held.bodies)


def in_order(
    services: Services, bundle: PolicyBundle, caller: Caller, view: View, query: Query, unfold: Unfold, most: int
) -> list[Match] | None:
    """The first `most` parts that match, study by study and no further; None where only the slow way knows."""
    found = visible(services, bundle, caller, view, query.level)
    if found is None:
        return None
    parts: list[Match] = []
    for chunk in _chunks(found):
        if chunk is None:
            return None
        for its in _ordered(view, chunk, unfold):
            parts += its
            if len(parts) >= most:
                return list(islice(parts, most))
    return parts


def _chunks(found: Visible) -> Iterator[list[Match] | None]:
    for start in range(0, len(found.numbers), _CHUNK):
        yield found.matches(start, start + _CHUNK)


def _ordered(view: View, studies: Sequence[Match], unfold: Unfold) -> Iterator[list[Match]]:
    """The parts of each study."""
    parts = {row: list(its) for row, its in groupby(unfold(studies), key=lambda one: one.study.row)}
    for study in studies:
        its = parts.get(study.study.row, [])
        yield its if view.domain is None else sorted(its, key=order_of)
