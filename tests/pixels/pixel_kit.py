"""Descriptions, frames and levels for the tests of this room; pixel formats told in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.model import Action, ElementAction, ElementRules, MaskingLevel, ObjectKind, RegionKind, RegionStyle
from server.pixels.description import EXPLICIT_LITTLE, PixelDescription
from server.pixels.frame import Frame
from server.pixels.redact import MaskedFrame, redact

BASE = PixelDescription(
    rows=96,
    columns=128,
    samples_per_pixel=1,
    bits_allocated=16,
    bits_stored=12,
    high_bit=11,
    signed=False,
    photometric_interpretation="MONOCHROME2",
    planar_configuration=0,
    number_of_frames=1,
    transfer_syntax_uid=EXPLICIT_LITTLE,
    data_kind="integer",
    lossy_history=False,
)


def _bits(allocated: int, stored: int, high: int | None = None, **others: Any) -> PixelDescription:
    high = stored - 1 if high is None else high
    return replace(BASE, bits_allocated=allocated, bits_stored=stored, high_bit=high, **others)


FORMATS: Mapping[str, PixelDescription] = {
    "grey 8": _bits(8, 8),
    "grey 8 inverted": _bits(8, 8, photometric_interpretation="MONOCHROME1"),
    "grey 8 signed": _bits(8, 8, signed=True),
    "grey 12 in 16": BASE,
    "grey 12 in 16 signed": _bits(16, 12, signed=True),
    "grey 12 in 16, high bit 15": _bits(16, 12, 15),
    "grey 12 in 16 signed, high bit 13": _bits(16, 12, 13, signed=True),
    "grey 16": _bits(16, 16),
    "grey 16 signed, lossy": _bits(16, 16, signed=True, lossy_history=True),
    "grey 32": _bits(32, 32),
    "grey 32 signed": _bits(32, 32, signed=True),
    "one bit": _bits(1, 1),
    "palette 8": _bits(8, 8, photometric_interpretation="PALETTE COLOR"),
    "palette 16": _bits(16, 16, photometric_interpretation="PALETTE COLOR"),
    "rgb 8": _bits(8, 8, samples_per_pixel=3, photometric_interpretation="RGB"),
    "rgb 16": _bits(16, 16, samples_per_pixel=3, photometric_interpretation="RGB"),
    "rgb 32": _bits(32, 32, samples_per_pixel=3, photometric_interpretation="RGB"),
    "ybr 8": _bits(8, 8, samples_per_pixel=3, photometric_interpretation="YBR_FULL"),
    "float": _bits(32, 32, data_kind="float", signed=True),
    "double": _bits(64, 64, data_kind="double", signed=True),
}


def level(**changes: Any) -> MaskingLevel:
    """A level that mosaics everything it finds, unless told otherwise."""
    base = MaskingLevel(
        name="masked",
        description="",
        transactions=frozenset(Action),
        objects=frozenset(ObjectKind),
        elements=ElementRules(default=ElementAction.REMOVE, private=ElementAction.REMOVE, by_tag={}, profile=None),
        pseudonyms=True,
        shift_dates=True,
        regions=dict.fromkeys(RegionKind, RegionStyle.MOSAIC),
        unscreened=RegionStyle.MOSAIC,
        whole_frame=RegionStyle.KEEP,
        keep_unused_bits=False,
        longest_side=None,
        fingerprint="0" * 64,
        coarse_blocks=16,
        keep_markers=False,
        keep_machine_text=False,
        tell_regions=False,
        masked_notice=False,
        outline_regions=False,
    )
    return replace(base, **changes)


OPEN = level(
    regions=dict.fromkeys(RegionKind, RegionStyle.KEEP), unscreened=RegionStyle.KEEP, keep_unused_bits=True, name="open"
)


def noise(description: PixelDescription, seed: int) -> NDArray[Any]:
    """Random bit patterns of every kind that a frame of this description may hold, unused bits included."""
    generator = np.random.default_rng(seed)
    shape = (description.rows, description.columns, description.samples_per_pixel)
    kind = np.dtype(description.dtype)
    if description.bits_allocated == 1:
        return generator.integers(0, 2, shape, np.uint8)
    return np.frombuffer(generator.bytes(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape).copy()


def frame(samples: NDArray[Any], description: PixelDescription = BASE) -> Frame:
    return Frame(
        samples=samples, photometric_interpretation=description.photometric_interpretation, description=description
    )


def shown(samples: NDArray[Any], description: PixelDescription = BASE, **changes: Any) -> MaskedFrame:
    """The frame as the level that masks nothing shows it (but for `changes`)."""
    return redact(frame(samples, description), (), replace(OPEN, **changes), screened=True, frame_number=1)
