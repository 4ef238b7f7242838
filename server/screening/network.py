"""The text network on OpenVINO: a grey 8-bit tile in, the probability of text at every sample out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from server.screening.compiled import Compiled
from server.screening.picture import Grey

# The model's own preprocessing (its inference.yml): ImageNet's statistics, in BGR order.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None] * 255
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)[:, None] * 255
# What every grey value becomes in each of the three planes.
_TABLES = (np.arange(256, dtype=np.float32) - _MEAN) / _DEVIATION
# The mean of a normalised picture: padding must not look like an edge.
_NEUTRAL = 128
# Smaller tiles are made square, in steps twice as large, or films of mixed sizes would compile more than they look.
_SMALL = 512
# So many times its own shape a tile takes to share another's.
_SPARE = 1.3


class TextNetwork:
    """Compiled once per tile shape, the shapes rounded up so that few are needed. Not for several threads at once."""

    def __init__(self, weights: bytes, *, threads: int, precision: str = "", compiled: Compiled | None = None) -> None:
        """`precision`: what the processor is best at unless "bf16" or "f32" is asked for. `compiled`: where the
        compiled shapes are kept, with those of other networks or by themselves.
        """
        self._compiled = compiled or Compiled()
        self._core = openvino.Core()
        self._model = self._core.read_model(weights)
        fast = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = precision or ("bf16" if fast else "f32")
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": self.precision,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }

    def probability(self, tile: Grey, room: tuple[int, int] = (0, 0)) -> Grey:
        """The probability of text, 0 to 255, for every sample of the tile (rows, columns), of whatever size.

        A tile that nearly fills the compiled shape of one of `room` (rows, columns) takes that one.
        """
        rows, columns = tile.shape
        shape, larger = _shape(rows, columns), _shape(*room)
        if rows <= larger[0] and columns <= larger[1] and larger[0] * larger[1] <= _SPARE * shape[0] * shape[1]:
            shape = larger
        padded = cv2.copyMakeBorder(
            tile, 0, shape[0] - rows, 0, shape[1] - columns, cv2.BORDER_CONSTANT, value=(_NEUTRAL,)
        )
        request = self._request(shape)
        planes = request.get_input_tensor(0).data
        for plane, table in zip(planes[0], _TABLES, strict=True):
            cv2.LUT(padded, table, plane)
        request.infer()
        probability: NDArray[np.float32] = request.get_output_tensor(0).data[0, 0, :rows, :columns]
        # In its own buffer, which the next look overwrites.
        np.clip(probability, 0, 1, out=probability)
        probability *= 255
        return probability.astype(np.uint8)

    def _request(self, shape: tuple[int, int]) -> Any:
        def compiled() -> Any:
            model = self._model.clone()
            model.reshape([1, 3, *shape])
            return self._core.compile_model(model, "CPU", self._options)

        return self._compiled.request((self, shape), shape[0] * shape[1], compiled)


def _shape(rows: int, columns: int) -> tuple[int, int]:
    shape = _rounded(rows), _rounded(columns)
    return (-(-max(shape) // 128) * 128,) * 2 if max(shape) <= _SMALL else shape


def _rounded(length: int) -> int:
    step = 128 if 512 < length <= 1024 else 64
    return -(-length // step) * step
