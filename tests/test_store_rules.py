"""First copy wins, and what a study belongs to is fixed by its first store (a.S2, a.S3), whatever later films say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bad_objects import SMALL
from builders import chest_film, decoded_frames, part10_bytes
from house import NOW, House
from pydicom.dataset import Dataset
from store_kit import contents, failures, journal

from server.model import PatientIdentity
from server.outcomes import FailureReason

HOUR = 3600.0
FIRST = chest_film(SMALL)
PATH = f"/dicomweb/studies/{FIRST.StudyInstanceUID}/series/{FIRST.SeriesInstanceUID}/instances/{FIRST.SOPInstanceUID}"


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one film, stored by a technologist of radiology."""
    with House(tmp_path_factory.mktemp("store-rules")) as one:
        assert one.store(part10_bytes(FIRST)).status_code == 200
        yield one


def everything(house: House, user: str = "clinician") -> list[bytes]:
    """What a user gets of the first film."""
    suffixes = {"": "application/dicom", "/metadata": "application/dicom+json", "/frames/1": "application/octet-stream"}
    return [house.get(PATH + suffix, user, accept).data for suffix, accept in suffixes.items()]


def assert_conflict(house: House, changed: Dataset, token: str | None = None, *secrets: str) -> None:
    """The store is a 409 that is recorded, says nothing of what is stored already, and changes nothing at all."""
    held, shown, labels = contents(house), everything(house), house.services.catalog.find_study(FIRST.StudyInstanceUID)
    response = house.store(part10_bytes(changed), token=token)
    assert (response.status_code, failures(response)) == (409, [FailureReason.DUPLICATE_INSTANCE])
    assert not [secret for secret in (*secrets, "CANARY") if secret in response.get_data(as_text=True)]
    (item,) = (response.json or {})["00081198"]["Value"]
    assert item["00081155"]["Value"] == [changed.SOPInstanceUID]
    assert contents(house) == held
    assert everything(house) == shown
    assert house.services.catalog.find_study(FIRST.StudyInstanceUID) == labels
    last = next(one for one in reversed(journal(house)) if one.kind == "store")
    assert (last.status, last.object) == (409, changed.SOPInstanceUID)
    assert last.reason.startswith("DUPLICATE_INSTANCE")


def test_a_byte_identical_store_again_is_a_success(house: House) -> None:
    held = contents(house)
    response = house.store(part10_bytes(FIRST))
    assert response.status_code == 200
    assert (response.json or {})["00081199"]["Value"][0]["00081155"]["Value"] == [FIRST.SOPInstanceUID]
    assert contents(house) == held
    assert (journal(house)[-1].kind, journal(house)[-1].status) == ("store", 200)


def test_the_same_object_twice_in_one_request_is_stored_once(house: House) -> None:
    other = part10_bytes(chest_film(SMALL, study=2))
    files = contents(house).files
    assert house.store(other, other).status_code == 200
    assert len(contents(house).files) == len(files) + 1


@pytest.mark.parametrize(
    "changes",
    [
        {"BurnedInAnnotation": "YES"},
        {"Modality": "OT"},
        {"StationName": "MUSTER"},
        {"PixelData": decoded_frames(FIRST)[0].tobytes()[::-1]},
        {"SeriesInstanceUID": "1.2.3.4"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_s2_the_first_copy_wins(house: House, changes: dict[str, Any]) -> None:
    """a.S2: storing again under the same SOP Instance UID with another header or other pixels."""
    assert_conflict(house, chest_film(SMALL, **changes))


def test_a_s2_an_instance_does_not_move_to_another_study(house: House) -> None:
    moved = chest_film(SMALL, study=2, SOPInstanceUID=FIRST.SOPInstanceUID)
    assert_conflict(house, moved)
    assert house.services.catalog.find_study(moved.StudyInstanceUID) is None


@pytest.mark.parametrize(
    "changes", [{"PatientID": "OTHER"}, {"IssuerOfPatientID": "OTHER"}, {"PatientID": ""}, {"IssuerOfPatientID": None}]
)
def test_a_s3_a_study_stays_its_patient_s(house: House, changes: dict[str, Any]) -> None:
    """a.S3: another instance of the study that names another patient, to make the study another patient's to see."""
    assert_conflict(house, chest_film(SMALL, instance=2, **changes))
    other = PatientIdentity(issuer="CANARY-ISSUER", patient_id="OTHER")
    assert house.get(f"{PATH}/metadata", "patient", token=house.own_patient(other)).status_code == 404


def test_a_s3_a_study_stays_its_department_s(house: House) -> None:
    """a.S3: a technologist of another department adds to a study, to see it or to let their department see it."""
    token = house.token("technologist", name="other", departments=("cardiology",))
    assert_conflict(house, chest_film(SMALL, instance=2), token, "radiology")
    cardiologist = house.token("clinician", name="cardiologist", departments=("cardiology",))
    for suffix in ("", "/metadata", "/rendered", "/frames/1"):
        assert house.get(PATH + suffix, "technologist", token=token).status_code == 404
        assert house.get(PATH + suffix, "clinician", token=cardiologist).status_code == 404
    assert house.get("/dicomweb/studies", "clinician", token=cardiologist).status_code == 204


def test_a_s3_a_department_in_the_header_gives_no_access(house: House) -> None:
    """a.S3: InstitutionalDepartmentName, the names of physicians and the like are the film's own words, no labels."""
    claims: dict[str, Any] = {"InstitutionalDepartmentName": "cardiology", "ReferringPhysicianName": "cardiologist"}
    film = chest_film(SMALL, study=3, PerformingPhysicianName="cardiologist", **claims)
    assert house.store(part10_bytes(film)).status_code == 200
    cardiologist = house.token("clinician", name="cardiologist", departments=("cardiology",))
    url = f"/dicomweb/studies/{film.StudyInstanceUID}/metadata"
    assert house.get(url, "clinician", token=cardiologist).status_code == 404
    assert house.get(url, "clinician").status_code == 200


def test_another_technologist_of_the_department_may_add_and_changes_no_label(house: House) -> None:
    before = house.services.catalog.find_study(FIRST.StudyInstanceUID)
    token = house.token("technologist", name="colleague")
    house.now += HOUR
    assert house.store(part10_bytes(chest_film(SMALL, instance=2)), token=token).status_code == 200
    after = house.services.catalog.find_study(FIRST.StudyInstanceUID)
    assert before is not None
    assert after is not None
    assert (after.labels, after.patient) == (before.labels, before.patient)
    # The study is the first one's store; the colleague does not come to see it by adding to it.
    assert (
        house.get(f"{PATH}/metadata", "technologist", token=house.token("technologist", name="colleague")).status_code
        == 404
    )


def test_technologists_see_their_own_stores_for_a_day(house: House) -> None:
    other = house.token("technologist", name="other")
    assert house.get(f"{PATH}/metadata", "technologist", token=other).status_code == 404
    for later, status in ((0.0, 200), (23.9 * HOUR, 200), (24.1 * HOUR, 404), (2400 * HOUR, 404)):
        house.now = NOW + later
        assert house.get(f"{PATH}/metadata", "technologist").status_code == status
        assert len(house.instances("technologist")) == (1 if status == 200 else 0)
    # Storing again does not begin another day.
    assert house.store(part10_bytes(FIRST)).status_code == 200
    assert house.store(part10_bytes(chest_film(SMALL, instance=2))).status_code == 200
    assert house.get(f"{PATH}/metadata", "technologist").status_code == 404


@pytest.mark.parametrize("departments", [(), ("radiology", "cardiology")])
def test_storing_needs_exactly_one_department(house: House, departments: tuple[str, ...]) -> None:
    held = contents(house)
    token = house.token("technologist", departments=departments)
    assert house.store(part10_bytes(chest_film(SMALL, study=4)), token=token).status_code == 403
    assert contents(house) == held


@pytest.mark.parametrize(
    "user", ["clinician", "patient", "researcher", "teacher", "front-desk", "system-administrator"]
)
def test_others_store_nothing(house: House, user: str) -> None:
    held = contents(house)
    assert house.store(part10_bytes(chest_film(SMALL, study=4)), user=user).status_code == 403
    assert contents(house) == held


def test_a_store_to_another_study_s_address_is_refused(house: House) -> None:
    held = contents(house)
    body = part10_bytes(chest_film(SMALL, study=5))
    address = f"/dicomweb/studies/{FIRST.StudyInstanceUID}"
    headers = {"Content-Type": "application/dicom"}
    response = house.request("POST", address, "technologist", headers=headers, data=body)
    assert (response.status_code, failures(response)) == (409, [FailureReason.DATA_SET_MISMATCH])
    assert contents(house) == held


def test_a_refused_registration_leaves_no_sealed_file(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores at once: what the first look did not see yet, the transaction does, and the file goes again."""
    held = contents(house).files
    catalog = type(house.services.catalog)
    monkeypatch.setattr(catalog, "find_study", lambda *_: None)
    monkeypatch.setattr(catalog, "exists", lambda *_: None)
    assert house.store(part10_bytes(chest_film(SMALL, instance=2, PatientID="OTHER"))).status_code == 409
    assert house.store(part10_bytes(chest_film(SMALL, Modality="OT"))).status_code == 409
    assert house.store(part10_bytes(FIRST)).status_code == 200
    assert contents(house).files == held
