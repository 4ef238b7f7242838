"""How a picture larger than the network's tile is cut: few, equal, overlapping pieces."""

from __future__ import annotations

from collections.abc import Iterator

# Small tiles lose the context that tells a rib from a letter; larger ones only take memory.
LARGEST = 1664
# Of networks that tell a rib from a letter in less.
SMALLER = 1152
# A line's end cut off by one tile's edge is read in the next.
OVERLAP = 128


def spans(length: int, largest: int = LARGEST) -> list[tuple[int, int]]:
    """Half-open pieces of at most `largest` that cover 0 to `length` and overlap by at least `OVERLAP`."""
    if length <= largest:
        return [(0, length)]
    count = -(-(length - OVERLAP) // (largest - OVERLAP))
    size = -(-(length + (count - 1) * OVERLAP) // count)
    starts = [round(index * (length - size) / (count - 1)) for index in range(count)]
    return [(start, start + size) for start in starts]


def tiles(rows: int, columns: int, largest: int = LARGEST) -> Iterator[tuple[slice, slice]]:
    """The pieces of a picture as slices of rows and of columns."""
    for top, bottom in spans(rows, largest):
        for left, right in spans(columns, largest):
            yield slice(top, bottom), slice(left, right)


def tile_shape(rows: int, columns: int, largest: int = LARGEST) -> tuple[int, int]:
    """Rows and columns of the pieces of a picture; they differ by a sample where that does not divide evenly."""
    down, across = spans(rows, largest)[0], spans(columns, largest)[0]
    return down[1] - down[0], across[1] - across[0]
