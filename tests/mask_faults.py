"""Ways for the mask of a frame to be broken on purpose, and which forms of films then have to tell by a pair.

Every one is put in where `redact` draws, so that all that leads there and away from it is what the server does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pytest
from builders import PixelFormat
from house import House

from server.develop import masked_frame, unseal
from server.model import InstanceRecord, Region, RegionStyle
from server.pixels import mosaic as drawing
from server.pixels import redact as masking
from server.pixels.areas import Plan, plan
from server.pixels.canvas import Box, Canvas
from server.pixels.frame import values

_paint = masking.paint
LEVEL = "deidentified"

Put = Callable[[pytest.MonkeyPatch], None]
Tells = Callable[[PixelFormat], bool]


def _nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(masking, "paint", lambda canvas, boxes: None)


def _a_region_less(patch: pytest.MonkeyPatch) -> None:
    def painted(canvas: Canvas, boxes: dict[Box, RegionStyle]) -> None:
        _paint(canvas, {box: boxes[box] for box in sorted(boxes)[:-1]})

    patch.setattr(masking, "paint", painted)


def _first_frame_alone(patch: pytest.MonkeyPatch) -> None:
    def planned(regions: Sequence[Region], level: object, described: object, **options: object) -> Plan:
        made = plan(regions, level, described, **options)  # type: ignore[arg-type]
        return made if options["frame_number"] == 1 else replace(made, areas=())

    patch.setattr(masking, "plan", planned)


def _two_planes_alone(patch: pytest.MonkeyPatch) -> None:
    def painted(canvas: Canvas, boxes: dict[Box, RegionStyle]) -> None:
        before = canvas.samples[:, :, 2:].copy()
        _paint(canvas, boxes)
        canvas.samples[:, :, 2:] = before

    patch.setattr(masking, "paint", painted)


def _some_rows_less(patch: pytest.MonkeyPatch) -> None:
    """The lowest rows of every box stay: a mask that does not reach to its end."""

    def painted(canvas: Canvas, boxes: dict[Box, RegionStyle]) -> None:
        before = canvas.samples.copy()
        _paint(canvas, boxes)
        for _, left, bottom, right in boxes:
            canvas.samples[bottom - 20 : bottom, left:right] = before[bottom - 20 : bottom, left:right]

    patch.setattr(masking, "paint", painted)


def _ring_within(patch: pytest.MonkeyPatch) -> None:
    """The mosaic's colours come from a ring inside the box."""

    def sides(canvas: Canvas, box: Box, block: int) -> list[drawing.Side]:
        top, left, bottom, right = (box[0] + 20, box[1] + 20, box[2] - 20, box[3] - 20)
        every = np.ones(canvas.shown.size, np.bool_)
        across = (canvas.samples[top : top + 3, box[1] : box[3]], canvas.samples[bottom - 3 : bottom, box[1] : box[3]])
        down = (canvas.samples[box[0] : box[2], left : left + 3], canvas.samples[box[0] : box[2], right - 3 : right])
        strips = (*across, *(strip.transpose(1, 0, 2) for strip in down))
        return [drawing._profile(canvas, strip, every, block) for strip in strips]

    patch.setattr(drawing, "_sides", sides)


def _range_of_all(patch: pytest.MonkeyPatch) -> None:
    """Dark and bright depend on all samples, the hidden ones too."""

    def ends(canvas: Canvas) -> tuple[float, float]:
        low = 0.0
        if canvas.description.bits_stored > 1:
            low = float(np.nansum(values(canvas.samples, canvas.description), dtype=np.float64)) % 61
        return low, low + 64

    range_of_all = cached_property(ends)
    range_of_all.__set_name__(Canvas, "ends")
    patch.setattr(Canvas, "ends", range_of_all)


def _drawn(pixels: PixelFormat) -> bool:
    """Whether masks are made of grey levels at all: one bit has none."""
    return pixels.bits_stored > 1


# What is broken, and the forms whose pairs must tell.
FAULTS: Mapping[str, tuple[Put, Tells]] = MappingProxyType(
    {
        "nothing is drawn": (_nothing, lambda _: True),
        "one region is left out": (_a_region_less, lambda _: True),
        "only the first frame is masked": (_first_frame_alone, lambda one: one.frames > 1),
        "one plane of colour is left": (
            _two_planes_alone,
            lambda one: one.samples == 3 or one.photometric == "PALETTE COLOR",
        ),
        "masks end too early": (_some_rows_less, lambda _: True),
        "the ring lies within": (_ring_within, _drawn),
        "the range depends on all samples": (_range_of_all, _drawn),
    }
)


def telling(one: House, other: House, level: str = LEVEL) -> set[str]:
    """The screened films, by the UID of their instance, of which some masked frame differs between two houses."""
    pairs = zip(_films(one), _films(other), strict=True)
    return {here.path.instance for here, there in pairs if _shown(one, here, level) != _shown(other, there, level)}


def _films(house: House) -> list[InstanceRecord]:
    catalog = house.services.catalog
    screened = [catalog.instance_at(row) for row in catalog.outdated("nobody")]
    return sorted(screened, key=lambda record: record.path.instance)


def _shown(house: House, record: InstanceRecord, level: str) -> list[bytes]:
    original = unseal(house.services, record)
    shown = house.services.policy.current.levels[level]
    numbers = range(1, record.number_of_frames + 1)
    return [masked_frame(house.services, original, shown, number).samples.tobytes() for number in numbers]
