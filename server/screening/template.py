"""The mean head of magnetic resonance and the mask of its face, as volumes in patient coordinates.

Read from NIfTI-1 (https://nifti.nimh.nih.gov/nifti-1): a 348-byte header, then voxels with the first axis fastest;
millimetres in a frame where x goes right, y forward, z up. DICOM's x goes left and y back (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.errors import ConfigurationError
from server.screening import packaged

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8"}
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Voxels (slices, rows, columns) and the 4x4 matrix from (column, row, slice, 1) to patient coordinates in mm."""

    values: NDArray[np.float32]
    to_patient: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class HeadTemplate:
    """A head and, on the same grid, 1 wherever a voxel belongs to the face (eyes, nose, mouth and what is before)."""

    head: Placed
    face: NDArray[np.float32]


def head_template() -> HeadTemplate:
    """The template inside the installed package. Raises `ConfigurationError` unless it is the pinned one."""
    head = _nifti(packaged.content(packaged.HEAD))
    kept = _nifti(packaged.content(packaged.HEAD_FACE))
    if head.values.shape != kept.values.shape or not np.array_equal(head.to_patient, kept.to_patient):
        raise ConfigurationError("the head and the mask of its face lie on different grids")
    return HeadTemplate(head=head, face=(kept.values < 0.5).astype(np.float32))


def _nifti(body: bytes) -> Placed:
    content = gzip.decompress(body)
    rank, *shape = struct.unpack_from("<8h", content, 40)
    (kind,) = struct.unpack_from("<h", content, 70)
    (offset,) = struct.unpack_from("<f", content, 108)
    if content[344:347] != b"n+1" or rank != 3 or kind not in _TYPES:
        raise ConfigurationError("the head template has another form")
    dtype = np.dtype("<" + _TYPES[kind])
    columns, rows, slices = shape[:3]
    values = np.frombuffer(content, dtype, columns * rows * slices, int(offset)).reshape(slices, rows, columns)
    rows_of_matrix = np.array(struct.unpack_from("<12f", content, 280), np.float64).reshape(3, 4)
    to_patient = _LPS @ np.vstack([rows_of_matrix, [0.0, 0.0, 0.0, 1.0]])
    return Placed(values=values.astype(np.float32), to_patient=to_patient)
