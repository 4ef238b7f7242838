from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders_heads import MadeHead, brain_of, made_head
from numpy.typing import NDArray

from server.model import RegionKind
from server.screening import heads, template
from server.screening.heads import HeadFinder, HeadFinding, Verdict
from server.screening.outlines import head_shaped
from server.screening.shell import MOST, head_surface
from server.screening.template import HeadTemplate
from server.screening.volume import Geometry, Slice, geometry, small_slice, stacks

LEVEL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture(scope="module")
def mean_head() -> HeadTemplate:
    return template.head_template()


@pytest.fixture(scope="module")
def finder(mean_head: HeadTemplate) -> HeadFinder:
    return HeadFinder(mean_head)


@cache
def _brain() -> NDArray[np.bool_]:
    return brain_of(template.head_template())


@cache
def head(seed: int) -> MadeHead:
    mean = template.head_template()
    return made_head(mean, _brain(), seed, coarser=1.8)


def masks(finder: HeadFinder, finding: HeadFinding, places: Sequence[Geometry]) -> list[NDArray[np.bool_]]:
    assert finding.to_template is not None
    result = []
    for where in places:
        mask = np.zeros((where.rows, where.columns), bool)
        regions = head_surface(finding.to_template, finder.face, where, frame_number=2, confidence=0.5)
        assert len(regions) <= MOST
        for one in regions:
            assert (one.kind, one.frames) == (RegionKind.HEAD_SURFACE, frozenset({2}))
            assert one.top_row + one.row_count <= where.rows
            assert one.left_column + one.column_count <= where.columns
            place = np.s_[
                one.top_row : one.top_row + one.row_count, one.left_column : one.left_column + one.column_count
            ]
            mask[place] = True
        result.append(mask)
    return result


def solid(shape: NDArray[np.float64], step: float = 4.0) -> list[Slice]:
    """A volume (slices, rows, columns) that lies level."""
    result = []
    for index, plane in enumerate(shape):
        where = geometry((-150.0, -150.0, step * index), LEVEL, (step, step), *plane.shape)
        assert where is not None
        result.append(small_slice(plane[:, :, None], where))
    return result


def ellipse(depth: float, breadth: float, height: float = 500.0) -> NDArray[np.float64]:
    z, y, x = (np.indices((50, 90, 120)).T * 4.0 - (100.0, 180.0, 240.0)).T
    noise = np.random.default_rng(1).normal(0, 20, z.shape)
    return np.asarray(((z / height) ** 2 + (y / depth) ** 2 + (x / breadth) ** 2 < 1) * 1000 + noise)


@pytest.mark.parametrize("seed", [3, 7])
def test_the_face_is_hidden_and_the_brain_is_not(finder: HeadFinder, seed: int) -> None:
    made = head(seed)
    (finding,) = {id(one): one for one in finder.find(made.slices)}.values()
    assert finding.verdict is Verdict.FOUND
    hidden = masks(finder, finding, made.places)
    face = sum(int(one.sum()) for one in made.face)
    left = sum(int((one & ~mask).sum()) for one, mask in zip(made.face, hidden, strict=True))
    brain = sum(int(one.sum()) for one in made.brain)
    hurt = sum(int((one & mask).sum()) for one, mask in zip(made.brain, hidden, strict=True))
    assert left <= 0.01 * face
    assert hurt <= 0.001 * brain


def tampered(made: MadeHead, change: Callable[[int, Geometry], Geometry]) -> list[Slice]:
    """The same samples under another header."""
    return [
        small_slice(picture[:, :, None], change(index, where))
        for index, (picture, where) in enumerate(zip(made.pictures, made.places, strict=True))
    ]


def spaced(down: float, across: float, apart: float) -> Callable[[int, Geometry], Geometry]:
    def change(_: int, where: Geometry) -> Geometry:
        x, y, z = (value * apart for value in where.position)
        return replace(
            where, row_step=where.row_step * down, column_step=where.column_step * across, position=(x, y, z)
        )

    return change


TAMPERED = {
    "small": spaced(0.1, 0.1, 0.1),
    "huge": spaced(10, 10, 10),
    "broad": spaced(1, 4, 1),
    "thin": spaced(1, 1, 0.02),
    "thick": spaced(1, 1, 10),
    "all at one place": spaced(1, 1, 0),
    "turned": lambda _, where: replace(where, along_row=where.down_column, down_column=where.along_row),
    "each spaced otherwise": lambda index, where: replace(where, row_step=where.row_step * (1 + index / 50)),
    "in another order": lambda index, where: replace(where, position=(0.0, 0.0, index * 37 % 101 * 3.0)),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_no_header_makes_a_head_none(finder: HeadFinder, name: str) -> None:
    findings = finder.find(tampered(head(7), TAMPERED[name]))
    assert {one.verdict for one in findings} <= {Verdict.FOUND, Verdict.UNCERTAIN}


@pytest.mark.parametrize("seed", range(12))
def test_every_head_is_shaped_like_one(seed: int) -> None:
    made = made_head(template.head_template(), np.zeros((1, 1, 1), bool), seed, coarser=4)
    assert head_shaped(made.slices)


def test_samples_said_to_be_oblong_are_still_a_heads() -> None:
    row, column = np.mgrid[-256:256, -256:256]
    disc = (np.hypot(row, column) < 180) * 1000.0
    where = geometry((0.0, 0.0, 0.0), LEVEL, (0.5, 2.0), 512, 512)
    assert where is not None
    assert head_shaped([small_slice(disc[:, :, None], where)] * 8)


def test_no_small_picture_is_too_small_to_tell_or_too_large_to_keep() -> None:
    for step in (0.01, 0.3, 20.0):
        where = geometry((0.0, 0.0, 0.0), LEVEL, (step, step), 1024, 512)
        assert where is not None
        assert 64 <= max(small_slice(np.zeros((1024, 512, 1), np.uint16), where).picture.shape) <= 400


def test_the_order_of_slices_changes_nothing(finder: HeadFinder) -> None:
    made = head(7)
    shuffled = [made.slices[index] for index in np.random.default_rng(2).permutation(len(made.slices))]
    one, other = finder.find(made.slices)[0], finder.find(shuffled)[0]
    assert one.to_template is not None
    assert other.to_template is not None
    assert np.allclose(one.to_template, other.to_template, atol=1e-3)


@pytest.mark.parametrize("axis", [0, 1], ids=["upside down", "back to front"])
def test_a_head_that_lies_otherwise_than_it_says_is_not_certain(finder: HeadFinder, axis: int) -> None:
    # Sagittal slices: rows go down, columns to the back.
    pictures = [replace(one, picture=np.ascontiguousarray(np.flip(one.picture, axis))) for one in head(7).slices]
    assert finder.find(pictures)[0].verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    ("scales", "degrees", "expected"),
    [
        ((1, 1, 1), 0, True),
        ((0.8, 1.2, 1.1), 40, True),
        ((1, 1, 0.6), 0, False),
        ((1.6, 1, 1), 0, False),
        ((-1, 1, 1), 0, False),
        ((1, 1, 1), 60, False),
    ],
)
def test_only_heads_are_made_of_heads(scales: Sequence[float], degrees: float, expected: bool) -> None:
    matrix = np.diag([*scales, 1.0])
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    matrix[:2, :2] = turn @ matrix[:2, :2]
    assert heads.plausible(matrix) is expected


@pytest.mark.parametrize("seed", range(6))
def test_no_sample_of_the_face_is_left_by_the_rectangles(seed: int) -> None:
    chance = np.random.default_rng(seed)
    normal = chance.normal(size=3)
    z, y, x = np.indices((60, 60, 60))
    face = (x - 30) * normal[0] + (y - 30) * normal[1] + (z - 30) * normal[2] > 0
    where = geometry((3.3, 2.2, 30.0), LEVEL, (0.7, 0.9), 70, 55)
    assert where is not None
    row, column = np.indices((70, 55))
    at = np.round([3.3 + column * 0.9, 2.2 + row * 0.7]).astype(int)
    at = np.clip(at, 0, 59)
    mask = np.zeros((70, 55), bool)
    for one in head_surface(np.eye(4), face, where, frame_number=1, confidence=1.0):
        mask[one.top_row : one.top_row + one.row_count, one.left_column : one.left_column + one.column_count] = True
    # A corner of the half-space thinner than a cell may pass between the cells' corners: the face is grown for that.
    assert (face[30, at[1], at[0]] & ~mask).sum() <= 2


@pytest.mark.parametrize(
    ("shape", "verdict"),
    [
        (ellipse(120, 180), Verdict.NO_HEAD),
        (ellipse(100, 80, 110), Verdict.UNCERTAIN),
        (ellipse(60, 60), Verdict.UNCERTAIN),
        (np.zeros((30, 60, 60)), Verdict.NO_HEAD),
        (np.full((30, 60, 60), np.nan), Verdict.NO_HEAD),
    ],
    ids=["broad", "egg", "limb", "empty", "not numbers"],
)
def test_what_is_no_head(finder: HeadFinder, shape: NDArray[np.float64], verdict: Verdict) -> None:
    assert finder.find(solid(shape))[0].verdict is verdict


def test_few_slices_are_no_volume_and_one_that_may_show_a_head_is_a_doubt(finder: HeadFinder) -> None:
    assert finder.find(head(7).slices[: heads.LEAST_SLICES - 1])[0].verdict is Verdict.UNCERTAIN
    few = solid(ellipse(120, 180))[20 : 20 + heads.LEAST_SLICES - 1]
    assert finder.find(few)[0].verdict is Verdict.NO_HEAD


def test_each_stack_of_a_series_is_a_volume_of_its_own(finder: HeadFinder) -> None:
    made = head(7)
    others = solid(ellipse(120, 180))
    both = [*others, *made.slices]
    assert [len(one) for one in stacks(both)] == [len(others), len(made.slices)]
    findings = finder.find(both)
    assert findings[0].verdict is Verdict.NO_HEAD
    assert findings[-1].verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("position", "orientation", "spacing"),
    [
        ((0, 0), LEVEL, (1, 1)),
        ((0, 0, 0), (1, 0, 0, 1, 0, 0), (1, 1)),
        ((0, 0, 0), (2, 0, 0, 0, 1, 0), (1, 1)),
        ((0, 0, 0), (0, 0, 0, 0, 0, 0), (1, 1)),
        ((0, 0, 0), LEVEL, (0, 1)),
        ((0, 0, 0), LEVEL, (1,)),
        ((0, 0, float("nan")), LEVEL, (1, 1)),
        ((0, 0, float("inf")), LEVEL, (1, 1)),
        ((0, 0, 1e6), LEVEL, (1, 1)),
    ],
)
def test_what_describes_no_place_is_none(
    position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float]
) -> None:
    assert geometry(position, orientation, spacing, 10, 10) is None


_SHARED = Path(os.environ.get("SAFELIGHT_SHARED_DATA", ""))
if _SHARED.name:

    def test_the_shared_head_is_found(finder: HeadFinder) -> None:
        films = [pydicom.dcmread(path) for path in sorted((_SHARED / "faces" / "colin27_series").glob("*.dcm"))]
        slices = []
        for film in films:
            where = geometry(
                film.ImagePositionPatient, film.ImageOrientationPatient, film.PixelSpacing, film.Rows, film.Columns
            )
            assert where is not None
            slices.append(small_slice(film.pixel_array[:, :, None], where))
        finding = finder.find(slices)[0]
        assert finding.verdict is Verdict.FOUND
        hidden = masks(finder, finding, [one.geometry for one in slices])
        # The lowest slice shows the bridge of the nose at the front and the middle of the cerebellum behind it.
        lowest = min(range(len(films)), key=lambda index: films[index].ImagePositionPatient[2])
        front = np.flatnonzero(films[lowest].pixel_array[:, 90] > 40)
        front = front if films[lowest].ImageOrientationPatient[4] > 0 else front[::-1]
        assert hidden[lowest][front.max(), 90] != hidden[lowest][front.min(), 90]
        assert not np.any([mask[:, 90][100:120] for mask in hidden])
