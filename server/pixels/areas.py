"""Which boxes of a frame a level hides, and how: regions grown outward, styles at their strictest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.model import MaskingLevel, Region, RegionKind, RegionStyle
from server.pixels.canvas import GRID, Box
from server.pixels.description import PixelDescription

# Anti-aliased or compressed edges of what is hidden reach this far beyond the region.
_MARGIN = 4
_MARGIN_LOSSY = 16
_MARKER, _TECHNIQUE, _SIDE = "marker", "technique", "side"
_STRICTNESS = (RegionStyle.KEEP, RegionStyle.MOSAIC, RegionStyle.FILL)


@dataclass(frozen=True, kw_only=True)
class Area:
    """A hidden box of one frame, half-open and clipped to the frame; `kind` None: hidden whatever was found."""

    kind: RegionKind | None
    box: Box
    style: RegionStyle


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to hide in one frame; `coarse`: and then to make the whole frame a mosaic of a few blocks.

    `areas` may overlap; their style is MOSAIC or FILL. `flat` are boxes of background, as they were found. `windows`
    are boxes of text that stays, where a mask reaches over it only because masks end on the grid.
    """

    areas: tuple[Area, ...]
    flat: tuple[Box, ...]
    coarse: bool
    windows: tuple[Box, ...] = ()

    @property
    def boxes(self) -> dict[Box, RegionStyle]:
        """Each box once, with its strictest style."""
        found: dict[Box, RegionStyle] = {}
        for area in self.areas:
            found[area.box] = strictest(area.style, found.get(area.box, area.style))
        return found


def plan(
    regions: Sequence[Region], level: MaskingLevel, described: PixelDescription, *, screened: bool, frame_number: int
) -> Plan:
    """What `level` hides in frame `frame_number`; boxes are aligned to the grid or to the frame's edge.

    A region that is to be masked but does not fit the frame, or names a frame beyond the last, says that the set
    belongs to something else: then all is masked.
    """
    coarse = level.whole_frame is RegionStyle.COARSE
    whole = whole_frame(level, screened=screened)
    hiding = [(region, _style(region, level)) for region in regions if not _left(region, regions, level, described)]
    hiding = [(region, style) for region, style in hiding if style is not RegionStyle.KEEP]
    for region, style in hiding:
        here = region.frames is None or frame_number in region.frames
        if not _fits(region, described):
            whole = strictest(whole, _drawn(style))
        elif here and style is RegionStyle.BLANK_FRAME:
            whole = RegionStyle.FILL
        coarse |= here and style is RegionStyle.COARSE
    if whole is not RegionStyle.KEEP:
        everything = (0, 0, described.rows, described.columns)
        return Plan(areas=(Area(kind=None, box=everything, style=whole),), flat=(), coarse=False)
    flat = [region for region, style in hiding if style is RegionStyle.FLATTEN]
    return Plan(
        areas=tuple(_areas(hiding, described, frame_number)),
        flat=tuple(_box(region) for region in flat if region.frames is None or frame_number in region.frames),
        coarse=coarse,
        windows=() if coarse else tuple(_windows(regions, hiding, level, described, frame_number)),
    )


def whole_frame(level: MaskingLevel, *, screened: bool) -> RegionStyle:
    """What every frame is covered with from edge to edge, whatever was found: KEEP for nothing, MOSAIC or FILL.

    A level that blanks frames with a body in them blanks all: no detector tells where on a film there is none.
    """
    if level.regions.get(RegionKind.BODY) is RegionStyle.BLANK_FRAME:
        return RegionStyle.FILL
    whole = RegionStyle.KEEP if level.whole_frame is RegionStyle.COARSE else _drawn(level.whole_frame)
    return whole if screened else strictest(whole, _drawn(level.unscreened))


def background(regions: Sequence[Region], level: MaskingLevel) -> tuple[Region, ...]:
    """The regions that are only made flat at this level, and under no mask."""
    return tuple(one for one in regions if _style(one, level) is RegionStyle.FLATTEN)


def strictest(one: RegionStyle, other: RegionStyle) -> RegionStyle:
    return max(one, other, key=_STRICTNESS.index)


def _drawn(style: RegionStyle) -> RegionStyle:
    """What is drawn for a style where the frame as a whole cannot be coarse or blank."""
    if style is RegionStyle.COARSE:
        return RegionStyle.MOSAIC
    if style is RegionStyle.FLATTEN:
        return RegionStyle.FILL
    return RegionStyle.FILL if style is RegionStyle.BLANK_FRAME else style


def _style(region: Region, level: MaskingLevel) -> RegionStyle:
    # A kind that the level does not name is treated strictly.
    return level.regions.get(region.kind, RegionStyle.FILL)


def _left(region: Region, regions: Sequence[Region], level: MaskingLevel, described: PixelDescription) -> bool:
    """Whether a region stays because its text is certain and of a kind that the level keeps.

    A marker stays only where it touches nothing else that is found and hidden: part of a letter is none. The letter of
    a plate stands closer, but what is hidden must not reach it with its margin either. Technique was read with all that
    stands beside it; whatever else reaches into it hides its own place.
    """
    if not _kept(region, level) or not _fits(region, described):
        return False
    if region.content == _SIDE:
        margin = _margin(described)
        return not any(
            _within(region, other, margin)
            for other in regions
            if other is not region and not _kept(other, level) and other.kind is not RegionKind.BACKGROUND
        )
    return region.content == _TECHNIQUE or not any(
        _touching(region, other)
        for other in regions
        if other is not region and other.kind is not RegionKind.BACKGROUND and not _kept(other, level)
    )


def _kept(region: Region, level: MaskingLevel) -> bool:
    if region.kind is not RegionKind.TEXT:
        return False
    return (level.keep_markers and region.content in {_MARKER, _SIDE}) or (
        level.keep_machine_text and region.content == _TECHNIQUE
    )


def _margin(described: PixelDescription) -> int:
    return _MARGIN_LOSSY if described.lossy_history else _MARGIN


def _touching(one: Region, other: Region) -> bool:
    """Whether one region comes nearer to the other than a cell of the grid in some frame."""
    return _within(one, other, GRID)


def _within(one: Region, other: Region, distance: int) -> bool:
    if one.frames is not None and other.frames is not None and not one.frames & other.frames:
        return False
    return (
        one.top_row - distance < other.top_row + other.row_count
        and other.top_row - distance < one.top_row + one.row_count
        and one.left_column - distance < other.left_column + other.column_count
        and other.left_column - distance < one.left_column + one.column_count
    )


def _areas(
    hiding: Sequence[tuple[Region, RegionStyle]], described: PixelDescription, frame_number: int
) -> Iterator[Area]:
    margin = _margin(described)
    for region, style in hiding:
        if style is not RegionStyle.FLATTEN and (region.frames is None or frame_number in region.frames):
            yield Area(kind=region.kind, box=_grown(region, margin, described), style=_drawn(style))


def _windows(
    regions: Sequence[Region],
    hiding: Sequence[tuple[Region, RegionStyle]],
    level: MaskingLevel,
    described: PixelDescription,
    frame_number: int,
) -> Iterator[Box]:
    """The boxes of lines and letters that the level keeps, without all that is hidden and its margin."""
    margin = _margin(described)
    hidden = [
        (top - margin, left - margin, bottom + margin, right + margin)
        for one, style in hiding
        if style is not RegionStyle.FLATTEN and (one.frames is None or frame_number in one.frames)
        for top, left, bottom, right in (_box(one),)
    ]
    for region in regions:
        here = region.frames is None or frame_number in region.frames
        if here and region.content in {_SIDE, _TECHNIQUE} and _left(region, regions, level, described):
            pieces = [_box(region)]
            for other in hidden:
                pieces = [piece for one in pieces for piece in _without(one, other)]
            yield from pieces


def _without(one: Box, other: Box) -> Iterator[Box]:
    """What is left of a box without another: up to four boxes."""
    top, left, bottom, right = one
    first, last = max(top, other[0]), min(bottom, other[2])
    start, stop = max(left, other[1]), min(right, other[3])
    if first >= last or start >= stop:
        yield one
        return
    pieces = (
        (top, left, first, right),
        (last, left, bottom, right),
        (first, left, last, start),
        (first, stop, last, right),
    )
    yield from (piece for piece in pieces if piece[0] < piece[2] and piece[1] < piece[3])


def _box(region: Region) -> Box:
    top, left = region.top_row, region.left_column
    return top, left, top + region.row_count, left + region.column_count


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
