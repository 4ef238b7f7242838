"""How a presentation state turns stored values into grey levels (PS3.4 section N.2): its tables, not the image's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from pydicom import Dataset

from server.errors import UnsupportedPixels
from server.model import Window
from server.pixels.description import MONOCHROME, PixelDescription
from server.pixels.display import DisplayAttributes, inverse, modality, voi
from server.pixels.frame import Samples, value_bounds
from server.pixels.items import UNREADABLE, about, first, items, making_sense, values

COLOUR = "1.2.840.10008.5.1.4.1.1.11.2"


def displayed(
    display: DisplayAttributes, state: Dataset, uid: str, number: int, described: PixelDescription, photometric: str
) -> DisplayAttributes:
    """How stored values become grey levels under a state: its tables take the place of the image's (PS3.4 section N.2).

    What it leaves out is the identity. Colour stays as it is. Raises `UnsupportedPixels` for a table without
    sense.
    """
    if photometric not in MONOCHROME or str(first(state, "SOPClassUID")) == COLOUR:
        return replace(display, overlays=())
    slope, intercept, modality_lut = modality(state, state)
    with making_sense():
        of_all = items(state, "SoftcopyVOILUTSequence")
        chosen = next((one for one in of_all if about(one, uid, number)), Dataset())
    windows, voi_lut, voi_output = voi(chosen)
    changed = replace(
        display,
        slope=slope,
        intercept=intercept,
        modality_lut=modality_lut,
        windows=windows,
        voi_lut=voi_lut,
        voi_output=voi_output,
        inverse=bool(inverse(state)),
        presentation_lut=_table_of(state),
        overlays=(),
    )
    return changed if windows or voi_lut or described.data_kind != "integer" else _whole_range(changed, described)


def _whole_range(display: DisplayAttributes, described: PixelDescription) -> DisplayAttributes:
    ends: Samples = np.array(value_bounds(described), np.float64)
    if display.modality_lut is not None:
        ends = np.array([display.modality_lut.entries.min(), display.modality_lut.entries.max()], np.float64)
    else:
        ends = ends * display.slope + display.intercept
    low, high = float(ends.min()), float(ends.max())
    window = Window(center=(low + high) / 2, width=max(high - low, 1e-9), function="LINEAR_EXACT")
    return replace(display, windows=(window,))


def _table_of(state: Dataset) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    item = next(iter(items(state, "PresentationLUTSequence")), None)
    if item is None:
        return None
    try:
        count, _, bits = (int(one) for one in values(item, "LUTDescriptor"))
        data = item["LUTData"].value
        entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.array(values(item, "LUTData"))
        entries = entries[: count or 65_536]
        if not 1 <= bits <= 16 or len(entries) != (count or 65_536):
            raise ValueError
        return np.clip(entries.astype(np.float64) / ((1 << bits) - 1), 0.0, 1.0)
    except (KeyError, *UNREADABLE):
        raise UnsupportedPixels("a lookup table cannot be read") from None
