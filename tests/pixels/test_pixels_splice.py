"""Spliced streams: byte for byte those of the whole picture, whatever is exchanged, and read by every decoder."""

from __future__ import annotations

import io

import cv2
import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray
from PIL import Image

from server.pixels.splice import BLOCK, INTERVAL, Box, Grid, encoded, encoded_segments, gathered, spliced, starts

SIZES = [(64, 1024), (60, 1024), (61, 1000), (203, 517), (40, 256), (33, 100), (7, 9), (1, 1), (300, 8), (97, 2051)]


def picture(rows: int, columns: int, seed: int = 1) -> NDArray[np.uint8]:
    """A slope with grain, so that no two segments are the same."""
    slope = np.add.outer(np.arange(rows) * 0.3, np.arange(columns) * 0.1) % 200
    grained: NDArray[np.uint8] = np.clip(slope + np.random.default_rng(seed).normal(20, 9, slope.shape), 0, 255)
    return grained.astype(np.uint8)


def exchanged(before: NDArray[np.uint8], after: NDArray[np.uint8], boxes: list[Box], quality: int = 90) -> bytes:
    grid = Grid(rows=before.shape[0], columns=before.shape[1])
    stream, wanted = encoded(before, quality), grid.touched(boxes)
    # Only the rows of blocks that are wanted are there, in the order they have.
    lines = grid.lines(wanted)
    there = np.concatenate([np.empty((0, grid.columns), np.uint8), *(after[one * 8 : one * 8 + 8] for one in lines)])
    tops = np.full(-(-grid.rows // BLOCK), -1, np.intp)
    tops[lines] = np.arange(len(lines)) * BLOCK
    anew = encoded_segments(gathered(there, tops, wanted, grid), wanted, grid, quality)
    return spliced(stream, starts(stream), wanted, anew)


def painted(before: NDArray[np.uint8], boxes: list[Box]) -> NDArray[np.uint8]:
    after = before.copy()
    for number, (top, left, bottom, right) in enumerate(boxes):
        after[top:bottom, left:right] = np.random.default_rng(number).integers(0, 255, (bottom - top, right - left))
    return after


def cases(rows: int, columns: int) -> list[list[Box]]:
    """Nothing, everything, a corner sample each, one row, the last rows, one column, two that meet."""
    middle, across = rows // 2, columns // 2
    return [
        [],
        [(0, 0, rows, columns)],
        [(0, 0, 1, 1)],
        [(rows - 1, columns - 1, rows, columns)],
        [(0, columns - 1, 1, columns), (rows - 1, 0, rows, 1)],
        [(middle, 0, middle + 1, columns)],
        [(max(rows - 3, 0), 0, rows, columns)],
        [(0, across, rows, across + 1)],
        [(0, 0, middle + 1, across + 1), (middle, across, rows, columns)],
    ]


@pytest.mark.parametrize(("rows", "columns"), SIZES)
@pytest.mark.parametrize("quality", [90, 1, 100])
def test_the_spliced_stream_is_that_of_the_whole_picture(rows: int, columns: int, quality: int) -> None:
    before = picture(rows, columns)
    for boxes in cases(rows, columns):
        after = painted(before, boxes)
        assert exchanged(before, after, boxes, quality) == encoded(after, quality), boxes


@given(data=some.data(), rows=some.integers(1, 70), columns=some.integers(1, 700))
def test_whatever_is_exchanged_the_stream_is_that_of_the_whole_picture(
    data: some.DataObject, rows: int, columns: int
) -> None:
    boxes = []
    for _ in range(data.draw(some.integers(0, 4))):
        top, left = data.draw(some.integers(0, rows - 1)), data.draw(some.integers(0, columns - 1))
        bottom, right = data.draw(some.integers(top + 1, rows)), data.draw(some.integers(left + 1, columns))
        boxes.append((top, left, bottom, right))
    before = picture(rows, columns)
    after = painted(before, boxes)
    assert exchanged(before, after, boxes) == encoded(after, 90)
    grid = Grid(rows=rows, columns=columns)
    # What is touched is exactly what holds a sample of a box.
    units = {
        row // BLOCK * grid.across + column // BLOCK
        for top, left, bottom, right in boxes
        for row in range(top, bottom)
        for column in range(left, right)
    }
    assert grid.touched(boxes).tolist() == sorted({one // INTERVAL for one in units})


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_three_decoders_read_them_alike(rows: int, columns: int) -> None:
    """And what they read is what they read of a stream without any restart marker."""
    before = picture(rows, columns)
    boxes: list[Box] = [(rows // 3, columns // 4, rows // 2 + 1, columns // 2 + 1)]
    stream = exchanged(before, after := painted(before, boxes), boxes)
    plain = cv2.imencode(".jpg", after, (cv2.IMWRITE_JPEG_QUALITY, 90))[1].tobytes()
    wanted = np.asarray(Image.open(io.BytesIO(plain)))
    for one in (
        np.asarray(Image.open(io.BytesIO(stream))),
        np.asarray(cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_GRAYSCALE)),
        np.asarray(imagecodecs.jpeg8_decode(stream)).reshape(rows, columns),
    ):
        assert np.array_equal(one, wanted)


def test_tables_and_markers_are_those_of_the_standard() -> None:
    """Quantisation follows from quality alone, the Huffman codes are those of annex K.3, restart markers in turn."""
    one, other = encoded(picture(64, 1024), 90), encoded(255 - picture(64, 1024, 2), 90)
    bounds = starts(one)
    assert one[: bounds[0]] == other[: starts(other)[0]]
    assert bytes.fromhex("ffdd00040020") in one[: bounds[0]]
    # The code lengths of table K.3, of the DC coefficients of luminance.
    assert bytes.fromhex("ffc4001f0000010501010101010100000000000000000102030405060708090a0b") in one[: bounds[0]]
    marks = [one[end - 2 : end].hex() for end in bounds[1:].tolist()]
    assert marks == [f"ffd{number % 8}" for number in range(len(marks) - 1)] + ["ffd9"]


def test_a_segment_says_nothing_of_any_other() -> None:
    """Segments that no box touches are the same, and as long, whatever lies under the boxes."""
    before = picture(203, 517)
    boxes: list[Box] = [(40, 100, 90, 300)]
    one, other = encoded(painted(before, boxes), 90), encoded(painted(painted(before, boxes), [*boxes, *boxes]), 90)
    touched = set(Grid(rows=203, columns=517).touched(boxes).tolist())
    for segment, (begin, end, first, last) in enumerate(
        zip(starts(one)[:-1], starts(one)[1:], starts(other)[:-1], starts(other)[1:], strict=True)
    ):
        assert (one[begin:end] == other[first:last]) or segment in touched


def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="without a scan"):
        starts(b"\xff\xd8\xff\xd9")
