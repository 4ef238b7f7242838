"""The only maker of masked frames: hides regions in stored values, before anything else is computed from them.

What is drawn over a region is a function of samples outside every hidden region, of geometry and of the header; two
originals that differ only under the mask give the same `MaskedFrame`, sample for sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass

from server.model import MaskingLevel, Region, RegionStyle
from server.pixels.description import PixelDescription
from server.pixels.frame import Frame, Samples, cleaned
from server.pixels.mosaic import GRID, Box, Canvas, fill, mosaic, shown_cells, shown_range

_MAKER = object()
# Anti-aliased or compressed edges of what is hidden reach this far beyond the region.
_MARGIN = 4
_MARGIN_LOSSY = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedFrame:
    """One frame after masking; made by `redact` alone (the constructor raises TypeError for anybody else).

    `samples` as in `Frame`, read-only. `areas` are the masked boxes (top, left, bottom, right), half-open, clipped to
    the frame. `longest_side` bounds what may be shown of it, in pixels; None: as stored.
    """

    samples: Samples
    photometric_interpretation: str
    description: PixelDescription
    frame_number: int
    areas: tuple[Box, ...]
    longest_side: int | None
    maker: InitVar[object]

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("only redact makes a MaskedFrame")
        self.samples.setflags(write=False)


def redact(
    frame: Frame, regions: Sequence[Region], level: MaskingLevel, *, screened: bool, frame_number: int
) -> MaskedFrame:
    """Return the frame as `level` shows it; `regions` is the whole region set of the instance.

    Unless `screened`, `level.unscreened` is done to the whole frame. A region that is to be masked but does not fit the
    frame, or names a frame beyond the last, says that the set belongs to something else: then all is masked. The
    input is never changed. Raises ValueError if `frame_number` is not 1 to the number of frames.
    """
    described = frame.description
    if not 1 <= frame_number <= described.number_of_frames:
        raise ValueError("no such frame")
    samples = frame.samples if level.keep_unused_bits else cleaned(frame.samples, described)
    masks = _masks(regions, level, described, screened=screened, frame_number=frame_number)
    if masks:
        if samples is frame.samples:
            samples = samples.copy()
        canvas = Canvas(
            samples=samples, photometric_interpretation=frame.photometric_interpretation, description=described
        )
        shown = shown_cells(described.rows, described.columns, masks)
        ends = shown_range(canvas, shown)
        # Fill comes last: where both styles meet, the stricter one stays.
        for box in sorted(box for box, style in masks.items() if style is RegionStyle.MOSAIC):
            mosaic(canvas, box, shown, ends)
        for box in sorted(box for box, style in masks.items() if style is not RegionStyle.MOSAIC):
            fill(canvas, box)
    return MaskedFrame(
        samples=samples,
        photometric_interpretation=frame.photometric_interpretation,
        description=described,
        frame_number=frame_number,
        areas=tuple(sorted(masks)),
        longest_side=level.longest_side,
        maker=_MAKER,
    )


def hides_all(level: MaskingLevel, *, screened: bool) -> bool:
    """Whether `redact` masks every frame from edge to edge, whatever was found in it: then no sample has any effect."""
    return _whole(level, screened=screened) is not RegionStyle.KEEP


def _whole(level: MaskingLevel, *, screened: bool) -> RegionStyle:
    return _strictest({level.whole_frame} if screened else {level.whole_frame, level.unscreened})


def _masks(
    regions: Sequence[Region], level: MaskingLevel, described: PixelDescription, *, screened: bool, frame_number: int
) -> dict[Box, RegionStyle]:
    """Return what to hide, and how; boxes are aligned to the grid or to the frame's edge."""
    everything = (0, 0, described.rows, described.columns)
    styles = {_whole(level, screened=screened)}
    # A kind that the level does not name is treated as the strictest.
    hiding = [(region, level.regions.get(region.kind, RegionStyle.FILL)) for region in regions]
    hiding = [(region, style) for region, style in hiding if style is not RegionStyle.KEEP]
    styles |= {style for region, style in hiding if not _fits(region, described)}
    whole = _strictest(styles)
    if whole is not RegionStyle.KEEP:
        return {everything: whole}
    margin = _MARGIN_LOSSY if described.lossy_history else _MARGIN
    masks: dict[Box, RegionStyle] = {}
    for region, style in hiding:
        if region.frames is None or frame_number in region.frames:
            box = _grown(region, margin, described)
            masks[box] = _strictest({style, masks.get(box, style)})
    return masks


def _strictest(styles: set[RegionStyle]) -> RegionStyle:
    for style in (RegionStyle.KEEP, RegionStyle.MOSAIC):
        if styles <= {RegionStyle.KEEP, style}:
            return style
    return RegionStyle.FILL


def _fits(region: Region, described: PixelDescription) -> bool:
    return (
        region.top_row >= 0
        and region.left_column >= 0
        and region.top_row + region.row_count <= described.rows
        and region.left_column + region.column_count <= described.columns
        and (region.frames is None or max(region.frames) <= described.number_of_frames)
    )


def _grown(region: Region, margin: int, described: PixelDescription) -> Box:
    """Grow by the margin and round outward, so that a mask tells little of the length of what it hides."""
    top = max(region.top_row - margin, 0) // GRID * GRID
    left = max(region.left_column - margin, 0) // GRID * GRID
    bottom = -(-(region.top_row + region.row_count + margin) // GRID) * GRID
    right = -(-(region.left_column + region.column_count + margin) // GRID) * GRID
    return top, left, min(bottom, described.rows), min(right, described.columns)
