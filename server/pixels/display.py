"""How stored values become grey levels or colours: what a masked data set says of it (PS3.3 C.7.6.3, C.11)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import BytesLengthException
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from server.errors import BadRequest, UnsupportedPixels
from server.model import Window, WindowFunction
from server.pixels.frame import Samples
from server.pixels.overlays import Overlay

_PADDING = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_UNUSABLE = (
    AttributeError,
    BytesLengthException,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A lookup table with one entry for each input from `first`; inputs beyond either end take the end's entry."""

    first: int
    entries: Samples

    def at(self, inputs: Samples) -> Samples:
        """Return the entries at whole-number inputs, shape of the inputs (times 3 for a palette)."""
        places = np.clip(np.rint(inputs), self.first, self.first + len(self.entries) - 1) - self.first
        found: Samples = self.entries[places.astype(np.intp)]
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class DisplayAttributes:
    """Everything that rendering takes from the masked data set.

    `palette` has entries (n, 3) of 8 or 16 bits; `voi_output` is the largest entry of `voi_lut`;
    `pixel_aspect` is the height of a pixel over its width; `inverse` says whether large values are dark, None leaves it
    to the photometric interpretation; `padding` are the values that stand for no sample, as they are told;
    `presentation_lut` are grey levels from 0 to 1 for inputs from 0 to 1, evenly spaced; `overlays` are drawn in white;
    `profile` is the ICC profile of the colours, empty where there is none.
    """

    slope: float = 1.0
    intercept: float = 0.0
    windows: tuple[Window, ...] = ()
    modality_lut: Table | None = None
    voi_lut: Table | None = None
    voi_output: int = 255
    palette: Table | None = None
    pixel_aspect: float = 1.0
    inverse: bool | None = None
    padding: tuple[int, ...] = ()
    presentation_lut: NDArray[np.float64] | None = None
    overlays: tuple[Overlay, ...] = ()
    profile: bytes = b""


def display_attributes(dataset: Dataset, *, frame_number: int = 1) -> DisplayAttributes:
    """Read the display attributes of one frame out of a *masked* data set.

    Functional groups (PS3.3 C.7.6.16) win over the top level. Windows that make no sense are left out; a lookup
    table that makes none raises `UnsupportedPixels`.
    """
    transform = _group(dataset, frame_number, "PixelValueTransformationSequence")
    slope, intercept, modality_lut = modality(transform, dataset)
    windows, voi_lut, voi_output = voi(_group(dataset, frame_number, "FrameVOILUTSequence"))
    padding = [one for name in _PADDING for one in _values(dataset, name)[:1] if isinstance(one, int)]
    return DisplayAttributes(
        slope=slope,
        intercept=intercept,
        windows=windows,
        modality_lut=modality_lut,
        voi_lut=voi_lut,
        voi_output=voi_output,
        palette=_palette(dataset),
        pixel_aspect=_aspect(_group(dataset, frame_number, "PixelMeasuresSequence"), dataset),
        inverse=inverse(dataset),
        padding=tuple(padding),
        profile=next((one for one in _values(dataset, "ICCProfile") if isinstance(one, bytes)), b""),
    )


def modality(transform: Dataset, dataset: Dataset) -> tuple[float, float, Table | None]:
    """Slope and intercept as `transform` says, and the modality lookup table of `dataset` (PS3.3 C.11.1)."""
    slope, intercept = _number(transform, "RescaleSlope", 1.0), _number(transform, "RescaleIntercept", 0.0)
    table = _table(dataset, "ModalityLUTSequence", lambda ramp: apply_modality_lut(ramp, dataset))
    return slope if slope != 0 else 1.0, intercept, table


def voi(dataset: Dataset) -> tuple[tuple[Window, ...], Table | None, int]:
    """The windows of an item, its first lookup table, and the largest output of that (PS3.3 C.11.2)."""
    table = _table(dataset, "VOILUTSequence", lambda ramp: apply_voi(ramp, dataset))
    return _windows(dataset), table, _lut_output(dataset) if table else 255


def inverse(dataset: Dataset) -> bool | None:
    """Whether the presentation LUT shape makes large values dark; None where there is no shape (PS3.3 C.11.6)."""
    shape = next(iter(_values(dataset, "PresentationLUTShape")), "")
    return {"INVERSE": True, "IDENTITY": False}.get(str(shape))


def _group(dataset: Dataset, frame_number: int, keyword: str) -> Dataset:
    """Return the item of a functional group macro for a frame, the data set itself if there is none."""
    per_frame = _items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = _items(dataset, "SharedFunctionalGroupsSequence")
    for group in [*per_frame[frame_number - 1 : frame_number], *shared[:1]]:
        for item in _items(group, keyword):
            return item
    return dataset


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return [one for one in _values(dataset, keyword) if isinstance(one, Dataset)]


def _several(value: object) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]


def _values(dataset: Dataset, keyword: str) -> list[Any]:
    """The values of an element; none where pydicom cannot convert them (half a word, say)."""
    try:
        return _several(dataset.get(keyword))
    except (ArithmeticError, *_UNUSABLE):
        return []


def _number(dataset: Dataset, keyword: str, absent: float) -> float:
    found = _values(dataset, keyword)
    try:
        number = float(found[0]) if found else absent
    except (OverflowError, TypeError, ValueError):
        return absent
    return number if math.isfinite(number) else absent


def _windows(dataset: Dataset) -> tuple[Window, ...]:
    function = str(next(iter(_values(dataset, "VOILUTFunction")), "LINEAR"))
    if function not in get_args(WindowFunction):
        function = "LINEAR"
    windows = []
    for center, width in zip(_values(dataset, "WindowCenter"), _values(dataset, "WindowWidth"), strict=False):
        try:
            windows.append(Window(center=float(center), width=float(width), function=function))  # type: ignore[arg-type]
        except (BadRequest, OverflowError, TypeError, ValueError):
            continue
    return tuple(windows)


def _ramp(dataset: Dataset, keyword: str) -> tuple[int, Samples]:
    """Return the inputs that a LUT descriptor names (PS3.3 C.11.1.1.1), as pydicom wants them."""
    if keyword.startswith("Red"):
        descriptor = dataset[keyword].value
    else:
        descriptor = dataset[keyword].value[0]["LUTDescriptor"].value
    count, first = int(descriptor[0]) or 65_536, int(descriptor[1])
    if not -65_536 <= first <= 65_535 or not 1 <= count <= 65_536:
        raise ValueError
    return first, np.arange(first, first + count, dtype=np.int32)


def _table(dataset: Dataset, keyword: str, apply: Callable[[Samples], Samples]) -> Table | None:
    if keyword not in dataset or not dataset.get_item(keyword).value:
        return None
    try:
        first, ramp = _ramp(dataset, keyword)
        return Table(first=first, entries=np.asarray(apply(ramp)))
    except _UNUSABLE:
        raise UnsupportedPixels("a lookup table cannot be read") from None


def _lut_output(dataset: Dataset) -> int:
    """Largest output of the first VOI LUT by its number of bits."""
    try:
        bits = int(dataset["VOILUTSequence"].value[0]["LUTDescriptor"].value[2])
    except _UNUSABLE:
        raise UnsupportedPixels("a lookup table cannot be read") from None
    return (1 << min(max(bits, 1), 16)) - 1


def _palette(dataset: Dataset) -> Table | None:
    keyword = "RedPaletteColorLookupTableDescriptor"
    if _values(dataset, "PhotometricInterpretation") != ["PALETTE COLOR"] or keyword not in dataset:
        return None
    try:
        first, ramp = _ramp(dataset, keyword)
        return Table(first=first, entries=np.asarray(apply_color_lut(ramp, dataset)))
    except _UNUSABLE:
        raise UnsupportedPixels("the palette cannot be read") from None


def _aspect(measures: Dataset, dataset: Dataset) -> float:
    """Height over width of a pixel, within 1/16 to 16 (PS3.3 C.7.6.3.1.7); 1 where it is not told."""
    places = (dataset, "PixelAspectRatio"), (measures, "PixelSpacing"), (dataset, "ImagerPixelSpacing")
    for place, keyword in (*places, (dataset, "NominalScannedPixelSpacing")):
        found = _values(place, keyword)
        try:
            aspect = float(found[0]) / float(found[1])
        except (ArithmeticError, IndexError, TypeError, ValueError):
            continue
        if 1 / 16 <= aspect <= 16:
            return aspect
    return 1.0
