"""Slices too few for a volume: one that may show a head hides the whole series until a person has looked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from builders import part10_bytes
from builders_heads import MadeHead, made_head
from house import House
from pydicom import dcmread
from review_kit import detectors, record_of, screen_all
from sweep_routes import unsynced
from test_volumes import settled, slice_of

from server.model import ReviewReason, ScreeningState
from server.review import settle_one
from server.screening.anatomy import says_head
from server.screening.detectors import Detectors
from server.screening.heads import HeadFinder
from server.screening.series import SeriesHeads
from server.screening.template import head_template
from server.verdict import Verdict

WAITS = ScreeningState.IN_REVIEW, ReviewReason.HEAD_WITHOUT_FACE
SHOWN = ScreeningState.SCREENED, None
# Axial, sagittal and coronal, as the builder numbers them.
PLANES = {"axial": 3, "sagittal": 7, "coronal": 11}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    unsynced(monkeypatch)
    with House(tmp_path) as opened:
        yield opened


@cache
def head(seed: int) -> MadeHead:
    return made_head(head_template(), np.zeros((1, 1, 1), bool), seed, coarser=4)


def trunk(index: int = 0, **header: str) -> bytes:
    """An axial slice of something far broader than deep."""
    film = dcmread(BytesIO(slice_of(head(3), index)))
    row, column = np.mgrid[-1 : 1 : film.Rows * 1j, -1 : 1 : film.Columns * 1j]
    body = (np.hypot(row / 0.45, column / 0.85) < 1) * 900.0
    film.PixelData = (body + np.random.default_rng(index).integers(0, 40, body.shape)).astype("<u2").tobytes()
    for keyword, value in header.items():
        setattr(film, keyword, value)
    return part10_bytes(film)


@pytest.fixture
def ours() -> Detectors:
    """Every house has the same row names: what is known of a series must not outlive its test."""
    return replace(detectors(), heads=SeriesHeads(_finder()))


@cache
def _finder() -> HeadFinder:
    return HeadFinder(head_template())


def states(house: House, ours: Detectors, films: Sequence[bytes]) -> list[tuple[ScreeningState, ReviewReason | None]]:
    """What becomes of these films, all stored before any is screened."""
    for film in films:
        assert house.store(film).status_code == 200
    screen_all(house, ours)
    return now(house, films)


def now(house: House, films: Sequence[bytes]) -> list[tuple[ScreeningState, ReviewReason | None]]:
    sets = [dcmread(BytesIO(film), stop_before_pixels=True) for film in films]
    records = [record_of(house, one.StudyInstanceUID, one.SOPInstanceUID) for one in sets]
    return [(record.screening, record.review) for record in records]


@pytest.mark.parametrize("plane", PLANES)
def test_a_single_slice_of_a_head_waits_for_a_person(house: House, ours: Detectors, plane: str) -> None:
    made = head(PLANES[plane])
    assert states(house, ours, [slice_of(made, len(made.slices) // 2)]) == [WAITS]


def test_six_thick_slices_of_a_head_wait_whatever_they_say_they_are(house: House, ours: Detectors) -> None:
    made = head(3)
    films = []
    for index in np.linspace(5, len(made.slices) - 5, 6).astype(int):
        film = dcmread(BytesIO(slice_of(made, int(index))))
        film.BodyPartExamined, film.SeriesDescription, film.SliceThickness = "ABDOMEN", "LIVER", "5"
        films.append(part10_bytes(film))
    assert states(house, ours, films) == [WAITS] * 6


def test_one_slice_of_a_head_hides_the_others_of_its_series_in_any_order(house: House, ours: Detectors) -> None:
    films = [trunk(0), trunk(1)]
    assert states(house, ours, films) == [SHOWN] * 2
    made = head(11)
    profile = slice_of(made, len(made.slices) // 2)
    assert states(house, ours, [profile]) == [WAITS]
    assert now(house, films) == [WAITS] * 2


def test_a_few_slices_of_a_trunk_are_shown(house: House, ours: Detectors) -> None:
    assert states(house, ours, [trunk(index) for index in range(5)]) == [SHOWN] * 5


def test_a_header_adds_a_doubt_and_takes_none_away(house: House, ours: Detectors) -> None:
    assert states(house, ours, [trunk(0, SeriesDescription="AX T2 Brain_Stem")]) == [WAITS]


def test_a_header_adds_a_doubt_to_a_volume_too(house: House, ours: Detectors) -> None:
    films = [trunk(index, BodyPartExamined="SKULL") for index in range(9)]
    assert states(house, ours, films) == [WAITS] * 9


def test_slices_wait_no_longer_once_the_face_is_found_and_who_settled_them_had_not_seen_it(
    house: House, ours: Detectors
) -> None:
    made = head(11)
    films = [slice_of(made, index) for index in range(len(made.slices))]
    middle = len(films) // 2
    assert states(house, ours, films[middle : middle + 3]) == [WAITS] * 3
    few = dcmread(BytesIO(films[middle]), stop_before_pixels=True)
    one = record_of(house, few.StudyInstanceUID, few.SOPInstanceUID)
    settle_one(house.services, one, Verdict(lift={}, as_found=True), settled)
    assert now(house, films[middle : middle + 3]) == [SHOWN, WAITS, WAITS]
    assert set(states(house, ours, films)) == {SHOWN}
    found = record_of(house, few.StudyInstanceUID, few.SOPInstanceUID)
    assert (found.screening, found.faces_sought) == (ScreeningState.SCREENED, False)
    assert found.regions != one.regions


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("BodyPartExamined", "HEAD", True),
        ("BodyPartExamined", "CSPINE", True),
        ("StudyDescription", "CT_BRAIN_WO", True),
        ("SeriesDescription", "t1_mprage sag Schädel", True),
        ("ProtocolName", "头颅平扫", True),
        ("SeriesDescription", "LOCALIZER", False),
        ("BodyPartExamined", "CHEST", False),
        ("StudyDescription", "OVERHEADS YEARLY", False),
    ],
)
def test_what_a_header_says_of_a_head(keyword: str, value: str, expected: bool) -> None:
    film = dcmread(BytesIO(slice_of(head(3), 0)))
    setattr(film, keyword, value)
    assert says_head(film) is expected
