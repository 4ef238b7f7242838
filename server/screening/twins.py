"""One exposure, two films: what was found on the one for presentation lies on the one for processing too.

A detector's raw film (For Processing) shows less to a reader than the film made of it (For Presentation), and what is
drawn into the second can be in the first, faintly. Which films are of one exposure is said by their headers alone, so
it can only add regions (PS3.3 C.7.6.1.1.4 Source Image, C.8.7.3 Irradiation Event, C.8.11.1 Presentation Intent Type).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from server.model import Region, RegionKind

TWIN = "twin"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# Digital, mammography, intra-oral, breast projection: for processing, and for presentation; and computed radiography.
RAW = frozenset(_STORAGE + end for end in ("1.1.1", "1.2.1", "1.3.1", "13.1.5"))
PLAIN = frozenset(_STORAGE + end for end in ("1", "1.1", "1.2", "1.3", "13.1.4"))
_EVENTS = ("IrradiationEventUID", "AcquisitionUID")
_SOURCES = ("SourceImageSequence", "ReferencedImageSequence")
_VIEW = ("ViewPosition", "ImageLaterality", "Laterality", "AcquisitionNumber")
# Films of one shape have the same ratio of their sides, rounding apart.
_SAME_SHAPE = 0.01
_OPPOSITE = {frozenset("LR"), frozenset("AP"), frozenset("HF")}


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What a film says of its exposure; empty where it says nothing. `orientation`: of its rows, and of its columns."""

    uid: str
    series: str
    raw: bool
    rows: int
    columns: int
    frames: int
    sources: frozenset[str]
    events: frozenset[str]
    moment: str
    view: tuple[str, ...]
    orientation: tuple[str, ...]


def shot_of(dataset: Dataset, rows: int, columns: int, frames: int) -> Shot:
    """The exposure of a film of this size."""
    moment = _text(dataset, "AcquisitionDateTime")
    if not moment and _text(dataset, "AcquisitionTime"):
        moment = _text(dataset, "AcquisitionDate") + _text(dataset, "AcquisitionTime")
    return Shot(
        uid=_text(dataset, "SOPInstanceUID"),
        series=_text(dataset, "SeriesInstanceUID"),
        raw=_text(dataset, "SOPClassUID") in RAW or "PROCESSING" in _text(dataset, "PresentationIntentType"),
        rows=rows,
        columns=columns,
        frames=frames,
        sources=frozenset(
            str(item.get("ReferencedSOPInstanceUID") or "") for name in _SOURCES for item in dataset.get(name) or ()
        )
        - {""},
        events=frozenset(value for name in _EVENTS for value in _texts(dataset, name)) - {""},
        moment=moment,
        view=tuple(_text(dataset, name) for name in _VIEW),
        orientation=tuple(_texts(dataset, "PatientOrientation")),
    )


def same_exposure(one: Shot, other: Shot) -> bool:
    """Whether two films are of one exposure: one says so, or nothing that both say tells them apart.

    The second holds for films of one series only, and where both say when they were taken, only for the same moment.
    """
    if one.uid in other.sources or other.uid in one.sources or one.events & other.events:
        return True
    if one.moment and other.moment:
        return one.moment == other.moment
    return one.series == other.series and one.view == other.view


def carried(regions: Sequence[Region], shown: Shot, raw: Shot) -> list[Region]:
    """The regions of the film for presentation on the one for processing, rounded outward; none of another shape.

    Where their orientations say that one is the mirror of the other, each region is there twice: as it lies, and
    mirrored.
    """
    down, across = raw.rows / shown.rows, raw.columns / shown.columns
    if abs(down / across - 1) > _SAME_SHAPE:
        return []
    found: dict[Region, None] = {}
    for region in regions:
        if region.kind is RegionKind.BACKGROUND:
            continue
        placed = _scaled(region, down, across, raw)
        frames = region.frames if shown.frames == raw.frames else None
        for one in (placed, _mirrored(placed, shown, raw)):
            found[replace(one, frames=frames, detector=TWIN)] = None
    return list(found)


def _scaled(region: Region, down: float, across: float, raw: Shot) -> Region:
    top, left = math.floor(region.top_row * down), math.floor(region.left_column * across)
    bottom = min(raw.rows, math.ceil((region.top_row + region.row_count) * down))
    right = min(raw.columns, math.ceil((region.left_column + region.column_count) * across))
    return replace(region, top_row=top, left_column=left, row_count=bottom - top, column_count=right - left)


def _mirrored(region: Region, shown: Shot, raw: Shot) -> Region:
    if len(shown.orientation) != 2 or len(raw.orientation) != 2:
        return region
    flipped = [frozenset((a[:1], b[:1])) in _OPPOSITE for a, b in zip(shown.orientation, raw.orientation, strict=True)]
    left = raw.columns - region.left_column - region.column_count if flipped[0] else region.left_column
    top = raw.rows - region.top_row - region.row_count if flipped[1] else region.top_row
    return replace(region, top_row=top, left_column=left)


def _text(dataset: Dataset, keyword: str) -> str:
    return "\\".join(_texts(dataset, keyword))


def _texts(dataset: Dataset, keyword: str) -> Iterator[str]:
    value = dataset.get(keyword)
    if value is None:
        return
    many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    yield from (str(one).strip().upper() for one in many)
