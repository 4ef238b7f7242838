"""The face in a volume of the head: the mean head is laid onto it, and what the template calls face is hidden.

That there is no head is decided by the samples alone, whatever a header says of their size and place: it can only add a
doubt. Where the template does not fit well on what may be a head, every slice is hidden whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from server.screening.outlines import head_shaped, outline
from server.screening.register import Matrix, Registration, coarse, register
from server.screening.template import HeadTemplate, Placed
from server.screening.volume import STEP, Slice, Volume, assembled, stacks

CONFIGURATION = "3"
# Fewer slices than this are no volume: the template cannot be laid onto them, and one that may show a head hides all.
LEAST_SLICES = 8
# What a registration must reach: mutual information in nats, and the overlap (Dice) of head and template.
LIKENESS, OVERLAP = 0.40, 0.85
# By how much it must be likelier than the same head lying the wrong way, which a wrong orientation would look like.
_LIKELIER = 1.1
# How far a head may be larger, smaller or turned than the template.
_STRETCH, _TURN = (0.65, 1.5), 50.0
# Cross-sections of heads, in mm: breadth and depth.
_BREADTH, _DEPTH = (80.0, 250.0), (90.0, 290.0)
# A head is this high at least; a volume is looked at in pieces of this height.
_HEIGHT, _PIECE = 40.0, 320.0
# The face is grown by this much, in mm, for what the template does not fit.
_MARGIN = 4
# Air that is looked at around the body, in steps.
_AIR = 4
# The ears in the template, in its voxels: (columns left of, columns right of, rows, slices).
_EARS = (16, 159, slice(80, 128), slice(45, 96))
# The face is grown this much further to the back, in voxels of the template: below the brain, and beside it.
_BACK, _BELOW, _BESIDE = 8, 54, (84, 32, 144)
# From the eyes up its edge rises steeply to the front, and the brain begins far behind it.
_EYES, _BROW, _BROW_BACK = 86, 98, 14


class Verdict(StrEnum):
    """What is known of a volume."""

    NO_HEAD = "no head"
    FOUND = "head found"
    UNCERTAIN = "head not certain"


@dataclass(frozen=True, kw_only=True)
class HeadFinding:
    """A verdict and, where found, the way from patient coordinates to the template's voxels (column, row, slice)."""

    verdict: Verdict
    to_template: Matrix | None = None
    likeness: float = 0.0
    turned_likeness: float = 0.0
    overlap: float = 0.0


class HeadFinder:
    """Holds the template. Values in, values out."""

    def __init__(self, template: HeadTemplate) -> None:
        self._coarse = coarse(template.head)
        self._body = body(self._coarse.values, np.ones(self._coarse.values.shape, bool))
        face = template.face.astype(np.uint8)
        left, right, rows, slices = _EARS
        face[slices, rows, :left] = 1
        face[slices, rows, right:] = 1
        self.face = _grown(face)
        self._from_patient = np.linalg.inv(template.head.to_patient)

    def find(self, slices: Sequence[Slice]) -> list[HeadFinding]:
        """One finding for every slice: that of the stack it belongs to.

        Slices of stacks too small to be a volume are judged together, since headers may have torn them apart: where one
        of them may show a head, all may.
        """
        result = [HeadFinding(verdict=Verdict.NO_HEAD)] * len(slices)
        single: list[int] = []
        for members in stacks(slices):
            if len(members) < LEAST_SLICES:
                single += members
                continue
            finding = self._of_stack([slices[index] for index in members])
            for index in members:
                result[index] = finding
        if head_shaped([slices[index] for index in single], few=True):
            for index in single:
                result[index] = HeadFinding(verdict=Verdict.UNCERTAIN)
        return result

    def _of_stack(self, stack: Sequence[Slice]) -> HeadFinding:
        volume = assembled(stack)
        finding = HeadFinding(verdict=Verdict.NO_HEAD) if volume is None else self.of_volume(volume)
        if finding.verdict is Verdict.NO_HEAD and head_shaped(stack):
            return HeadFinding(verdict=Verdict.UNCERTAIN)
        return finding

    def of_volume(self, volume: Volume) -> HeadFinding:
        """The finding of one coarse volume, as the header places it; of several pieces that fit, the best fitting."""
        inside = body(volume.placed.values, volume.covered)
        findings = [
            self._of_piece(volume, inside, piece)
            for piece in _pieces(inside)
            if head_possible(inside[piece], volume.covered[piece])
        ]
        found = [finding for finding in findings if finding.verdict is Verdict.FOUND]
        if found:
            return max(found, key=lambda finding: finding.likeness)
        return max(findings, key=lambda finding: finding.likeness, default=HeadFinding(verdict=Verdict.NO_HEAD))

    def _of_piece(self, volume: Volume, inside: NDArray[np.bool_], piece: slice) -> HeadFinding:
        to_patient = volume.placed.to_patient.copy()
        to_patient[2, 3] += piece.start * STEP
        values = _levelled(volume.placed.values[piece], volume.covered[piece])
        part = Placed(values=values, to_patient=to_patient)
        starts = list(_starts(part, inside[piece], self._coarse, self._body))
        try:
            laid = register(part, self._coarse, starts, volume.covered[piece] & _around(inside[piece]))
        except ValueError:
            return HeadFinding(verdict=Verdict.UNCERTAIN)
        overlap = self._overlap(laid, part, inside[piece], volume.covered[piece])
        right_way = laid.likeness >= _LIKELIER * laid.turned_likeness
        fits = right_way and laid.likeness >= LIKENESS and overlap >= OVERLAP and plausible(laid.matrix)
        return HeadFinding(
            verdict=Verdict.FOUND if fits else Verdict.UNCERTAIN,
            to_template=self._from_patient @ laid.matrix if fits else None,
            likeness=laid.likeness,
            turned_likeness=laid.turned_likeness,
            overlap=overlap,
        )

    def _overlap(
        self, laid: Registration, part: Placed, inside: NDArray[np.bool_], covered: NDArray[np.bool_]
    ) -> float:
        """Dice of body and template where both have voxels."""
        z, y, x = np.indices(part.values.shape)
        points = np.stack([x, y, z, np.ones(x.shape)]).reshape(4, -1)
        way = np.linalg.inv(self._coarse.to_patient) @ laid.matrix @ part.to_patient
        column, row, deep = np.round(way @ points)[:3].astype(int).reshape(3, *x.shape)
        slices, rows, columns = self._body.shape
        both = covered & (column >= 0) & (column < columns) & (row >= 0) & (row < rows) & (deep >= 0) & (deep < slices)
        expected = self._body[deep[both], row[both], column[both]]
        seen = inside[both]
        return float(2 * (expected & seen).sum() / max(1, expected.sum() + seen.sum()))


def body(values: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which voxels are no air: the largest connected piece of every axial slice, its holes filled."""
    levels = np.sqrt(_levelled(values, covered) / 255)
    threshold, _ = cv2.threshold((levels[covered] * 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    result = np.zeros(values.shape, bool)
    for index, level in enumerate(levels):
        dense = (level * 255 > threshold) & covered[index]
        line = outline(dense)
        if line is not None:
            filled = np.zeros(dense.shape, np.uint8)
            cv2.drawContours(filled, [line], -1, 1, cv2.FILLED)
            result[index] = filled > 0
    return result


def head_possible(inside: NDArray[np.bool_], covered: NDArray[np.bool_]) -> bool:
    """Whether enough neighbouring axial slices have a cross-section that could be a head's.

    One that the field of view cuts off at the sides could be anything, unless it is broader than any head.
    """
    run = 0
    for index in range(len(inside)):
        rows, columns = (np.flatnonzero(inside[index].any(axis=axis)) for axis in (1, 0))
        if rows.size == 0:
            run = 0
            continue
        breadth, depth = np.ptp(columns) * STEP + STEP, np.ptp(rows) * STEP + STEP
        cut = _cut(inside[index], covered[index])
        high = breadth <= _BREADTH[1] and depth <= _DEPTH[1]
        low = breadth >= _BREADTH[0] and depth >= _DEPTH[0]
        run = run + 1 if high and (low or cut) else 0
        if run * STEP >= _HEIGHT:
            return True
    return False


def _cut(inside: NDArray[np.bool_], covered: NDArray[np.bool_]) -> bool:
    edge = covered & ~np.asarray(cv2.erode(covered.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0), bool)
    return bool((inside & edge).sum() >= 3)


def _pieces(inside: NDArray[np.bool_]) -> Iterator[slice]:
    """Overlapping pieces of the height in which a head is looked for, from the top down."""
    length = int(_PIECE / STEP)
    if len(inside) <= length:
        yield slice(0, len(inside))
        return
    stop = len(inside)
    while stop > 0:
        yield slice(max(0, stop - length), stop)
        if stop <= length:
            return
        stop -= length // 2


def _levelled(values: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.float32]:
    """0 to 255 between the extremes that do not matter; padding below the air counts as air."""
    known = values[covered]
    if known.size == 0:
        return np.zeros(values.shape, np.float32)
    low, high = np.percentile(known, (2.0, 99.5))
    return np.asarray(np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255, np.float32)


def _starts(
    part: Placed, inside: NDArray[np.bool_], template: Placed, template_body: NDArray[np.bool_]
) -> Iterator[Matrix]:
    """Ways to begin: centre on centre and crown on crown, with the chin up, level or down."""
    goal = _landmarks(template, template_body)
    for here, there in zip(_landmarks(part, inside), goal, strict=True):
        for lift in (-30.0, 0.0, 30.0):
            for angle in (-20.0, 0.0, 20.0):
                turned = np.eye(4)
                sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
                turned[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
                turned[:3, 3] = there - turned[:3, :3] @ here + np.array([0.0, 0.0, lift])
                yield turned


def _landmarks(part: Placed, inside: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    z, y, x = np.nonzero(inside)
    if z.size == 0:
        z, y, x = (np.array([length / 2]) for length in inside.shape)
    upper = z >= z.max() - 120.0 / STEP
    centre = np.array([x.mean(), y.mean(), z.mean(), 1.0])
    crown = np.array([x[upper].mean(), y[upper].mean(), z.max(), 1.0])
    return [(part.to_patient @ point)[:3] for point in (centre, crown)]


def _around(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The box of the body and some air: the rest of the air only takes time."""
    result = np.zeros(inside.shape, bool)
    places = [np.flatnonzero(inside.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if all(place.size for place in places):
        result[tuple(slice(max(0, place[0] - _AIR), place[-1] + _AIR + 1) for place in places)] = True
    return result


def plausible(matrix: Matrix) -> bool:
    """Whether a transform makes a head of a head: no mirror, no giant, nobody lying across."""
    left, stretch, right = np.linalg.svd(matrix[:3, :3])
    if np.linalg.det(matrix[:3, :3]) <= 0 or stretch.min() < _STRETCH[0] or stretch.max() > _STRETCH[1]:
        return False
    turn = np.degrees(np.arccos(np.clip((np.trace(left @ right) - 1) / 2, -1, 1)))
    return bool(turn <= _TURN)


def _grown(face: NDArray[np.uint8]) -> NDArray[np.bool_]:
    upper, left, right = _BESIDE
    lower = (face[:_BELOW], face[:upper, :, :left], face[:upper, :, right:], face[_EYES:_BROW])
    for part, back in (*((one, _BACK) for one in lower), (face[_BROW:], _BROW_BACK)):
        before = part.copy()
        for shift in range(1, back + 1):
            part[:, :-shift] |= before[:, shift:]
    size = 2 * _MARGIN + 1
    flat = np.stack([cv2.dilate(one, np.ones((size, size), np.uint8)) for one in face])
    along = np.pad(flat, ((_MARGIN, _MARGIN), (0, 0), (0, 0)), mode="edge")
    return np.asarray(np.max([along[shift : shift + len(face)] for shift in range(size)], axis=0) > 0)
