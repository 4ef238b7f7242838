"""`safelight review` and the answers of `safelight screen`, on the data directory of a demo."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import all_canaries, chest_film, part10_bytes
from processes import here
from review_kit import PLACE, detectors, finds

from server.audit.show import read
from server.commands.demo import prepare
from server.commands.opening import demo_settings
from server.importing import import_body
from server.incoming import Storer
from server.model import ScreeningState
from server.screen import screen_next
from server.services import Services, SystemRandomness, open_services


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Services]:
    """A demo with one film in review and one that waits for its screening."""
    settings = demo_settings(tmp_path / "data", 1)
    prepare(settings)
    services = open_services(settings, randomness=SystemRandomness(), clock=time.time)
    storer = Storer(subject="demo-technologist", department="radiology")
    import_body(services, storer, part10_bytes(chest_film()))
    assert screen_next(services, detectors(finds(PLACE), finds(PLACE)), "test")
    import_body(services, storer, part10_bytes(chest_film(study=2)))
    yield services
    services.close()


def run(server: Services, *words: str) -> str:
    done = here(*words, "--data", server.settings.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_list_show_settle(server: Services) -> None:
    row, state, reason, _, kinds = run(server, "review", "list").strip().split("\t")
    assert (state, reason, kinds) == ("in review", "residual-text", "2 text")
    shown = json.loads(run(server, "review", "show", row))
    assert len(shown["regions"]) == 2
    known = (*all_canaries(chest_film()).values(), chest_film().StudyInstanceUID)
    assert not [text for text in known if len(text) > 5 and text in json.dumps(shown) + row]
    settling = ("review", "settle", row, "--revision", shown["revision"])
    done = run(server, *settling, "--add", "40,40,8,8@1", "--lift", "1=anatomy")
    assert done.startswith("screened, 2 regions, revision ")
    assert run(server, "review", "list") == ""
    again = here(*settling, "--accept", "--data", server.settings.data)
    assert again.returncode == 2
    assert "changed in the meantime" in again.stderr
    events = [entry.event for entry in read(server.settings.journal, server.journal_seal_key)]
    made = [event for event in events if event.kind == "review"]
    assert [event.action for event in made] == ["read-queue", "read-queue", "settle", "read-queue"]
    assert all(event.subject.startswith("command:") for event in made)
    assert made[2].object == chest_film().SOPInstanceUID


@pytest.mark.parametrize(
    "words",
    [
        (), ("--accept", "--mask-wholly"), ("--accept", "--add", "0,0,4,4"), ("--add", "0,0,4"), ("--add", "0,0,4,4@0"),
        ("--add", "0,0,400,4"), ("--lift", "0"), ("--lift", "0=name"), ("--lift", "7=anatomy"),
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_refused(server: Services, words: tuple[str, ...]) -> None:
    row = run(server, "review", "list").split("\t")[0]
    revision = json.loads(run(server, "review", "show", row))["revision"]
    done = here("review", "settle", row, "--revision", revision, *words, "--data", server.settings.data)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert server.catalog.counts()[ScreeningState.IN_REVIEW] == 1


@pytest.mark.parametrize("row", ["1.2.3", "00" * 16, "", "../" * 4])
def test_a_film_that_is_none(server: Services, row: str) -> None:
    assert here("review", "show", row, "--data", server.settings.data).returncode in (1, 2)


def test_status_and_again(server: Services) -> None:
    shown = run(server, "screen", "--status").splitlines()
    assert [line.split()[-1] for line in shown[:4]] == ["1", "0", "0", "1"]
    assert run(server, "screen", "--again", "failed").strip() == "0 films wait again"
    assert run(server, "screen", "--again", "in-review").strip() == "1 films wait again"
    assert server.catalog.pending() == 2
    events = [entry.event for entry in read(server.settings.journal, None) if entry.event.action == "again"]
    assert len(events) == 2
