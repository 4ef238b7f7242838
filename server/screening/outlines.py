"""Whether slices may show a head, by their samples alone: no header says how large they are or which way they lie.

A head is about as broad as it is deep and high; chests, bellies and hips in cross-section are far broader than deep. An
outline that the picture cuts off could be anything, unless it is too broad already.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from server.screening.volume import Slice

# The breadth of a head's outline as a part of its depth or height, in samples.
_SLIM, _BROAD = 0.35, 1.25
# Outlines smaller than this part of the largest are a neck's, or an arm's.
_LARGE = 0.15
# So many slices of a volume have to be a head's, and this part of all.
_LEAST, _PART = 8, 0.05


def head_shaped(slices: Sequence[Slice], *, few: bool = False) -> bool:
    """Whether enough of the slices, in any order, have an outline that could be a head's.

    Of `few`, which are no volume, one is enough: a single slice from the side shows the profile of a face.
    """
    least = 1 if few else max(_LEAST, _PART * len(slices))
    if len(slices) < least:
        return False
    pictures = [one.picture for one in slices]
    low, high = np.percentile(np.concatenate([one.ravel() for one in pictures]), (2.0, 99.5))
    levels = [
        (np.sqrt(np.clip((one - low) / max(float(high - low), 1e-6), 0, 1)) * 255).astype(np.uint8) for one in pictures
    ]
    threshold, _ = cv2.threshold(
        np.concatenate([one.ravel() for one in levels])[None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    # The blocks of a small picture are as oblong as a header says that samples are.
    seen = [_seen(level > threshold, one.across / one.down) for level, one in zip(levels, slices, strict=True)]
    largest = max(area for area, _ in seen)
    return sum(possible and area >= _LARGE * largest for area, possible in seen) >= least


def outline(dense: NDArray[np.bool_]) -> NDArray[np.int32] | None:
    """The outline (points, 1, (column, row)) of the largest piece that hangs together; None of nothing."""
    found, _ = cv2.findContours(dense.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(found, key=cv2.contourArea), np.int32) if found else None


def _seen(dense: NDArray[np.bool_], block: float) -> tuple[float, bool]:
    """The area of the largest piece, and whether it could be a head's."""
    line = outline(dense)
    if line is None:
        return 0.0, False
    left, top, breadth, depth = cv2.boundingRect(line)
    area = float(cv2.contourArea(line))
    broad = breadth * block > _BROAD * depth
    if top == 0 or top + depth >= dense.shape[0]:
        # What is missing could make it as deep as it is broad.
        broad = False
    slim = breadth * block < _SLIM * depth and left > 0 and left + breadth < dense.shape[1]
    return area, area > 0 and not broad and not slim
