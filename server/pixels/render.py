"""From a masked frame to a picture of 8 bits: modality, window, colour, then geometry (PS3.18 section 8.3.5.1)."""

from __future__ import annotations

from dataclasses import InitVar, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import UnsupportedPixels
from server.model import RenderParameters, Window
from server.pixels.captions import NO_CAPTIONS, Captions, captioned
from server.pixels.description import MONOCHROME, PixelDescription, padding_range
from server.pixels.display import DisplayAttributes
from server.pixels.drawing import presented
from server.pixels.frame import Samples, value_bounds, values
from server.pixels.geometry import bounded, shown_through, squared
from server.pixels.notice import with_notice
from server.pixels.outline import outlined
from server.pixels.overlays import drawn
from server.pixels.palette import looked_up
from server.pixels.presentation import Presentation
from server.pixels.profiles import in_space
from server.pixels.redact import MaskedFrame

_MAKER = object()
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
    if masked.photometric_interpretation in MONOCHROME:
        picture = _grey(masked, parameters.window, display)
    elif masked.photometric_interpretation == "PALETTE COLOR":
        picture = _palette(masked, display)
    else:
        picture = _color(masked)
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
    extent = (picture.shape[0], picture.shape[1])
    picture = squared(picture, aspect)
    if longest_side is not None:
        picture = bounded(picture, longest_side)
    if parameters.viewport is not None:
        picture = shown_through(picture, parameters.viewport, extent)
    picture = captioned(picture, captions)
    if masked.notice:
        picture = with_notice(picture)
    picture, profile = in_space(picture, parameters.colours, display.profile)
    return MaskedPicture(pixels=np.ascontiguousarray(picture), profile=profile, maker=_MAKER)


def _grey(masked: MaskedFrame, window: Window | None, display: DisplayAttributes) -> Picture:
    described, samples = masked.description, masked.samples
    window = window or next(iter(display.windows), None)
    if window is None and display.voi_lut is None:
        window = _automatic(masked, display)
    if described.data_kind != "integer" or described.bits_allocated > 16:
        inverse, padding = _inverse(masked, display), _padding(masked, display)
        return _levels(values(samples, described), window, display, padding=padding, inverse=inverse)
    return looked_up_grey(samples, _table(masked, window, display))


def grey_table(masked: MaskedFrame, display: DisplayAttributes) -> Picture | None:
    """The grey level of every bit pattern that a sample of the frame can have, by the data set's window or table.

    None where the picture does not follow from such a table: for other pictures than grey ones of up to 16 bits, and
    where the range of the samples would be the window.
    """
    described, window = masked.description, next(iter(display.windows), None)
    if masked.photometric_interpretation not in MONOCHROME or (window is None and display.voi_lut is None):
        return None
    if described.data_kind != "integer" or described.bits_allocated > 16:
        return None
    return _table(masked, window, display)


def _table(masked: MaskedFrame, window: Window | None, display: DisplayAttributes) -> Picture:
    every, padding = _every_value(masked.description), _padding(masked, display)
    return _levels(every, window, display, padding=padding, inverse=_inverse(masked, display))


def _inverse(masked: MaskedFrame, display: DisplayAttributes) -> bool:
    return masked.photometric_interpretation == "MONOCHROME1" if display.inverse is None else display.inverse


def _padding(masked: MaskedFrame, display: DisplayAttributes) -> tuple[int, int] | None:
    described = masked.description
    if described.data_kind != "integer":
        return None
    return padding_range(display.padding, described.bits_allocated, signed=described.signed)


def _every_value(described: PixelDescription) -> Samples:
    """The stored value of every possible bit pattern of a sample of up to 16 bits, in order of the patterns."""
    bits = np.dtype(described.dtype).itemsize * 8
    patterns: Samples = np.arange(1 << bits, dtype=f"u{bits // 8}")
    return values(patterns.view(described.dtype), described)


def looked_up_grey(samples: Samples, table: Picture) -> Picture:
    """The entries of a table of 8 bits, one for each bit pattern of a sample, in the shape of the samples."""
    patterns = samples.view(f"u{samples.dtype.itemsize}")
    looked_up = cv2.LUT(np.ascontiguousarray(patterns), table)
    return looked_up.reshape(samples.shape).astype(np.uint8, copy=False)


def _modality(stored: Samples, display: DisplayAttributes) -> NDArray[np.float64]:
    if display.modality_lut is not None:
        return display.modality_lut.at(stored).astype(np.float64)
    return stored.astype(np.float64) * display.slope + display.intercept


def _levels(
    stored: Samples,
    window: Window | None,
    display: DisplayAttributes,
    *,
    padding: tuple[int, int] | None,
    inverse: bool,
) -> Picture:
    """Return grey levels 0 to 255 of stored values; without a window the VOI lookup table decides.

    Padding is taken out before the modality transform (PS3.3 C.7.5.1.1.2) and shown as black.
    """
    with np.errstate(all="ignore"):
        grey = _modality(stored, display)
        if window is not None:
            grey = _windowed(grey, window)
        else:
            assert display.voi_lut is not None
            grey = display.voi_lut.at(grey).astype(np.float64) / display.voi_output
        grey = np.nan_to_num(np.clip(grey, 0.0, 1.0))
    if display.presentation_lut is not None:
        entries = display.presentation_lut
        grey = entries[np.rint(grey * (len(entries) - 1)).astype(np.intp)]
    if inverse:
        grey = 1.0 - grey
    if padding is not None:
        grey = np.where((stored >= padding[0]) & (stored <= padding[1]), 0.0, grey)
    return np.rint(grey * 255.0).astype(np.uint8)


def _windowed(grey: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1 and C.11.2.1.3, to 0.0 (or less) to 1.0 (or more)."""
    if window.function == "SIGMOID":
        sigmoid: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-4.0 * (grey - window.center) / window.width))
        return sigmoid
    if window.function == "LINEAR_EXACT":
        return (grey - window.center) / window.width + 0.5
    if window.width == 1:
        return (grey > window.center - 0.5).astype(np.float64)
    return (grey - (window.center - 0.5)) / (window.width - 1.0) + 0.5


def _automatic(masked: MaskedFrame, display: DisplayAttributes) -> Window:
    """The range of what is shown; of all possible values where nothing is."""
    described = masked.description
    known = _known(masked)
    if (padding := _padding(masked, display)) is not None:
        known = known[(known < padding[0]) | (known > padding[1])]
    if not known.size:
        known = np.array(value_bounds(described) if described.data_kind == "integer" else (-1.0, 1.0))
    if display.modality_lut is None:
        # A straight line keeps the ends at the ends.
        known = np.array([known.min(), known.max()])
    grey = np.nan_to_num(_modality(known, display))
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
        picture = looked_up_grey(masked.samples, np.rint(_every_value(described) / most * 255.0).astype(np.uint8))
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
