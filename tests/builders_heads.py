"""Heads that nobody has: the mean head turned, stretched, bent, recoloured and scanned in any direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.screening.template import HeadTemplate
from server.screening.volume import Geometry, Slice, geometry, small_slice

Field = NDArray[np.float32]
_PLANES = {"axial": ((1, 0, 0), (0, 1, 0)), "sagittal": ((0, 1, 0), (0, 0, -1)), "coronal": ((1, 0, 0), (0, 0, -1))}


@dataclass(frozen=True, kw_only=True)
class MadeHead:
    """Slices with their geometry, and per slice which samples are face tissue and which are brain."""

    name: str
    slices: tuple[Slice, ...]
    pictures: tuple[Field, ...]
    face: tuple[NDArray[np.bool_], ...]
    brain: tuple[NDArray[np.bool_], ...]

    @property
    def places(self) -> tuple[Geometry, ...]:
        return tuple(one.geometry for one in self.slices)


def brain_of(template: HeadTemplate) -> NDArray[np.bool_]:
    """What lies inside the skull of the mean head, by its grey values; nothing below the foramen magnum."""
    values = template.head.values
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    dense = ((values > 130) & (values < 420)).astype(np.uint8)
    core: NDArray[Any] = np.stack([cv2.erode(one, ball) for one in dense])
    core = core & np.stack([cv2.erode(one, ball) for one in core.swapaxes(0, 1)]).swapaxes(0, 1)
    core[:62] = 0
    seed: NDArray[Any] = np.zeros(core.shape, np.uint8)
    seed[150, 130, 88] = 1
    for _ in range(200):
        grown: NDArray[Any] = np.stack([cv2.dilate(one, np.ones((3, 3), np.uint8)) for one in seed])
        grown[1:] = grown[1:] | seed[:-1]
        grown[:-1] = grown[:-1] | seed[1:]
        grown = grown & core
        if np.array_equal(grown, seed):
            break
        seed = grown
    kept = np.stack([cv2.dilate(one, ball) for one in seed])
    return np.asarray((kept > 0) & (values > 110) & (values < 420))


def made_head(template: HeadTemplate, brain: NDArray[np.bool_], seed: int, *, coarser: float = 1.0) -> MadeHead:
    """The head of this number: its plane, spacing, pose, shape, contrast and noise follow from it alone.

    `coarser` makes its samples larger, and so fewer.
    """
    chance = np.random.default_rng(seed)
    plane = tuple(_PLANES)[seed % 3]
    step, thick = float(chance.uniform(0.8, 1.3)) * coarser, float((1.0, 1.5, 3.0, 5.0)[seed % 4])
    along, down = (np.array(vector, float) for vector in _PLANES[plane])
    normal = np.cross(along, down)
    tilt = _rotation(chance.uniform(-8, 8, 3))
    along, down, normal = tilt @ along, tilt @ down, tilt @ normal
    size = int(260 / step)
    count = int((180 if plane == "sagittal" else 250) / thick)
    centre = chance.uniform(-60, 60, 3)
    first = centre - along * step * size / 2 - down * step * size / 2 - normal * thick * count / 2
    pose = _rotation(chance.uniform(-12, 12, 3)) @ np.diag(chance.uniform(0.9, 1.12, 3))
    middle = (template.head.to_patient @ [88, 128, 128, 1])[:3] + chance.uniform(-8, 8, 3)
    waves = [(chance.uniform(-1, 1, 3) / 60, chance.uniform(0, 6.28), chance.uniform(-2.0, 2.0, 3)) for _ in range(3)]
    from_patient = np.linalg.inv(template.head.to_patient)
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    slices, pictures, faces, brains = [], [], [], []
    for index in range(count):
        place = first + normal * thick * index
        points = place[:, None, None] + along[:, None, None] * step * column + down[:, None, None] * step * row
        inner = np.einsum("ab,bij->aij", pose, points - centre[:, None, None])
        bend = sum(
            push[:, None, None] * np.sin(np.einsum("b,bij->ij", wave, inner) + phase) for wave, phase, push in waves
        )
        at = np.einsum("ab,bij->aij", from_patient[:3, :3], inner + bend + middle[:, None, None])
        at += from_patient[:3, 3][:, None, None]
        values = _linear(template.head.values, at)
        where = geometry(place.tolist(), [*along, *down], [step, step], size, size)
        assert where is not None
        picture = _recoloured(values, seed, chance, inner)
        slices.append(small_slice(picture[:, :, None], where))
        pictures.append(picture)
        faces.append((_nearest(template.face, at) > 0) & (values > 60))
        brains.append(_nearest(brain, at) > 0)
    return MadeHead(
        name=f"{seed}: {plane}, {thick:g} mm",
        slices=tuple(slices),
        pictures=tuple(pictures),
        face=tuple(faces),
        brain=tuple(brains),
    )


def _recoloured(values: Field, seed: int, chance: np.random.Generator, inner: NDArray[np.float64]) -> Field:
    level = np.clip(values / 450, 0, 1.4)
    kind = seed % 5
    if kind == 1:
        level = level**0.6
    elif kind == 2:
        # Fluid bright, white matter dark, as T2 has it; air stays dark.
        level = np.where(level > 0.12, 1.15 - 0.8 * level, level)
    elif kind == 3:
        level = np.where(level > 0.12, 0.9 - 0.4 * np.abs(level - 0.6), level)
    elif kind == 4:
        level = level**1.4
    bias = 1 + 0.25 * np.sin(inner[seed % 3] / 70)
    noise = chance.normal(0, (0.01, 0.04, 0.07)[seed % 3], (2, *level.shape))
    return np.asarray(np.hypot(level * bias + noise[0], noise[1]) * 1000, np.float32)


def _rotation(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, other = [index for index in range(3) if index != axis]
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


def _nearest(volume: NDArray[Any], at: NDArray[np.float64]) -> NDArray[Any]:
    index = np.round(at).astype(int)
    inside = np.ones(at.shape[1:], bool)
    for axis, length in zip(index, volume.shape[::-1], strict=True):
        inside &= (axis >= 0) & (axis < length)
    x, y, z = (np.clip(axis, 0, length - 1) for axis, length in zip(index, volume.shape[::-1], strict=True))
    return np.asarray(np.where(inside, volume[z, y, x], 0))


def _linear(volume: Field, at: NDArray[np.float64]) -> Field:
    low = np.floor(at)
    part = at - low
    total = np.zeros(at.shape[1:])
    for corner in np.ndindex(2, 2, 2):
        step = np.array(corner)[:, None, None]
        weight = np.prod(np.where(step == 1, part, 1 - part), axis=0)
        total += weight * _nearest(volume, low + step)
    return np.asarray(total, np.float32)
