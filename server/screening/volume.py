"""From slices, however they lie, to one coarse volume along the patient's axes.

A slice is kept as a small picture: a series of a thousand is held in a few megabytes. Where a slice lies follows from
Image Position and Orientation (Patient) and Pixel Spacing (PS3.3 C.7.6.2): x to the left, y to the back, z to the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from server.screening.picture import Samples
from server.screening.template import Placed

# The grid of a coarse volume, and about what a sample of a small picture covers, in mm.
STEP = 4.0
_PICTURE_STEP = 2.0
# No patient is longer, in steps; a volume that claims to be is none.
_LONGEST = 600
# However a header says it is spaced, the longer side of a small picture has about this many samples at least, and at
# most twice as many as the second.
_LEAST_SIDE, _MOST_SIDE = 64, 160


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where a slice lies: `position` of its first sample's centre in mm, the directions of rising column and of rising
    row as unit vectors, and the distances in mm between columns and between rows."""

    position: tuple[float, float, float]
    along_row: tuple[float, float, float]
    down_column: tuple[float, float, float]
    column_step: float
    row_step: float
    rows: int
    columns: int

    def matrix(self) -> NDArray[np.float64]:
        """(3, 3): columns are the steps of one column and one row, and the position."""
        return np.column_stack(
            [
                np.array(self.along_row) * self.column_step,
                np.array(self.down_column) * self.row_step,
                np.array(self.position),
            ]
        ).astype(np.float64)

    def normal(self) -> NDArray[np.float64]:
        """The unit vector across the slice."""
        return np.cross(np.array(self.along_row, np.float64), np.array(self.down_column, np.float64))


def geometry(
    position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float], rows: int, columns: int
) -> Geometry | None:
    """The place of a slice from the values of the three attributes; None unless they describe one."""
    numbers = np.array([*position, *orientation, *spacing], np.float64)
    if (len(position), len(orientation), len(spacing)) != (3, 6, 2) or not np.isfinite(numbers).all():
        return None
    along, down = numbers[3:6], numbers[6:9]
    lengths = np.linalg.norm(along), np.linalg.norm(down)
    straight = abs(float(along @ down)) < 0.01 and all(abs(length - 1) < 0.01 for length in lengths)
    if not straight or not all(0.01 <= step <= 20 for step in numbers[9:]) or np.abs(numbers[:3]).max() > 10_000:
        return None
    x, y, z = (float(value) for value in numbers[:3])
    return Geometry(
        position=(x, y, z),
        along_row=(float(along[0]), float(along[1]), float(along[2])),
        down_column=(float(down[0]), float(down[1]), float(down[2])),
        row_step=float(numbers[9]),
        column_step=float(numbers[10]),
        rows=rows,
        columns=columns,
    )


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One slice: where it lies and its small picture (rows, columns), each sample a block of `down` by `across`."""

    geometry: Geometry
    picture: NDArray[np.float32]
    down: int
    across: int


def small_slice(samples: Samples, where: Geometry) -> Slice:
    """A slice from a decoded frame (rows, columns, samples) of any type; of several samples the mean counts."""
    plane = samples.astype(np.float32).mean(axis=2) if samples.shape[2] > 1 else samples[:, :, 0].astype(np.float32)
    plane = np.nan_to_num(plane, nan=0.0, posinf=0.0, neginf=0.0)
    side = max(plane.shape)
    least, most = max(1, side // (2 * _MOST_SIDE)), max(1, side // _LEAST_SIDE)
    down = min(plane.shape[0], most, max(least, int(_PICTURE_STEP // where.row_step)))
    across = min(plane.shape[1], most, max(least, int(_PICTURE_STEP // where.column_step)))
    rows, columns = plane.shape[0] // down, plane.shape[1] // across
    picture = cv2.resize(plane[: rows * down, : columns * across], (columns, rows), interpolation=cv2.INTER_AREA)
    return Slice(geometry=where, picture=np.asarray(picture, np.float32), down=down, across=across)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A coarse volume along the patient's axes and which of its voxels a slice covers, both (z, y, x)."""

    placed: Placed
    covered: NDArray[np.bool_]


def stacks(slices: Sequence[Slice]) -> list[list[int]]:
    """The indices of slices that lie parallel with the same size and spacing: each list is one volume's."""
    groups: list[tuple[Slice, list[int]]] = []
    for index, one in enumerate(slices):
        for first, members in groups:
            if _parallel(one.geometry, first.geometry):
                members.append(index)
                break
        else:
            groups.append((one, [index]))
    return [members for _, members in groups]


def assembled(slices: Sequence[Slice]) -> Volume | None:
    """The volume of one stack, slices in any order and repeated perhaps (the first at a place counts).

    None where it spans no room: fewer than three places, or longer than any patient.
    """
    normal = slices[0].geometry.normal()
    places = np.array([normal @ np.array(one.geometry.position) for one in slices])
    order = _apart(places)
    if len(order) < 3:
        return None
    pictures = np.stack([slices[index].picture for index in order])
    heights = places[order]
    first, last = slices[order[0]], slices[order[-1]]
    base = first.geometry.matrix()
    # A tilted gantry moves each slice sideways as well.
    rise = (np.array(last.geometry.position) - base[:, 2]) / (heights[-1] - heights[0])
    corners = np.array(
        [
            base[:, 0] * column + base[:, 1] * row + base[:, 2] + rise * height
            for column in (0, first.geometry.columns - 1)
            for row in (0, first.geometry.rows - 1)
            for height in (0.0, heights[-1] - heights[0])
        ]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    counts = np.floor((high - low) / STEP).astype(int) + 1
    if counts.max() > _LONGEST or counts.min() < 1:
        return None
    return _sampled(
        first, pictures, heights - heights[0], np.column_stack([base[:, :2], rise, base[:, 2]]), low, counts
    )


def _sampled(
    first: Slice,
    pictures: NDArray[np.float32],
    heights: NDArray[np.float64],
    axes: NDArray[np.float64],
    low: NDArray[np.float64],
    counts: NDArray[np.int_],
) -> Volume:
    """Every voxel of the patient's grid from the two slices beside it; `axes` takes (column, row, height, 1) there."""
    inverse = np.linalg.inv(axes[:, :3])
    columns, rows, deep = (int(count) for count in counts)
    values = np.zeros((deep, rows, columns), np.float32)
    covered = np.zeros(values.shape, bool)
    y, x = np.mgrid[:rows, :columns]
    small = _smoothed(pictures, first)
    gap = float(np.median(np.diff(heights)))
    for z in range(deep):
        point = np.stack([x * STEP + low[0], y * STEP + low[1], np.full(x.shape, z * STEP + low[2])])
        column, row, height = np.einsum("ab,bij->aij", inverse, point - axes[:, 3][:, None, None])
        after = np.clip(np.searchsorted(heights, height), 1, len(heights) - 1)
        span = heights[after] - heights[after - 1]
        part = np.clip((height - heights[after - 1]) / span, 0, 1)
        # The block a sample covers begins half a sample before its centre.
        i = np.floor((row + 0.5) / first.down).astype(int)
        j = np.floor((column + 0.5) / first.across).astype(int)
        inside = (i >= 0) & (i < small.shape[1]) & (j >= 0) & (j < small.shape[2])
        inside &= (height >= -gap / 2) & (height <= heights[-1] + gap / 2)
        i, j = np.clip(i, 0, small.shape[1] - 1), np.clip(j, 0, small.shape[2] - 1)
        values[z] = small[after - 1, i, j] * (1 - part) + small[after, i, j] * part
        covered[z] = inside
    to_patient = np.diag([STEP, STEP, STEP, 1.0])
    to_patient[:3, 3] = low
    return Volume(
        placed=Placed(
            values=np.where(covered, values, values[covered].min() if covered.any() else 0), to_patient=to_patient
        ),
        covered=covered,
    )


def _smoothed(pictures: NDArray[np.float32], first: Slice) -> NDArray[np.float32]:
    """Averaged over about a step, which is coarser than the pictures are."""
    size = [
        max(1, round(STEP / (step * factor)))
        for step, factor in ((first.geometry.column_step, first.across), (first.geometry.row_step, first.down))
    ]
    return np.stack([cv2.blur(picture, (size[0], size[1])) for picture in pictures]).astype(np.float32)


def _apart(places: NDArray[np.float64]) -> list[int]:
    """Indices by rising place, the first of those that share one."""
    order: list[int] = []
    for index in np.argsort(places, kind="stable"):
        if not order or places[index] - places[order[-1]] > 0.01:
            order.append(int(index))
    return order


def _parallel(one: Geometry, other: Geometry) -> bool:
    alike = (one.rows, one.columns) == (other.rows, other.columns)
    steps = abs(one.row_step - other.row_step) + abs(one.column_step - other.column_step) < 0.01
    turned = (
        np.abs(np.array(one.along_row) - other.along_row).max(),
        np.abs(np.array(one.down_column) - other.down_column).max(),
    )
    return alike and steps and max(turned) < 0.02
