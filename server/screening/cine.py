"""The frames of one film, one after the other: what is the same as in the frame before is not looked at again.

Nothing is guessed: a sample that changed is looked at by the whole detector, with its surroundings. What was found in
an earlier frame stays found where the frame did not change, and, since the look at a part is another look than the one
at the whole, also where it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from server.model import Region
from server.screening.picture import Samples
from server.screening.regions import merged

# The surroundings of a change that the detector sees: as wide as tiles overlap.
AROUND = 128
# Where more of the frame than this has changed, the whole frame is looked at.
MOST = 0.5
# Looks at parts add up what they found; so many frames after a look at the whole there is another.
LONGEST = 64

Find = Callable[[Samples, int], list[Region]]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A frame (rows, columns, samples), its regions, and how many frames ago the whole was looked at."""

    samples: Samples
    regions: tuple[Region, ...]
    age: int


def next_frame(before: Looked | None, samples: Samples, frame_number: int, find: Find) -> Looked:
    """The regions of a frame, given the frame before it; `find` looks at any (rows, columns, samples)."""
    if before is None or before.age >= LONGEST or not _alike(before.samples, samples):
        return _whole(samples, frame_number, find)
    changed = _changed(before.samples, samples)
    if changed is None:
        return Looked(samples=samples, regions=_kept(before.regions, frame_number), age=before.age)
    top, left, bottom, right = changed
    rows, columns = samples.shape[:2]
    first, last = max(0, top - AROUND), min(rows, bottom + AROUND)
    start, stop = max(0, left - AROUND), min(columns, right + AROUND)
    if (last - first) * (stop - start) > MOST * rows * columns:
        return _whole(samples, frame_number, find)
    part = [
        replace(one, top_row=one.top_row + first, left_column=one.left_column + start, content="")
        for one in find(samples[first:last, start:stop], frame_number)
    ]
    kept = [replace(one, content="") if _touches(one, changed) else one for one in _kept(before.regions, frame_number)]
    return Looked(
        samples=samples, regions=tuple(merged([*kept, *part], rows, columns, frame_number)), age=before.age + 1
    )


def _whole(samples: Samples, frame_number: int, find: Find) -> Looked:
    return Looked(samples=samples, regions=tuple(find(samples, frame_number)), age=0)


def _alike(one: Samples, other: Samples) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _changed(before: Samples, after: Samples) -> tuple[int, int, int, int] | None:
    """The smallest box (top, left, bottom, right) that holds every changed sample; None where nothing changed."""
    # Not a number differs from itself, so that what holds one is always looked at.
    differs = (before != after).any(axis=2)
    rows = np.flatnonzero(differs.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(differs.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _kept(regions: Sequence[Region], frame_number: int) -> tuple[Region, ...]:
    return tuple(replace(one, frames=frozenset({frame_number})) for one in regions)


def _touches(region: Region, box: tuple[int, int, int, int]) -> bool:
    top, left, bottom, right = box
    return (
        region.top_row < bottom
        and top < region.top_row + region.row_count
        and region.left_column < right
        and left < region.left_column + region.column_count
    )
