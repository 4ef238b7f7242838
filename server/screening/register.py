"""Lays the mean head onto a volume: an affine transform found by mutual information, which knows no contrast.

Mattes et al., "Nonrigid multimodality image registration", 2001, as in SimpleITK; every voxel of a coarse copy is
used, so that the same volume always gives the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from server.screening.template import Placed

Matrix = NDArray[np.float64]
# Typed in part only.
_ITK: Any = SimpleITK

# The grid that is registered, in mm.
COARSE = 4.0
_BINS = 32


@dataclass(frozen=True, kw_only=True)
class Registration:
    """`matrix` (4x4) takes patient coordinates of the volume to those of the template; `likeness` is the mutual
    information in nats, higher is better, `turned_likeness` the best that the head reaches lying the wrong way."""

    matrix: Matrix
    likeness: float
    turned_likeness: float


def coarse(volume: Placed) -> Placed:
    """The volume on a grid of about `COARSE` mm: blocks of voxels averaged, incomplete ones at the ends left out."""
    steps = np.linalg.norm(volume.to_patient[:3, :3], axis=0)
    factors = np.maximum(1, np.round(COARSE / steps).astype(int))
    across, down, deep = (int(factor) for factor in factors)
    slices, rows, columns = (
        length // factor for length, factor in zip(volume.values.shape, (deep, down, across), strict=True)
    )
    blocks = volume.values[: slices * deep, : rows * down, : columns * across]
    values = blocks.reshape(slices, deep, rows, down, columns, across).mean(axis=(1, 3, 5), dtype=np.float32)
    scale = np.diag([across, down, deep, 1.0])
    scale[:3, 3] = [(across - 1) / 2, (down - 1) / 2, (deep - 1) / 2]
    return Placed(values=np.ascontiguousarray(values), to_patient=volume.to_patient @ scale)


def register(volume: Placed, template: Placed, starts: Sequence[Matrix], weight: NDArray[np.bool_]) -> Registration:
    """The best transform from one of `starts` (4x4, volume to template); both are coarse volumes.

    `weight` says which voxels of the volume count. The starts are compared as they stand and the best is refined.
    Raises `ValueError` where the optimiser gives up.
    """
    volume, weight = _cropped(volume, weight)
    fixed, moving = _image(volume), _image(template)
    centre = fixed.TransformContinuousIndexToPhysicalPoint([(length - 1) / 2 for length in fixed.GetSize()])
    few, some = _mask(weight, fixed, 11), _mask(weight, fixed, 5)
    try:
        best = min(starts, key=lambda start: _measure(fixed, moving, few, start))
        matrix = best
        for mask, rate, steps in ((few, 4.0, 100), (some, 1.0, 60)):
            matrix = _refined(fixed, moving, mask, matrix, centre, rate, steps)
        turned = [_refined(fixed, moving, few, flip @ matrix, centre, 4.0, 30) for flip in _flips(template)]
        return Registration(
            matrix=matrix,
            likeness=-_measure(fixed, moving, some, matrix),
            turned_likeness=-min(_measure(fixed, moving, some, wrong) for wrong in turned),
        )
    except RuntimeError as error:
        raise ValueError("the head template could not be laid onto the volume") from error


def _cropped(volume: Placed, weight: NDArray[np.bool_]) -> tuple[Placed, NDArray[np.bool_]]:
    """The box of what counts: the rest only takes time."""
    places = [np.flatnonzero(weight.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not all(place.size for place in places):
        return volume, weight
    box = tuple(slice(int(place[0]), int(place[-1]) + 1) for place in places)
    to_patient = volume.to_patient.copy()
    to_patient[:3, 3] += to_patient[:3, :3] @ [place[0] for place in reversed(places)]
    return Placed(values=np.ascontiguousarray(volume.values[box]), to_patient=to_patient), weight[box]


def _refined(
    fixed: Any, moving: Any, mask: Any, start: Matrix, centre: Sequence[float], rate: float, steps: int
) -> Matrix:
    transform = _affine(start, centre)
    method = _method(mask)
    method.SetOptimizerAsRegularStepGradientDescent(rate, 0.03, steps, relaxationFactor=0.7)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    return _matrix(transform)


def _flips(template: Placed) -> Iterator[Matrix]:
    """Back to front, upside down, and both, about the template's middle."""
    middle = (template.to_patient @ [*((np.array(template.values.shape[::-1]) - 1) / 2), 1.0])[:3]
    for signs in ((1, -1, 1), (1, 1, -1), (1, -1, -1)):
        flip = np.diag([*signs, 1.0]).astype(np.float64)
        flip[:3, 3] = middle - flip[:3, :3] @ middle
        yield flip


def _mask(weight: NDArray[np.bool_], fixed: Any, every: int) -> Any:
    """One voxel in `every`, in a pattern that leaves no row, column or slice out."""
    mask = _ITK.GetImageFromArray((weight & (np.indices(weight.shape).sum(axis=0) % every == 0)).astype(np.uint8))
    mask.CopyInformation(fixed)
    return mask


def _measure(fixed: Any, moving: Any, mask: Any, start: Matrix) -> float:
    method = _method(mask)
    method.SetInitialTransform(_affine(start))
    return float(method.MetricEvaluate(fixed, moving))


def _method(mask: Any) -> Any:
    method = _ITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.NONE)
    # Only the gradients of the template are asked for.
    method.MetricUseFixedImageGradientFilterOff()
    method.SetInterpolator(_ITK.sitkLinear)
    return method


def _affine(matrix: Matrix, centre: Sequence[float] = (0.0, 0.0, 0.0)) -> Any:
    shift = matrix[:3, 3] + matrix[:3, :3] @ np.array(centre) - np.array(centre)
    return _ITK.AffineTransform(matrix[:3, :3].ravel().tolist(), shift.tolist(), list(centre))


def _matrix(transform: Any) -> Matrix:
    affine = _ITK.AffineTransform(transform)
    result = np.eye(4)
    result[:3, :3] = np.reshape(affine.GetMatrix(), (3, 3))
    centre = np.array(affine.GetCenter())
    result[:3, 3] = np.array(affine.GetTranslation()) + centre - result[:3, :3] @ centre
    return result


def _image(volume: Placed) -> Any:
    steps = np.linalg.norm(volume.to_patient[:3, :3], axis=0)
    image = _ITK.GetImageFromArray(volume.values)
    image.SetSpacing(steps.tolist())
    image.SetDirection((volume.to_patient[:3, :3] / steps).ravel().tolist())
    image.SetOrigin(volume.to_patient[:3, 3].tolist())
    return image
