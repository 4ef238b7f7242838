"""The masker of some rows of a frame: what `redact` makes of them, without the others.

It takes a frame whose background has been made flat already and draws the boxes over it, by the same plan and with the
same brush; that the rows come out the same, sample for sample, is tested against `redact`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, replace

from server.model import MaskingLevel, Region, RegionStyle
from server.pixels.areas import plan
from server.pixels.canvas import GRID, Box, Canvas, shown_cells
from server.pixels.description import PixelDescription
from server.pixels.frame import Samples
from server.pixels.redact import paint, told_padding

# A mask looks at this many rows above and below it, or fewer.
REACH = 3
# So many bands at most is a frame cut into: each is opened by itself.
BANDS = 128
_MAKER = object()


@dataclass(frozen=True, kw_only=True, eq=False)
class FlatRows:
    """Some bands of a frame as a level shows it before any box is drawn: unmasked, never shown to anybody.

    `samples` are the bands `bands` (from 0, in order), one below the other, (rows, columns, 1). `picked` are those of
    the whole frame that `looked_at` picks. `flat` are the boxes that were made flat.
    """

    samples: Samples
    bands: tuple[int, ...]
    picked: Samples
    flat: tuple[Box, ...]
    photometric_interpretation: str
    description: PixelDescription


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedRows:
    """Some bands of a frame after masking; made by `redact_rows` alone (TypeError for anybody else).

    `samples`, read-only, and `bands` as in `FlatRows`; `boxes` are all the masked boxes of the frame.
    """

    samples: Samples
    bands: tuple[int, ...]
    boxes: tuple[Box, ...]
    description: PixelDescription
    maker: InitVar[object]

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("only redact_rows makes MaskedRows")
        self.samples.setflags(write=False)


def band_rows(rows: int) -> int:
    """How many rows a band of a frame of so many rows has: whole cells of the grid; the last one may have fewer."""
    cells = -(-rows // GRID)
    return GRID * -(-cells // BANDS)


def boxes_over(
    regions: Sequence[Region], level: MaskingLevel, described: PixelDescription, flat: tuple[Box, ...]
) -> Mapping[Box, RegionStyle] | None:
    """The boxes that `redact` draws over the first frame, screened, whose boxes `flat` have been made flat.

    None where that is not all it does: where other boxes are to be flat, the whole is made coarse, or lines stay in
    their own windows.
    """
    planned = plan(regions, level, described, screened=True, frame_number=1)
    if planned.flat != flat or planned.coarse or planned.windows:
        return None
    return planned.boxes


def bands_under(boxes: Sequence[Box], described: PixelDescription) -> set[int]:
    """The bands that hold any row of a box, or any that its mask is drawn from."""
    height, found = band_rows(described.rows), set[int]()
    for top, _, bottom, _ in boxes:
        found.update(range(max(top - REACH, 0) // height, (min(bottom + REACH, described.rows) - 1) // height + 1))
    return found


def redact_rows(rows: FlatRows, regions: Sequence[Region], level: MaskingLevel) -> MaskedRows:
    """The rows as `redact` gives them for the same regions and level. They are drawn into the samples of `rows`.

    Raises ValueError where `boxes_over` says None, and unless every band of `bands_under` is there.
    """
    described, height = rows.description, band_rows(rows.description.rows)
    boxes = boxes_over(regions, level, described, rows.flat)
    if boxes is None or not bands_under(tuple(boxes), described) <= set(rows.bands):
        raise ValueError("these rows do not tell what the masked ones are")
    place = {band: number * height for number, band in enumerate(rows.bands)}
    samples = rows.samples
    moved = {_moved(box, place, height): style for box, style in boxes.items()}
    canvas = Canvas(
        samples=samples,
        photometric_interpretation=rows.photometric_interpretation,
        description=described,
        boxes=tuple(moved),
        padding=told_padding(level, described),
    )
    shown = shown_cells(described.rows, described.columns, boxes)
    ends = canvas.ends_among(rows.picked, described.rows, described.columns, shown)
    canvas = replace(canvas, range=ends)
    paint(canvas, moved)
    return MaskedRows(
        samples=samples, bands=rows.bands, boxes=tuple(sorted(boxes)), description=described, maker=_MAKER
    )


def _moved(box: Box, place: Mapping[int, int], height: int) -> Box:
    """Where a box lies among the rows that are there.

    Bands begin on the grid, so that a pattern keeps its phase, and around a box lies the band that lies around it in
    the frame.
    """
    top, left, bottom, right = box
    shift = place[top // height] - top // height * height
    return top + shift, left, bottom + shift, right
