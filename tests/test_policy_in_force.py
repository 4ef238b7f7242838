"""One request, one bundle: a policy that is changed under many requests never decides half of one."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import chest_film, part10_bytes
from house import POLICIES, House
from pydicom.uid import UID

from server.model import Choice, Consent, StudyLabel
from server.policy.bundle import BundleHolder, fingerprint, read_files
from server.policy.words import PolicyBundle

FILM = chest_film()
STUDY = str(FILM.StudyInstanceUID)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    shutil.copytree(POLICIES, tmp_path / "policies")
    return tmp_path / "policies"


@pytest.fixture
def house(tmp_path: Path, directory: Path) -> Iterator[House]:
    with House(tmp_path / "house", policies=directory) as made:
        assert made.store(part10_bytes(FILM)).status_code == 200
        made.screen()
        yield made


def entries(house: House, **wanted: object) -> list[dict[str, object]]:
    """Lines of the journal whose fields are as wanted."""
    lines = [json.loads(line) for path in sorted(house.settings.journal.glob("*")) for line in _lines(path)]
    return [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]


def _lines(path: Path) -> list[str]:
    text = path.read_bytes().decode(errors="replace")
    return [line for line in text.splitlines() if line.startswith("{") and '"seq"' in line]


def remark(directory: Path, words: str) -> None:
    """Change the fingerprint and nothing else, in one step."""
    path = directory / "front-desk.cedar"
    fresh = directory / "front-desk.new"
    fresh.write_text((POLICIES / "front-desk.cedar").read_text() + f"// {words}\n")
    fresh.replace(path)


def test_a_change_is_in_force_without_a_restart(house: House, directory: Path) -> None:
    (path,) = house.instances("front-desk")
    assert house.get(f"{path}/metadata", "front-desk").status_code == 200
    rules = directory / "front-desk.cedar"
    closed = rules.read_text() + (
        '@id("closed") @note("Closed.") forbid (principal in Role::"front-desk", '
        'action == Action::"front-desk", resource);\n'
    )
    for name in ("masked.toml", "safeguards.toml", "roles.toml", "care.toml", "officers.toml", "review.toml"):
        cases = directory / "cases" / name
        cases.write_text(cases.read_text().replace('expect = "front-desk"', 'expect = "not-found"'))
    rules.write_text(closed)
    assert house.services.policy.reload() == ()
    assert house.get(f"{path}/metadata", "front-desk").status_code == 404
    rules.write_text(closed + "permit (")
    assert house.services.policy.reload()
    assert house.get(f"{path}/metadata", "front-desk").status_code == 404


def test_a_request_holds_the_bundle_that_it_began_with(house: House, directory: Path) -> None:
    """Every answer under a reload names one bundle, and `anonymize`, which asks twice, never finds two."""
    (path,) = house.instances("clinician")
    known = {house.services.policy.current.fingerprint}
    study, series, instance = FILM.StudyInstanceUID, FILM.SeriesInstanceUID, FILM.SOPInstanceUID
    twice = (
        f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        "&contentType=application/dicom&anonymize=yes"
    )
    stop = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        client = house.app.test_client()
        headers = {"Authorization": f"Bearer {house.token('clinician')}", "Accept": "*/*"}
        while not stop.is_set():
            for one in (twice, f"{path}/metadata", "/dicomweb/studies"):
                response = client.get(one, headers=headers)
                response.get_data()
                statuses.append(response.status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        remark(directory, f"change {number}")
        assert house.services.policy.reload() == ()
        known.add(house.services.policy.current.fingerprint)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert len(known) == 21
    answered = [line for line in entries(house) if line.get("policy")]
    assert {str(line["policy"]) for line in answered} <= known


def test_a_pinned_bundle_stays(directory: Path) -> None:
    holder = BundleHolder(directory)
    pinned = holder.pinned()
    first: PolicyBundle = pinned.current
    remark(directory, "later")
    assert holder.reload() == ()
    assert holder.current is not first
    assert pinned.current is first
    assert pinned.pinned() is pinned
    assert pinned.reload() == ()


def test_what_is_unchanged_is_not_read_into_a_new_bundle(directory: Path) -> None:
    holder = BundleHolder(directory)
    first = holder.current
    assert holder.reload() == ()
    assert holder.current is first


def test_half_of_an_edit_is_nobodys_policy(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = BundleHolder(directory)
    first = holder.current
    remark(directory, "one")
    count = 0

    def busy(path: Path) -> object:
        nonlocal count
        count += 1
        remark(directory, f"edit {count}")
        return read_files(path)

    monkeypatch.setattr("server.policy.bundle.read_files", busy)
    assert holder.reload() == ("the policy directory is being changed",)
    assert holder.current is first


def test_a_link_put_in_its_place_changes_all_files_at_once(tmp_path: Path, directory: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(directory, other)
    remark(other, "other")
    link = tmp_path / "link"
    link.symlink_to(directory)
    holder = BundleHolder(link)
    fresh = tmp_path / "fresh"
    fresh.symlink_to(other)
    fresh.replace(link)
    assert holder.reload() == ()
    assert holder.current.fingerprint == fingerprint(read_files(other))


def another_study(number: int) -> bytes:
    """A film of the same patient in a study of its own."""
    film = chest_film()
    film.StudyInstanceUID, film.SeriesInstanceUID = UID(f"2.25.{number}001"), UID(f"2.25.{number}002")
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{number}003")
    return part10_bytes(film)


LABELS = f"/labels/studies/{STUDY}"
CONSENTS = f"/consents/studies/{STUDY}"


def test_labels_decide_and_are_in_the_journal(house: House) -> None:
    care = {"departments": ["radiology"], "care_team": []}
    assert len(house.instances("clinician")) == 1
    body = {**care, "labels": ["vip"]}
    assert house.request("PUT", LABELS, "security-administrator", json=body).status_code == 204
    assert house.instances("clinician") == []
    assert house.instances("researcher") == []
    told = house.get(LABELS, "security-administrator").json
    assert told == {**body, "consent": {"disclosure": "unsaid", "research": "unsaid"}}
    # Without labels in the request they stay.
    assert house.request("PUT", LABELS, "security-administrator", json=care).status_code == 204
    assert house.instances("researcher") == []
    assert house.request("PUT", LABELS, "security-administrator", json={**care, "labels": []}).status_code == 204
    assert len(house.instances("researcher")) == 1
    reasons = [line["reason"] for line in entries(house, kind="label")]
    assert reasons == [
        "care relation set, labels: vip", "care relation set", "care relation set, labels: none",
    ]  # fmt: skip


def test_a_consent_counts_for_all_studies_of_the_patient_and_those_to_come(house: House) -> None:
    second, third = another_study(7), another_study(8)
    assert house.store(second).status_code == 200
    assert len(house.instances("researcher")) == 2
    refused = {"disclosure": "unsaid", "research": "opt-out"}
    assert house.request("PUT", CONSENTS, "front-desk", json=refused).status_code == 204
    assert house.instances("researcher") == []
    assert house.store(third).status_code == 200
    assert house.instances("researcher") == []
    assert len(house.instances("clinician")) == 3
    found = house.services.catalog.find_study("2.25.8001")
    assert found is not None
    assert found.labels.consent == Consent(disclosure=Choice.UNSAID, research=Choice.OPT_OUT)
    assert house.request("PUT", CONSENTS, "front-desk", json={**refused, "research": "unsaid"}).status_code == 204
    assert len(house.instances("researcher")) == 3
    assert len(entries(house, kind="label", action="record-consent")) == 2


def test_a_project_ends_on_its_day(house: House) -> None:
    where = "/projects/demo-project"
    assert len(house.instances("researcher")) == 1
    # The house's clock stands on 2026-09-21.
    for day, seen in (("2026-09-21", 1), ("2026-09-20", 0), ("2027-01-31", 1)):
        approved = house.request("PUT", where, "security-administrator", json={"approved_until": day})
        assert approved.status_code == 204
        assert len(house.instances("researcher")) == seen, day
    assert house.get("/projects", "security-administrator").json == [
        {"project": "demo-project", "approved_until": "2027-01-31"}
    ]
    house.now += 200 * 24 * 3600
    assert house.instances("researcher") == []
    assert [line["reason"] for line in entries(house, action="approve-project", kind="label")] == [
        "project approved until 2026-09-21", "project approved until 2026-09-20", "project approved until 2027-01-31",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "user", "body"),
    [
        (LABELS, "security-administrator", {"departments": [], "care_team": [], "labels": ["VIP"]}),
        (LABELS, "security-administrator", {"departments": [], "labels": []}),
        (LABELS, "security-administrator", {"departments": [], "care_team": [], "labels": "vip"}),
        (CONSENTS, "front-desk", {"disclosure": "opt-out"}),
        (CONSENTS, "front-desk", {"disclosure": "yes", "research": "unsaid"}),
        ("/projects/p", "security-administrator", {"approved_until": "31.12.2027"}),
        ("/projects/p", "security-administrator", {"approved_until": "2027-12-31", "by": "me"}),
        ("/projects/%20p", "security-administrator", {"approved_until": "2027-12-31"}),
    ],
)
def test_what_is_no_label_no_consent_and_no_day_is_refused(
    house: House, path: str, user: str, body: dict[str, object]
) -> None:
    assert house.request("PUT", path, user, json=body).status_code == 400
    assert entries(house, kind="label") == []
    assert house.services.catalog.projects() == {}


def test_who_may_not_changes_nothing(house: House) -> None:
    for user in ("clinician", "researcher", "security-auditor", "system-administrator", "technologist"):
        for path, body in (
            (LABELS, {"departments": [], "care_team": [], "labels": []}),
            (CONSENTS, {"disclosure": "opt-in", "research": "opt-in"}),
            ("/projects/demo-project", {"approved_until": "2099-12-31"}),
        ):
            assert house.request("PUT", path, user, json=body).status_code == 403
    assert house.services.catalog.projects() == {}
    assert entries(house, kind="label") == []


def test_what_the_server_knows_of_a_request_is_what_the_rules_are_told(house: House) -> None:
    labels = frozenset({StudyLabel.LEGAL_CASE})
    house.services.catalog.set_labels(STUDY, departments=["radiology"], care_team=[], labels=labels)
    assert house.instances("clinician") == []
    object.__setattr__(house.settings, "zones", {"clinical": ("127.0.0.0/8",), "outside": ("0.0.0.0/0",)})
    assert len(house.instances("clinician")) == 1
    object.__setattr__(house.settings, "zones", {"clinical": ("10.0.0.0/8",), "outside": ("0.0.0.0/0",)})
    assert house.instances("clinician") == []
