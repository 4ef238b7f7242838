"""Grey JPEG streams whose entropy-coded segments can be exchanged one by one (ITU-T T.81).

A restart marker ends every `INTERVAL` minimum coded units (sections B.2.1 and E.1.4): there the prediction of the DC
coefficient begins anew and the bits are filled up to a whole byte, so a segment depends on nothing but its own samples.
Tables are the same in every stream of one quality: quantisation by quality alone, and the Huffman codes of annex K.3,
never fitted to a picture. So a stream in which some segments have been encoded anew is, byte for byte, the stream of
the whole picture encoded anew. In a grey picture a unit is one block of 8×8 samples (section A.2.2); units count from 0
along the rows of blocks, and a segment runs on from the end of one row to the beginning of the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

INTERVAL = 32
BLOCK = 8
# How tall a picture of segments one below the other may be (section B.2.2: lines are told in 16 bits).
_MOST_AT_ONCE = 65_535 // BLOCK

Grey = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """How a picture of so many rows and columns is cut into segments."""

    rows: int
    columns: int

    @property
    def across(self) -> int:
        """Blocks in a row of blocks."""
        return -(-self.columns // BLOCK)

    @property
    def units(self) -> int:
        return self.across * -(-self.rows // BLOCK)

    @property
    def segments(self) -> int:
        return -(-self.units // INTERVAL)

    def span(self, segment: int) -> tuple[int, int]:
        """The first unit of a segment, and the first behind it."""
        return segment * INTERVAL, min((segment + 1) * INTERVAL, self.units)

    def touched(self, boxes: Iterable[Box]) -> NDArray[np.intp]:
        """The segments that hold any sample of any box (top, left, bottom, right; half-open), in order."""
        firsts, ends = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
        for top, left, bottom, right in boxes:
            begins = np.arange(top // BLOCK, -(-bottom // BLOCK)) * self.across
            firsts.append((begins + left // BLOCK) // INTERVAL)
            ends.append((begins + -(-right // BLOCK) - 1) // INTERVAL + 1)
        return _covered(np.concatenate(firsts), np.concatenate(ends), self.segments)

    def lines(self, segments: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows of blocks that segments lie in, in order."""
        firsts, ends = segments * INTERVAL, np.minimum((segments + 1) * INTERVAL, self.units)
        return _covered(firsts // self.across, (ends - 1) // self.across + 1, -(-self.rows // BLOCK))


def _covered(firsts: NDArray[np.intp], ends: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The whole numbers below `count` that lie in any of the half-open intervals."""
    steps = np.bincount(firsts, minlength=count + 1) - np.bincount(ends, minlength=count + 1)
    return np.flatnonzero(np.cumsum(steps) > 0)


def encoded(picture: Grey, quality: int) -> bytes:
    """The stream of a grey picture (rows, columns), `quality` 1 to 100."""
    asked = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, INTERVAL)
    done, stream = cv2.imencode(".jpg", np.ascontiguousarray(picture), asked)
    if not done:
        raise ValueError("the picture cannot be encoded")
    return stream.tobytes()


def starts(stream: bytes) -> NDArray[np.uint32]:
    """Where each segment of a stream made by `encoded` begins, and where one behind the last would.

    Every segment is followed by two bytes: its restart marker, or the end of the image. Inside the segments each byte
    FF has a byte 00 behind it (section B.1.1.5), so no marker is found where none is. Raises ValueError for a stream
    without a scan.
    """
    data = np.frombuffer(stream, np.uint8)
    first = _scan(stream)
    marks = np.flatnonzero(data[first:-1] == 0xFF) + first
    marks = marks[(data[marks + 1] & 0xF8) == 0xD0]
    return np.concatenate(([first], marks + 2, [len(stream)])).astype(np.uint32)


def _scan(stream: bytes) -> int:
    """Where the first segment begins: behind the header of the scan (section B.2.3)."""
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        if stream[at + 1] == 0xDA:
            return at + 2 + length
        at += 2 + length
    raise ValueError("a stream without a scan")


def gathered(samples: NDArray[Any], tops: NDArray[np.intp], wanted: NDArray[np.intp], grid: Grid) -> NDArray[Any]:
    """The segments `wanted` of a picture as one picture, one below the other: (8 a segment, 8 a unit of `INTERVAL`).

    `samples` (rows, columns) are some rows of the picture, of any type, and `tops` says of each row of blocks where
    among them it begins. What lies beyond the picture repeats its last row and column, as the encoder has it. Of a last
    segment of fewer units the rest is undefined. Raises ValueError or IndexError for rows that are not there.
    """
    lines, units = np.divmod(wanted * INTERVAL, grid.across)
    inside = (units + INTERVAL) * BLOCK <= grid.columns
    inside &= (lines + 1) * BLOCK <= grid.rows
    if inside.any():
        # A view of every place where a segment could lie, of which those of whole segments are copied at once.
        shape = samples.shape[0] - BLOCK + 1, samples.shape[1] - INTERVAL * BLOCK + 1, BLOCK, INTERVAL * BLOCK
        places = as_strided(samples, shape, (*samples.strides, *samples.strides), writeable=False)
        rows = np.where(inside, tops[lines], 0)
        if rows.min() < 0:
            raise ValueError("a row of the picture is not there")
        found = places[rows, np.where(inside, units * BLOCK, 0)]
        picture = found.reshape(len(wanted) * BLOCK, INTERVAL * BLOCK)
    else:
        picture = np.empty((len(wanted) * BLOCK, INTERVAL * BLOCK), samples.dtype)
    for number in np.flatnonzero(~inside).tolist():
        _gather(samples, tops, int(wanted[number]), grid, picture[number * BLOCK : (number + 1) * BLOCK])
    return picture


def _gather(samples: NDArray[Any], tops: NDArray[np.intp], segment: int, grid: Grid, into: NDArray[Any]) -> None:
    """One segment that runs on into the next row of blocks, or beyond the picture."""
    unit, end = grid.span(segment)
    at = 0
    while unit < end:
        line, column = divmod(unit, grid.across)
        count = min(grid.across - column, end - unit)
        top = int(tops[line])
        height = min(BLOCK, grid.rows - line * BLOCK)
        found = samples[top : top + height, column * BLOCK : (column + count) * BLOCK]
        part = into[:, at : at + count * BLOCK]
        part[:height, : found.shape[1]] = found
        part[:height, found.shape[1] :] = found[:, -1:]
        part[height:] = part[height - 1]
        at, unit = at + count * BLOCK, unit + count


def encoded_segments(picture: Grey, wanted: NDArray[np.intp], grid: Grid, quality: int) -> list[bytes]:
    """The entropy-coded segments `wanted`, whose samples are `gathered` in `picture`."""
    found: list[bytes] = []
    short = len(wanted) and grid.span(int(wanted[-1]))[1] % INTERVAL
    whole = len(wanted) - bool(short)
    for begin in range(0, whole, _MOST_AT_ONCE):
        end = min(begin + _MOST_AT_ONCE, whole)
        found += _cut(encoded(picture[begin * BLOCK : end * BLOCK], quality), end - begin)
    if short:
        found += _cut(encoded(picture[whole * BLOCK :, : short * BLOCK], quality), 1)
    return found


def _cut(stream: bytes, count: int) -> list[bytes]:
    bounds = starts(stream).tolist()
    return [stream[bounds[one] : bounds[one + 1] - 2] for one in range(count)]


def spliced(
    stream: bytes | memoryview, bounds: NDArray[np.uint32], wanted: NDArray[np.intp], anew: Sequence[bytes]
) -> bytes:
    """`stream` with the segments `wanted` (in order) replaced; `bounds` is what `starts` says of it.

    A segment keeps its number, so the marker behind it (section B.1.1.3: modulo 8) stays what it was.
    """
    view = memoryview(stream)
    begins, ends = bounds[wanted].tolist(), (bounds[wanted + 1] - 2).tolist()
    pieces: list[bytes | memoryview] = []
    at = 0
    for begin, end, content in zip(begins, ends, anew, strict=True):
        pieces += (view[at:begin], content)
        at = end
    pieces.append(view[at:])
    return b"".join(pieces)
