"""The text detector: the regions of a frame that hold text, at any polarity, in any script, whatever the header says.

Two looks at the locally normalised picture, at its own size and half as large again, which finds small text; then, for
a tenth of the cost, looks at ever smaller ones, without which letters of a fifteenth of the frame would be missed.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from server.model import Region, RegionKind
from server.screening import weights
from server.screening.lines import Box, boxes, enlarged
from server.screening.network import TextNetwork
from server.screening.picture import Grey, Samples, halved, normalised, planes
from server.screening.regions import merged, whole_frame
from server.screening.tiles import tiles

CONFIGURATION = "1"
# (scale, thickest core of a line in stored samples): the larger look hallucinates thick lines.
PASSES = ((1.0, 100), (1.5, 48))
# Pictures halved again and again, each normalised anew, show lines of a hundred samples and more; down to this many.
SMALLEST_LOOK, THICKEST_HALVED = 384, 100
# A frame of more samples is not looked at but hidden whole.
LARGEST_FRAME = 64_000_000


class TextDetector:
    """Finds text. One per thread: the compiled network holds its buffers. About 0.5 GB once used on large films."""

    def __init__(self, threads: int = 1) -> None:
        """Reads the pinned weights; raises `ConfigurationError` when they are missing or not the pinned ones."""
        self._network = TextNetwork(weights.detector_weights(), threads=threads)

    def version(self) -> str:
        """Detector and configuration; stored with every region set, so that a later one can tell which to redo."""
        passes = ",".join(f"x{scale:g}<{thickest}" for scale, thickest in PASSES)
        return f"pp-ocrv6-tiny:{weights.SHA256[:16]}:{self._network.precision}:{passes}:c{CONFIGURATION}"

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
        for plane in planes(samples, palette, palette_first):
            found += [_region(box, frame_number) for box in self._boxes(plane)]
        return merged(found, rows, columns, frame_number)

    def _boxes(self, plane: Samples) -> Iterator[Box]:
        picture = normalised(plane)
        for scale, thickest in PASSES:
            if picture is not None:
                yield from boxes(self._probability(picture, scale), thickest=thickest)
        factor, smaller = 1, plane
        while min(smaller.shape) >= 2 * SMALLEST_LOOK:
            factor, smaller = 2 * factor, halved(smaller)
            picture = normalised(smaller)
            if picture is not None:
                for box in boxes(self._probability(picture, 1.0), thickest=THICKEST_HALVED):
                    yield enlarged(box, factor, plane.shape)

    def _probability(self, picture: Grey, scale: float) -> Grey:
        rows, columns = picture.shape
        scaled = picture
        if scale != 1:
            size = max(1, round(columns * scale)), max(1, round(rows * scale))
            scaled = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        probability = np.zeros(scaled.shape, np.uint8)
        for tile in tiles(*scaled.shape):
            place = probability[tile]
            np.maximum(place, self._network.probability(scaled[tile]), out=place)
        if scale == 1:
            return probability
        return np.asarray(cv2.resize(probability, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _region(box: Box, frame_number: int) -> Region:
    return Region(
        kind=RegionKind.TEXT,
        top_row=box.top,
        left_column=box.left,
        row_count=box.bottom - box.top,
        column_count=box.right - box.left,
        frames=frozenset({frame_number}),
        confidence=box.confidence,
    )
