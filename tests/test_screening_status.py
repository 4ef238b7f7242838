"""How far screening has come, in the command, in the page and in the metrics: numbers, for who may have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import all_canaries, chest_film
from house import House
from review_kit import PLACE, detectors, finds, screen_all, store

from server import status
from server.model import Ask, Caller, ScreeningState
from server.workers import Pace, at_work, note_pace, paces

ALLOWED = {"privacy-reviewer", "system-administrator"}
OTHERS = (
    "clinician", "patient", "researcher", "teacher", "front-desk", "technologist", "security-administrator",
    "security-auditor",
)  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        store(made)
        screen_all(made, detectors(finds(PLACE), finds(PLACE)))
        store(made, study=2)
        yield made


def test_states_are_counted(house: House) -> None:
    counts = house.services.catalog.counts()
    assert counts == {
        ScreeningState.PENDING: 1,
        ScreeningState.SCREENED: 0,
        ScreeningState.FAILED: 0,
        ScreeningState.IN_REVIEW: 1,
    }


def test_pace_oldest_and_what_remains(house: House) -> None:
    house.now += 90
    idle = status.status(house.services)
    assert (idle.workers, idle.rate, idle.oldest, idle.remaining) == (0, 0, 90, None)
    with at_work(house.services) as first, at_work(house.services) as second:
        note_pace(house.services, first, Pace(done=3, rate=0.5))
        note_pace(house.services, second, Pace(done=1, rate=1.5))
        assert len(paces(house.services)) == 2
        busy = status.status(house.services)
        shown = list(status.lines(busy))
    assert (busy.workers, busy.rate, busy.remaining) == (2, 2.0, 0.5)
    assert "rate            120.0 films a minute" in shown
    assert "oldest        0:01:30" in shown
    assert status.status(house.services).workers == 0


def test_a_dead_worker_does_not_count(house: House) -> None:
    with at_work(house.services) as name:
        note_pace(house.services, name, Pace(done=3, rate=0.5))
        left = (house.settings.data / "workers" / name).read_bytes()
    (house.settings.data / "workers" / name).write_bytes(left)
    assert paces(house.services) == []


@pytest.mark.parametrize("user", sorted(ALLOWED))
def test_metrics_for_who_may_have_them(house: House, user: str) -> None:
    response = house.get("/metrics", user)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    body = response.get_data(as_text=True)
    assert 'safelight_instances{state="in review"} 1' in body
    assert 'safelight_instances{state="pending"} 1' in body
    known = (*all_canaries(chest_film()).values(), chest_film().StudyInstanceUID)
    assert not [text for text in known if len(text) > 5 and text in body]
    for line in body.splitlines():
        assert line.startswith("# ") or float(line.rpartition(" ")[2]) >= 0


@pytest.mark.parametrize("user", OTHERS)
def test_metrics_for_nobody_else(house: House, user: str) -> None:
    assert house.get("/metrics", user).status_code == 403


def test_metrics_not_for_strangers(house: House) -> None:
    assert house.client.get("/metrics").status_code == 401


@pytest.mark.parametrize("user", [*sorted(ALLOWED), *OTHERS])
def test_the_page_says_it_to_the_same(house: House, user: str) -> None:
    caller = Caller(subject="s", issuer="i", client="c", roles=frozenset({user}), project="p")
    said = status.for_page(house.services, Ask(caller=caller, request="r"))
    assert said == ("Screening: 1 pending, 0 screened, 0 failed, 1 in review." if user in ALLOWED else "")
