"""The base rendition: what a level shows of a frame before any box is drawn, so that a request draws only the boxes.

It is a grey JPEG stream of separate segments (`splice`), with the samples in bands beside it, each to be opened alone.
The stream of the masked picture is the base's with the segments under the boxes encoded anew: byte for byte what
encoding the whole masked picture gives. The background has been made flat in it already, the notice stands in it, and
its window is the data set's own, so no tone of a shown sample depends on a hidden one. Unmasked: for the vault alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from server.errors import DecodeFailed
from server.model import MaskingLevel, Region, RegionStyle
from server.pixels.areas import background, plan
from server.pixels.canvas import Box, looked_at
from server.pixels.copy import shuffled, unshuffle
from server.pixels.description import PixelDescription
from server.pixels.display import DisplayAttributes
from server.pixels.encode import encode_jpeg
from server.pixels.frame import Samples
from server.pixels.levels import grey_table, looked_up_grey
from server.pixels.notice import notice_in
from server.pixels.redact import MaskedFrame, hides_all
from server.pixels.render import MaskedPicture
from server.pixels.rows import BANDS, FlatRows, MaskedRows, band_rows, bands_under, boxes_over, redact_rows
from server.pixels.splice import BLOCK, Grid, encoded_segments, gathered, spliced, starts

# A base is made for these qualities alone, and for pictures of at least so many pixels: others are encoded in no time.
QUALITY = 90
LEAST_PIXELS = 1 << 20
# Facts, numbers, the stream; for which regions a masked picture stands ready, and that; and then the bands, of which
# there may be fewer.
FACTS, NUMBERS, STREAM, READY_FOR, READY, FIRST_BAND = range(6)
SEGMENTS = FIRST_BAND + BANDS
# Beyond this part of a picture, encoding it as a whole is as fast.
_MOST = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Base:
    """What is known of a base rendition without its stream and its bands.

    `table` holds the grey level of every bit pattern, `bounds` what `splice.starts` says of the stream; `banded`: there
    are bands beside it, because boxes may be drawn at its level.
    """

    description: PixelDescription
    photometric_interpretation: str
    flat: tuple[Box, ...]
    notice: bool
    banded: bool
    table: NDArray[np.uint8]
    bounds: NDArray[np.uint32]
    picked: Samples

    @property
    def grid(self) -> Grid:
        return Grid(rows=self.description.rows, columns=self.description.columns)


@dataclass(frozen=True, kw_only=True, eq=False)
class Needs:
    """Which segments of the stream are to be encoded anew for the regions in force, and of which bands."""

    segments: NDArray[np.intp]
    bands: tuple[int, ...]


def of_use(rows: int, columns: int, level: MaskingLevel) -> bool:
    """Whether a base can be of use for pictures of so many rows and columns at a level, whatever was found."""
    if rows * columns < LEAST_PIXELS or level.longest_side or level.outline_regions:
        return False
    return level.whole_frame is RegionStyle.KEEP and not hides_all(level, screened=True)


def flat_alone(
    regions: Sequence[Region], level: MaskingLevel, described: PixelDescription
) -> tuple[Region, ...] | None:
    """The regions that a base is made under; None where the level's pictures of such a frame are none of a base."""
    single = described.samples_per_pixel == 1 and described.number_of_frames == 1
    if not single or not of_use(described.rows, described.columns, level):
        return None
    kept = background(regions, level)
    planned = plan(regions, level, described, screened=True, frame_number=1)
    before = plan(kept, level, described, screened=True, frame_number=1)
    # Whatever covers the frame as a whole covers the base too: then there is nothing to be saved.
    whole = any(area.kind is None for area in planned.areas)
    if whole or planned.coarse or before.flat != planned.flat:
        return None
    return kept


def base_of(
    flat: MaskedFrame,
    picture: MaskedPicture,
    display: DisplayAttributes,
    level: MaskingLevel,
    regions: Sequence[Region],
) -> list[bytes] | None:
    """The parts of the base of a frame masked under `flat_alone` of its regions, and of the picture of it, none ready.

    None where the picture does not follow from the samples one by one.
    """
    table = grey_table(flat, display)
    if table is None or picture.profile or picture.pixels.shape != flat.samples.shape:
        return None
    banded = level.alters_samples
    described = flat.description
    if banded and not np.array_equal(_noted(looked_up_grey(flat.samples, table), flat.notice), picture.pixels):
        return None
    stream = encode_jpeg(picture, QUALITY)
    planned = plan(regions, level, described, screened=True, frame_number=1)
    facts = {
        "description": asdict(described),
        "photometric": flat.photometric_interpretation,
        "flat": planned.flat,
        "notice": flat.notice,
        "banded": banded,
    }
    picked = np.ascontiguousarray(looked_at(flat.samples))
    numbers = b"".join((table.tobytes(), starts(stream).astype("<u4").tobytes(), _little(picked).tobytes()))
    height = band_rows(described.rows)
    tops = range(0, described.rows, height) if banded else ()
    bands = [shuffled(_little(flat.samples[top : top + height]).reshape(-1)) for top in tops]
    return [orjson.dumps(facts), numbers, stream, b"", b"", *bands, *[b""] * (BANDS - len(bands))]


def read(facts: bytes, numbers: bytes) -> Base:
    """Undo the first two parts of `base_of`. They are ours and authenticated. Raises `DecodeFailed` for other ones."""
    told: dict[str, Any] = orjson.loads(facts)
    written = told["description"]
    padding = written["padding"]
    described = PixelDescription(**{**written, "padding": tuple(padding) if padding is not None else None})
    kind = np.dtype(described.dtype).newbyteorder("<")
    grid = Grid(rows=described.rows, columns=described.columns)
    shape = looked_at(np.broadcast_to(np.empty((), kind), (described.rows, described.columns, 1))).shape
    levels = 1 << kind.itemsize * 8
    sizes = (levels, (grid.segments + 1) * 4, math.prod(shape) * kind.itemsize)
    if len(numbers) != sum(sizes):
        raise DecodeFailed("a base rendition is of another form than its facts say")
    return Base(
        description=described,
        photometric_interpretation=told["photometric"],
        flat=tuple(tuple(box) for box in told["flat"]),
        notice=told["notice"],
        banded=told["banded"],
        table=np.frombuffer(numbers, np.uint8, levels),
        bounds=np.frombuffer(numbers, "<u4", grid.segments + 1, levels),
        picked=np.frombuffer(numbers, kind, -1, levels + sizes[1]).reshape(shape),
    )


def needs(base: Base, regions: Sequence[Region], level: MaskingLevel) -> Needs | None:
    """What the regions in force touch of a base made at this very level; None where it is of no use with them."""
    boxes = boxes_over(regions, level, base.description, base.flat)
    if boxes is None or (boxes and not base.banded):
        return None
    segments = base.grid.touched(boxes)
    if len(segments) > base.grid.segments * _MOST:
        return None
    under = set((base.grid.lines(segments) * BLOCK // band_rows(base.description.rows)).tolist())
    return Needs(segments=segments, bands=tuple(sorted(under | bands_under(tuple(boxes), base.description))))


def masked_stream(
    base: Base, stream: bytes, bands: Sequence[bytes], wanted: Needs, regions: Sequence[Region], level: MaskingLevel
) -> bytes:
    """The picture of the frame as `level` shows it under `regions`, as the encoder would write it.

    `bands` are those that `wanted`, which says what `regions` need, names. Raises `DecodeFailed` for bands of another
    form, ValueError where `wanted` is not what `needs` said.
    """
    if not len(wanted.segments):
        return stream
    flat = FlatRows(
        samples=_unpacked(base, wanted.bands, bands),
        bands=wanted.bands,
        picked=base.picked,
        flat=base.flat,
        photometric_interpretation=base.photometric_interpretation,
        description=base.description,
    )
    picture = _picture(base, redact_rows(flat, regions, level), wanted.segments)
    return spliced(stream, base.bounds, wanted.segments, encoded_segments(picture, wanted.segments, base.grid, QUALITY))


def _unpacked(base: Base, numbers: Sequence[int], bands: Sequence[bytes]) -> Samples:
    """The bands one below the other."""
    described = base.description
    kind, height = np.dtype(described.dtype).newbyteorder("<"), band_rows(described.rows)
    counts = [min(height, described.rows - number * height) for number in numbers]
    samples = np.empty((sum(counts), described.columns, 1), kind)
    flat, line = samples.reshape(-1).view(np.uint8), described.columns * kind.itemsize
    at = 0
    for count, band in zip(counts, bands, strict=True):
        unshuffle(band, flat[at : at + count * line])
        at += count * line
    return samples.astype(described.dtype, copy=False)


def _picture(base: Base, masked: MaskedRows, segments: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The segments of the picture, one below the other."""
    grid, height = base.grid, band_rows(base.description.rows)
    tops = np.full(-(-grid.rows // BLOCK), -1, np.intp)
    each = height // BLOCK
    for number, band in enumerate(masked.bands):
        inside = tops[band * each : (band + 1) * each]
        inside[:] = number * height + np.arange(len(inside)) * BLOCK
    picture = looked_up_grey(gathered(masked.samples[:, :, 0], tops, segments, grid), base.table)
    strip = notice_in(grid.rows, grid.columns) if base.notice else np.empty((0, 0), np.uint8)
    box = (grid.rows - strip.shape[0], 0, grid.rows, strip.shape[1])
    under = np.isin(segments, grid.touched([box])) if strip.size else np.zeros(len(segments), np.bool_)
    if under.any():
        plane = np.full((strip.shape[0] + BLOCK, grid.columns), -1, np.int16)
        first = box[0] // BLOCK * BLOCK
        plane[box[0] - first : grid.rows - first, : strip.shape[1]] = strip
        # A segment may begin in the row of blocks before the notice.
        plane = np.concatenate((np.full((BLOCK, grid.columns), -1, np.int16), plane))
        lines = np.arange(len(tops)) * BLOCK - first + BLOCK
        noted = gathered(plane, lines, segments[under], grid)
        rows = np.repeat(under, BLOCK)
        picture[rows] = np.where(noted >= 0, noted, picture[rows]).astype(np.uint8)
    return picture


def _noted(picture: NDArray[np.uint8], notice: bool) -> NDArray[np.uint8]:
    strip = notice_in(*picture.shape[:2]) if notice else np.empty((0, 0), np.uint8)
    if strip.size:
        picture[-strip.shape[0] :, : strip.shape[1]] = strip[:, :, np.newaxis]
    return picture


def _little(samples: Samples) -> Samples:
    return np.ascontiguousarray(samples, samples.dtype.newbyteorder("<"))
