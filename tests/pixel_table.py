"""The rows of the reference table of pixels, and what each must look like, computed in floats one step at a time."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from builders import PixelFormat, chest_film, part10_bytes
from codec_table import GENERATED
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom import uid as uids

from server.model import (
    Action,
    ElementAction,
    ElementRules,
    MaskingLevel,
    ObjectKind,
    Region,
    RegionKind,
    RegionStyle,
    RenderParameters,
)  # fmt: skip
from server.pixels.decode import decode
from server.pixels.description import describe
from server.pixels.frame import Frame
from server.pixels.frames import split
from server.pixels.pool import DecoderPool
from server.pixels.redact import MaskedFrame, redact

Samples = NDArray[Any]
Floats = NDArray[np.float64]
AS_IS = RenderParameters()
LOSSLESS = (uids.RLELossless, uids.JPEGLosslessSV1, uids.JPEGLSLossless, uids.JPEG2000Lossless, uids.HTJ2KLossless)
# A region in the corner: four samples of margin, then outward to the grid of 32.
FOUND = (Region(kind=RegionKind.TEXT, top_row=40, left_column=44, row_count=8, column_count=12),)
FOUND_LOSSY = (Region(kind=RegionKind.TEXT, top_row=50, left_column=66, row_count=4, column_count=6),)
HIDDEN = (slice(32, 64), slice(32, 64))
HIDDEN_LOSSY = (slice(32, 96), slice(32, 96))

OPEN = MaskingLevel(
    name="open",
    description="",
    transactions=frozenset(Action),
    objects=frozenset(ObjectKind),
    elements=ElementRules(default=ElementAction.KEEP, private=ElementAction.KEEP, by_tag={}, profile=None),
    pseudonyms=False,
    shift_dates=False,
    regions=dict.fromkeys(RegionKind, RegionStyle.KEEP),
    unscreened=RegionStyle.KEEP,
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
MASKED = replace(OPEN, name="masked", regions=dict.fromkeys(RegionKind, RegionStyle.FILL))


def grey(stored: int, allocated: int, *, signed: bool = False, inverted: bool = False, frames: int = 1) -> PixelFormat:
    return PixelFormat(
        bits_allocated=allocated,
        bits_stored=stored,
        signed=signed,
        frames=frames,
        photometric="MONOCHROME1" if inverted else "MONOCHROME2",
    )


def _rows() -> Iterator[tuple[str, PixelFormat]]:
    """The table: that of the codecs, then every depth x sign x inversion in the native syntax and in lossless ones."""
    yield from GENERATED
    depths = ((8, 8), (6, 8), (10, 16), (12, 16), (15, 16), (16, 16), (20, 32), (32, 32))
    for (stored, allocated), signed, inverted in itertools.product(depths, (False, True), (False, True)):
        yield uids.ExplicitVRLittleEndian, grey(stored, allocated, signed=signed, inverted=inverted)
    coded = (*itertools.product((uids.RLELossless,), ((8, 8), (10, 16), (15, 16), (16, 16))),)
    coded += (*itertools.product((uids.JPEGLosslessSV1, uids.JPEGLSLossless), ((8, 8), (10, 16), (15, 16), (16, 16))),)
    coded += (*itertools.product((uids.JPEG2000Lossless,), ((8, 8), (10, 16), (15, 16), (16, 16))),)
    for (syntax, (stored, allocated)), signed in itertools.product(coded, (False, True)):
        yield syntax, grey(stored, allocated, signed=signed)
    for photometric, bits, planar in itertools.product(("RGB", "YBR_FULL"), (8, 16), (0, 1)):
        yield (
            uids.ExplicitVRLittleEndian,
            PixelFormat(
                bits_allocated=bits, bits_stored=bits, samples=3, photometric=photometric, planar=planar, frames=2
            ),
        )


def name_of(syntax: str, pixels: PixelFormat) -> str:
    sign = "s" if pixels.signed else "u"
    return (
        f"{uids.UID(syntax).keyword} {pixels.photometric} {pixels.bits_stored}/{pixels.bits_allocated}{sign} "
        f"{pixels.data_kind}{' by plane' if pixels.planar else ''} x{pixels.frames}"
    )


ROWS: Mapping[str, tuple[str, PixelFormat]] = {name_of(*row): row for row in _rows()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One row, stored and taken apart: the data set and its decoded frames."""

    dataset: Dataset
    frames: tuple[Frame, ...]

    @property
    def lossy(self) -> bool:
        return self.frames[0].description.lossy_history


def taken_apart(body: bytes, pool: DecoderPool) -> Row:
    dataset = dcmread(io.BytesIO(body))
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    keyword: Any = next(one for one in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if one in dataset)
    described = describe(dataset, syntax, keyword=keyword)
    assert described is not None
    if syntax == uids.DeflatedExplicitVRLittleEndian:
        # The same elements without the compression, whose frames lie where the others' do.
        dataset.file_meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
        sink = io.BytesIO()
        dataset.save_as(sink, enforce_file_format=True)
        return taken_apart(sink.getvalue(), pool)
    start = int(getattr(dcmread(io.BytesIO(body)).get_item(keyword), "value_tell"))  # noqa: B009
    offset = start - (8 if syntax == uids.ImplicitVRLittleEndian else 12)
    layout = split(memoryview(body), offset, described)
    frames = []
    for number in range(1, described.number_of_frames + 1):
        index, bits = layout.segment_of(number)
        frames.append(decode(body[slice(*layout.ranges[index])], described, pool, bit_offset=bits))
    return Row(dataset=dataset, frames=tuple(frames))


def stored(name: str, pool: DecoderPool) -> Row:
    syntax, pixels = ROWS[name]
    if pixels.bits_allocated > 1:
        # Room for a mask and for something beside it.
        pixels = replace(pixels, rows=96, columns=128)
    return taken_apart(part10_bytes(chest_film(pixels), syntax), pool)


def as_shown(row: Row, number: int) -> MaskedFrame:
    return redact(row.frames[number - 1], (), OPEN, screened=True, frame_number=number)


def wanted_of(frame: Frame, ds: Dataset) -> Floats:
    """The picture of a frame in floats, (rows, columns, 1 or 3), 0 to 255."""
    numbers = stored_values(frame)
    if frame.photometric_interpretation == "PALETTE COLOR":
        tables = [
            np.frombuffer(ds[f"{one}PaletteColorLookupTableData"].value, "<u2") for one in ("Red", "Green", "Blue")
        ]
        return np.concatenate([table[numbers.astype(int)] / 65535 * 255 for table in tables], axis=2)
    if frame.samples.shape[2] == 3:
        return colours_of(numbers, frame.description.bits_stored, frame.photometric_interpretation)
    return grey_of(numbers, ds, inverted=frame.photometric_interpretation == "MONOCHROME1")


def stored_values(frame: Frame) -> Floats:
    described = frame.description
    if described.data_kind != "integer":
        return frame.samples.astype(np.float64)
    bits = (frame.samples.astype(np.int64) >> described.shift) & ((1 << described.bits_stored) - 1)
    negative = described.signed * (bits >> (described.bits_stored - 1)) << described.bits_stored
    return np.asarray(bits - negative, np.float64)


def colours_of(numbers: Floats, bits: int, photometric: str) -> Floats:
    """Samples of so many bits to 0 to 255; PS3.3 section C.7.6.3.1.2."""
    most, middle = 2.0**bits - 1, 2.0 ** (bits - 1)
    if photometric == "RGB":
        return numbers / most * 255
    luma, blue, red = numbers[:, :, 0], numbers[:, :, 1] - middle, numbers[:, :, 2] - middle
    rgb = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.clip(np.stack(rgb, axis=2) / most, 0, 1) * 255


def grey_of(numbers: Floats, ds: Dataset, *, inverted: bool) -> Floats:
    """Modality, VOI and presentation, one sample after the other (PS3.4 section N.2), 0 to 255."""
    one = _modality(numbers, ds)
    shown = np.ones(numbers.shape, bool)
    if "PixelPaddingValue" in ds:
        ends = sorted((ds.PixelPaddingValue, ds.get("PixelPaddingRangeLimit", ds.PixelPaddingValue)))
        shown = (numbers < ends[0]) | (numbers > ends[1])
    voi = ds
    if "PerFrameFunctionalGroupsSequence" in ds:
        voi = ds.PerFrameFunctionalGroupsSequence[0].FrameVOILUTSequence[0]
    if "WindowCenter" in voi:
        center = float(np.atleast_1d(voi.WindowCenter)[0])
        width = float(np.atleast_1d(voi.WindowWidth)[0])
        part = _window(one, center, width, voi.get("VOILUTFunction", "LINEAR"))
    elif "VOILUTSequence" in voi:
        item = voi.VOILUTSequence[0]
        part = _table(one, item) / (2 ** item.LUTDescriptor[2] - 1)
    else:
        low, high = one[shown].min(), one[shown].max()
        part = (one - low) / max(high - low, 1e-12)
    part = np.clip(part, 0, 1)
    shape = ds.get("PresentationLUTShape", "INVERSE" if inverted else "IDENTITY")
    part = 1 - part if shape == "INVERSE" else part
    return np.where(shown, part, 0) * 255


def _modality(numbers: Floats, ds: Dataset) -> Floats:
    if "ModalityLUTSequence" in ds:
        return _table(numbers, ds.ModalityLUTSequence[0])
    group = ds
    if "SharedFunctionalGroupsSequence" in ds:
        group = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    return numbers * float(group.get("RescaleSlope", 1)) + float(group.get("RescaleIntercept", 0))


def _table(numbers: Floats, item: Dataset) -> Floats:
    count, first, _ = item.LUTDescriptor
    data = item.LUTData
    entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.array(data)
    found: Floats = entries[np.clip(np.rint(numbers) - first, 0, count - 1).astype(int)].astype(np.float64)
    return found


def _window(numbers: Floats, center: float, width: float, function: str) -> Floats:
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (numbers - center) / width, -700, 700))))
    if function == "LINEAR_EXACT":
        return np.asarray((numbers - center) / width + 0.5)
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    between = (numbers - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
    return np.where(numbers <= low, 0.0, np.where(numbers > high, 1.0, between))
