"""Masked answers that are kept: a hit is decided and recorded like any answer, and serves the one view it is of."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import BurnedText, PixelFormat, chest_film, part10_bytes
from house import POLICIES, STEP, House

from server import develop
from server.audit.show import read
from server.errors import Busy
from server.model import AuditEvent
from server.pixels import redact as redacting
from server.pixels.pool import Gate

FILM = PixelFormat(rows=256, columns=320, frames=2)
LARGER = PixelFormat(
    rows=600, columns=800, burned=(BurnedText(text="MUSTER^MAXIMA", top_row=60, left_column=60, height=40),)
)
JPEG_LS = f'{STEP}"image/jls"'
PICTURES = ("/rendered", "/thumbnail", "/frames/2/rendered", "/rendered?viewport=64,64", "/rendered?quality=50")


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of every frame that is masked."""
    numbers: list[int] = []
    redact = redacting.redact

    def counting(*given: Any, **named: Any) -> Any:
        numbers.append(named["frame_number"])
        return redact(*given, **named)

    monkeypatch.setattr(develop, "redact", counting)
    return numbers


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("kept")) as made:
        assert made.store(part10_bytes(chest_film(FILM))).status_code == 200
        made.screen()
        yield made


def entries(house: House) -> list[AuditEvent]:
    return [one.event for one in read(house.settings.journal, None)]


def kept(house: House) -> list[Path]:
    return sorted(path for path in (house.settings.data / "answers").rglob("*") if path.is_file())


def test_the_same_view_is_masked_once_and_recorded_each_time(house: House, masked: list[int]) -> None:
    (base,) = house.instances("researcher")
    for suffix in PICTURES:
        first = house.get(base + suffix, "researcher", "image/jpeg")
        count, told = len(masked), len(entries(house))
        again = house.get(base + suffix, "researcher", "image/jpeg")
        assert (again.status_code, again.data) == (200, first.data)
        assert again.headers["ETag"] == first.headers["ETag"]
        assert len(masked) == count > 0
        assert len(entries(house)) == told + 1
        last = entries(house)[-1]
        assert (last.kind, last.status, last.level, last.acting_role) == ("answer", 200, "deidentified", "researcher")
        assert last.digest == entries(house)[-2].digest


def test_compressed_frames_are_kept_too_and_uncompressed_ones_are_not(house: House, masked: list[int]) -> None:
    (base,) = house.instances("researcher")
    bodies = [house.get(f"{base}/frames/2", "researcher", JPEG_LS) for _ in range(2)]
    assert [one.status_code for one in bodies] == [200, 200]
    assert masked == [2]
    # The list of another frame is another answer; parts of it that are kept are taken, in the asked order.
    assert house.get(f"{base}/frames/2,1", "researcher", JPEG_LS).status_code == 200
    assert masked == [2, 1]
    for _ in range(2):
        assert house.get(f"{base}/frames/2", "researcher", f'{STEP}"application/octet-stream"').status_code == 200
    assert masked == [2, 1, 2, 2]
    for numbers, status in (("3", 404), ("2,3", 404), ("0", 400)):
        assert house.get(f"{base}/frames/{numbers}", "researcher", JPEG_LS).status_code == status


def test_a_hit_of_one_view_is_none_of_another(house: House, masked: list[int]) -> None:
    """Role, project, level, parameters, media type: each is masked for itself, and shown what is its own."""
    asked = [(user, house.token(user)) for user in ("clinician", "technologist", "researcher", "teacher", "front-desk")]
    asked.append(("researcher", house.token("researcher", project="another")))
    bodies: dict[tuple[str, str, str], bytes] = {}
    for user, token in asked:
        bases = house.instances(user, token=token)
        for base in bases:
            for suffix in ("/rendered?quality=61", "/rendered?quality=62", "/thumbnail?quality=61"):
                for accept in ("image/jpeg", "image/png"):
                    count = len(masked)
                    first = house.get(base + suffix, user, accept, token=token)
                    if first.status_code != 200:
                        continue
                    assert len(masked) == count + 1, (user, suffix, accept)
                    again = house.get(base + suffix, user, accept, token=token)
                    assert len(masked) == count + 1
                    bodies[token, suffix, accept] = first.data
                    assert again.data == first.data
    assert len(bodies) >= 30


def test_screening_labels_and_policy_end_what_was_kept(tmp_path: Path, masked: list[int]) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    with House(tmp_path / "house", policies=policies) as own:
        assert own.store(part10_bytes(chest_film(LARGER))).status_code == 200
        (base,) = own.instances("researcher")

        def ask() -> bytes:
            found: bytes = own.get(f"{base}/rendered", "researcher", "image/png").data
            return found

        whole = ask()
        assert ask() == whole
        own.screen()
        count = len(masked)
        screened = ask()
        assert screened != whole
        assert len(masked) == count + 1
        own.services.catalog.set_labels(str(chest_film().StudyInstanceUID), departments=["radiology"], care_team=[])
        assert ask() == screened
        assert len(masked) == count + 2
        file = policies / "levels" / "deidentified.toml"
        file.write_text(re.sub(r"masked_notice = true", "masked_notice = false", file.read_text("utf-8")), "utf-8")
        assert own.services.policy.reload() == ()
        assert ask() != screened
        assert len(masked) == count + 3
        # A level that is no longer there leaves nothing behind.
        own.services.answers.keep_only(["original"])
        assert kept(own) == []


def test_what_cannot_be_recorded_is_not_answered_from_what_is_kept(house: House) -> None:
    (base,) = house.instances("researcher")
    assert house.get(f"{base}/rendered", "researcher", "image/jpeg").status_code == 200
    journal = house.settings.journal
    aside = journal.with_name("aside")
    journal.rename(aside)
    try:
        refused = house.get(f"{base}/rendered", "researcher", "image/jpeg")
    finally:
        aside.rename(journal)
    assert refused.status_code == 503
    assert refused.mimetype == "application/json"


@pytest.mark.parametrize("damage", ["flipped", "swapped", "cut"])
def test_a_damaged_answer_is_developed_anew(tmp_path: Path, damage: str) -> None:
    with House(tmp_path) as own:
        assert own.store(part10_bytes(chest_film(FILM))).status_code == 200
        own.screen()
        (base,) = own.instances("researcher")
        paths = [base + suffix for suffix in PICTURES]
        before = [own.get(path, "researcher", "image/jpeg").data for path in paths]
        files = kept(own)
        bodies = [path.read_bytes() for path in files]
        assert len(files) >= len(paths)
        for place, path in enumerate(files):
            flipped = bodies[place][:-1] + bytes([bodies[place][-1] ^ 1])
            path.write_bytes({"flipped": flipped, "swapped": bodies[place - 1], "cut": bodies[place][:30]}[damage])
        assert [own.get(path, "researcher", "image/jpeg").data for path in paths] == before


def test_what_is_kept_of_a_masked_view_follows_nothing_that_is_hidden(tmp_path: Path) -> None:
    """Two houses whose films differ under the mask alone keep answers of the same names and sizes for a researcher."""
    told = []
    for name, text in (("first", "MUSTER^MAXIMA"), ("second", "BEISPIEL^BODO")):
        burned = (BurnedText(text=text, top_row=40, left_column=40, height=30),)
        ds = chest_film(replace(FILM, burned=burned), canaries=False)
        with House(tmp_path / name) as own:
            assert own.store(part10_bytes(ds)).status_code == 200
            # Unscreened, so wholly masked: what is burned in has no part in the picture.
            (base,) = own.instances("researcher")
            answers = [own.get(base + suffix, "researcher", "image/jpeg").data for suffix in PICTURES]
            assert own.get(f"{base}/frames/1", "researcher", JPEG_LS).status_code == 200
            sizes = [(path.relative_to(own.settings.data), path.stat().st_size) for path in kept(own)]
            # Whoever sees it all does not move what is kept for others.
            (seen,) = own.instances("clinician")
            clinicians = [own.get(seen + suffix, "clinician", "image/jpeg").data for suffix in PICTURES]
            after = [(path.relative_to(own.settings.data), path.stat().st_size) for path in kept(own)]
            assert {one for one in after if one in sizes} == set(sizes)
            compartments = {path.parts[1] for path, _ in after}
            assert len(compartments) == 2
            told.append((answers, sorted(size for _, size in sizes), len(after), clinicians))
    assert told[0][:3] == told[1][:3]
    assert told[0][3] != told[1][3]


def test_too_many_decodes_at_once_are_refused_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(tmp_path) as own:
        assert own.store(part10_bytes(chest_film(FILM))).status_code == 200
        own.screen()
        (base,) = own.instances("researcher")
        monkeypatch.setattr(own.services.gate, "_patience", 0.05)
        held = [own.services.gate.passed() for _ in range(own.settings.decodes)]
        for one in held:
            one.__enter__()
        refused = own.get(f"{base}/rendered", "researcher", "image/jpeg")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        last = entries(own)[-1]
        assert (last.status, last.action, last.reason.partition(":")[0]) == (503, "retrieve-rendered", "Busy")
        # Nothing that needs no decoding is refused.
        assert own.get(f"{base}/metadata", "researcher", "application/dicom+json").status_code == 200
        held[0].__exit__(None, None, None)
        assert own.get(f"{base}/rendered", "researcher", "image/jpeg").status_code == 200
        # The place is given back by failures too: there are as many as before.
        for _ in range(6):
            own.get(f"{base}/frames/9/rendered", "researcher", "image/jpeg")
        assert own.get(f"{base}/rendered?quality=40", "researcher", "image/jpeg").status_code == 200
        for one in held[1:]:
            one.__exit__(None, None, None)


def test_a_gate_lets_no_more_through_than_it_has_places() -> None:
    gate, inside, most = Gate(3, 5.0), [0], [0]
    lock = threading.Lock()

    def enter() -> None:
        for _ in range(20):
            with gate.passed():
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert most[0] <= 3
    narrow = Gate(2, 0.01)
    with narrow.passed(), narrow.passed(), pytest.raises(Busy):
        narrow.passed().__enter__()
    with narrow.passed(), narrow.passed():
        pass


def _resident() -> int:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def test_memory_does_not_grow_with_requests(house: House) -> None:
    (base,) = house.instances("researcher")
    paths = [f"{base}/frames/1", *(f"{base}/rendered?quality={number}" for number in range(30, 40))]
    for path in paths * 3:
        assert house.get(path, "researcher").status_code == 200
    before = _resident()
    for _ in range(20):
        house.services.answers.drop()
        for path in paths:
            assert house.get(path, "researcher").status_code == 200
    assert _resident() - before < 16 * 1024
