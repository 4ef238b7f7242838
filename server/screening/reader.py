"""The recogniser: what one line of text says, and how certain that is. It only ever classifies what was found.

PP-OCRv6's small recogniser: a picture 48 samples high in, a row of character probabilities out, of which the likeliest
are read with repetitions and blanks taken out (connectionist temporal classification, Graves et al. 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import openvino

from server.screening import weights
from server.screening.packaged import content
from server.screening.picture import Grey

_HEIGHT = 48
# Widths are rounded up to these; a longer line is pressed into the last.
_WIDTHS = (96, 192, 320, 640)
_NEUTRAL = 128


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A line's characters, and the least certain one's probability, 0 to 1 (0 where nothing is read)."""

    text: str
    certainty: float


class Reader:
    """Reads lines. One per thread, as `TextNetwork`."""

    def __init__(self, threads: int = 1) -> None:
        """Reads the pinned files; raises `ConfigurationError` when they are missing or not the pinned ones."""
        # Class 0 is the blank, the last one the space.
        self._characters = ["", *content(weights.CHARACTERS).decode().replace("\r", "").split("\n")[:-1], " "]
        core = openvino.Core()
        fast = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if fast else "f32",
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = core.read_model(content(weights.READER))
        # Compiled once for all widths: it reads the same to the last bit, in half of the memory.
        model.reshape([1, 3, _HEIGHT, openvino.Dimension(_WIDTHS[0], _WIDTHS[-1])])
        self._request: Any = core.compile_model(model, "CPU", options).create_infer_request()

    def read(self, line: Grey) -> Reading:
        """What a cut-out line (rows, columns), upright and set from left to right, says."""
        rows, columns = line.shape
        wanted = max(1, round(columns * _HEIGHT / rows))
        width = next((one for one in _WIDTHS if one >= wanted), _WIDTHS[-1])
        method = cv2.INTER_AREA if rows > _HEIGHT else cv2.INTER_CUBIC
        scaled = cv2.resize(line, (min(wanted, width), _HEIGHT), interpolation=method)
        padded = cv2.copyMakeBorder(scaled, 0, 0, 0, width - scaled.shape[1], cv2.BORDER_CONSTANT, value=(_NEUTRAL,))
        planes = np.repeat(padded[None, None].astype(np.float32) / 127.5 - 1, 3, axis=1)
        self._request.infer({0: planes})
        probability = self._request.get_output_tensor(0).data[0]
        best = probability.argmax(axis=1)
        text, certainty, before = "", 1.0, 0
        for step, index in enumerate(int(one) for one in best):
            if index not in {0, before}:
                text += self._characters[index]
                certainty = min(certainty, float(probability[step, index]))
            before = index
        return Reading(text=text.strip(), certainty=certainty if text.strip() else 0.0)
