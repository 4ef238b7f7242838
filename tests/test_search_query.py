"""What a search can ask (PS3.18 section 8.3.4, PS3.4 section C.2.2.2), and what is refused before it is looked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from pydicom.dataset import Dataset
from sweep_routes import unsynced

from server import search
from server.errors import BadRequest
from server.metadata.xml_model import from_json
from server.multipart import read
from server.negotiate import parse_media_type
from server.query import SearchLevel, parse_query

JSON = "application/dicom+json"
TINY = PixelFormat(rows=16, columns=16)
WARNING = "Warning"
STEP = "RequestAttributesSequence.ScheduledProcedureStepID"
PROCEDURE = "RequestAttributesSequence.RequestedProcedureID"


def request_item(step: str, procedure: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
    return item


def films() -> Iterator[Dataset]:
    """Four films in three studies; the second study has two modalities, the third almost no values."""
    one: dict[str, Any] = {
        "StudyDescription": "CHEST", "SeriesDescription": "CHEST PA",
        "PatientName": "MÜLLER^ÉLISE^MARIA", "StudyDate": "20240131", "StudyTime": "233000", "PatientID": "M-1",
        "TimezoneOffsetFromUTC": "+0100", "SpecificCharacterSet": "ISO_IR 192",
        "RequestAttributesSequence": [request_item("S1", "R1"), request_item("S2", "R2")],
    }  # fmt: skip
    two: dict[str, Any] = {
        "PatientName": "MUSTER^MAXIMA", "StudyDate": "20240202", "StudyTime": "091500", "PatientID": "M-2",
        "Modality": "DX", "StudyDescription": "CHEST",
    }  # fmt: skip
    other: dict[str, Any] = {**two, "Modality": "CR", "SeriesInstanceUID": "2.25.77", "SOPInstanceUID": "2.25.78"}
    empty = ("PatientName", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription")
    for study, changes in ((1, one), (2, two), (2, other), (3, {**dict.fromkeys(empty, ""), "PatientID": "M-3"})):
        made = chest_film(TINY, canaries=False, study=study, **changes)
        if study == 2 and "TimezoneOffsetFromUTC" in made:
            del made.TimezoneOffsetFromUTC
        yield made


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("search-query")) as one:
        unsynced(patch)
        assert one.store(*map(part10_bytes, films())).status_code == 200
        yield one


def found(house: House, query: str, what: str = "studies", user: str = "clinician") -> list[str]:
    """The patients of the rows, by the last figure of their IDs; prepared rows and the slow way say the same."""
    answer = house.get(f"/dicomweb/{what}?{query}", user, JSON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "prepared", lambda *_: None)
        slow = house.get(f"/dicomweb/{what}?{query}", user, JSON)
    assert (slow.status_code, slow.data) == (answer.status_code, answer.data)
    assert answer.status_code in (200, 204), answer.get_data(as_text=True)
    rows: list[dict[str, Any]] = list(answer.json or []) if answer.status_code == 200 else []
    return sorted(row["00100020"]["Value"][0][-1] for row in rows)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "123"),
        ("PatientName=*", "123"),
        ("00100010=muster*", "2"),
        ("PatientName=MAXIMA MUSTER", ""),
        ("PatientName=maxima muster&fuzzymatching=true", "2"),
        ("PatientName=elise, muller&fuzzymatching=true", "1"),
        ("PatientName=mul* maria&fuzzymatching=true", "1"),
        ("PatientName=muller muller&fuzzymatching=true", ""),
        ("PatientName=elise&fuzzymatching=false", ""),
        ("PatientName=^&fuzzymatching=true", ""),
        ('PatientName=""&emptyvaluematching=true', "3"),
        ('PatientName=""', ""),
        ('StudyDescription=""&emptyvaluematching=true', "3"),
        ('StudyDate=""&emptyvaluematching=true&fuzzymatching=true', "3"),
        ("ModalitiesInStudy=CR", "2"),
        ("ModalitiesInStudy=CR\\DX&multiplevaluematching=true", "2"),
        ("ModalitiesInStudy=CR\\CT&multiplevaluematching=true", ""),
        ("ModalitiesInStudy=CR\\DX", ""),
        ("StudyDate=20240131-20240202", "12"),
        ("StudyDate=-20240131", "1"),
        ("StudyDate=20240201-", "2"),
        ("StudyTime=10-24", "1"),
        # Each for itself no time would match; as one range both ends do.
        ("StudyDate=20240131-20240202&StudyTime=2300-1000", "12"),
        ("StudyDate=20240131-20240202&StudyTime=2345-1000", "2"),
        ("StudyDate=20240131-20240202&StudyTime=2300-0900", "1"),
        ("StudyDate=20240131&StudyTime=2300-2359", "1"),
        ("StudyDate=20240131-&StudyTime=-1000", "2"),
        # Half past eleven in the evening of one zone is the next day of another.
        ("StudyDate=20240201&TimezoneOffsetFromUTC=%2B0200", "1"),
        ("StudyDate=20240131&TimezoneOffsetFromUTC=%2B0200", ""),
        ("StudyDate=20240131&TimezoneOffsetFromUTC=+0100", "1"),
        ("StudyDate=20240201&StudyTime=0000-0100&00080201=%2B0200", "1"),
        ("StudyDate=20240202&TimezoneOffsetFromUTC=-0500", "2"),
        ("TimezoneOffsetFromUTC=-0500", "123"),
    ],
)  # fmt: skip
def test_keys_of_studies(house: House, query: str, expected: str) -> None:
    assert found(house, query) == list(expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("RequestAttributesSequence.ScheduledProcedureStepID=S1", "1"),
        ("00400275.00400009=S2", "1"),
        ("00400275.RequestedProcedureID=R*", "1"),
        (f"{STEP}=S1&{PROCEDURE}=R1", "1"),
        # One item has to match both.
        (f"{STEP}=S1&{PROCEDURE}=R2", ""),
        ('RequestAttributesSequence.ScheduledProcedureStepID=""&emptyvaluematching=true', "223"),
        ("RequestAttributesSequence.ScheduledProcedureStepID=", "1223"),
        ("Modality=CR", "2"),
        ("PatientName=maxima muster&fuzzymatching=true", "22"),
    ],
)  # fmt: skip
def test_keys_of_series(house: House, query: str, expected: str) -> None:
    assert found(house, query, "series") == list(expected)


BAD = (
    *(
        "Unknown=1",
        "orderby=PatientName",
        "0010001=1",
        "00091001=1",
        "PatientName.PatientID=1",
        "limit=-1",
        "limit=1.5",
    ),
    *(
        "PatientName=A&00100010=B",
        "StudyInstanceUID=1.2,x",
        "StudyInstanceUID=*",
        "limit=",
        "offset=1e3",
        "PatientName=%00",
    ),
    *("limit=1&limit=2", "offset=9999999999", "fuzzymatching=yes", "emptyvaluematching=1", "multiplevaluematching="),
    *("includefield=all,00100010", "includefield=all&includefield=00100010", "includefield=Unknown"),
    *("includefield=PatientName,,x", "TimezoneOffsetFromUTC=0100", "TimezoneOffsetFromUTC=%2B1500"),
    *("TimezoneOffsetFromUTC=UTC", "ModalitiesInStudy=C*\\DX&multiplevaluematching=true"),
    *("fuzzymatching=true&fuzzymatching=true", ".".join(["RequestAttributesSequence"] * 9)),
)


@pytest.mark.parametrize("query", BAD)
def test_what_is_no_search_is_a_bad_request(house: House, query: str) -> None:
    for user in ("clinician", "researcher"):
        answer = house.get(f"/dicomweb/studies?{query}", user, JSON)
        assert answer.status_code == 400
        assert "MUSTER" not in answer.get_data(as_text=True)


def test_fields_come_in_lists_again_or_all(house: House) -> None:
    several = (
        "includefield=00081030,PatientName",
        "includefield=00081030&includefield=PatientName",
        "includefield=all",
    )
    asked = ("", *several, "includefield=00091001", f"includefield={STEP}")
    answers = [house.get(f"/dicomweb/studies?{query}", "clinician", JSON).json for query in asked]
    assert all(one == answers[0] for one in answers)
    assert not any(tag in row for row in answers[0] or [] for tag in ("00080060", "0020000E", "00080018", "00280010"))


STUDY = ("00080005", "00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00080201", "00081190",
         "00100010", "00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208")  # fmt: skip
SERIES = ("00080060", "0008103E", "0020000E", "00200011", "00201209", "00081190", "00400275")
INSTANCE = ("00080016", "00080018", "00080056", "00200013", "00280010", "00280011", "00280100", "00081190")


def test_a_row_says_what_the_standard_wants(house: House) -> None:
    for what, tags in (("studies", STUDY), ("series", (*STUDY[:7], *SERIES)), ("instances", INSTANCE)):
        (row,) = house.get(f"/dicomweb/{what}?PatientID=M-1", "clinician", JSON).json or []
        missing = [tag for tag in tags if "Value" not in row.get(tag, {})]
        assert missing == [tag for tag in missing if what != "studies" and tag in {"00080061"}]
    (row,) = house.get("/dicomweb/studies?PatientID=M-2", "clinician", JSON).json or []
    assert (row["00201206"]["Value"], row["00201208"]["Value"], row["00080061"]["Value"]) == ([2], [2], ["CR", "DX"])


def test_lists_of_uids_with_commas_and_backslashes(house: House) -> None:
    uids = [str(film.StudyInstanceUID) for film in films()]
    for separator in (",", "\\"):
        assert found(house, f"StudyInstanceUID={separator.join(dict.fromkeys(uids[:2]))}") == ["1", "2"]


def test_pages_are_bounded_and_told(house: House) -> None:
    rows = house.get("/dicomweb/studies?limit=1&offset=1", "clinician", JSON)
    assert len(rows.json or []) == 1
    assert rows.headers[WARNING] == '299 safelight "There are 1 additional results that can be requested"'
    assert house.get("/dicomweb/studies?offset=3", "clinician", JSON).status_code == 204
    assert WARNING not in house.get("/dicomweb/studies?limit=1000000", "clinician", JSON).headers
    assert parse_query(SearchLevel.STUDY, [("limit", "5000")]).limit == 1000


def test_a_q7_fuzzy_empty_and_moved_keys_are_about_the_masked_view(house: House) -> None:
    """a.Q7, a.Q11: what the level removed is empty for everybody, and no true name, zone or date is compared."""
    plain = house.get("/dicomweb/studies", "researcher", JSON).json
    for name in ("maxima muster", "elise", "mu*", "muller maria elise"):
        assert (
            house.get(f"/dicomweb/studies?PatientName={name}&fuzzymatching=true", "researcher", JSON).status_code == 204
        )
    everybody = house.get('/dicomweb/studies?ReferringPhysicianName=""&emptyvaluematching=true', "researcher", JSON)
    assert everybody.json == plain
    for day in ("20240131", "20240201", "20240202"):
        query = f"StudyDate={day}&StudyTime=0000-2359&TimezoneOffsetFromUTC=%2B0200"
        assert house.get(f"/dicomweb/studies?{query}", "researcher", JSON).status_code == 204


def test_rows_come_as_xml_parts_that_say_what_json_says(house: House) -> None:
    xml = 'multipart/related; type="application/dicom+xml"'
    for user in ("clinician", "researcher"):
        rows = house.get("/dicomweb/studies", user, JSON).json or []
        answer = house.get("/dicomweb/studies", user, xml)
        media_type, parameters = parse_media_type(answer.headers["Content-Type"])
        assert (answer.status_code, media_type, parameters["type"]) == (
            200,
            "multipart/related",
            "application/dicom+xml",
        )
        parts = read(answer.get_data(), parameters["boundary"])
        assert [part.media_type for part in parts] == ["application/dicom+xml"] * len(rows)
        assert [bytes(part.body) for part in parts if not isinstance(part.body, Iterator)] == [*map(from_json, rows)]
    assert house.get("/dicomweb/studies?offset=9", "clinician", xml).status_code == 204
    assert house.get("/dicomweb/studies", "clinician", "application/dicom+xml").status_code == 406
    assert house.get("/dicomweb/studies", "clinician", "image/png").status_code == 406


def test_a_query_is_checked_without_a_server() -> None:
    with pytest.raises(BadRequest):
        parse_query(SearchLevel.STUDY, [("PatientName", "x" * 4097)])
    query = parse_query(SearchLevel.STUDY, [("StudyDate", "20240101-20240102"), ("StudyTime", "10-11")])
    assert query.value(0x00080020) == "20240101-20240102"
    assert query.value(0x00080030) == ""
