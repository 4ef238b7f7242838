"""Places of a frame: half-open boxes (top, left, bottom, right) in samples, and what is looked at around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int, int, int]
Cells = NDArray[np.bool_]

# Parts of a frame are looked at in squares of these sides, so that few shapes are compiled.
SIDES = (256, 341, 512, 682)


def smallest(marked: Cells) -> Place:
    """The smallest place that holds every sample that is True; there has to be one."""
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def hull(places: Iterable[Place]) -> Place:
    """The smallest place that holds them all; there has to be one."""
    tops, lefts, bottoms, rights = zip(*places, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def around(place: Place, shape: tuple[int, ...], by: int) -> Place:
    """The place and so many samples on every side of it, as far as the frame reaches."""
    top, left, bottom, right = place
    return max(0, top - by), max(0, left - by), min(shape[0], bottom + by), min(shape[1], right + by)


def squared(place: Place, shape: tuple[int, ...]) -> Place:
    """The place widened to a square of one of `SIDES`, moved and cut so that it lies in the frame; a larger one as it
    is.
    """
    longest = max(place[2] - place[0], place[3] - place[1])
    side = next((one for one in SIDES if one >= longest), None)
    if side is None:
        return place
    edges = []
    for first, last, length in ((place[0], place[2], shape[0]), (place[1], place[3], shape[1])):
        start = max(0, min((first + last - side) // 2, length - side))
        edges.append((start, min(length, start + side)))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def gathered(places: Sequence[Place], longest: int) -> Iterator[Place]:
    """Neighbours as one place each, as long as that is no longer than this on either side; all are covered."""
    groups: list[Place] = []
    for place in sorted(places):
        for index, group in enumerate(groups):
            both = hull((group, place))
            if max(both[2] - both[0], both[3] - both[1]) <= longest:
                groups[index] = both
                break
        else:
            groups.append(place)
    yield from groups


def area(place: Place) -> int:
    return (place[2] - place[0]) * (place[3] - place[1])


def overlap(one: Place, other: Place) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
