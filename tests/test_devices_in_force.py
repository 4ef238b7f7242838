"""When the site's list of devices changes, films are screened again; nothing that it hid is shown by accident."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import POLICIES, House
from review_kit import PLACE, again, detectors, finds, record_of, regions, screen_all, settle

from server.commands.working import Worker
from server.develop import region_set
from server.errors import ConfigurationError
from server.model import InstanceRecord, Region, RegionKind, ScreeningState
from server.screen import found_by, screen_again
from server.screening.devices import fingerprint, read_devices

FIRST = '[[rule]]\nmodality = ["US"]\nmanufacturer = ["ACME"]\nplaces = [{ rows = 20 }]\n'
SECOND = '[[rule]]\nmodality = ["US"]\nplaces = [{ top = 70, rows = 8 }]\n'
BANNER, FOOTER = (0, 20), (70, 8)


class Site:
    """A house whose list of devices can be written."""

    def __init__(self, root: Path) -> None:
        self.policies = root / "policies"
        shutil.copytree(POLICIES, self.policies)
        self.list(FIRST)
        self.house = House(root / "house", policies=self.policies)
        self.worker = Worker(self.house.services, detectors(finds(PLACE)), "test", 300)

    def list(self, content: str) -> None:
        (self.policies / "devices.toml").write_text(content)

    def store(self, study: int = 1) -> InstanceRecord:
        film = chest_film(PixelFormat(rows=80, columns=80), study=study, Modality="US", Manufacturer="Acme")
        assert self.house.store(part10_bytes(film)).status_code == 200
        return record_of(self.house, film.StudyInstanceUID, film.SOPInstanceUID)

    def work(self) -> int:
        """Let the one worker do all that there is; returns how many films it looked at."""
        count = 0
        while self.worker.one():
            count += 1
        return count

    def banners(self, one: InstanceRecord) -> set[tuple[int, int]]:
        """First row and number of rows of what is hidden for the device's sake."""
        now = again(self.house, one)
        kept = region_set(self.house.services, self.house.services.study_key(now.path.study), now)
        assert kept is not None
        assert kept.version == now.found_by
        assert PLACE in kept.regions
        return {(one.top_row, one.row_count) for one in kept.regions if one.kind is RegionKind.BANNER}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    # There is a patience to keep in a process of its own only.
    monkeypatch.setattr("server.commands.working.signal.alarm", lambda _: 0)
    monkeypatch.setattr("server.commands.working.note_pace", lambda *_: None)
    made = Site(tmp_path)
    yield made
    made.house.close()


def test_a_changed_list_has_films_screened_again_the_last_used_first(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [site.store(study) for study in (1, 2, 3)]
    assert site.work() == 3
    assert [site.banners(one) for one in films] == [{BANNER}] * 3
    assert site.work() == 0
    for number in (2, 0):
        site.house.now += 7200
        uid = films[number].path.study
        assert site.house.get(f"/dicomweb/studies/{uid}/metadata", "clinician").status_code == 200
    looked_at: list[str] = []

    def noted(services: object, made_up: object, worker: str, row: str, alive: object) -> InstanceRecord | None:
        looked_at.append(row)
        return screen_again(services, made_up, worker, row, alive)  # type: ignore[arg-type]

    monkeypatch.setattr("server.commands.working.screen_again", noted)
    site.list(FIRST + SECOND)
    assert site.work() == 3
    assert looked_at == [films[number].row for number in (0, 2, 1)]
    assert [site.banners(one) for one in films] == [{BANNER, FOOTER}] * 3
    assert {again(site.house, one).found_by for one in films} == {found_by(site.house.services, site.worker.detectors)}
    assert site.work() == 0


def test_until_then_what_was_found_stays_in_force(site: Site) -> None:
    one = site.store()
    site.work()
    before = again(site.house, one)
    site.list(SECOND)
    assert again(site.house, one) == before
    assert before.screening is ScreeningState.SCREENED
    assert site.banners(one) == {BANNER}

    def look(_samples: object, _number: int) -> list[Region]:
        # While it is looked at again, too.
        assert site.banners(one) == {BANNER}
        assert again(site.house, one).screening is ScreeningState.SCREENED
        return [PLACE]

    row = site.house.services.catalog.outdated(found_by(site.house.services, detectors()))[0]
    assert screen_again(site.house.services, detectors(look), "test", row)
    assert site.banners(one) == {BANNER, FOOTER}


@pytest.mark.parametrize("content", ["rule = []\n", SECOND], ids=["all", "one"])
def test_a_rule_that_is_gone_shows_nothing(site: Site, content: str) -> None:
    one = site.store()
    site.work()
    site.list(content)
    assert site.work() == 1
    assert BANNER in site.banners(one)
    # By command, from the queue, neither.
    site.house.services.catalog.again([ScreeningState.SCREENED], site.house.now)
    screen_all(site.house, site.worker.detectors)
    assert BANNER in site.banners(one)


def test_a_rule_that_is_withdrawn_hides_no_longer(site: Site) -> None:
    one = site.store()
    site.work()
    site.list(FIRST + "withdrawn = true\n")
    assert site.work() == 1
    assert site.banners(one) == set()
    site.list(FIRST + "withdrawn = true\n" + FIRST.replace("ACME", "ACM"))
    assert site.work() == 1
    assert site.banners(one) == {BANNER}, "another rule hides the same place"


@pytest.mark.parametrize("content", [None, "", "[[rule]]\n", "keep = true", "[[rule]]\nmodal"])
def test_a_list_that_cannot_be_read_leaves_the_former_one_in_force(
    site: Site, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    one = site.store()
    site.work()
    if content is None:
        (site.policies / "devices.toml").unlink()
    else:
        site.list(content)
    with caplog.at_level(logging.ERROR, "safelight.screening"):
        assert site.work() == 0
        other = site.store(2)
        assert site.work() == 1
    assert site.banners(one) == site.banners(other) == {BANNER}
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the changed list of devices is not in force"
    ]
    site.list(FIRST + SECOND)
    assert site.work() == 2
    assert site.banners(one) == site.banners(other) == {BANNER, FOOTER}


def test_without_any_list_no_film_is_lost(site: Site) -> None:
    one = site.store()
    site.list("keep = true")
    for _ in range(4):
        with pytest.raises(ConfigurationError):
            screen_all(site.house, detectors(finds(PLACE)))
        assert again(site.house, one).screening is ScreeningState.PENDING
    site.list(FIRST)
    assert site.work() == 1
    assert site.banners(one) == {BANNER}


def test_a_list_that_says_the_same_has_nothing_screened_again(site: Site) -> None:
    site.list(FIRST + SECOND)
    site.store()
    assert site.work() == 1
    site.list("# Another order, and a word about it.\n" + SECOND + FIRST)
    assert site.work() == 0


@pytest.mark.parametrize(
    "changed",
    [
        FIRST.replace("US", "CT"),
        FIRST.replace("ACME", "ACMES"),
        FIRST.replace("rows = 20", "rows = 21"),
        FIRST.replace("rows = 20", "left = 1, rows = 20"),
        FIRST + "rows = [80]\n",
        FIRST + "withdrawn = true\n",
        FIRST + SECOND,
        "rule = []",
    ],
)
def test_whatever_a_rule_says_counts(changed: str) -> None:
    assert fingerprint(read_devices(changed.encode())) != fingerprint(read_devices(FIRST.encode()))


def test_a_person_who_lifted_what_a_rule_hid_is_not_overruled(site: Site) -> None:
    one = site.store()
    site.work()
    path = site.house.instances("privacy-reviewer")[0].removeprefix("/dicomweb/")
    held = site.house.get(f"/review/{path}", "privacy-reviewer")
    listed = (held.json or {})["regions"]
    index = next(number for number, region in enumerate(listed) if region["detector"] == "device")
    lifted = settle(site.house, path, regions(lift={index: "marker"}), held=held.headers["ETag"])
    assert lifted.status_code == 200
    site.list(FIRST + SECOND)
    site.worker = Worker(site.house.services, site.worker.detectors, "test", 300)
    assert site.work() == 1
    assert site.banners(one) == {FOOTER}
