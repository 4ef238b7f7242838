"""What the second look reads sends a film to a person; what it only marks is hidden, and the film is screened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from house import House
from review_kit import PLACE, again, detectors, finds, nothing, screen_all, store

from server.develop import unseal
from server.model import ReviewReason, ScreeningState
from server.screening.regions import RESIDUAL, UNREAD

MARKED = replace(PLACE, detector=RESIDUAL, content=UNREAD)


@pytest.mark.parametrize("content", ["", "marker", "technique"])
def test_what_is_read_calls_a_person(tmp_path: Path, content: str) -> None:
    with House(tmp_path) as house:
        one = store(house)
        read = replace(MARKED, content=content, top_row=40)
        screen_all(house, detectors(nothing, finds(MARKED, read)))
        assert again(house, one).screening is ScreeningState.IN_REVIEW
        assert again(house, one).review is ReviewReason.RESIDUAL_TEXT


def test_what_is_only_marked_is_hidden_and_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        one = store(house)
        screen_all(house, detectors(nothing, finds(MARKED)))
        assert again(house, one).screening is ScreeningState.SCREENED
        assert MARKED in unseal(house.services, again(house, one)).regions
