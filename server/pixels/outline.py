"""A line around what was found, for those who judge it: drawn into the rendered picture, beside the region."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from server.model import Region, RegionKind

Box = tuple[int, int, int, int]
Picture = NDArray[np.uint8]

# One part in so many of the longer side, so that the line is still there when the picture is shown small.
_THINNEST, _PART = 1, 400
_DASH = 6
_WHITE, _BLACK = 255, 0


def outlines(regions: Iterable[Region], rows: int, columns: int, frame_number: int) -> tuple[Box, ...]:
    """The boxes (top, left, bottom, right), half-open and clipped to the frame, of a frame's regions, sorted."""
    found = set()
    for region in regions:
        if region.kind is not RegionKind.BACKGROUND and (region.frames is None or frame_number in region.frames):
            top, left = max(0, region.top_row), max(0, region.left_column)
            bottom = min(rows, region.top_row + region.row_count)
            right = min(columns, region.left_column + region.column_count)
            if top < bottom and left < right:
                found.add((top, left, bottom, right))
    return tuple(sorted(found))


def outlined(picture: Picture, boxes: Sequence[Box]) -> Picture:
    """The picture (rows, columns, channels) with a dashed line just outside each box, black and white by turns.

    Seen on any ground, and nowhere a sample of what it surrounds changes; at the frame's edge the line is left out.
    """
    if not boxes:
        return picture
    drawn = picture.copy()
    width = max(_THINNEST, max(picture.shape[:2]) // _PART)
    for top, left, bottom, right in boxes:
        first_row, first_column = top - width, left - width
        _dash(drawn, (first_row, first_column, top, right + width), along=1, width=width)
        _dash(drawn, (bottom, first_column, bottom + width, right + width), along=1, width=width)
        _dash(drawn, (first_row, first_column, bottom + width, left), along=0, width=width)
        _dash(drawn, (first_row, right, bottom + width, right + width), along=0, width=width)
    return drawn


def _dash(picture: Picture, box: Box, *, along: int, width: int) -> None:
    top, left, bottom, right = box
    top, left = max(0, top), max(0, left)
    place = picture[top : max(top, bottom), left : max(left, right)]
    if place.size:
        dashes = np.arange(place.shape[along]) // (_DASH * width) % 2
        shade = np.where(dashes == 0, _WHITE, _BLACK).astype(np.uint8)
        place[:] = shade[np.newaxis, :, np.newaxis] if along else shade[:, np.newaxis, np.newaxis]
