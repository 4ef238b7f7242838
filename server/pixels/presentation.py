"""Softcopy presentation states (PS3.3 sections A.33.1 and A.33.2): how somebody wanted a picture to be seen.

Read out of a *masked* data set, and applied to pictures of masked frames: a state turns, cuts and covers what the mask
left, and adds what the level keeps of its figures and words. It shows no sample that the picture would not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydicom import Dataset

from server.errors import UnsupportedPixels
from server.pixels.items import UNREADABLE, about, first, items, making_sense, values
from server.pixels.softcopy import COLOUR

GREY, XA = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.11.5"
_DRAWN = frozenset({GREY, COLOUR, XA})
_SHUTTERS = frozenset({"RECTANGULAR", "CIRCULAR", "POLYGONAL"})
_MOST, _MOST_DRAWN = 10_000, 500

Point = tuple[float, float]
Units = Literal["PIXEL", "DISPLAY"]


@dataclass(frozen=True, kw_only=True)
class Shutter:
    """What stays visible: a rectangle (top, left, bottom, right), half-open, a circle (row, column, radius) or a
    polygon (rows and columns by turns), in pixels of the frame from 0."""

    shape: str
    numbers: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of PS3.3 section C.10.5.1.2; points are (column, row), in pixels or in parts of the displayed area."""

    shape: str
    points: tuple[Point, ...]
    filled: bool
    units: Units
    grey: int


@dataclass(frozen=True, kw_only=True)
class Words:
    """A text and where it begins, (column, row) of its upper left corner."""

    text: str
    corner: Point
    units: Units
    grey: int


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """One state as it applies to one frame of one image.

    `area` is the displayed area (top, left, bottom, right), half-open, None: the whole frame; `turns` are quarters
    clockwise, before `mirrored` changes left and right. `shutter_grey` is 0 to 255.
    """

    shutters: tuple[Shutter, ...] = ()
    shutter_grey: int = 0
    area: tuple[int, int, int, int] | None = None
    pixel_aspect: float | None = None
    turns: int = 0
    mirrored: bool = False
    figures: tuple[Figure, ...] = ()
    words: tuple[Words, ...] = ()


def references(state: Dataset) -> list[tuple[str, tuple[int, ...]]]:
    """The images that a state refers to: SOP instance UIDs as its masked data set writes them, and frames (none: all).

    Raises `UnsupportedPixels` for frame numbers that are none.
    """
    with making_sense():
        return list(_references(state))


def _references(state: Dataset) -> Iterator[tuple[str, tuple[int, ...]]]:
    for series in items(state, "ReferencedSeriesSequence"):
        for image in items(series, "ReferencedImageSequence"):
            uid = first(image, "ReferencedSOPInstanceUID")
            if uid:
                yield str(uid), tuple(int(one) for one in values(image, "ReferencedFrameNumber"))


def presentation(state: Dataset, uid: str, number: int) -> Presentation:
    """What a state says of frame `number` of the image that it calls `uid`.

    Raises `UnsupportedPixels` for a kind of state, or a part of one, that is not drawn here: a picture without it would
    not be the one that was meant.
    """
    if str(first(state, "SOPClassUID")) not in _DRAWN or items(state, "MaskSubtractionSequence"):
        raise UnsupportedPixels("a presentation state of this kind is not drawn")
    with making_sense():
        return _presentation(state, uid, number)


def _presentation(state: Dataset, uid: str, number: int) -> Presentation:
    area = next((one for one in items(state, "DisplayedAreaSelectionSequence") if about(one, uid, number)), Dataset())
    turned = first(state, "ImageRotation") or 0
    if turned not in (0, 90, 180, 270):
        raise UnsupportedPixels("a presentation state turns by an odd angle")
    annotations = [one for one in items(state, "GraphicAnnotationSequence") if about(one, uid, number)]
    greys = {str(first(one, "GraphicLayer")): one for one in items(state, "GraphicLayerSequence")}
    figures = [figure for one in annotations for figure in _figures(one, _layer_grey(one, greys))]
    written = [words for one in annotations for words in _words(one, _layer_grey(one, greys))]
    if len(figures) + len(written) > _MOST_DRAWN:
        raise UnsupportedPixels("a presentation state draws more than anybody can look at")
    return Presentation(
        shutters=tuple(_shutters(state)),
        shutter_grey=_grey(state, "ShutterPresentationValue", 0),
        area=_area(area),
        pixel_aspect=_aspect(area),
        turns=int(turned) // 90,
        mirrored=first(state, "ImageHorizontalFlip") == "Y",
        figures=tuple(figures),
        words=tuple(written),
    )


def _shutters(state: Dataset) -> Iterator[Shutter]:
    for shape in map(str, values(state, "ShutterShape")):
        if shape not in _SHUTTERS:
            raise UnsupportedPixels("a presentation state has a shutter that is not drawn")
        if shape == "RECTANGULAR":
            edges = ("UpperHorizontal", "LeftVertical", "LowerHorizontal", "RightVertical")
            top, left, bottom, right = (_number(state, f"Shutter{edge}Edge") for edge in edges)
            yield Shutter(shape=shape, numbers=(top - 1, left - 1, bottom, right))
        elif shape == "CIRCULAR":
            row, column = _pair(state, "CenterOfCircularShutter")
            yield Shutter(shape=shape, numbers=(row - 0.5, column - 0.5, _number(state, "RadiusOfCircularShutter")))
        else:
            vertices = tuple(float(one) - 0.5 for one in values(state, "VerticesOfThePolygonalShutter"))
            if len(vertices) < 6 or len(vertices) % 2:
                raise UnsupportedPixels("a presentation state has a shutter that makes no sense")
            yield Shutter(shape=shape, numbers=vertices)


def _area(item: Dataset) -> tuple[int, int, int, int] | None:
    corners = [values(item, f"DisplayedArea{one}HandCorner") for one in ("TopLeft", "BottomRight")]
    if any(len(one) != 2 for one in corners):
        return None
    (left, top), (right, bottom) = ((int(one[0]), int(one[1])) for one in corners)
    # The corners are those of what is seen after turning, and so may come in any order.
    return min(top, bottom) - 1, min(left, right) - 1, max(top, bottom), max(left, right)


def _aspect(item: Dataset) -> float | None:
    for keyword in ("PresentationPixelAspectRatio", "PresentationPixelSpacing"):
        found = values(item, keyword)
        try:
            aspect = float(found[0]) / float(found[1])
        except (IndexError, *UNREADABLE):
            continue
        if 1 / 16 <= aspect <= 16:
            return aspect
    return None


def _figures(annotation: Dataset, grey: int) -> Iterator[Figure]:
    for item in items(annotation, "GraphicObjectSequence"):
        data = [float(one) for one in values(item, "GraphicData")]
        if 2 <= len(data) <= 2 * _MOST and not len(data) % 2 and all(map(np.isfinite, data)):
            yield Figure(
                shape=str(first(item, "GraphicType")),
                points=tuple(zip(data[::2], data[1::2], strict=True)),
                filled=first(item, "GraphicFilled") == "Y",
                units=_units(item, "GraphicAnnotationUnits"),
                grey=grey,
            )


def _words(annotation: Dataset, grey: int) -> Iterator[Words]:
    for item in items(annotation, "TextObjectSequence"):
        text = str(first(item, "UnformattedTextValue") or "")
        for corner, units in (
            ("BoundingBoxTopLeftHandCorner", "BoundingBoxAnnotationUnits"),
            ("AnchorPoint", "AnchorPointAnnotationUnits"),
        ):
            at = values(item, corner)
            if text and len(at) == 2 and all(map(np.isfinite, map(float, at))):
                place = (float(at[0]), float(at[1]))
                yield Words(text=text[:_MOST], corner=place, units=_units(item, units), grey=grey)
                break


def _units(item: Dataset, keyword: str) -> Units:
    return "DISPLAY" if first(item, keyword) == "DISPLAY" else "PIXEL"


def _layer_grey(annotation: Dataset, layers: dict[str, Dataset]) -> int:
    layer = layers.get(str(first(annotation, "GraphicLayer")), Dataset())
    return _grey(layer, "GraphicLayerRecommendedDisplayGrayscaleValue", 255)


def _grey(item: Dataset, keyword: str, absent: int) -> int:
    """A P-value of 16 bits as one of 8."""
    value = first(item, keyword)
    return min(max(value, 0), 65_535) >> 8 if isinstance(value, int) else absent


def _number(item: Dataset, keyword: str) -> float:
    try:
        return float(first(item, keyword))
    except UNREADABLE:
        raise UnsupportedPixels("a presentation state has a shutter that makes no sense") from None


def _pair(item: Dataset, keyword: str) -> Point:
    found = values(item, keyword)
    if len(found) != 2:
        raise UnsupportedPixels("a presentation state has a shutter that makes no sense")
    return float(found[0]), float(found[1])
