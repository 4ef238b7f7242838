"""The text detector: the regions of a frame that hold text, at any polarity, in any script, whatever the header says.

Three looks: a larger network at the enlarged picture, upright and turned, and a small one at what is left
when strong edges are taken away. Then, for a tenth of the cost, looks at ever smaller pictures, without which letters
of a fifteenth of the frame would be missed. Each look has the confidence below which it sees anatomy rather than text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from server.model import Region
from server.screening import weights
from server.screening.compiled import Compiled
from server.screening.contents import text_regions
from server.screening.edges import sharp_places
from server.screening.lines import Box, boxes, enlarged, moved, turned_back
from server.screening.network import TextNetwork
from server.screening.packaged import content
from server.screening.picture import Grey, Samples, halved, normalised, planes, residue
from server.screening.places import Place
from server.screening.reader import Reader
from server.screening.regions import whole_frame
from server.screening.tiles import LARGEST, tile_shape, tiles

CONFIGURATION = "8"


class Eye(Enum):
    """Which network looks."""

    TINY = "tiny"
    SMALL = "small"


@dataclass(frozen=True, kw_only=True)
class Look:
    """One network over one picture: `scale` 1 as stored, `turned` by 90 degrees, `residue` without strong edges.

    `thickest`: cores of lines in samples of the frame, thicker ones are anatomy. `largest`: the side of a tile.
    What is seen with less confidence than `least`, or `least_slanted` where it is no upright rectangle, is anatomy too.
    """

    eye: Eye
    scale: float
    thickest: int
    least: float
    least_slanted: float = 0.8
    turned: bool = False
    residue: bool = False
    largest: int = LARGEST


LOOKS = (
    Look(eye=Eye.SMALL, scale=1.5, thickest=48, least=0.6),
    # A little smaller: for two thirds of the cost of half as large again it finds nearly as many of the faintest lines.
    # What is thick to it is anatomy at the edge of the film.
    Look(eye=Eye.SMALL, scale=1.25, thickest=32, least=0.7, turned=True),
    Look(eye=Eye.TINY, scale=1.0, thickest=48, least=0.6, residue=True, largest=1344),
)
# Pictures halved again and again, each normalised anew, show lines of a hundred samples and more; down to this many.
SMALLEST_LOOK = 384
HALVED = Look(eye=Eye.TINY, scale=1.0, thickest=100, least=0.5, largest=1344)
# What tells whether a moving picture shows something new: of 400 drawn lines of 10 to 80 per cent contrast it has a
# hint of 396, of 548 of 5 to 10 per cent that are found at all, of 508.
GLANCE = Look(eye=Eye.TINY, scale=1.0, thickest=48, least=0.0)
# A frame of more samples is not looked at but hidden whole.
LARGEST_FRAME = 64_000_000


class TextDetector:
    """Finds text. One per thread: the compiled networks hold their buffers."""

    def __init__(
        self, threads: int = 1, precision: str = "", compiled: Compiled | None = None, reader: Reader | None = None
    ) -> None:
        """`precision` as in `TextNetwork`; `compiled` and `reader` may be others' of the same thread too. Reads the
        pinned weights.

        Raises `ConfigurationError` when they are missing or not the pinned ones.
        """
        compiled = compiled or Compiled()
        self._networks = {
            eye: TextNetwork(content(file), threads=threads, precision=precision, compiled=compiled)
            for eye, file in ((Eye.TINY, weights.TINY), (Eye.SMALL, weights.SMALL))
        }
        self._reader = reader or Reader(threads=threads)

    def version(self) -> str:
        """Detector and configuration; stored with every region set, so that a later one can tell which to redo."""
        looks = ",".join(
            f"{look.eye.value}x{look.scale:g}{'t' * look.turned}{'r' * look.residue}>{look.least:g}" for look in LOOKS
        )
        digests = f"{weights.TINY.sha256[:16]}:{weights.SMALL.sha256[:16]}"
        return f"pp-ocrv6:{digests}:{self._networks[Eye.SMALL].precision}:{looks}:c{CONFIGURATION}"

    def find(
        self, samples: Samples, *, frame_number: int, palette: Samples | None = None, palette_first: int = 0
    ) -> list[Region]:
        """The text regions of one decoded frame (rows, columns, samples) of any dtype, merged, as of `frame_number`.

        `palette` as in `picture.planes`. The samples are only read. A frame too large to look at, or with more text
        than can be listed, is one region; a constant frame has none. Raises `ValueError` for another shape.
        """
        if samples.ndim != 3 or 0 in samples.shape:
            raise ValueError("a frame has rows, columns and samples")
        rows, columns = samples.shape[:2]
        if rows * columns > LARGEST_FRAME:
            return [whole_frame(rows, columns, frame_number)]
        found: list[Box] = []
        seen: list[Box] = []
        pictures: list[Grey] = []
        for plane in planes(samples, palette, palette_first):
            picture = normalised(plane)
            if picture is None:
                continue
            pictures.append(picture)
            for box, look in self._boxes(plane, picture):
                seen.append(box)
                if box.confidence >= (look.least_slanted if box.slanted else look.least):
                    found.append(box)
        return text_regions(found, seen, pictures, self._reader, frame_number)

    def glance(
        self,
        samples: Samples,
        *,
        before: Samples | None = None,
        palette: Samples | None = None,
        palette_first: int = 0,
    ) -> list[Box]:
        """Where a frame, or a part of one, may show text, of whatever confidence: one look with the smallest network,
        for a tenth of what `find` costs. Of one that was glanced at as it was `before` only where edges have come. The
        samples are only read.
        """
        seen: list[Box] = []
        former = None if before is None else list(planes(before, palette, palette_first))
        shown = list(planes(samples, palette, palette_first))
        for index, plane in enumerate(shown):
            picture = normalised(plane)
            if picture is None:
                continue
            places: list[Place] = [(0, 0, *picture.shape)]
            if former is not None and len(former) == len(shown):
                places = sharp_places(picture, normalised(former[index]))
            for top, left, bottom, right in places:
                part = np.ascontiguousarray(picture[top:bottom, left:right])
                found = boxes(self._probability(part, GLANCE), part, thickest=GLANCE.thickest)
                seen += (moved(box, top, left) for box in found)
        return seen

    def _boxes(self, plane: Samples, picture: Grey) -> Iterator[tuple[Box, Look]]:
        pictures = {False: picture, True: residue(plane)}
        for look in LOOKS:
            shown = pictures[look.residue]
            if shown is not None:
                for box in self.seen(shown, picture, look):
                    yield box, look
        factor, smaller = 1, plane
        while min(smaller.shape) >= 2 * SMALLEST_LOOK:
            factor, smaller = 2 * factor, halved(smaller)
            half = normalised(smaller)
            if half is not None:
                room = _room(HALVED, plane.shape)
                for box in boxes(self._probability(half, HALVED, room), half, thickest=HALVED.thickest):
                    yield enlarged(box, factor, plane.shape), HALVED

    def seen(self, shown: Grey, picture: Grey, look: Look) -> list[Box]:
        """What one look sees of what it is shown (rows, columns), of whatever confidence, and of the normalised
        picture of that.
        """
        shape = picture.shape
        if look.turned:
            shown, picture = (np.ascontiguousarray(np.rot90(one)) for one in (shown, picture))
        found = boxes(self._probability(shown, look, _room(look, shape)), picture, thickest=look.thickest)
        return [turned_back(box, shape[1]) if look.turned else box for box in found]

    def _probability(self, picture: Grey, look: Look, room: tuple[int, int] = (0, 0)) -> Grey:
        network, scale = self._networks[look.eye], look.scale
        rows, columns = picture.shape
        scaled = picture
        if scale != 1:
            size = max(1, round(columns * scale)), max(1, round(rows * scale))
            scaled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        probability = np.zeros(scaled.shape, np.uint8)
        for tile in tiles(scaled.shape[0], scaled.shape[1], look.largest):
            place = probability[tile]
            np.maximum(place, network.probability(scaled[tile], room), out=place)
        if scale == 1:
            return probability
        return np.asarray(cv2.resize(probability, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _room(look: Look, shape: tuple[int, ...]) -> tuple[int, int]:
    """The tile (rows, columns) that holds those of all looks of one network at a frame of this shape."""
    sizes = []
    for one in LOOKS:
        if one.eye is look.eye:
            rows, columns = (round(length * one.scale) for length in shape)
            sizes.append(
                tile_shape(columns, rows, one.largest) if one.turned else tile_shape(rows, columns, one.largest)
            )
    return max(rows for rows, _ in sizes), max(columns for _, columns in sizes)
