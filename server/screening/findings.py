"""What looking at one film gave, and whether it can be true at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2

from server.errors import DetectorNonsense
from server.model import Region, RegionKind, ReviewReason
from server.screening.regions import Residual

# What a detector, its network or its arithmetic may raise. Anything else ends the worker's process, which counts as an
# attempt: three of these, and the film has failed.
FAULTS = (
    ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, RuntimeError, TypeError, ValueError,
    cv2.error,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The regions of all frames of a film, and why a person has to look at it (empty: nobody has to).

    `faces_sought` as in `InstanceRecord`.
    """

    regions: tuple[Region, ...]
    reasons: frozenset[ReviewReason] = frozenset()
    residual: Residual | None = None
    faces_sought: bool = False


def checked(regions: Iterable[object], rows: int, columns: int, frames: int) -> tuple[Region, ...]:
    """The regions, each a rectangle within (rows, columns), of frames 1 to `frames`, with a confidence from 0 to 1.

    Raises `DetectorNonsense` for anything else: whatever gave one impossible region is not believed about the others.
    """
    found = []
    for region in regions:
        if not isinstance(region, Region) or not _possible(region, rows, columns, frames):
            raise DetectorNonsense
        found.append(region)
    return tuple(found)


def _possible(region: Region, rows: int, columns: int, frames: int) -> bool:
    numbers = (region.top_row, region.left_column, region.row_count, region.column_count)
    if not isinstance(region.kind, RegionKind) or not all(type(number) is int for number in numbers):
        return False
    if region.frames is not None and not all(type(one) is int and 1 <= one <= frames for one in region.frames):
        return False
    confidence = region.confidence
    if not isinstance(confidence, float | int) or not math.isfinite(confidence) or not 0 <= confidence <= 1:
        return False
    return (
        min(region.row_count, region.column_count) >= 1
        and region.top_row >= 0
        and region.left_column >= 0
        and region.top_row + region.row_count <= rows
        and region.left_column + region.column_count <= columns
    )


def first_reason(reasons: Iterable[ReviewReason]) -> ReviewReason | None:
    """The one reason to show of several: the first in the order of the list."""
    given = frozenset(reasons)
    return next((reason for reason in ReviewReason if reason in given), None)
