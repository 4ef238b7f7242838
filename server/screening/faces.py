"""Faces in photographs: the CenterFace network at every quarter turn, each box grown to take in ears and hair.

CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019) gives, for cells of
four samples, the probability that a face is centred there and the face's size and offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import openvino

from server.model import Region, RegionKind
from server.screening import packaged, sought
from server.screening.compiled import Compiled
from server.screening.lines import Box
from server.screening.picture import Grey, Samples, value_range
from server.screening.regions import merged, whole_frame

CONFIGURATION = "2"
# A cell of at least this probability is a face.
THRESHOLD = 0.4
# How far a box is grown on every side, as a part of its length there.
GROWTH = 0.3
# The long side of a look, and a grey border around it: a face that fills the frame is only seen small, or with room
# around it. Pictures in colour are enlarged and looked at closely, for small faces in a crowd; grey ones are not.
_LOOKS = ((128, 32), (160, 0), (320, 0), (640, 0), (1280, 0))
_SMALL, _LARGEST_GREY = 320, 640
_BORDER = 128
# Shapes are rounded up to this, so that few are compiled; the network halves a picture five times.
_STEP = 64
# The coordinates of one cell, in samples.
_CELL = 4
# A frame of more samples is not looked at but hidden whole.
LARGEST_FRAME = 64_000_000


class FaceDetector:
    """Finds faces. One per thread: the compiled network holds its buffers."""

    def __init__(self, threads: int = 1, compiled: Compiled | None = None) -> None:
        """`compiled` may be that of other networks of the same thread. Reads the pinned weights; raises
        `ConfigurationError` when they are missing or not the pinned ones.
        """
        self._compiled = compiled or Compiled()
        self._core = openvino.Core()
        self._model = self._core.read_model(packaged.content(packaged.FACES))
        # In 32 bits everywhere: a cell near the threshold must not depend on the processor.
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }

    def version(self) -> str:
        """Detector and configuration, as `TextDetector.version`."""
        return f"{sought.FACES}:{packaged.FACES.sha256[:16]}:{THRESHOLD:g}:+{GROWTH:g}:c{CONFIGURATION}"

    def find(
        self, samples: Samples, *, frame_number: int, palette: Samples | None = None, palette_first: int = 0
    ) -> list[Region]:
        """The faces of one decoded frame (rows, columns, samples) of any integer or float type, as of `frame_number`.

        `palette` ((entries, 3), the first for the value `palette_first`) turns a frame of indices into colours. The
        samples are only read. A frame too large to look at is one region. Raises `ValueError` for another shape.
        """
        if samples.ndim != 3 or 0 in samples.shape:
            raise ValueError("a frame has rows, columns and samples")
        rows, columns = samples.shape[:2]
        if rows * columns > LARGEST_FRAME:
            return [whole_frame(rows, columns, frame_number, RegionKind.FACE)]
        colours = _colours(samples, palette, palette_first)
        found = [box.region(RegionKind.FACE, frame_number) for box in self._boxes(colours)]
        return merged(found, rows, columns, frame_number)

    def _boxes(self, colours: Grey) -> Iterator[Box]:
        rows, columns = colours.shape[:2]
        long = max(rows, columns)
        first = colours[:, :, :1]
        if all(np.array_equal(first, colours[:, :, one : one + 1]) for one in range(1, colours.shape[2])):
            colours = np.ascontiguousarray(first)
        grey = colours.shape[2] == 1
        for size, border in _LOOKS:
            if size > (max(_SMALL, min(long, _LARGEST_GREY)) if grey else max(_SMALL, 2 * long)):
                return
            scale = size / long
            width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            smaller = cv2.resize(colours, (width, height), interpolation=how).reshape(height, width, -1)
            picture = np.pad(smaller, ((border, border), (border, border), (0, 0)), constant_values=_BORDER)
            for turns in range(4):
                for box in self._cells(np.rot90(picture, turns)):
                    whole = _turned_back(box, turns, *picture.shape[:2])
                    yield _placed(tuple(edge - border for edge in whole[:4]), whole[4], scale, rows, columns)

    def _cells(self, picture: Grey) -> list[tuple[float, float, float, float, float]]:
        """(top, left, bottom, right, probability) of every cell that is a face, in samples of the look."""
        rows, columns = picture.shape[:2]
        shape = -(-rows // _STEP) * _STEP, -(-columns // _STEP) * _STEP
        if 2 * max(shape) <= 3 * min(shape):
            # Nearly square: one shape for all four turns.
            shape = max(shape), max(shape)
        padded = np.zeros((*shape, 3), np.float32)
        padded[:rows, :columns] = picture
        request = self._request(shape)
        request.infer({0: np.ascontiguousarray(padded.transpose(2, 0, 1))[None]})
        heat, size, offset = (np.array(request.get_output_tensor(index).data[0]) for index in range(3))
        found = []
        for row, column in np.argwhere(heat[0] >= THRESHOLD):
            height, width = np.exp(np.minimum(size[:, row, column], 8)) * _CELL
            middle_row = (row + offset[0, row, column] + 0.5) * _CELL
            middle_column = (column + offset[1, row, column] + 0.5) * _CELL
            found.append(
                (
                    float(middle_row - height / 2),
                    float(middle_column - width / 2),
                    float(middle_row + height / 2),
                    float(middle_column + width / 2),
                    float(heat[0, row, column]),
                )
            )
        return found

    def _request(self, shape: tuple[int, int]) -> Any:
        def compiled() -> Any:
            # A network given another shape after it was compiled answers nonsense, so every shape has its own.
            model = self._model.clone()
            model.reshape([1, 3, *shape])
            return self._core.compile_model(model, "CPU", self._options)

        # In 32 bits it works in twice the memory.
        return self._compiled.request((self, shape), 2 * shape[0] * shape[1], compiled)


def _colours(samples: Samples, palette: Samples | None, palette_first: int) -> Grey:
    """(rows, columns, 1 or 3) of 8 bits, spread over the range that nearly all values lie in."""
    if palette is not None and samples.shape[2] == 1:
        samples = palette[np.clip(samples[:, :, 0].astype(np.int64) - palette_first, 0, len(palette) - 1)]
    if samples.shape[2] not in (1, 3):
        samples = samples[:, :, :1]
    if samples.dtype == np.uint8:
        return np.ascontiguousarray(samples)
    ranges = [value_range(samples[:, :, channel]) for channel in range(samples.shape[2])]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if samples.dtype.kind in "ui" and samples.itemsize <= 2:
        # Every value that there can be, once.
        limits = np.iinfo(samples.dtype)
        table = _spread(np.arange(limits.min, limits.max + 1), low, high)
        return np.take(table, samples.astype(np.int32) - int(limits.min) if limits.min else samples)
    return _spread(samples, low, high)


def _spread(values: Samples, low: float, high: float) -> Grey:
    values = np.clip(np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low), low, high)
    # Halved first: the difference of the largest doubles overflows.
    width = high / 2 - low / 2
    return np.asarray((values / 2 - low / 2) / width * 255 if width > 0 else values * 0, np.uint8)


def _turned_back(
    box: tuple[float, float, float, float, float], turns: int, rows: int, columns: int
) -> tuple[float, float, float, float, float]:
    """A box of the picture turned `turns` quarters anticlockwise, in the picture (rows, columns) as it was."""
    top, left, bottom, right, probability = box
    if turns == 1:
        top, left, bottom, right = left, columns - bottom, right, columns - top
    elif turns == 2:
        top, left, bottom, right = rows - bottom, columns - right, rows - top, columns - left
    elif turns == 3:
        top, left, bottom, right = rows - right, top, rows - left, bottom
    return top, left, bottom, right, probability


def _placed(edges: tuple[float, ...], probability: float, scale: float, rows: int, columns: int) -> Box:
    top, left, bottom, right = edges
    down, across = (bottom - top) * GROWTH, (right - left) * GROWTH
    first_row = min(max(0, int(np.floor((top - down) / scale))), rows - 1)
    first_column = min(max(0, int(np.floor((left - across) / scale))), columns - 1)
    return Box(
        top=first_row,
        left=first_column,
        bottom=max(first_row + 1, min(rows, int(np.ceil((bottom + down) / scale)))),
        right=max(first_column + 1, min(columns, int(np.ceil((right + across) / scale)))),
        confidence=min(1.0, probability),
    )
