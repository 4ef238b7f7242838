"""Pages of series and of instances over a whole world: which studies hold a page is known before any is opened.

The same rows in the same order as the slow way's: studies as the world orders them, their parts as each study does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice

import numpy as np

from server.admit import View
from server.model import Caller
from server.policy.words import PolicyBundle
from server.query import Query
from server.rows import Match, order_of
from server.services import Services
from server.worlds import Prepared, Visible, visible

Unfold = Callable[[Sequence[Match]], Iterator[Match]]
"""The parts of studies: those that match, study by study, in no order that counts in a world of pseudonyms."""
_CHUNK = 64


def part_page(
    services: Services, bundle: PolicyBundle, caller: Caller, view: View, query: Query, unfold: Unfold, page: slice
) -> Prepared | None:
    """One page when every part matches; None where only the slow way has it."""
    found = visible(services, bundle, caller, view, query.level)
    if found is None:
        return None
    ends = np.cumsum(found.parts, dtype=np.int64)
    count = int(ends[-1]) if len(ends) else 0
    first, behind = np.searchsorted(ends, (page.start, min(page.stop, count)), side="right")
    last = min(int(behind) + 1, len(ends))
    before = int(ends[first - 1]) if first else 0
    matches = found.matches(int(first), last) if page.start < min(page.stop, count) else []
    if matches is None:
        return None
    parts: list[Match] = []
    for at, its in enumerate(_ordered(view, matches, unfold), int(first)):
        if len(its) != found.parts[at]:
            # Changed since its world was looked at.
            return None
        parts += its
    return Prepared(page=parts[page.start - before : page.stop - before], count=count)


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
