"""What remains to recognise somebody by, over HTTP at the shipped levels (a.M13 to a.M15, a.M18 to a.M20)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from attack_films import SMALL
from builders import chest_film, part10_bytes
from house import POLICIES, House
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sweep_routes import calls, client, offers, rules, screen, short, unsynced

from server.model import Region, RegionKind

JSON = "application/dicom+json"
PSEUDONYMOUS = ("researcher", "teacher")
FIRST = date(2011, 3, 14)
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)


def film(number: int, patient: int = 1, **overrides: Any) -> Dataset:
    return chest_film(SMALL, study=number, patient=patient, canaries=False, **overrides)


def rows(house: House, user: str, **changes: Any) -> list[Row]:
    found = house.get("/dicomweb/instances", user, JSON, token=house.token(user, **changes)).json
    return list(found or [])


def metadata(house: House, user: str) -> list[Row]:
    paths = [str(row["00081190"]["Value"][0]).partition("8080")[2] for row in rows(house, user)]
    return [(house.get(f"{path}/metadata", user, JSON).json or [])[0] for path in paths]


def values(row: Mapping[str, Any], tag: str) -> list[Any]:
    return list(row.get(tag, {}).get("Value", []))


def day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def test_a_M13_no_true_date_and_no_common_shift(tmp_path: Path) -> None:
    """Twelve patients on one day, with that day in every kind of place; the exam list of a hospital tells the day.

    Times of day stay as they are: the README says so.
    """
    known = f"{FIRST:%Y%m%d}"
    with House(tmp_path, seed="dates") as house:
        for number in range(1, 13):
            ds = film(number, number, StudyDate=known, SeriesDate=known, AcquisitionDate=known, ContentDate=known)
            ds.AcquisitionDateTime, ds.TimezoneOffsetFromUTC = f"{known}101112.123456+0800", "+0800"
            ds.PerformedProcedureStepStartDate, ds.InstanceCreationDate = known, known
            ds.StationName, ds.StudyDescription = f"ROOM{known}", f"CHEST {known}"
            ds.FrameOfReferenceUID = f"1.2.3.{known}.{number}"
            assert house.store(part10_bytes(ds)).status_code == 200
        shifts = {}
        for user, project in (("researcher", "demo-project"), ("researcher", "another"), ("teacher", "demo-project")):
            found = rows(house, user, project=project)
            shifts[user, project] = [(day(values(row, "00080020")[0]) - FIRST).days for row in found]
            if project == "demo-project":
                every = metadata(house, user)
                assert known not in json.dumps(every) + json.dumps(found)
                for row in every:
                    moved = {values(row, tag)[0] for tag in ("00080020", "00080021", "00080022", "00080023")}
                    assert moved == {values(row, "0008002A")[0][:8]}
                    assert "+" not in values(row, "0008002A")[0]
        for each in shifts.values():
            assert 0 not in each
            assert len(set(each)) >= 10
            assert len({days % 7 for days in each}) >= 3
        one, other, third = (set(each) for each in shifts.values())
        assert len(one & other) <= 3
        assert len(one & third) <= 3


RARE = {
    "PatientAge": "097Y", "PatientSex": "O", "PatientSize": "2.21", "PatientWeight": "211", "EthnicGroup": "RAREGROUP",
    "DeviceSerialNumber": "SERIAL77", "StationName": "STATION77", "InstitutionName": "HOUSE77", "PregnancyStatus": 3,
    "Occupation": "LIGHTHOUSE", "SmokingStatus": "YES", "PatientSexNeutered": "ALTERED", "SoftwareVersions": "V77",
}  # fmt: skip
COMMON = {
    "PatientAge": "044Y", "PatientSex": "F", "PatientSize": "1.7", "PatientWeight": "70", "EthnicGroup": "COMMON",
    "DeviceSerialNumber": "SERIAL1", "StationName": "STATION1", "InstitutionName": "HOUSE1", "PregnancyStatus": 4,
    "Occupation": "CLERK", "SmokingStatus": "NO", "PatientSexNeutered": "UNALTERED", "SoftwareVersions": "V1",
}  # fmt: skip
OWN = {"UI", "DA", "DT", "TM", "UR"}
NAMED = {"00100010", "00100020", "00080050", "00200010"}


def test_a_M14_nobody_stands_out(tmp_path: Path) -> None:
    """No characteristic of a patient, device or site is released, so every film is one of all of them (k = all)."""
    with House(tmp_path, seed="rare") as house:
        for number in range(1, 6):
            ds = film(number, number, **(RARE if number == 3 else COMMON))
            assert house.store(part10_bytes(ds)).status_code == 200
        for user in PSEUDONYMOUS:
            for found in (rows(house, user), metadata(house, user)):
                classes = {json.dumps(_rest(row), sort_keys=True) for row in found}
                assert len(found) == 5
                assert len(classes) == 1


def _rest(row: Mapping[str, Any]) -> dict[str, Any]:
    return {tag: one for tag, one in row.items() if one["vr"] not in OWN and tag not in NAMED and tag != "7FE00010"}


def test_a_M14_ages_over_89_are_capped_where_a_site_keeps_ages(tmp_path: Path) -> None:
    """The shipped levels release no age; a site's own level with Retain Patient Characteristics caps it."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    level = policies / "levels" / "deidentified.toml"
    text = level.read_text("utf-8")
    off = "retain-patient-characteristics = false"
    assert off in text
    kept = text.replace(off, "retain-patient-characteristics = true")
    level.write_text(kept.replace("K = [\n", 'K = [\n  "PatientAge",\n', 1), "utf-8")
    ages = ("089Y", "090Y", "097Y", "104Y")
    with House(tmp_path / "house", seed="ages", policies=policies) as house:
        for number, age in enumerate(ages, start=1):
            assert house.store(part10_bytes(film(number, number, PatientAge=age))).status_code == 200
        assert sorted(values(row, "00101010")[0] for row in metadata(house, "researcher")) == ["089Y"] + ["090Y"] * 3


def test_a_M15_lengths_emptiness_and_absence_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of 3 to 30 letters, an empty one and none, beside always the same: every answer is the same."""
    lengths = (3, 12, 30, 0, None)
    told = []
    for side in (0, 1):
        with House(tmp_path / str(side), seed="lengths") as house:
            for number, length in enumerate(lengths, start=1):
                text = None if length is None else "M" * length
                same = {"PatientName": "MUSTER", "ReferringPhysicianName": "DOCTOR", "PatientBirthDate": "19600101"}
                other = {"PatientName": text, "ReferringPhysicianName": text, "PatientBirthDate": text and "19000101"}
                more = {"StudyDescription": text, "InstitutionName": text, "OtherPatientNames": text} if side else {}
                ds = film(number, number, **(other if side else same))
                for keyword, value in more.items():
                    if value is not None:
                        setattr(ds, keyword, value)
                assert house.store(part10_bytes(ds)).status_code == 200
            told.append(list(_answers(house, monkeypatch)))
    assert len(told[0]) > 100
    assert told[0] == told[1]


def _answers(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, ...]]:
    offered = offers(house, monkeypatch)
    for user in PSEUDONYMOUS:
        who, here = client(house, user, house.token(user)), [short(path) for path in house.instances(user)]
        for rule in sorted(rules(house)):
            if rule[0] == "GET" and rule[1].startswith(("/dicomweb", "/wado", "/films")):
                for call in calls(rule, offered.get(rule, ()), here, brief=True):
                    answer = who.send(house, call)
                    headers = [pair for pair in answer.headers if pair[0] not in {"Date", "Safelight-Request"}]
                    yield call.path, answer.status_code, headers, answer.get_data()


def test_a_M18_there_is_no_export_and_no_file_is_named_after_anybody(tmp_path: Path) -> None:
    """As far as the feature exists: no route makes a DICOMDIR or an archive, and none can be negotiated."""
    with House(tmp_path, seed="export") as house:
        assert house.store(part10_bytes(film(1))).status_code == 200
        assert not [rule for _, rule in rules(house) if any(word in rule for word in ("export", "dicomdir", "zip"))]
        for user in (*PSEUDONYMOUS, "clinician"):
            (row,) = rows(house, user)
            path = str(row["00081190"]["Value"][0]).partition("8080")[2]
            for accept in (
                "application/zip",
                "application/x-tar",
                "application/dicomdir",
                'application/dicom;x="DICOMDIR"',
            ):
                for at in (path, path.partition("/series")[0]):
                    answer = house.get(at, user, accept)
                    assert answer.status_code in {403, 406} or answer.headers["Content-Type"].startswith(
                        ("application/dicom", "multipart/related")
                    )
                    named = answer.headers.get("Content-Disposition", "").partition("filename=")[2]
                    assert named in ("", '"safelight.dcm"', '"safelight.mime"')


FALSE: dict[str, Any] = {
    "PatientIdentityRemoved": "YES", "BurnedInAnnotation": "NO", "DeidentificationMethod": "BY HAND",
    "RecognizableVisualFeatures": "NO", "LongitudinalTemporalInformationModified": "REMOVED",
}  # fmt: skip
CLEAN_PIXELS = "113101"
HIDDEN = Region(kind=RegionKind.TEXT, top_row=2, left_column=2, row_count=4, column_count=6)


@pytest.mark.parametrize("screened", [True, False])
def test_a_M19_marks_say_what_was_done(screened: bool, tmp_path: Path) -> None:
    """A film that claims everything of itself; what a view claims is what its level and its screening did."""
    with House(tmp_path, seed="marks") as house:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "113109", "DCM", "Retain Device Identity Option"
        ds = film(1, **FALSE)
        ds.DeidentificationMethodCodeSequence = DicomSequence([code])
        assert house.store(part10_bytes(ds)).status_code == 200
        if screened:
            screen(house, [HIDDEN])
        for user in PSEUDONYMOUS:
            (row,) = metadata(house, user)
            codes = {values(one, "00080100")[0] for one in values(row, "00120064")}
            assert values(row, "00120062") == ["YES"]
            assert values(row, "00120063") != ["BY HAND"]
            assert {"113100", "113107"} <= codes
            assert (CLEAN_PIXELS in codes) is screened
            assert not codes & {"113102", "113103", "113106", "113108", "113109", "113110", "113111", "113112"}
            assert values(row, "00280303") == ["MODIFIED"]
            # Demanded of this class (PS3.3 section C.8.11.4); unscreened, the frame is masked from edge to edge.
            assert values(row, "00280301") == ["NO"]
            assert values(row, "00280302") != ["NO"]
        (row,) = metadata(house, "front-desk")
        assert "YES" not in values(row, "00120062")
        assert "00120064" not in row
        assert values(row, "00280301") == ["NO"]


def test_a_M20_numbers_computed_from_samples_are_not_told(tmp_path: Path) -> None:
    """Two films whose hidden text has another brightness, and every statistic of the samples with it."""
    told = []
    for side in (0, 1):
        with House(tmp_path / str(side), seed="statistics") as house:
            ds = film(1)
            samples = bytearray(ds.PixelData)
            for row in range(2, 6):
                at = (row * 16 + 2) * 2
                samples[at : at + 12] = bytes([255, 15] if side else [7, 0]) * 6
            ds.PixelData = bytes(samples)
            ds["PixelData"].VR = "OW"
            for keyword, value in (("SmallestImagePixelValue", 7), ("LargestImagePixelValue", 4095 * side + 9)):
                ds.add_new(keyword, "US", value)
            ds.add_new("LargestPixelValueInSeries", "US", 100 + side)
            histogram = Dataset()
            histogram.HistogramNumberOfBins, histogram.HistogramData = 2, [side, 256 - side]
            ds.HistogramSequence = DicomSequence([histogram])
            ds.ICCProfile = bytes([side]) * 256
            ds.ExposureIndex = "400"
            assert house.store(part10_bytes(ds)).status_code == 200
            screen(house, [HIDDEN])
            told.append([metadata(house, user) for user in (*PSEUDONYMOUS, "front-desk")])
    assert told[0] == told[1]
    everything = json.dumps(told)
    assert not [tag for tag in ("00280106", "00280107", "00280109", "00603000", "00282000") if tag in everything]
