"""The text detector: the regions of a frame that hold text, at any polarity, in any script, whatever the header says.

Three looks: a larger network at the picture half as large again, upright and turned, and a small one at what is left
when strong edges are taken away. Then, for a tenth of the cost, looks at ever smaller pictures, without which letters
of a fifteenth of the frame would be missed. Each look has the confidence below which it sees anatomy rather than text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from server.model import Region, RegionKind
from server.screening import weights
from server.screening.contents import joined_markers, said
from server.screening.lines import Box, boxes, enlarged, turned_back
from server.screening.network import TextNetwork
from server.screening.packaged import content
from server.screening.picture import Grey, Samples, halved, normalised, planes, residue
from server.screening.reader import Reader
from server.screening.regions import merged, whole_frame
from server.screening.tiles import tiles

CONFIGURATION = "3"
Hints = NDArray[np.bool_]
# Of 255: of 720 drawn lines of 5 to 80 per cent contrast, the turned look found more of two, and the upright one had
# seen each of these with more than 245.
HINT = 26


class Eye(Enum):
    """Which network looks."""

    TINY = "tiny"
    SMALL = "small"


@dataclass(frozen=True, kw_only=True)
class Look:
    """One network over one picture: `scale` 1 as stored, `turned` by 90 degrees, `residue` without strong edges.

    `thickest`: cores of lines in samples of the frame, thicker ones are anatomy. What is seen with less confidence
    than `least`, or `least_slanted` where it is no upright rectangle, is anatomy too.
    """

    eye: Eye
    scale: float
    thickest: int
    least: float
    least_slanted: float = 0.8
    turned: bool = False
    residue: bool = False


LOOKS = (
    Look(eye=Eye.SMALL, scale=1.5, thickest=48, least=0.6),
    Look(eye=Eye.SMALL, scale=1.5, thickest=48, least=0.8, turned=True),
    Look(eye=Eye.TINY, scale=1.0, thickest=48, least=0.6, residue=True),
)
# Pictures halved again and again, each normalised anew, show lines of a hundred samples and more; down to this many.
SMALLEST_LOOK = 384
HALVED = Look(eye=Eye.TINY, scale=1.0, thickest=100, least=0.5)
# A frame of more samples is not looked at but hidden whole.
LARGEST_FRAME = 64_000_000


class TextDetector:
    """Finds text. One per thread: the compiled networks hold their buffers. About 0.9 GB once used on large films."""

    def __init__(self, threads: int = 1) -> None:
        """Reads the pinned weights; raises `ConfigurationError` when they are missing or not the pinned ones."""
        self._networks = {
            Eye.TINY: TextNetwork(content(weights.TINY), threads=threads),
            Eye.SMALL: TextNetwork(content(weights.SMALL), threads=threads, square=True),
        }
        self._reader = Reader(threads=threads)

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
        found: list[Region] = []
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
                    found.append(box.region(RegionKind.TEXT, frame_number))
        regions = merged(found, rows, columns, frame_number)
        return joined_markers(
            [replace(region, content=said(region, seen, pictures, self._reader)) for region in regions]
        )

    def _boxes(self, plane: Samples, picture: Grey | None) -> Iterator[tuple[Box, Look]]:
        pictures = {False: picture, True: residue(plane)}
        hints = np.zeros(plane.shape, np.bool_)
        for look in LOOKS:
            picture = pictures[look.residue]
            if picture is not None:
                for box in self._seen(picture, look, hints):
                    yield box, look
        factor, smaller = 1, plane
        while min(smaller.shape) >= 2 * SMALLEST_LOOK:
            factor, smaller = 2 * factor, halved(smaller)
            picture = normalised(smaller)
            if picture is not None:
                for box in self._seen(picture, HALVED, np.zeros(picture.shape, np.bool_)):
                    yield enlarged(box, factor, plane.shape), HALVED
        self._networks[Eye.TINY].rest()

    def _seen(self, picture: Grey, look: Look, hints: Hints) -> Iterator[Box]:
        """The boxes of a look. One that is not turned marks in `hints` where it saw anything at all; a turned one,
        which finds the rest of lines, looks only at tiles where that is so.
        """
        upright = picture
        if look.turned:
            picture = np.ascontiguousarray(np.rot90(picture))
        place = np.rot90(hints) if look.turned else None
        probability = self._probability(picture, look, place)
        if not look.turned:
            hints |= probability >= HINT
        for box in boxes(probability, thickest=look.thickest):
            yield turned_back(box, upright.shape[1]) if look.turned else box

    def _probability(self, picture: Grey, look: Look, hints: Hints | None) -> Grey:
        network, scale = self._networks[look.eye], look.scale
        rows, columns = picture.shape
        scaled = picture
        if scale != 1:
            size = max(1, round(columns * scale)), max(1, round(rows * scale))
            scaled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        probability = np.zeros(scaled.shape, np.uint8)
        for tile in tiles(*scaled.shape):
            if hints is None or hints[_at(tile[0], scale), _at(tile[1], scale)].any():
                place = probability[tile]
                np.maximum(place, network.probability(scaled[tile]), out=place)
        if scale == 1:
            return probability
        return np.asarray(cv2.resize(probability, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _at(span: slice, scale: float) -> slice:
    return slice(int(span.start / scale), int(span.stop / scale) + 1)
