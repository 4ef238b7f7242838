"""Rejection notes (IHE IOCM): what one names is not there any more, for nobody and by no way, whenever it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from pydicom import uid as uids
from pydicom.dataset import Dataset
from sqlalchemy import select, update
from store_kit import contents, failures, journal
from sweep_routes import unsynced

from server import search
from server.catalog.schema import instances
from server.metadata.rejection import CODES
from server.outcomes import FailureReason

JSON = "application/dicom+json"
TINY = PixelFormat(rows=16, columns=16)
USERS = ("clinician", "technologist", "researcher", "teacher", "front-desk")
ROUTES = {"": "application/dicom", "/metadata": JSON, "/frames/1": "application/octet-stream", "/rendered": "image/png",
          "/thumbnail": "image/png", "/bulkdata": "application/octet-stream"}  # fmt: skip


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    unsynced(monkeypatch)
    with House(tmp_path) as one:
        yield one


def film(instance: int, **changes: Any) -> Dataset:
    return chest_film(TINY, canaries=False, study=1, instance=instance, **changes)


OTHER = {"SeriesInstanceUID": "2.25.77", "Modality": "CT"}
FILMS = (film(1), film(2), film(3, **OTHER))


def of(**values: Any) -> Dataset:
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def note(
    named: Sequence[Dataset], code: str = "113001", scheme: str = "DCM", number: int = 90, **changes: Any
) -> bytes:
    """A rejection note of the films' study."""
    made = film(number, SeriesInstanceUID="2.25.88", Modality="KO")
    del made.PixelData
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = uids.KeyObjectSelectionDocumentStorage
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [of(CodeValue=code, CodingSchemeDesignator=scheme, CodeMeaning="Rejected")]
    made.CurrentRequestedProcedureEvidenceSequence = [
        of(
            StudyInstanceUID=one.StudyInstanceUID,
            ReferencedSeriesSequence=[
                of(
                    SeriesInstanceUID=one.SeriesInstanceUID,
                    ReferencedSOPSequence=[
                        of(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID)
                    ],
                )
            ],
        )
        for one in named
    ]
    for name, value in changes.items():
        setattr(made, name, value)
    return part10_bytes(made)


def store(house: House, *objects: bytes) -> None:
    assert house.store(*objects).status_code == 200


def rows(house: House, user: str, what: str, slowly: bool = False, query: str = "") -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        if slowly:
            patch.setattr(search, "prepared", lambda *_: None)
        answer = house.get(f"/dicomweb/{what}?{query}", user, JSON)
    return list(answer.json or []) if answer.status_code == 200 else []


def both(house: House, user: str, query: str = "") -> list[dict[str, Any]]:
    rows(house, user, "studies")
    fast, slow = rows(house, user, "studies", query=query), rows(house, user, "studies", slowly=True, query=query)
    assert fast == slow
    return fast


@pytest.mark.parametrize("code", CODES)
def test_what_a_note_names_is_nowhere_for_nobody(house: House, code: str) -> None:
    store(house, *map(part10_bytes, FILMS))
    house.screen()
    before = {user: house.instances(user) for user in USERS}
    assert all(len(paths) == 3 for paths in before.values())
    store(house, note(FILMS[1:], code))
    house.screen()
    for user in USERS:
        left = house.instances(user)
        assert len(left) == 1, user
        (study,) = both(house, user)
        assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([1], [1])
        assert "CT" not in study.get("00080061", {}).get("Value", [])
        assert both(house, user, "ModalitiesInStudy=CT") == []
        (series,) = rows(house, user, "series")
        assert series["00201209"]["Value"] == [1]
        gone = [path for path in before[user] if path not in left]
        for path in gone:
            for suffix, accept in ROUTES.items():
                assert house.get(path + suffix, user, accept).status_code in (403, 404), (user, suffix)
        parent = left[0].rpartition("/series/")[0]
        shown = house.get(f"{parent}/metadata", user, JSON)
        assert shown.status_code == 403 or len(shown.json or []) == 1
    assert journal(house)[-1].kind
    assert any(entry.reason == "stored, rejecting 2 instances" for entry in journal(house))


def test_a_study_of_which_nothing_is_left_is_not_there(house: House) -> None:
    store(house, *map(part10_bytes, FILMS), part10_bytes(chest_film(TINY, canaries=False, study=2)))
    for user in USERS:
        assert len(both(house, user)) == 2
    store(house, note(FILMS))
    for user in USERS:
        assert len(both(house, user)) == len(rows(house, user, "series")) == len(house.instances(user)) == 1
    assert house.get(f"/dicomweb/studies/{FILMS[0].StudyInstanceUID}/metadata", "clinician", JSON).status_code == 404
    house.reopen()
    assert len(both(house, "clinician")) == 1
    # What comes to it later is there.
    store(house, part10_bytes(film(4)))
    assert all(len(both(house, user)) == 2 for user in USERS)


def test_a_note_that_comes_first_hides_what_comes_later(house: House) -> None:
    store(house, part10_bytes(FILMS[0]), note(FILMS[1:2]))
    store(house, *map(part10_bytes, FILMS))
    assert {user: len(house.instances(user)) for user in USERS} == dict.fromkeys(USERS, 2)


def test_neither_a_second_copy_nor_a_second_note_brings_it_back(house: House) -> None:
    store(house, *map(part10_bytes, FILMS), note(FILMS[:1], "113037"))
    held = contents(house)
    store(house, part10_bytes(FILMS[0]), note(FILMS[:1], "113037"))
    assert contents(house) == held
    assert failures(house.store(part10_bytes(film(1, PatientComments="X")))) == [FailureReason.DUPLICATE_INSTANCE]
    store(house, note(FILMS[:1], "113001", number=91))
    assert len(house.instances("clinician")) == 2


@pytest.mark.parametrize(("code", "scheme"), [("113000", "DCM"), ("113001", "99X"), ("113002", "DCM")])
def test_other_key_objects_hide_nothing(house: House, code: str, scheme: str) -> None:
    store(house, *map(part10_bytes, FILMS), note(FILMS, code, scheme))
    assert len(house.instances("clinician")) == 4


def test_a_note_reaches_no_other_study_and_no_other_path(house: House) -> None:
    other = chest_film(TINY, canaries=False, study=2)
    store(house, *map(part10_bytes, FILMS), part10_bytes(other))
    held = contents(house)
    refused = house.store(note([other]))
    assert (refused.status_code, failures(refused)) == (409, [FailureReason.DATA_SET_MISMATCH])
    moved = chest_film(TINY, canaries=False, study=2)
    moved.StudyInstanceUID = FILMS[0].StudyInstanceUID
    series = film(1, SeriesInstanceUID="2.25.99")
    for named in ([moved], [series], [FILMS[0], series]):
        refused = house.store(note(named))
        assert (refused.status_code, failures(refused)) == (409, [FailureReason.DUPLICATE_INSTANCE])
    for wrong in ([], [of(StudyInstanceUID="x", SeriesInstanceUID="1.2", SOPInstanceUID="1.3", SOPClassUID="1.4")]):
        refused = house.store(note(wrong))
        assert (refused.status_code, failures(refused)) == (409, [FailureReason.CANNOT_UNDERSTAND])
    assert contents(house) == held
    assert len(house.instances("clinician")) == 4


def test_two_stores_at_once_do_not_get_round_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first look did not see yet, the transaction does, and nothing of the note is left."""
    store(house, *map(part10_bytes, FILMS))
    held = contents(house)
    monkeypatch.setattr(type(house.services.catalog), "exists", lambda *_: None)
    refused = house.store(note([film(1, SeriesInstanceUID="2.25.99")]))
    assert failures(refused) == [FailureReason.DUPLICATE_INSTANCE]
    assert contents(house).files == held.files
    assert (contents(house).rows["instances"], contents(house).rows["rejections"]) == (3, 0)


@pytest.mark.parametrize("user", ["clinician", "researcher", "front-desk", "patient"])
def test_who_may_not_store_rejects_nothing(house: House, user: str) -> None:
    store(house, *map(part10_bytes, FILMS))
    assert house.store(note(FILMS), user=user).status_code == 403
    cardiology = house.token("technologist", name="other", departments=("cardiology",))
    assert house.store(note(FILMS), token=cardiology).status_code == 409
    assert len(house.instances("clinician")) == 3


def test_the_database_cannot_bring_it_back(house: House) -> None:
    """The plain column is no more than an index: what was sealed says whether an instance is rejected."""
    store(house, *map(part10_bytes, FILMS), note(FILMS[:1]))
    with house.services.engine.begin() as connection:
        assert sum(connection.execute(select(instances.c.rejected)).scalars()) == 2
        connection.execute(update(instances).values(rejected=0))
    assert house.get(f"/dicomweb/studies/{FILMS[0].StudyInstanceUID}/metadata", "clinician", JSON).status_code == 500


def test_screening_goes_on_and_does_not_bring_it_back(house: House) -> None:
    store(house, *map(part10_bytes, FILMS))
    claimed = house.services.catalog.claim("worker", house.now, 60.0)
    assert claimed is not None
    store(house, note(FILMS))
    house.services.catalog.release("worker", attempted=False)
    house.screen()
    assert house.services.catalog.pending() == 0
    assert house.instances("clinician") == []
