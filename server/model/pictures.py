"""What a request for a rendered picture may ask (PS3.18 section 8.3.5.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from server.errors import BadRequest

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
ColourSpace = Literal["no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A value of interest window in units after the modality transform (PS3.3 C.11.2.1.2).

    Raises `BadRequest` unless centre and width are finite, the width at least 1 (LINEAR) or above 0 (the others).
    """

    center: float
    width: float
    function: WindowFunction = "LINEAR"

    def __post_init__(self) -> None:
        finite = math.isfinite(self.center) and math.isfinite(self.width)
        if not finite or self.width <= 0 or (self.function == "LINEAR" and self.width < 1):
            raise BadRequest("the window is not valid")


@dataclass(frozen=True, kw_only=True)
class Viewport:
    """The box that the picture must fit into, and the part of the picture to show there, in pixels.

    `left` and `top` are the corner of that part; None for its width or height: all the rest. A negative width
    mirrors left and right, a negative height top and bottom. Raises `BadRequest` unless both sides are 1 to 65535.
    """

    width: int
    height: int
    left: int = 0
    top: int = 0
    source_width: int | None = None
    source_height: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 65_535 or not 1 <= self.height <= 65_535:
            raise BadRequest("the viewport's size is out of bounds")
        if self.source_width == 0 or self.source_height == 0:
            raise BadRequest("the viewport shows no part of the picture")


@dataclass(frozen=True, kw_only=True)
class RenderParameters:
    """What a request for a rendered picture may ask: None leaves it to the data set.

    `colours` is the iccprofile parameter (PS3.18 section 8.3.5.1.5), `annotation` what is written into the picture, of
    "patient" and "technique".
    """

    window: Window | None = None
    viewport: Viewport | None = None
    colours: ColourSpace = "no"
    annotation: tuple[str, ...] = ()
