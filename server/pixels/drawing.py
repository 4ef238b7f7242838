"""Presentation states on pictures of 8 bits: shutters, the displayed area, turns, figures and words, in this order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.errors import UnsupportedPixels
from server.pixels.presentation import Figure, Point, Presentation, Shutter, Words

Picture = NDArray[np.uint8]
_LARGEST_AREA = 1 << 26
_PART_OF_SIDE, _SMALLEST_LETTERS, _LARGEST_LETTERS = 40, 9, 64
_SMOOTH = 16


def presented(picture: Picture, state: Presentation) -> Picture:
    """A picture (rows, columns, channels) in the frame's own pixels as the state shows it, still unscaled.

    What lies beyond the frame is black. Raises `UnsupportedPixels` for a displayed area without end.
    """
    if state.shutters:
        picture = np.where(_visible(picture.shape[:2], state.shutters)[:, :, np.newaxis], picture, state.shutter_grey)
        picture = picture.astype(np.uint8, copy=False)
    rows, columns = picture.shape[:2]
    top, left, bottom, right = state.area or (0, 0, rows, columns)
    if not 0 < bottom - top <= _LARGEST_AREA // max(right - left, 1) or right <= left:
        raise UnsupportedPixels("the displayed area makes no sense")
    shown = np.zeros((bottom - top, right - left, picture.shape[2]), np.uint8)
    inside = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    first_row, first_column = max(-top, 0), max(-left, 0)
    shown[first_row : first_row + inside.shape[0], first_column : first_column + inside.shape[1]] = inside
    turned = np.rot90(shown, -state.turns)
    if state.mirrored:
        turned = turned[:, ::-1]
    result = np.ascontiguousarray(turned)
    place = _placing(state, (top, left, bottom, right), result.shape[:2])
    for figure in state.figures:
        _draw(result, figure, [place(point, figure.units) for point in figure.points])
    for words in state.words:
        _write(result, words, place(words.corner, words.units))
    return result


def _placing(
    state: Presentation, area: tuple[int, int, int, int], shape: tuple[int, ...]
) -> Callable[[Point, str], Point]:
    """Where a (column, row) of the frame, or in parts of the displayed area, lies in what is shown."""
    top, left, bottom, right = area
    rows, columns = shape[0], shape[1]

    def place(point: Point, units: str) -> Point:
        if units == "DISPLAY":
            return point[0] * columns, point[1] * rows
        across, down = point[0] - left, point[1] - top
        width, height = right - left, bottom - top
        for _ in range(state.turns):
            across, down, width, height = height - down, across, height, width
        return (width - across if state.mirrored else across), down

    return place


def _visible(shape: tuple[int, ...], shutters: Sequence[Shutter]) -> NDArray[np.bool_]:
    rows, columns = shape[0], shape[1]
    visible = np.ones((rows, columns), np.bool_)
    down, across = np.arange(rows)[:, np.newaxis] + 0.5, np.arange(columns)[np.newaxis] + 0.5
    for one in shutters:
        if one.shape == "RECTANGULAR":
            top, left, bottom, right = one.numbers
            visible &= (down > top) & (down < bottom) & (across > left) & (across < right)
        elif one.shape == "CIRCULAR":
            row, column, radius = one.numbers
            visible &= (down - row) ** 2 + (across - column) ** 2 <= radius**2
        else:
            polygon = np.zeros((rows, columns), np.uint8)
            corners = np.array(one.numbers).reshape(-1, 2)[:, ::-1]
            cv2.fillPoly(polygon, [_fixed(corners)], 1)
            visible &= polygon.astype(np.bool_)
    return visible


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(np.clip(points, -1e5, 1e5)).astype(np.int32)


def _draw(picture: Picture, figure: Figure, points: Sequence[Point]) -> None:
    corners = np.array(points, np.float64)
    grey = (figure.grey,) * picture.shape[2]
    width = max(1, max(picture.shape[:2]) // 400)
    outline = _outline(figure.shape, corners)
    if outline is None:
        return
    if figure.shape == "POINT":
        centre = _fixed(corners)[0]
        cv2.circle(picture, (int(centre[0]), int(centre[1])), 2 * width, grey, -1)
    elif figure.filled and len(outline) > 2:
        cv2.fillPoly(picture, [_fixed(outline)], grey)
    else:
        cv2.polylines(picture, [_fixed(outline)], figure.shape in {"CIRCLE", "ELLIPSE"}, grey, width)


def _outline(shape: str, corners: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The points of a figure's line; None for a figure that has too few or is not known."""
    if shape == "POINT" or (shape == "POLYLINE" and len(corners) > 1):
        return corners
    around = np.linspace(0, 2 * np.pi, 128, endpoint=False)[:, np.newaxis]
    if shape == "CIRCLE" and len(corners) == 2:
        radius = np.hypot(*(corners[1] - corners[0]))
        return np.asarray(corners[0] + radius * np.concatenate([np.cos(around), np.sin(around)], axis=1))
    if shape == "ELLIPSE" and len(corners) == 4:
        middle, major = (corners[0] + corners[1]) / 2, (corners[1] - corners[0]) / 2
        minor = (corners[3] - corners[2]) / 2
        return np.asarray(middle + np.cos(around) * major + np.sin(around) * minor)
    if shape == "INTERPOLATED" and len(corners) > 1:
        return _curve(corners)
    return None


def _curve(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth line through all points (Catmull and Rom 1974)."""
    ends = np.concatenate([corners[:1], corners, corners[-1:]])
    part = np.linspace(0, 1, _SMOOTH, endpoint=False)[:, np.newaxis]
    pieces = []
    for one, two, three, four in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        square, cube = part**2, part**3
        pieces.append(
            0.5
            * (2 * two + (three - one) * part + (2 * one - 5 * two + 4 * three - four) * square
               + (3 * two - one - 3 * three + four) * cube)
        )  # fmt: skip
    return np.concatenate([*pieces, corners[-1:]])


def _write(picture: Picture, words: Words, corner: Point) -> None:
    """White letters with a black edge (or the other way round), upright whatever was turned."""
    size = min(max(max(picture.shape[:2]) // _PART_OF_SIDE, _SMALLEST_LETTERS), _LARGEST_LETTERS)
    rows, columns = picture.shape[:2]
    font = ImageFont.load_default(size)
    at = (float(np.clip(corner[0], -1e5, 1e5)), float(np.clip(corner[1], -1e5, 1e5)))
    text = "\n".join(words.text.splitlines())
    for grey, edge in ((0 if words.grey > 127 else 255, max(1, size // 12)), (words.grey, 0)):
        stencil = Image.new("L", (columns, rows), 0)
        ImageDraw.Draw(stencil).multiline_text(at, text, fill=255, font=font, stroke_width=edge)
        picture[np.asarray(stencil) > 127] = grey
