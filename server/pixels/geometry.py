"""Geometry of rendered pictures: square pixels, the level's bound, the viewport (PS3.18 section 8.3.5.1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import BadRequest
from server.model import Viewport

# Pictures of 8 bits, or stored values of 16, in (rows, columns, channels).
Picture = NDArray[Any]
Size = tuple[int, int]
# Pictures are made smaller to any size, but larger only up to here.
_LARGEST_ENLARGED = 4096


def sized(picture: Picture, aspect: float, longest_side: int | None, viewport: Viewport | None) -> Picture:
    """The picture with square pixels, as the level bounds it, through the viewport; the type of its samples stays.

    Pixels are `aspect` times as high as wide; without a `longest_side` (at least 1) there is no bound. Raises
    `BadRequest` if no pixel of the picture lies in the viewport's part.
    """
    stored = (picture.shape[0], picture.shape[1])
    for size in _before_viewport(stored, aspect, longest_side):
        picture = resized(picture, *size)
    return picture if viewport is None else _shown_through(picture, viewport, stored)


def shrinks(stored: Size, aspect: float, longest_side: int | None, viewport: Viewport | None) -> bool:
    """Whether `sized` leaves at most a quarter of the pixels of a picture of this size, and enlarges nothing.

    Raises as `sized`.
    """
    size = stored
    for smaller in _before_viewport(stored, aspect, longest_side):
        size = smaller
    if viewport is not None:
        (top, bottom), (left, right) = _parts(viewport, stored, size)
        part = bottom - top, right - left
        size = _through(viewport, part)
        if size[0] > part[0] or size[1] > part[1]:
            return False
    return 4 * size[0] * size[1] <= stored[0] * stored[1]


def resized(picture: Picture, rows: int, columns: int) -> Picture:
    """Return the picture at another size, each at least 1: averaged when smaller, interpolated when larger."""
    if picture.shape[:2] == (rows, columns):
        return picture
    # Exact halving is ten times as fast as any other averaging.
    while (
        picture.shape[0] >= 2 * rows
        and picture.shape[1] >= 2 * columns
        and not (picture.shape[0] % 2 or picture.shape[1] % 2)
    ):
        picture = _scaled(picture, picture.shape[0] // 2, picture.shape[1] // 2)
    return _scaled(picture, rows, columns)


def _scaled(picture: Picture, rows: int, columns: int) -> Picture:
    if picture.shape[:2] == (rows, columns):
        return picture
    smaller = rows <= picture.shape[0] and columns <= picture.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(picture), (columns, rows), interpolation=method)
    found: Picture = scaled.reshape(rows, columns, picture.shape[2])
    return found


def _before_viewport(size: Size, aspect: float, longest_side: int | None) -> Iterator[Size]:
    """The sizes that a picture is brought to one after the other; none is larger than the one before."""
    rows, columns = size
    if abs(aspect - 1.0) >= 1e-3:
        # Square by making the picture smaller in one direction.
        if aspect > 1.0:
            columns = max(round(columns / aspect), 1)
        else:
            rows = max(round(rows * aspect), 1)
        yield rows, columns
    longest = max(rows, columns)
    if longest_side is not None and longest > longest_side:
        yield max(round(rows * longest_side / longest), 1), max(round(columns * longest_side / longest), 1)


def _shown_through(picture: Picture, viewport: Viewport, stored: Size) -> Picture:
    """Cut out the viewport's part, mirror it as asked, and scale it, keeping its shape, to fit the viewport.

    The viewport counts in pixels of the `stored` (rows, columns), of which `picture` may be a smaller rendition.
    """
    (top, bottom), (left, right) = _parts(viewport, stored, (picture.shape[0], picture.shape[1]))
    part = picture[top:bottom, left:right]
    if (viewport.source_width or 1) < 0:
        part = part[:, ::-1]
    if (viewport.source_height or 1) < 0:
        part = part[::-1]
    return resized(part, *_through(viewport, (part.shape[0], part.shape[1])))


def _through(viewport: Viewport, part: Size) -> Size:
    rows, columns = part
    scale = min(viewport.width / columns, viewport.height / rows)
    scale = min(scale, max(_LARGEST_ENLARGED / max(rows, columns), 1.0))
    return max(round(rows * scale), 1), max(round(columns * scale), 1)


def _parts(viewport: Viewport, stored: Size, size: Size) -> tuple[Size, Size]:
    """The rows and the columns, half-open, of a picture of `size` that lie in the viewport's part."""
    down = _part(viewport.top, viewport.source_height, stored[0], size[0])
    return down, _part(viewport.left, viewport.source_width, stored[1], size[1])


def _part(first: int, length: int | None, stored: int, side: int) -> tuple[int, int]:
    """Return the half-open interval of a picture's side that shows stored pixels from `first`, rounded outward."""
    start, stop = max(first, 0), stored if length is None else min(first + abs(length), stored)
    if start >= stop:
        raise BadRequest("the viewport shows no part of the picture")
    return start * side // stored, -(-stop * side // stored)
