"""The query parameters of rendered resources (PS3.18 section 8.3.5), checked before anything is found or opened."""

from __future__ import annotations

import math
import re
from typing import get_args

from werkzeug.datastructures import MultiDict

from server.errors import BadRequest
from server.model import ColourSpace, RenderParameters, Viewport, Window, WindowFunction

_KNOWN = {"accept", "window", "viewport", "quality", "annotation", "iccprofile", "charset"}
_FUNCTIONS: dict[str, WindowFunction] = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_SPACES: dict[str, ColourSpace] = {name: name for name in get_args(ColourSpace)}
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z-]{0,31}", re.ASCII)
_MAX_SIDE = 16384
DEFAULT_QUALITY = 90
THUMBNAIL_SIDE = 256


def render_parameters(arguments: MultiDict[str, str], *, thumbnail: bool = False) -> tuple[RenderParameters, int]:
    """The parameters and the JPEG quality (1 to 100).

    Raises `BadRequest` for a parameter that is unknown, repeated or out of range. Unknown ones are refused, not passed
    over: a switch that somebody hoped would change the masking never silently does nothing (a.C2).
    """
    for name in arguments:
        if name not in _KNOWN:
            raise BadRequest("an unknown query parameter")
        if name != "accept" and len(arguments.getlist(name)) > 1:
            raise BadRequest("a query parameter is given twice")
    if thumbnail and ("window" in arguments or "annotation" in arguments):
        raise BadRequest("a thumbnail has no window and no annotation")
    colours = _SPACES.get(arguments.get("iccprofile", "no"))
    if colours is None:
        raise BadRequest("iccprofile is no, yes, srgb, adobergb, rommrgb or displayp3")
    viewport = Viewport(width=THUMBNAIL_SIDE, height=THUMBNAIL_SIDE) if thumbnail else None
    if "viewport" in arguments:
        viewport = _viewport(arguments["viewport"], thumbnail=thumbnail)
    window = _window(arguments["window"]) if "window" in arguments else None
    quality = _whole(arguments.get("quality", str(DEFAULT_QUALITY)), 1, 100)
    annotation = tuple(dict.fromkeys(arguments["annotation"].split(","))) if "annotation" in arguments else ()
    if not all(map(_KEYWORD.fullmatch, annotation)):
        raise BadRequest("annotation is a list of keywords")
    return RenderParameters(window=window, viewport=viewport, colours=colours, annotation=annotation), quality


def _window(text: str) -> Window:
    """PS3.18 section 8.3.5.1.4: centre, width and function, all three."""
    items = text.split(",")
    if len(items) != 3 or items[2].lower() not in _FUNCTIONS:
        raise BadRequest("window is center,width,function")
    try:
        center, width = float(items[0]), float(items[1])
    except ValueError as error:
        raise BadRequest("the window is not of numbers") from error
    if not (math.isfinite(center) and math.isfinite(width) and abs(center) < 1e12 and abs(width) < 1e12):
        raise BadRequest("the window is out of range")
    return Window(center=center, width=width, function=_FUNCTIONS[items[2].lower()])


def _viewport(text: str, *, thumbnail: bool) -> Viewport:
    """PS3.18 section 8.3.5.1.3: width and height, for a rendered picture also the part of it to show."""
    items = text.split(",")
    if len(items) not in ((2,) if thumbnail else (2, 6)):
        raise BadRequest("viewport is width,height or width,height,x,y,w,h")
    source = [_whole(item, -65535, 65535) if item else None for item in items[2:]] or [None] * 4
    return Viewport(
        width=_whole(items[0], 1, _MAX_SIDE),
        height=_whole(items[1], 1, _MAX_SIDE),
        left=source[0] or 0,
        top=source[1] or 0,
        source_width=source[2],
        source_height=source[3],
    )


def _whole(text: str, least: int, most: int) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9 and least <= int(text) <= most):
        raise BadRequest("a number in the query is not whole or out of range")
    return int(text)
