"""The text network on OpenVINO: a grey 8-bit tile in, the probability of text at every sample out."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from server.screening.picture import Grey

# The model's own preprocessing (its inference.yml): ImageNet's statistics, in BGR order.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1) * 255
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1) * 255
# The mean of a normalised picture: padding must not look like an edge.
_NEUTRAL = 128
# Compiled shapes are kept up to so many samples of tiles together: each takes up to 80 bytes a sample, and half a
# second to compile again. Those that one film needs fit in.
_KEPT = 2_800_000
# Tiles with both sides longer than this are made square where the picture is also looked at turned: one shape for
# both.
_SQUARE = 896
# Larger shapes than this, in samples, are given back by a network that rests.
_SMALL = 1_000_000
# Smaller tiles are made square anyway, in steps twice as large, or films of mixed sizes would compile more than they
# look; each such shape takes as much memory as so many samples.
_SMALL, _LEAST = 512, 300_000


class TextNetwork:
    """Compiled once per tile shape, the shapes rounded up so that few are needed. Not for several threads at once."""

    def __init__(self, weights: bytes, *, threads: int, square: bool = False) -> None:
        """`square`: whether pictures are looked at turned, too, which then takes no other shape."""
        self._square = square
        self._core = openvino.Core()
        self._weights = weights
        fast = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bf16" if fast else "f32"
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": self.precision,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def probability(self, tile: Grey) -> Grey:
        """The probability of text, 0 to 255, for every sample of the tile (rows, columns), of whatever size."""
        rows, columns = tile.shape
        shape = _rounded(rows), _rounded(columns)
        if max(shape) <= _SMALL:
            shape = (-(-max(shape) // 128) * 128,) * 2
        elif self._square and min(shape) > _SQUARE:
            shape = max(shape), max(shape)
        padded = cv2.copyMakeBorder(
            tile, 0, shape[0] - rows, 0, shape[1] - columns, cv2.BORDER_CONSTANT, value=(_NEUTRAL,)
        )
        planes = np.asarray((padded[None].astype(np.float32) - _MEAN) / _DEVIATION, np.float32)
        request = self._request(shape)
        request.infer({0: planes[None]})
        probability: NDArray[np.float32] = request.get_output_tensor(0).data[0, 0, :rows, :columns]
        return (np.clip(probability, 0, 1) * 255).astype(np.uint8)

    def rest(self) -> None:
        """Give back the memory of large shapes, which are quick to compile for a small network."""
        for shape in [one for one in self._compiled if one[0] * one[1] > _SMALL]:
            del self._compiled[shape]

    def _request(self, shape: tuple[int, int]) -> Any:
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        # Room first, so that the old and the new are never there together.
        wanted = _KEPT - _weight(shape)
        while self._compiled and sum(map(_weight, self._compiled)) > wanted:
            self._compiled.popitem(last=False)
        model = self._core.read_model(self._weights)
        model.reshape([1, 3, *shape])
        request = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        self._compiled[shape] = request
        return request


def _weight(shape: tuple[int, int]) -> int:
    return max(_LEAST, shape[0] * shape[1])


def _rounded(length: int) -> int:
    step = 128 if 512 < length <= 1024 else 64
    return -(-length // step) * step
