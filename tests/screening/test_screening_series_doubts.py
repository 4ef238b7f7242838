from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from server.screening.heads import LEAST_SLICES, HeadFinding, Verdict
from server.screening.series import SeriesHeads
from server.screening.volume import Slice, geometry, small_slice

SERIES = "ab" * 16


class Says:
    """Stands in for the finder of heads."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def find(self, slices: Sequence[Slice]) -> list[HeadFinding]:
        return [HeadFinding(verdict=self.verdict)] * len(slices)


def heads(verdict: Verdict) -> SeriesHeads:
    finder: Any = Says(verdict)
    return SeriesHeads(finder)


def put(series: SeriesHeads, number: int) -> bool:
    """Whether one more slice is news of the others."""
    where = geometry((0.0, 0.0, 5.0 * number), (1, 0, 0, 0, 1, 0), (2.0, 2.0), 64, 64)
    assert where is not None
    series.put(SERIES, str(number), {1: small_slice(np.zeros((64, 64, 1)), where)})
    return series.judge(SERIES)


def test_a_doubt_about_few_slices_is_news_again_once_they_are_a_volume() -> None:
    series = heads(Verdict.UNCERTAIN)
    news = [put(series, number) for number in range(1, LEAST_SLICES + 1)]
    assert (news[0], news[-1]) == (True, True)
    assert series.doubted(SERIES) == {str(number) for number in range(1, LEAST_SLICES + 1)}


class SaysOfAVolume(Says):
    """Is in doubt of all, but of the last slice of a volume."""

    def find(self, slices: Sequence[Slice]) -> list[HeadFinding]:
        last = Verdict.UNCERTAIN if len(slices) < LEAST_SLICES else Verdict.NO_HEAD
        return [*super().find(slices[1:]), HeadFinding(verdict=last)]


def test_it_is_news_even_where_the_last_slice_is_none_of_it() -> None:
    finder: Any = SaysOfAVolume(Verdict.UNCERTAIN)
    series = SeriesHeads(finder)
    for number in range(1, LEAST_SLICES):
        put(series, number)
    assert put(series, LEAST_SLICES)


def test_no_head_is_no_news() -> None:
    series = heads(Verdict.NO_HEAD)
    assert not any(put(series, number) for number in range(1, LEAST_SLICES + 3))
    assert series.of_instance(SERIES, "1", [1]) == ([], False)
    assert series.of_instance(SERIES, "1", [1], said=True) == ([], True)
    assert series.of_instance(SERIES, "unknown", [1]) == ([], True)
