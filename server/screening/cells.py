"""Cells of a grid as few rectangles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def rectangles(cells: NDArray[np.bool_]) -> Iterator[tuple[int, int, int, int]]:
    """Half-open (top, left, bottom, right) in cells: the runs of every row, equal ones in neighbouring rows as one.

    Together they cover exactly the cells that are True, each once.
    """
    open_runs: dict[tuple[int, int], int] = {}
    for row in range(len(cells) + 1):
        runs = _runs(cells[row]) if row < len(cells) else []
        for left, right in [run for run in open_runs if run not in runs]:
            yield open_runs.pop((left, right)), left, row, right
        for run in runs:
            open_runs.setdefault(run, row)


def _runs(row: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    return [(int(left), int(right)) for left, right in edges.reshape(-1, 2)]
