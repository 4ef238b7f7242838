"""Geometry of rendered pictures: square pixels, the level's bound, the viewport (PS3.18 section 8.3.5.1.3)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import BadRequest
from server.model import Viewport

Picture = NDArray[np.uint8]
# Pictures are made smaller to any size, but larger only up to here.
_LARGEST_ENLARGED = 4096


def resized(picture: NDArray[Any], rows: int, columns: int) -> Picture:
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


def _scaled(picture: NDArray[Any], rows: int, columns: int) -> Picture:
    if picture.shape[:2] == (rows, columns):
        return picture
    smaller = rows <= picture.shape[0] and columns <= picture.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(picture), (columns, rows), interpolation=method)
    return scaled.reshape(rows, columns, picture.shape[2]).astype(np.uint8, copy=False)


def squared(picture: Picture, aspect: float) -> Picture:
    """Make pixels square that are `aspect` times as high as wide, by making the picture smaller in one direction."""
    rows, columns = picture.shape[:2]
    if abs(aspect - 1.0) < 1e-3:
        return picture
    if aspect > 1.0:
        return resized(picture, rows, max(round(columns / aspect), 1))
    return resized(picture, max(round(rows * aspect), 1), columns)


def bounded(picture: Picture, longest_side: int) -> Picture:
    """Scale down until no side is longer than `longest_side` (at least 1)."""
    longest = max(picture.shape[:2])
    if longest <= longest_side:
        return picture
    rows, columns = (max(round(side * longest_side / longest), 1) for side in picture.shape[:2])
    return resized(picture, rows, columns)


def shown_through(picture: Picture, viewport: Viewport, stored: tuple[int, int]) -> Picture:
    """Cut out the viewport's part, mirror it as asked, and scale it, keeping its shape, to fit the viewport.

    The viewport counts in pixels of the `stored` (rows, columns), of which `picture` may be a smaller rendition.
    Raises `BadRequest` if no pixel of the picture lies in that part.
    """
    top, bottom = _part(viewport.top, viewport.source_height, stored[0], picture.shape[0])
    left, right = _part(viewport.left, viewport.source_width, stored[1], picture.shape[1])
    part = picture[top:bottom, left:right]
    if (viewport.source_width or 1) < 0:
        part = part[:, ::-1]
    if (viewport.source_height or 1) < 0:
        part = part[::-1]
    rows, columns = part.shape[:2]
    scale = min(viewport.width / columns, viewport.height / rows)
    scale = min(scale, max(_LARGEST_ENLARGED / max(rows, columns), 1.0))
    return resized(part, max(round(rows * scale), 1), max(round(columns * scale), 1))


def _part(first: int, length: int | None, stored: int, side: int) -> tuple[int, int]:
    """Return the half-open interval of a picture's side that shows stored pixels from `first`, rounded outward."""
    start, stop = max(first, 0), stored if length is None else min(first + abs(length), stored)
    if start >= stop:
        raise BadRequest("the viewport shows no part of the picture")
    return start * side // stored, -(-stop * side // stored)
