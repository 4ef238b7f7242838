"""Empty background: where nothing is shown, not even what is too faint for a detector may stay.

Text below a detector's floor is plain to the eye once a window is narrow enough. Around the anatomy there is nothing to
lose: cells of the grid that hold no more than noise, lie at an end of the film's range and reach the edge of the frame
through others like them are the background, and masked levels make each of them one value.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from server.model import Region, RegionKind
from server.screening.picture import Samples, value_range

CELL = 32
# Parts of the film's range: what a cell may vary by (lines of more contrast are found), how near its middle is to an
# end of the range, and by how much neighbours may differ.
_NOISE, _END, _STEP = 0.10, 0.06, 0.05
# Smaller frames have no background worth the name.
_SMALLEST = 256
# A row of cells at a time becomes a region; films with more than this many hold their background in patches.
MOST = 400


def background(samples: Samples, frame_number: int) -> list[Region]:
    """The background of a frame (rows, columns, samples) as regions made of cells; none for colour and small frames.

    The samples are only read.
    """
    rows, columns, count = samples.shape
    if count != 1 or min(rows, columns) < _SMALLEST:
        return []
    cells = _reached(*_cells(samples[:, :, 0]))
    found = [
        Region(
            kind=RegionKind.BACKGROUND,
            top_row=top * CELL,
            left_column=left * CELL,
            row_count=min(bottom * CELL, rows) - top * CELL,
            column_count=min(right * CELL, columns) - left * CELL,
            frames=frozenset({frame_number}),
        )
        for top, left, bottom, right in _boxes(cells)
    ]
    return found if len(found) <= MOST else []


def _cells(plane: Samples) -> tuple[Samples, Samples]:
    """For every cell whether it holds no more than noise near an end of the range, and its middle as part of that."""
    low, high = value_range(plane)
    down, across = -(-plane.shape[0] // CELL), -(-plane.shape[1] // CELL)
    if not high > low:
        return np.zeros((down, across), np.bool_), np.zeros((down, across))
    values = np.nan_to_num(plane.astype(np.float32)) if plane.dtype.kind == "f" else plane
    starts = [np.arange(0, length, CELL) for length in plane.shape]
    # Scaling keeps the order, so that the extremes of a cell are enough to scale.
    least, most = (
        np.clip(
            (extreme.reduceat(extreme.reduceat(values, starts[0]), starts[1], axis=1).astype(np.float32) - low)
            / (high - low),
            -1,
            2,
        )
        for extreme in (np.minimum, np.maximum)
    )
    middle = (least + most) / 2
    at_end = (middle <= _END) | (middle >= 1 - _END)
    return (most - least <= _NOISE) & at_end, middle


def _reached(quiet: Samples, middle: Samples) -> Samples:
    """The quiet cells that the edge of the frame is reached from, over neighbours that are much alike."""
    levels = np.rint(middle / _STEP).astype(np.int32)
    reached = np.zeros(quiet.shape, np.bool_)
    for level in np.unique(levels[quiet]):
        # Neighbouring steps together: where light falls off slowly nothing begins anew.
        near = quiet & (np.abs(levels - level) <= 1)
        _, labels = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
        edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        reached |= np.isin(labels, np.unique(edges[edges > 0]))
    return reached


def _boxes(cells: Samples) -> Iterator[tuple[int, int, int, int]]:
    """Disjoint boxes over the marked cells: runs of a row, joined to an equal run of the row above."""
    open_runs: dict[tuple[int, int], int] = {}
    for row in range(cells.shape[0] + 1):
        line = cells[row] if row < cells.shape[0] else np.zeros(cells.shape[1], np.bool_)
        changes = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
        runs = {(int(left), int(right)) for left, right in changes.reshape(-1, 2)}
        for run in [one for one in open_runs if one not in runs]:
            yield open_runs.pop(run), run[0], row, run[1]
        for run in runs:
            open_runs.setdefault(run, row)
