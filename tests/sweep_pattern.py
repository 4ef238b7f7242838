"""Finding the burned-in pattern of the films again, in every picture that an answer holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sweep_films import CELL, COLUMNS, PATTERN, PATTERN_COLUMNS, PATTERN_ROWS, ROWS
from sweep_search import body_parts, sample_arrays
from werkzeug.test import TestResponse


def correlation(samples: NDArray[Any]) -> float:
    """How much of the pattern is where it was burned in: 1 all, 0 nothing; for a picture of the whole frame."""
    grey = samples.astype(np.float64) if samples.ndim == 2 else samples.astype(np.float64).mean(axis=2)
    down = (np.arange(grey.shape[0]) + 0.5) * ROWS / grey.shape[0] - PATTERN_ROWS.start
    across = (np.arange(grey.shape[1]) + 0.5) * COLUMNS / grey.shape[1] - PATTERN_COLUMNS.start
    rows, columns = (down >= 0) & (down < PATTERN.shape[0]), (across >= 0) & (across < PATTERN.shape[1])
    here = grey[np.ix_(rows, columns)].ravel()
    burned = PATTERN[np.ix_(down[rows].astype(int), across[columns].astype(int))].ravel()
    return float(abs(np.corrcoef(here, burned)[0, 1])) if here.std() else 0.0


def whole_frames(response: TestResponse) -> Iterator[NDArray[Any]]:
    """Every frame of an answer that shows a film from edge to edge, large enough for the pattern to be seen."""
    media_type = response.headers.get("Content-Type", "")
    bodies = [(media_type, response.get_data())]
    if media_type.startswith("multipart"):
        bodies = list(body_parts(response.get_data(), media_type))
    for kind, body in bodies:
        arrays = list(sample_arrays(body, kind))
        if kind.startswith("application/octet-stream") and len(body) in (ROWS * COLUMNS * 2, ROWS * COLUMNS * 3):
            cell = "<u2" if len(body) == ROWS * COLUMNS * 2 else "u1"
            arrays = [np.frombuffer(body, cell).reshape(ROWS, COLUMNS, -1)]
        for array in arrays:
            for frame in array if array.ndim == 4 else [array]:
                large = frame.ndim >= 2 and frame.shape[0] >= ROWS // CELL
                # A scaled picture's sides are rounded to whole pixels.
                if large and abs(frame.shape[1] * ROWS - frame.shape[0] * COLUMNS) <= COLUMNS:
                    yield frame
