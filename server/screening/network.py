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
# Compiled shapes kept; each takes about half a second to compile and tens of megabytes.
_KEPT = 6


class TextNetwork:
    """Compiled once per tile shape, the shapes rounded up so that few are needed. Not for several threads at once."""

    def __init__(self, weights: bytes, *, threads: int) -> None:
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
        padded = cv2.copyMakeBorder(
            tile, 0, shape[0] - rows, 0, shape[1] - columns, cv2.BORDER_CONSTANT, value=(_NEUTRAL,)
        )
        planes = np.asarray((padded[None].astype(np.float32) - _MEAN) / _DEVIATION, np.float32)
        request = self._request(shape)
        request.infer({0: planes[None]})
        probability: NDArray[np.float32] = request.get_output_tensor(0).data[0, 0, :rows, :columns]
        return (np.clip(probability, 0, 1) * 255).astype(np.uint8)

    def _request(self, shape: tuple[int, int]) -> Any:
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        model = self._core.read_model(self._weights)
        model.reshape([1, 3, *shape])
        request = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        self._compiled[shape] = request
        if len(self._compiled) > _KEPT:
            self._compiled.popitem(last=False)
        return request


def _rounded(length: int) -> int:
    step = 64 if length <= 512 else 128
    return -(-length // step) * step
