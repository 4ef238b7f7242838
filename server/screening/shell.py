"""The face of a found head as rectangles on every slice: few, and never smaller than what they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.model import Region, RegionKind
from server.screening.cells import rectangles
from server.screening.register import Matrix
from server.screening.volume import Geometry

# More rectangles than this on one slice, and larger cells are taken.
MOST = 64
# The smallest cell, in mm.
_CELL = 2.0


def head_surface(
    to_template: Matrix, face: NDArray[np.bool_], where: Geometry, *, frame_number: int, confidence: float
) -> list[Region]:
    """The regions of one slice: at most `MOST` rectangles that cover every sample whose place is face.

    `to_template` takes patient coordinates to voxels (column, row, slice) of `face` (slices, rows, columns); beyond its
    ends the outermost voxels go on, so that what lies before the nose or below the chin is face too.
    """
    step = max(1, int(_CELL / min(where.row_step, where.column_step)))
    while True:
        found = list(rectangles(_cells(to_template, face, where, step)))
        if len(found) <= MOST:
            break
        step *= 2
    return [
        Region(
            kind=RegionKind.HEAD_SURFACE,
            top_row=top * step,
            left_column=left * step,
            row_count=min(where.rows, bottom * step) - top * step,
            column_count=min(where.columns, right * step) - left * step,
            frames=frozenset({frame_number}),
            confidence=confidence,
        )
        for top, left, bottom, right in found
    ]


def _cells(to_template: Matrix, face: NDArray[np.bool_], where: Geometry, step: int) -> NDArray[np.bool_]:
    """Which cells of `step` by `step` samples have a corner in the face."""
    rows = np.minimum(np.arange(-(-where.rows // step) + 1) * step, where.rows) - 0.5
    columns = np.minimum(np.arange(-(-where.columns // step) + 1) * step, where.columns) - 0.5
    row, column = np.meshgrid(rows, columns, indexing="ij")
    points = np.einsum("ab,bij->aij", where.matrix(), np.stack([column, row, np.ones(row.shape)]))
    voxels = np.einsum("ab,bij->aij", to_template[:3, :3], points) + to_template[:3, 3][:, None, None]
    x, y, z = (
        np.clip(np.round(axis), 0, length - 1).astype(int)
        for axis, length in zip(voxels, face.shape[::-1], strict=True)
    )
    corner = face[z, y, x]
    return np.asarray(corner[:-1, :-1] | corner[1:, :-1] | corner[:-1, 1:] | corner[1:, 1:])
