"""How a picture larger than the network's tile is cut: few, equal, overlapping pieces."""

from __future__ import annotations

from collections.abc import Iterator

# Small tiles lose the context that tells a rib from a letter; larger ones only take memory.
LARGEST = 1664
# A line's end cut off by one tile's edge is read in the next.
OVERLAP = 128


def spans(length: int) -> list[tuple[int, int]]:
    """Half-open pieces of at most `LARGEST` that cover 0 to `length` and overlap by at least `OVERLAP`."""
    if length <= LARGEST:
        return [(0, length)]
    count = -(-(length - OVERLAP) // (LARGEST - OVERLAP))
    size = -(-(length + (count - 1) * OVERLAP) // count)
    starts = [round(index * (length - size) / (count - 1)) for index in range(count)]
    return [(start, start + size) for start in starts]


def tiles(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """The pieces of a picture as slices of rows and of columns."""
    for top, bottom in spans(rows):
        for left, right in spans(columns):
            yield slice(top, bottom), slice(left, right)
