"""The only maker of masked frames: hides regions in stored values, before anything else is computed from them.

What is drawn over a region is a function of samples outside every hidden region, of geometry and of the header; two
originals that differ only under the mask give the same `MaskedFrame`, sample for sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass

from server.model import ElementAction, MaskingLevel, Region, RegionStyle
from server.pixels.areas import plan, whole_frame
from server.pixels.canvas import Box, Canvas, edge, fill
from server.pixels.coarse import coarse
from server.pixels.description import PixelDescription
from server.pixels.flat import flatten
from server.pixels.frame import Frame, Samples, cleaned
from server.pixels.mosaic import mosaic
from server.pixels.outline import outlines

_MAKER = object()
_PIXEL_PADDING_VALUE = 0x00280120


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedFrame:
    """One frame after masking; made by `redact` alone (the constructor raises TypeError for anybody else).

    `samples` as in `Frame`, read-only. `areas` are the masked boxes (top, left, bottom, right), half-open, clipped to
    the frame. `longest_side` bounds what may be shown of it, in pixels; None: as stored. `notice`: rendered pictures
    of it say that they are masked. `outlines` are boxes that rendered pictures of it draw a line around. `unused_bits`:
    something may be left in the bits that do not count.
    """

    samples: Samples
    photometric_interpretation: str
    description: PixelDescription
    frame_number: int
    areas: tuple[Box, ...]
    longest_side: int | None
    notice: bool
    outlines: tuple[Box, ...]
    unused_bits: bool
    maker: InitVar[object]

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("only redact makes a MaskedFrame")
        self.samples.setflags(write=False)


def redact(
    frame: Frame,
    regions: Sequence[Region],
    level: MaskingLevel,
    *,
    screened: bool,
    frame_number: int,
    key: bytes = b"",
    consumed: bool = False,
) -> MaskedFrame:
    """Return the frame as `level` shows it; `regions` is the whole region set of the instance.

    Unless `screened`, `level.unscreened` is done to the whole frame. A region that is to be masked but does not fit the
    frame, or names a frame beyond the last, says that the set belongs to something else: then all is masked. `key` is
    secret, one for each frame; without it what should be coarse is hidden wholly. The input is never changed, unless it
    is `consumed`: then nobody looks at it again, and where its memory can be written to, the masks are drawn there.
    Raises ValueError if `frame_number` is not 1 to the number of frames.
    """
    described = frame.description
    if not 1 <= frame_number <= described.number_of_frames:
        raise ValueError("no such frame")
    planned = plan(regions, level, described, screened=screened, frame_number=frame_number)
    boxes = planned.boxes
    if planned.coarse and not (key and level.coarse_blocks):
        boxes = {(0, 0, described.rows, described.columns): RegionStyle.FILL}
    windows = () if planned.coarse else planned.windows
    own = _own(frame.samples) if consumed else None
    samples = frame.samples if level.keep_unused_bits else cleaned(frame.samples, described, into=own)
    if boxes or planned.flat or planned.coarse:
        if own is None and samples is frame.samples:
            samples = samples.copy()
        canvas = Canvas(
            samples=samples,
            photometric_interpretation=frame.photometric_interpretation,
            description=described,
            boxes=tuple(boxes),
            padding=told_padding(level, described),
        )
        # Lines that stay do so to their edge, though the grid of a mask beside them reaches further.
        kept = [(samples[top:bottom, left:right], (top, left, bottom, right)) for top, left, bottom, right in windows]
        kept = [(shown.copy(), box) for shown, box in kept]
        flatten(canvas, planned.flat)
        paint(canvas, boxes)
        for shown, (top, left, bottom, right) in kept:
            samples[top:bottom, left:right] = shown
        if planned.coarse and key and level.coarse_blocks:
            coarse(canvas, level.coarse_blocks, key)
    return MaskedFrame(
        samples=samples,
        photometric_interpretation=frame.photometric_interpretation,
        description=described,
        frame_number=frame_number,
        areas=tuple(sorted(boxes)),
        longest_side=level.longest_side,
        notice=level.masked_notice,
        outlines=outlines(regions, described.rows, described.columns, frame_number) if level.outline_regions else (),
        unused_bits=level.keep_unused_bits,
        maker=_MAKER,
    )


def _own(samples: Samples) -> Samples | None:
    """The samples to draw on; None where their memory is not to be written to, as that of an immutable value."""
    try:
        samples.setflags(write=True)
    except ValueError:
        return None
    return samples


def told_padding(level: MaskingLevel, described: PixelDescription) -> tuple[int, int] | None:
    """What a viewer of this level takes for padding; who is not told of it cannot take anything for it."""
    told = level.elements.by_tag.get(_PIXEL_PADDING_VALUE, level.elements.default) is ElementAction.KEEP
    return described.padding if told else None


def paint(canvas: Canvas, boxes: dict[Box, RegionStyle]) -> None:
    """Draw over every box what its style says, and the line of dashes around it."""
    # Fill comes last: where both styles meet, the stricter one stays; then the edges, which lie over both.
    for box in sorted(box for box, style in boxes.items() if style is RegionStyle.MOSAIC):
        mosaic(canvas, box)
    for box in sorted(box for box, style in boxes.items() if style is not RegionStyle.MOSAIC):
        fill(canvas, box)
    for box in sorted(boxes):
        edge(canvas, box)


def hides_all(level: MaskingLevel, *, screened: bool) -> bool:
    """Whether `redact` masks every frame from edge to edge, whatever was found in it: then no sample has any effect."""
    return whole_frame(level, screened=screened) is not RegionStyle.KEEP
