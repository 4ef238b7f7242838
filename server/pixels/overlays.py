"""Overlay planes (PS3.3 C.9.2): the graphics beside the samples, for levels that keep both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import BytesLengthException

from server.pixels.redact import MaskedFrame

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _TYPE, _ORIGIN, _FIRST = 0x10, 0x11, 0x15, 0x40, 0x50, 0x51
_ALLOCATED, _POSITION, _DATA = 0x100, 0x102, 0x3000
_UNREADABLE = (ArithmeticError, BytesLengthException, NotImplementedError, TypeError, ValueError)
_LARGEST = 65_535


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay:
    """One plane of one frame: where its bits are set, shape (rows, columns), and the row and column of its corner in
    the frame, from 0; either may lie outside it."""

    bits: NDArray[np.bool_]
    top: int
    left: int


def overlays(dataset: Dataset, masked: MaskedFrame) -> tuple[Overlay, ...]:
    """The planes of a frame in the order of their groups, as far as a *masked* data set and a masked frame hold them.

    Those of old devices lie in unused bits of the samples. A plane that contradicts itself is left out.
    """
    there = {tag.group for tag in dataset.keys()} & set(_GROUPS)  # noqa: SIM118
    return tuple(one for group in sorted(there) if (one := _plane(dataset, group, masked)) is not None)


def drawn(picture: NDArray[np.uint8], planes: tuple[Overlay, ...]) -> NDArray[np.uint8]:
    """A copy of the picture (rows, columns, channels) with the planes in white; what lies beyond it is cut off."""
    if not planes:
        return picture
    result = picture.copy()
    for plane in planes:
        top, left = max(plane.top, 0), max(plane.left, 0)
        shown = plane.bits[top - plane.top :, left - plane.left :]
        place = result[top : top + shown.shape[0], left : left + shown.shape[1]]
        place[shown[: place.shape[0], : place.shape[1]]] = 255
    return result


def _plane(dataset: Dataset, group: int, masked: MaskedFrame) -> Overlay | None:
    rows, columns = _whole(dataset, group, _ROWS), _whole(dataset, group, _COLUMNS)
    origin = list(_several(dataset, group, _ORIGIN))
    kind = next(_several(dataset, group, _TYPE), "")
    if not (1 <= rows <= _LARGEST and 1 <= columns <= _LARGEST and len(origin) == 2) or kind not in {"G", "R"}:
        return None
    data = _value(dataset, group, _DATA)
    bits = _packed(dataset, group, data, rows * columns, masked) if data else _embedded(dataset, group, masked)
    if bits is None or bits.size != rows * columns:
        return None
    return Overlay(bits=bits.reshape(rows, columns), top=int(origin[0]) - 1, left=int(origin[1]) - 1)


def _packed(dataset: Dataset, group: int, data: object, size: int, masked: MaskedFrame) -> NDArray[np.bool_] | None:
    """One bit a pixel, the first in the lowest bit; the planes of several frames follow each other without gaps."""
    frames, first = max(_whole(dataset, group, _FRAMES), 1), max(_whole(dataset, group, _FIRST), 1)
    # A plane without a number of frames is one for all of them (PS3.3 C.9.3).
    number = masked.frame_number - first if _whole(dataset, group, _FRAMES) else 0
    if not isinstance(data, bytes) or not 0 <= number < frames or (number + 1) * size > 8 * len(data):
        return None
    flat = np.unpackbits(np.frombuffer(data, np.uint8, ((number + 1) * size + 7) // 8), bitorder="little")
    return flat[number * size : (number + 1) * size].astype(np.bool_)


def _embedded(dataset: Dataset, group: int, masked: MaskedFrame) -> NDArray[np.bool_] | None:
    described, position = masked.description, _whole(dataset, group, _POSITION)
    whole = described.data_kind == "integer" and described.samples_per_pixel == 1
    if not whole or _whole(dataset, group, _ALLOCATED) != described.bits_allocated or described.bits_allocated < 8:
        return None
    if described.shift <= position <= described.high_bit or not 0 <= position < described.bits_allocated:
        return None
    cells = masked.samples.view(f"u{masked.samples.dtype.itemsize}")
    found: NDArray[np.bool_] = (cells[:, :, 0] >> cells.dtype.type(position) & 1).astype(np.bool_)
    return found


def _value(dataset: Dataset, group: int, element: int) -> object:
    try:
        found = dataset.get((group, element))
        return None if found is None else found.value
    except _UNREADABLE:
        return None


def _several(dataset: Dataset, group: int, element: int) -> Iterator[Any]:
    value = _value(dataset, group, element)
    if value is None or value == "":
        return iter(())
    return iter(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else iter((value,))


def _whole(dataset: Dataset, group: int, element: int) -> int:
    """The first number of an element; 0 where there is none."""
    value = next(_several(dataset, group, element), 0)
    return value if isinstance(value, int) else 0
