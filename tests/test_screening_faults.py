"""Whatever a detector does, its film stays wholly masked and waits for a person, and no other suffers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House, parts
from numpy.typing import NDArray
from review_kit import PLACE, Look, again, detectors, finds, screen_all, store, waiting
from sqlalchemy import text

from server.commands.supervise import Supervisor, reason_of
from server.errors import DecodeFailed, DetectorNonsense, SealBroken, UnsupportedPixels
from server.model import InstanceRecord, Region, RegionKind, ReviewReason, ScreeningState
from server.screening import findings
from server.screening.findings import checked
from server.workers import release_ended

ROOT = Path(__file__).resolve().parents[1]
# A worker as `safelight screen` begins one, whose detector does to the films of 40 rows what the first argument says.
_WORKER = """
import os, signal, sys, time
from contextlib import contextmanager
from pathlib import Path
sys.path.insert(0, {tests!r})
from review_kit import detectors
from server.commands import working
from server.commands.working import Shift, work
from server.model import ReviewReason
from server.services import SystemRandomness, open_services
from server.settings import Settings

how, root, *rest = sys.argv[1:]

class Odd(BaseException): pass

def look(samples, _):
    if samples.shape[0] == 40:
        if how == "killed": os.kill(os.getpid(), signal.SIGKILL)
        if how == "hangs":
            while True: pass
        if how == "odd": raise Odd("MUSTER^MAXIMA")
    return []

@contextmanager
def services_of(_):
    settings = Settings(data=Path(root, "data"), keyring=Path(root, "keys", "keyring.json"),
        policies=Path({policies!r}), issuer="http://127.0.0.1:8080/provider/demo", audience="http://127.0.0.1:8080",
        public_url="http://127.0.0.1:8080", database=f"sqlite:///{{Path(root, 'data', 'catalog.sqlite')}}", claims={{}})
    services = open_services(settings, randomness=SystemRandomness(), clock=time.time)
    yield services
    services.close()

working.services_of, working.load = services_of, lambda threads: detectors(look)
ended = dict([rest[1].split(":")]) if rest else {{}}
ended = {{int(pid): ReviewReason(reason) for pid, reason in ended.items()}}
work(None, Shift(until_empty=True, parent=None, patience=1, ended=ended))
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def _shape(rows: int) -> PixelFormat:
    return replace(PixelFormat(), rows=rows)


def _frame(house: House, user: str = "researcher") -> NDArray[np.uint16]:
    """All samples of the first film that a user finds."""
    accept = 'multipart/related; type="application/octet-stream"'
    response = house.get(f"{house.instances(user)[0]}/frames/1", user, accept)
    assert response.status_code == 200
    return np.frombuffer(parts(response)[0][1], "<u2")


def wholly_masked_and_queued(house: House, one: InstanceRecord, reason: ReviewReason) -> None:
    """The film is there for its clinician, a researcher sees nothing of it, and a person is asked to look."""
    found = again(house, one)
    assert found.screening is ScreeningState.FAILED
    assert found.review is reason
    assert [film["reason"] for film in waiting(house)] == [reason.value]
    assert house.services.catalog.pending() == 0
    shown, stored = _frame(house), _frame(house, "clinician")
    assert shown.size == stored.size
    # A mosaic of a frame that shows nothing is made of very few values.
    assert np.unique(shown).size <= 4 < np.unique(stored).size


def raises(error: type[BaseException]) -> Look:
    def look(_samples: object, _number: int) -> list[Region]:
        raise error("MUSTER^MAXIMA")

    return look


class Strange:
    """No region at all, though it looks like one from afar."""

    kind, frames, confidence = RegionKind.TEXT, frozenset({1}), 1.0
    top_row = left_column = 0
    row_count = column_count = 4


def impossible(**changes: object) -> Region:
    """A region that no constructor would let through."""
    made = replace(PLACE)
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made


NONSENSE: Mapping[str, object] = {
    "not a number": impossible(confidence=float("nan")),
    "too sure": impossible(confidence=1.5),
    "no number": impossible(confidence="high"),
    "above": impossible(top_row=-1),
    "to the right": impossible(left_column=60_000),
    "below": impossible(row_count=60_000),
    "empty": impossible(column_count=0),
    "half a sample": impossible(top_row=0.5),
    "a number of another kind": impossible(top_row=np.int64(3)),
    "a frame that is not": impossible(frames=frozenset({2})),
    "the frame before the first": impossible(frames=frozenset({0})),
    "no kind": impossible(kind="text"),
    "an array": np.zeros((4, 4)),
    "None": None,
    "another class": Strange(),
}


@pytest.mark.parametrize("error", [*findings.FAULTS, KeyError, ZeroDivisionError], ids=lambda error: error.__name__)
def test_a_detector_that_raises(house: House, error: type[BaseException]) -> None:
    one = store(house)
    screen_all(house, detectors(raises(error)))
    wholly_masked_and_queued(house, one, ReviewReason.DETECTOR_FAILED)


def test_a_detector_that_runs_out_of_memory(house: House) -> None:
    one = store(house)
    screen_all(house, detectors(raises(MemoryError)))
    wholly_masked_and_queued(house, one, ReviewReason.OUT_OF_MEMORY)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DecodeFailed, ReviewReason.DAMAGED),
        (UnsupportedPixels, ReviewReason.UNSUPPORTED),
        (SealBroken, ReviewReason.SEAL_BROKEN),
    ],
)
def test_a_film_that_cannot_be_read(house: House, error: type[BaseException], reason: ReviewReason) -> None:
    one = store(house)
    screen_all(house, detectors(raises(error)))
    wholly_masked_and_queued(house, one, reason)


@pytest.mark.parametrize("region", NONSENSE.values(), ids=NONSENSE)
def test_a_detector_that_returns_nonsense(region: object) -> None:
    rows, columns, frames = 64, 64, 1
    assert checked([PLACE], rows, columns, frames) == (PLACE,)
    with pytest.raises(DetectorNonsense):
        checked([PLACE, region], rows, columns, frames)


def test_nonsense_fails_the_film(house: House) -> None:
    one = store(house)
    screen_all(house, detectors(finds(PLACE, impossible(left_column=60_000))))
    wholly_masked_and_queued(house, one, ReviewReason.DETECTOR_NONSENSE)


def test_nonsense_of_the_second_look_fails_the_film(house: House) -> None:
    one = store(house)
    screen_all(house, detectors(finds(PLACE), finds(impossible(confidence=float("nan")))))
    wholly_masked_and_queued(house, one, ReviewReason.DETECTOR_NONSENSE)


def test_a_detector_of_another_shape(house: House) -> None:
    one = store(house)
    screen_all(house, detectors(lambda *_: np.zeros((3, 4))))  # type: ignore[arg-type]
    reason = again(house, one).review
    assert reason in {ReviewReason.DETECTOR_FAILED, ReviewReason.DETECTOR_NONSENSE}
    wholly_masked_and_queued(house, one, reason)


def test_a_film_too_large_to_look_at(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one = store(house)
    monkeypatch.setattr("server.look.LARGEST_FRAME", 63)
    screen_all(house, detectors(finds(PLACE)))
    wholly_masked_and_queued(house, one, ReviewReason.TOO_LARGE)


def test_what_ends_every_worker_fails_with_the_reason(house: House) -> None:
    one = store(house)
    for attempt in range(3):
        name = f"{4000 + attempt}-dead"
        assert house.services.catalog.claim(name, house.now, 600.0) is not None
        (house.settings.data / "workers").mkdir(exist_ok=True)
        (house.settings.data / "workers" / name).touch()
        assert release_ended(house.services, {4000 + attempt: ReviewReason.TIMED_OUT}) == 1
    assert house.services.catalog.claim("next", house.now, 600.0) is None
    wholly_masked_and_queued(house, one, ReviewReason.TIMED_OUT)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("killed", ReviewReason.DETECTOR_ENDED),
        ("hangs", ReviewReason.TIMED_OUT),
        ("odd", ReviewReason.DETECTOR_FAILED),
    ],
)
def test_a_detector_that_takes_its_process_along(
    house: House, tmp_path: Path, capfd: pytest.CaptureFixture[str], how: str, reason: ReviewReason
) -> None:
    film = chest_film(_shape(40))
    assert house.store(part10_bytes(film)).status_code == 200
    for study in (2, 3):
        assert house.store(part10_bytes(chest_film(_shape(48), study=study))).status_code == 200
    with house.services.engine.begin() as connection:
        # Two workers have gone that way already; that it takes three is tested beside the queue.
        connection.execute(text("UPDATE instances SET attempts = 2"))
    script = tmp_path / "worker.py"
    script.write_text(_WORKER.format(tests=str(ROOT / "tests"), policies=str(house.settings.policies)), "utf-8")
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        words = (sys.executable, str(script), how, str(tmp_path))
        assert Supervisor(words, None, pauses=(0.0, 0.0)).run() == 0
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    one = house.services.catalog.instances_of(film.StudyInstanceUID)[0]
    assert (one.screening, one.review) == (ScreeningState.FAILED, reason)
    assert [film["reason"] for film in waiting(house)] == [reason.value]
    for study in (2, 3):
        other = chest_film(_shape(48), study=study)
        state = house.services.catalog.instances_of(other.StudyInstanceUID)[0].screening
        assert state is ScreeningState.SCREENED, "another film suffers"
    assert "MUSTER" not in capfd.readouterr().err


def test_how_a_process_ended_is_told_apart() -> None:
    assert reason_of(-signal.SIGALRM) is ReviewReason.TIMED_OUT
    assert reason_of(-signal.SIGKILL) is ReviewReason.DETECTOR_ENDED
    assert reason_of(70) is ReviewReason.DETECTOR_FAILED
