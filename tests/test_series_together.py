"""A worker has the slices of a series one after the other, so that each series is looked at as a volume once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import made_up_uid, part10_bytes
from builders_heads import MadeHead, made_head
from house import House
from pydicom import dcmread
from pydicom.uid import UID
from review_kit import detectors
from sweep_routes import unsynced
from test_volumes import slice_of

from server.model import ScreeningState
from server.screen import screen_next
from server.screening.detectors import Detectors
from server.screening.heads import HeadFinding, Verdict
from server.screening.series import SeriesHeads
from server.screening.template import head_template
from server.screening.volume import Slice

SERIES, SLICES = 3, 10


class Counted:
    """Stands in for the finder of heads: counts volumes, and finds none."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def find(self, slices: Sequence[Slice]) -> list[HeadFinding]:
        self.sizes.append(len(slices))
        return [HeadFinding(verdict=Verdict.NO_HEAD)] * len(slices)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    unsynced(monkeypatch)
    with House(tmp_path) as opened:
        for number in range(SLICES):
            for series in range(1, SERIES + 1):
                assert opened.store(film(series, number)).status_code == 200
        yield opened


@cache
def head() -> MadeHead:
    return made_head(head_template(), np.zeros((1, 1, 1), bool), 7, coarser=6)


def film(series: int, number: int) -> bytes:
    made = dcmread(BytesIO(slice_of(head(), number)))
    made.SeriesInstanceUID = made_up_uid("series", 1, series)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(
        made_up_uid("instance", 1, series, number + 1)
    )
    made.BodyPartExamined = "ABDOMEN"
    return part10_bytes(made)


def worker(finder: Any) -> Detectors:
    return replace(detectors(), heads=SeriesHeads(finder))


def screen(house: House, ours: Detectors, name: str, most: int = 1000) -> list[str]:
    """The series of the films screened, in order."""
    order: list[str] = []
    while len(order) < most and (record := screen_next(house.services, ours, name)) is not None:
        order.append(record.series.row)
    return order


def test_each_series_is_laid_onto_the_template_once(house: House) -> None:
    finder = Counted()
    order = screen(house, worker(finder), "one")
    assert len(order) == SERIES * SLICES
    assert finder.sizes == [SLICES] * SERIES


def test_what_a_dead_worker_left_is_done_by_the_next_and_nothing_twice(house: House) -> None:
    first, second = Counted(), Counted()
    before = screen(house, worker(first), "dead", SLICES + SLICES // 2)
    assert house.services.catalog.claim("dead", house.now, 600.0, before[-1]) is not None
    house.services.catalog.release("dead", attempted=True)
    after = screen(house, worker(second), "next")
    assert len(before) + len(after) == SERIES * SLICES
    assert len(first.sizes) + len(second.sizes) <= SERIES + 1 + (len(set(before)) - 2)
    (study,) = {dcmread(BytesIO(film(1, 0))).StudyInstanceUID}
    states = {one.screening for one in house.services.catalog.instances_of(study)}
    assert states == {ScreeningState.SCREENED}
