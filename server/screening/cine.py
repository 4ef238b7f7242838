"""The frames of one film, one after the other: what is the same as in the frame before is not looked at again.

Nothing is guessed where the picture stood still: a sample that changes there is looked at by the whole detector, with
its surroundings. Where it never stands still (a heart, a sector of speckle) a glance tells whether there may be text
that no earlier look has seen; the whole detector looks at what it sees. What was found in an earlier frame stays found
where the frame did not change, and, since the look at a part is another look than the one at the whole, also where it
did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.model import Region
from server.screening.lines import Box
from server.screening.picture import Samples
from server.screening.places import SIDES, Cells, Place, area, around, gathered, overlap, smallest, squared
from server.screening.regions import merged

# The surroundings of a change that the detector sees: as wide as tiles overlap.
AROUND = 128
# And of what a glance saw, and a glance itself.
_SEEN, _NEAR = 64, 32
# What a glance saw is looked at together as far as one look reaches.
_TOGETHER = SIDES[1] - 2 * _SEEN
# Where more of the frame than this has changed, the whole frame is looked at.
MOST = 0.5
# Looks at parts add up what they found; so many frames after a look at the whole there is another.
LONGEST = 64
# After so many glances at new edges there is one at everything that moves.
THOROUGH = 12
# The side of a cell that stands still or does not, in samples.
CELL = 16
# A glance that is surer of a place than an earlier one by so much has seen something new there.
_SURER = 0.1
# So much of what a glance sees is known already, or it is new.
_KNOWN = 0.9
# Two frames of one moving picture have cell means that go together as closely as this; others are another picture.
_SAME = 0.8

Find = Callable[[Samples, int], list[Region]]


class Glance(Protocol):
    """Tells cheaply where a frame, or a part of it, may show text.

    Told what a former glance has seen there, `before`, it need not look where no edges have come.
    """

    def __call__(self, samples: Samples, *, before: Samples | None = None) -> Sequence[Box]: ...


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A frame (rows, columns, samples), its regions, and how many frames ago the whole was looked at.

    `restless` are the cells whose changes need no look of their own any more; `doubts` what a glance took for text and
    the detector did not; `glanced` is the last frame that was glanced at thoroughly, and `glances` how many have been
    since.
    """

    samples: Samples
    regions: tuple[Region, ...]
    age: int
    restless: Cells = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    doubts: tuple[Box, ...] = ()
    glanced: Samples | None = None
    glances: int = 0


def next_frame(
    before: Looked | None, samples: Samples, frame_number: int, find: Find, glance: Glance | None = None
) -> Looked:
    """The regions of a frame, given the frame before it; `find` looks at any (rows, columns, samples).

    `glance` tells cheaply where there may be text, of whatever certainty. Without it every change is looked at.
    """
    if before is None or before.age >= LONGEST or not _alike(before.samples, samples):
        return _whole(samples, frame_number, find, glance)
    differs = _differs(before.samples, samples)
    now = replace(before, samples=samples, regions=_kept(before.regions, frame_number))
    cells = _cells(differs)
    if not cells.any():
        return now
    now = replace(now, age=before.age + 1)
    known = before.restless if before.restless.shape == cells.shape else np.zeros_like(cells)
    fresh = cells & ~known
    box = smallest(differs & _samples(fresh, differs.shape)) if fresh.any() else None
    if glance is None or (box is not None and not _moves(before.samples, samples, box)):
        return _look(now, smallest(differs), AROUND, frame_number, find, glance)
    now = replace(now, restless=known | cells)
    if box is not None and not _large(squared(around(box, differs.shape, AROUND), differs.shape), differs.shape):
        now = _look(now, box, AROUND, frame_number, find, glance)
    return _glanced(now, around(smallest(differs), differs.shape, _NEAR), frame_number, find, glance)


def _whole(samples: Samples, frame_number: int, find: Find, glance: Glance | None) -> Looked:
    regions = tuple(find(samples, frame_number))
    doubts = () if glance is None else tuple(_unknown(glance(samples), regions, ()))
    return Looked(samples=samples, regions=regions, age=0, doubts=doubts, glanced=samples)


def _glanced(now: Looked, place: Place, frame_number: int, find: Find, glance: Glance) -> Looked:
    """The frame after a glance at a place that moved, and after looks at what it saw there."""
    top, left, bottom, right = place
    former = None if now.glanced is None or now.glances >= THOROUGH else now.glanced[top:bottom, left:right]
    seen = [
        replace(one, top=one.top + top, left=one.left + left, bottom=one.bottom + top, right=one.right + left)
        for one in glance(now.samples[top:bottom, left:right], before=former)
    ]
    # What is outside of this place is as it was in the frame before.
    now = replace(now, glanced=now.samples, glances=0) if former is None else replace(now, glances=now.glances + 1)
    new = _unknown(seen, now.regions, now.doubts)
    for group in gathered([_place(one) for one in new], _TOGETHER):
        now = _look(now, group, _SEEN, frame_number, find, glance)
        if now.age == 0:
            break
    return replace(now, doubts=(*now.doubts, *_unknown(new, now.regions, now.doubts)))


def _look(now: Looked, changed: Place, by: int, frame_number: int, find: Find, glance: Glance | None) -> Looked:
    """The frame after a look at a place and its surroundings, or at the whole where that is much of it."""
    rows, columns = now.samples.shape[:2]
    part = squared(around(changed, now.samples.shape, by), now.samples.shape)
    if _large(part, now.samples.shape):
        return replace(_whole(now.samples, frame_number, find, glance), restless=now.restless)
    first, start, last, stop = part
    found = [
        replace(one, top_row=one.top_row + first, left_column=one.left_column + start, content="")
        for one in find(now.samples[first:last, start:stop], frame_number)
    ]
    kept = [replace(one, content="") if overlap(_region_place(one), changed) else one for one in now.regions]
    return replace(now, regions=tuple(merged([*kept, *found], rows, columns, frame_number)))


def _unknown(seen: Sequence[Box], regions: Sequence[Region], doubts: Sequence[Box]) -> list[Box]:
    """What a glance saw that lies neither in regions nor where it was about as sure before."""
    return [
        box
        for box in seen
        if not _covered(box, regions, [one for one in doubts if box.confidence <= one.confidence + _SURER])
    ]


def _covered(box: Box, regions: Sequence[Region], doubts: Sequence[Box]) -> bool:
    place = np.zeros((box.bottom - box.top, box.right - box.left), np.bool_)
    for top, left, bottom, right in (*map(_region_place, regions), *map(_place, doubts)):
        rows = slice(max(0, top - box.top), max(0, bottom - box.top))
        place[rows, max(0, left - box.left) : max(0, right - box.left)] = True
    return float(place.mean()) >= _KNOWN


def _alike(one: Samples, other: Samples) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _differs(before: Samples, after: Samples) -> Cells:
    # Not a number differs from itself, so that what holds one is always looked at.
    differs = before != after
    return np.asarray(differs[:, :, 0] if differs.shape[2] == 1 else differs.any(axis=2))


def _cells(differs: Cells) -> Cells:
    """The cells of `CELL` samples a side in which any sample changed."""
    down, across = (np.arange(0, length, CELL) for length in differs.shape)
    return np.asarray(np.logical_or.reduceat(np.logical_or.reduceat(differs, down, axis=0), across, axis=1))


def _samples(cells: Cells, shape: tuple[int, ...]) -> Cells:
    return cells.repeat(CELL, axis=0)[: shape[0]].repeat(CELL, axis=1)[:, : shape[1]]


def _moves(before: Samples, after: Samples, box: Place) -> bool:
    """Whether what changed in a place is the same picture, moved, or another one: by its cells' means."""
    top, left, bottom, right = box
    one, other = (_means(samples[top:bottom, left:right]) for samples in (before, after))
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return spread > 0 and float((one * other).sum()) >= _SAME * spread


def _means(part: Samples) -> NDArray[np.float64]:
    plane = part[:, :, 0].astype(np.float64)
    down, across = (np.arange(0, length, CELL) for length in plane.shape)
    sums = np.add.reduceat(np.add.reduceat(plane, down, axis=0), across, axis=1)
    heights, widths = np.diff([*down, plane.shape[0]]), np.diff([*across, plane.shape[1]])
    return np.asarray(sums / (heights[:, None] * widths[None, :]))


def _large(place: Place, shape: tuple[int, ...]) -> bool:
    return area(place) > MOST * shape[0] * shape[1]


def _kept(regions: Sequence[Region], frame_number: int) -> tuple[Region, ...]:
    return tuple(replace(one, frames=frozenset({frame_number})) for one in regions)


def _place(box: Box) -> Place:
    return box.top, box.left, box.bottom, box.right


def _region_place(region: Region) -> Place:
    return (
        region.top_row,
        region.left_column,
        region.top_row + region.row_count,
        region.left_column + region.column_count,
    )
