"""From a masked frame to a picture of 8 bits: modality, window, colour, then geometry (PS3.18 section 8.3.5.1)."""

from __future__ import annotations

from dataclasses import InitVar, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import UnsupportedPixels
from server.model import RenderParameters, Window
from server.pixels.captions import NO_CAPTIONS, Captions, captioned
from server.pixels.description import MONOCHROME
from server.pixels.display import DisplayAttributes
from server.pixels.drawing import presented
from server.pixels.frame import Samples, value_bounds, values
from server.pixels.geometry import shrinks, sized
from server.pixels.levels import every_value, inverse_of, levels, looked_up_grey, modality, padding_of, table_of
from server.pixels.notice import with_notice
from server.pixels.outline import outlined
from server.pixels.overlays import drawn
from server.pixels.palette import looked_up
from server.pixels.presentation import Presentation
from server.pixels.profiles import in_space
from server.pixels.redact import MaskedFrame

_MAKER = object()
# Four stored values a grey level: then what is rounded three times is less than one level off.
_LEAST_WIDTH = 4 * 256
Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedPicture:
    """A rendered picture, (rows, columns, 1 grey or 3 RGB) of 8 bits, read-only; made by `render` alone.

    `profile` is the ICC profile of its colours, empty where none is to be sent.
    """

    pixels: Picture
    profile: bytes
    maker: InitVar[object]

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("only render makes a MaskedPicture")
        self.pixels.setflags(write=False)


def render(
    masked: MaskedFrame,
    parameters: RenderParameters,
    display: DisplayAttributes,
    *,
    state: Presentation | None = None,
    captions: Captions = NO_CAPTIONS,
) -> MaskedPicture:
    """Render a masked frame; `display`, `state` and `captions` have been read from masked data sets of the same level.

    The window is the request's, else the data set's first, else its lookup table, else the range of the samples that
    are shown. The level's longest side bounds the whole picture before a viewport looks at any part of it. Where the
    level wants it, a notice comes last. Raises
    `BadRequest` for a viewport off the picture, `UnsupportedPixels` for a palette frame without its palette.
    """
    if not isinstance(masked, MaskedFrame):
        raise TypeError("only a MaskedFrame is rendered")
    picture = None if state is not None else _small(masked, parameters, display)
    if picture is None:
        picture = _placed(_levelled(masked, parameters.window, display), masked, parameters, display, state)
    picture = captioned(picture, captions)
    if masked.notice:
        picture = with_notice(picture)
    picture, profile = in_space(picture, parameters.colours, display.profile)
    return MaskedPicture(pixels=np.ascontiguousarray(picture), profile=profile, maker=_MAKER)


def _levelled(masked: MaskedFrame, window: Window | None, display: DisplayAttributes) -> Picture:
    """Every sample of the frame as 8 bits a channel."""
    if masked.photometric_interpretation in MONOCHROME:
        return _grey(masked, window, display)
    return _palette(masked, display) if masked.photometric_interpretation == "PALETTE COLOR" else _color(masked)


def _placed(
    picture: Picture,
    masked: MaskedFrame,
    parameters: RenderParameters,
    display: DisplayAttributes,
    state: Presentation | None,
) -> Picture:
    """With all graphics, in its geometry."""
    picture = drawn(outlined(picture, masked.outlines), display.overlays)
    aspect, longest_side = display.pixel_aspect, masked.longest_side
    if state is not None:
        whole = max(picture.shape[:2])
        picture = presented(picture, state)
        aspect = state.pixel_aspect or aspect
        aspect = 1 / aspect if state.turns % 2 else aspect
        if longest_side is not None:
            # A part of the picture is not shown larger than it is within the whole.
            longest_side = max(longest_side * max(picture.shape[:2]) // whole, 1)
    return sized(picture, aspect, longest_side, parameters.viewport)


def _small(masked: MaskedFrame, parameters: RenderParameters, display: DisplayAttributes) -> Picture | None:
    """A picture that is much smaller than its frame: averaged as stored values, and only then looked up.

    The mask has been drawn before, so that no average knows of a hidden sample. None where the order would show: with
    graphics, tables that are no straight line, padding, and in windows that are narrower than the rounding of a mean.
    """
    described, window = masked.description, parameters.window or next(iter(display.windows), None)
    if masked.photometric_interpretation not in MONOCHROME or masked.outlines or display.overlays:
        return None
    if described.data_kind != "integer" or described.bits_allocated != 16 or described.shift or window is None:
        return None
    straight = display.modality_lut is None and display.presentation_lut is None and window.function != "SIGMOID"
    if not straight or padding_of(masked, display) is not None or window.width < _LEAST_WIDTH * abs(display.slope):
        return None
    geometry = display.pixel_aspect, masked.longest_side, parameters.viewport
    if not shrinks((described.rows, described.columns), *geometry):
        return None
    stored = sized(values(masked.samples, described) if masked.unused_bits else masked.samples, *geometry)
    return looked_up_grey(stored, table_of(masked, window, display))


def _grey(masked: MaskedFrame, window: Window | None, display: DisplayAttributes) -> Picture:
    described, samples = masked.description, masked.samples
    window = window or next(iter(display.windows), None)
    if window is None and display.voi_lut is None:
        window = _automatic(masked, display)
    if described.data_kind != "integer" or described.bits_allocated > 16:
        inverse, padding = inverse_of(masked, display), padding_of(masked, display)
        return levels(values(samples, described), window, display, padding=padding, inverse=inverse)
    return looked_up_grey(samples, table_of(masked, window, display))


def _automatic(masked: MaskedFrame, display: DisplayAttributes) -> Window:
    """The range of what is shown; of all possible values where nothing is."""
    described = masked.description
    known = _known(masked)
    if (padding := padding_of(masked, display)) is not None:
        known = known[(known < padding[0]) | (known > padding[1])]
    if not known.size:
        known = np.array(value_bounds(described) if described.data_kind == "integer" else (-1.0, 1.0))
    if display.modality_lut is None:
        # A straight line keeps the ends at the ends.
        known = np.array([known.min(), known.max()])
    grey = np.nan_to_num(modality(known, display))
    low, high = float(grey.min()), float(grey.max())
    half = high / 2 - low / 2
    return Window(center=low / 2 + high / 2, width=max(min(2 * half, 1e300), 1e-12), function="LINEAR_EXACT")


def _known(masked: MaskedFrame) -> Samples:
    """The finite stored values that are shown, each at least once, flat; empty if there are none."""
    stored = values(masked.samples, masked.description)
    if masked.areas:
        shown = np.ones(stored.shape, np.bool_)
        for top, left, bottom, right in masked.areas:
            shown[top:bottom, left:right] = False
        witness = int(shown.argmax())
        if not shown.flat[witness]:
            return stored[:0].reshape(-1)
        # One shown value in place of all hidden ones: far quicker than picking the shown ones out.
        value = stored.flat[witness]
        stored = stored.copy()
        for top, left, bottom, right in masked.areas:
            stored[top:bottom, left:right] = value
    flat = stored.reshape(-1)
    return flat if masked.description.data_kind == "integer" else flat[np.isfinite(flat)]


def _palette(masked: MaskedFrame, display: DisplayAttributes) -> Picture:
    if display.palette is None:
        raise UnsupportedPixels("a palette frame without its palette")
    entries = looked_up(display.palette)
    stored = values(masked.samples, masked.description)[:, :, 0].astype(np.intp)
    places = np.clip(stored - display.palette.first, 0, len(entries) - 1)
    return entries[places]


def _color(masked: MaskedFrame) -> Picture:
    described, rgb = masked.description, masked.photometric_interpretation == "RGB"
    most = float(value_bounds(described)[1])
    if described.bits_allocated == 8 and described.bits_stored == 8:
        picture: Picture = masked.samples
    elif described.bits_allocated <= 16 and rgb:
        picture = looked_up_grey(masked.samples, np.rint(every_value(described) / most * 255.0).astype(np.uint8))
    elif rgb:
        picture = np.rint(values(masked.samples, described) / most * 255.0).astype(np.uint8)
    else:
        # Rounded to 8 bits before, the chroma would be off by more than a grey level.
        parts = (values(masked.samples, described) / most).astype(np.float32)
        return np.rint(np.clip(_from_luma(parts), 0.0, 1.0) * 255.0).astype(np.uint8)
    return picture if rgb else _from_luma(picture).astype(np.uint8, copy=False)


def _from_luma(picture: Samples) -> Samples:
    # OpenCV orders luma, red difference, blue difference; DICOM has blue before red.
    return cv2.cvtColor(np.ascontiguousarray(picture[:, :, [0, 2, 1]]), cv2.COLOR_YCrCb2RGB)
