"""Pseudonyms as a researcher meets them: consistent within a project, foreign outside it, gone when it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import POLICIES, House
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import here
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sweep_routes import unsynced

from server.metadata.deidentify import deidentify
from server.metadata.identifiers import identifiers, patient_identifier
from server.metadata.json_model import to_json
from server.metadata.masked import MaskedDataset
from server.metadata.part10 import read
from server.metadata.pseudonyms import Pseudonyms, domain_key
from server.model import MaskingLevel
from server.policy.bundle import BundleHolder
from server.services import SystemRandomness, rotate
from server.settings import DEMO_MARK

JSON = "application/dicom+json"
SMALL = PixelFormat(rows=16, columns=16)
STUDY, SERIES, INSTANCE, PATIENT, FRAME = "0020000D", "0020000E", "00080018", "00100020", "00200052"
LEVELS = BundleHolder(POLICIES).current.levels
Row = dict[str, Any]


class Keys:
    """Row keys as a catalogue draws them: random, one for each value ever seen."""

    def __init__(self) -> None:
        self.drawn: dict[Any, bytes] = {}

    def masked(self, ds: Dataset, level: MaskingLevel, project: bytes) -> MaskedDataset:
        elements = read(part10_bytes(ds)).elements
        for one, label in identifiers(elements).items():
            self.drawn.setdefault(one, SystemRandomness().bytes(16, label))
        names = Pseudonyms(
            domain_key=domain_key(project, level.name),
            row_keys=self.drawn,
            patient_row_key=self.drawn[patient_identifier(elements)],
        )
        return deidentify(elements, level, names, pixels_masked=True)


def shown(masked: MaskedDataset) -> Row:
    return to_json(masked, lambda _at, _element: None)


def value(row: Mapping[str, Any], tag: str) -> str:
    return str(row[tag]["Value"][0])


def referring(instance: int, *targets: int, patient: int = 1, study: int = 1, **overrides: Any) -> Dataset:
    """A film that refers to other instances of its study in every usual way."""
    ds = chest_film(SMALL, patient=patient, study=study, instance=instance, canaries=False, **overrides)
    ds.FrameOfReferenceUID = f"2.25.{study}0055"
    items = []
    for target in targets:
        other = chest_film(SMALL, study=study, instance=target, canaries=False)
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = other.SOPClassUID, other.SOPInstanceUID
        items.append(item)
    if items:
        ds.SourceImageSequence, ds.ReferencedImageSequence = DicomSequence(items), DicomSequence(items)
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedInstanceSequence = ds.SeriesInstanceUID, DicomSequence(items)
        ds.ReferencedSeriesSequence = DicomSequence([series])
    return ds


NUMBERS = st.integers(min_value=1, max_value=3)
FILMS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=2, max_size=5)


@settings(max_examples=15, deadline=None)
@given(FILMS, st.sampled_from(["deidentified", "teaching"]), st.binary(min_size=32, max_size=32))
def test_equal_values_are_equal_and_others_are_not(
    films: Sequence[tuple[int, int, int]], level: str, project: bytes
) -> None:
    """Patient, study, series and frame of reference; `(patient, study, instance)` of each film."""
    keys = Keys()
    originals = [referring(one, patient=patient, study=study * 10 + patient) for patient, study, one in films]
    rows = [shown(keys.masked(ds, LEVELS[level], project)) for ds in originals]
    for keyword, tag in (("PatientID", PATIENT), ("StudyInstanceUID", STUDY), ("SOPInstanceUID", INSTANCE),
                         ("AccessionNumber", "00080050"), ("FrameOfReferenceUID", FRAME)):  # fmt: skip
        pairs = {(str(ds[keyword].value), value(row, tag)) for ds, row in zip(originals, rows, strict=True)}
        assert len({real for real, _ in pairs}) == len({made for _, made in pairs}) == len(pairs)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=3, unique=True))
def test_projects_and_levels_share_no_identifier(projects: Sequence[bytes]) -> None:
    keys, ds = Keys(), referring(1, 2, 3)
    seen: list[set[str]] = []
    for project in projects:
        for level in ("deidentified", "teaching"):
            row = shown(keys.masked(ds, LEVELS[level], project))
            seen.append({value(row, tag) for tag in (PATIENT, STUDY, SERIES, INSTANCE, FRAME, "00080050", "00200010")})
    assert len(set().union(*seen)) == sum(map(len, seen)) == 7 * len(seen)


DAYS = st.dates(min_value=date(1950, 1, 1), max_value=date(2050, 1, 1))


@settings(max_examples=25, deadline=None)
@given(st.lists(DAYS, min_size=3, max_size=3), st.binary(min_size=32, max_size=32))
def test_dates_of_a_patient_keep_their_intervals(days: Sequence[date], project: bytes) -> None:
    keys, found = Keys(), []
    for study, day in enumerate(days, start=1):
        ds = referring(1, study=study, StudyDate=f"{day:%Y%m%d}", ContentDate=f"{day:%Y%m%d}")
        ds.AcquisitionDateTime = f"{day:%Y%m%d}101112"
        row = shown(keys.masked(ds, LEVELS["deidentified"], project))
        assert value(row, "00080020") == value(row, "00080023") == value(row, "0008002A")[:8]
        text = value(row, "00080020")
        found.append(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    moved = {one - day for one, day in zip(found, days, strict=True)}
    assert len(moved) == 1
    assert timedelta(0) not in moved
    assert abs(moved.pop()) <= timedelta(days=365)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["A", "B", ""]), st.sampled_from(["A", "B", ""]), st.sampled_from(["1", "2", ""]), NUMBERS)
def test_a_patient_is_issuer_and_id(one: str, other: str, own: str, study: int) -> None:
    keys = Keys()

    def patient(issuer: str, study: int) -> str:
        ds = chest_film(SMALL, study=study, canaries=False, PatientID=own, IssuerOfPatientID=issuer)
        return value(shown(keys.masked(ds, LEVELS["deidentified"], bytes(32))), PATIENT)

    # Without an ID nothing says that two studies are of one patient.
    assert (patient(one, 1) == patient(other, study)) == (one == other and (bool(own) or study == 1))


def _leaves(row: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    for tag, element in row.items():
        for number, one in enumerate(element.get("Value", [])):
            if element["vr"] == "SQ":
                yield from _leaves(one, f"{path}{tag}[{number}]/")
            else:
                yield f"{path}{tag}[{number}]", element["vr"], json.dumps(one, sort_keys=True)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["deidentified", "teaching"]), st.booleans())
def test_masking_twice_changes_pseudonyms_and_dates_alone(level: str, hiding: bool) -> None:
    ds = chest_film(SMALL, hiding_places=hiding)
    once = Keys().masked(ds, LEVELS[level], bytes(32))
    again = Dataset(once.dataset)
    again.file_meta, again.PixelData = ds.file_meta, ds.PixelData
    again["PixelData"].VR = "OW"
    twice = Keys().masked(again, LEVELS[level], bytes(32))
    rows = [{path: (vr, text) for path, vr, text in _leaves(shown(one))} for one in (once, twice)]
    assert rows[0].keys() == rows[1].keys()
    pseudonyms = {PATIENT, "00100010", "00080050", "00200010"}
    for path, (vr, text) in rows[0].items():
        tag = path.rpartition("/")[2].partition("[")[0]
        assert rows[1][path][0] == vr
        if vr not in {"UI", "DA", "DT"} and tag not in pseudonyms:
            assert rows[1][path][1] == text, path
        elif tag in {PATIENT, INSTANCE}:
            assert rows[1][path][1] != text


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    unsynced(monkeypatch)
    keyring = tmp_path / "data.keys" / "keyring.json"
    with House(tmp_path, seed="properties", keyring=keyring) as one:
        bodies = [part10_bytes(ds) for ds in (referring(1), referring(2, 1, 3), referring(3, 1, 2))]
        assert one.store(*bodies).status_code == 200
        yield one


def instance_rows(house: House, user: str, **changes: Any) -> list[Row]:
    token = house.token(user, **changes)
    return list(house.get("/dicomweb/instances", user, JSON, token=token).json or [])


def metadata(house: House, user: str, row: Row) -> Any:
    path = f"/dicomweb/studies/{value(row, STUDY)}/series/{value(row, SERIES)}/instances/{value(row, INSTANCE)}"
    return house.get(f"{path}/metadata", user, JSON)


@pytest.mark.parametrize("user", ["researcher", "teacher"])
def test_every_reference_leads_to_what_search_shows(house: House, user: str) -> None:
    rows = instance_rows(house, user)
    here_ = {value(row, INSTANCE): row for row in rows}
    assert len(here_) == 3
    referred, frames = 0, set()
    for row in rows:
        one = metadata(house, user, row).json[0]
        frames.add(value(one, FRAME))
        for path, vr, text in _leaves(one):
            tag, uid = path.rpartition("/")[2].partition("[")[0], json.loads(text)
            if tag == "00081155":
                assert uid in here_
                assert uid != value(one, INSTANCE)
                assert metadata(house, user, here_[uid]).status_code == 200
                referred += 1
            if tag in {STUDY, SERIES}:
                assert uid == value(row, tag)
            assert vr != "UI" or uid.startswith(("2.25.", "1.2.840.10008."))
    assert referred >= 4
    assert len(frames) == 1


def test_rotated_keys_change_no_pseudonym(house: House) -> None:
    users = ("researcher", "teacher")
    before = [instance_rows(house, user) for user in users]
    rotate(house.services)
    house.reopen()
    assert [instance_rows(house, user) for user in users] == before
    rotate(house.services)
    for rows, user in zip(before, users, strict=True):
        assert metadata(house, user, rows[0]).status_code == 200


def test_an_ended_project_leaves_no_way_back(house: House) -> None:
    before = instance_rows(house, "researcher")
    others = instance_rows(house, "researcher", project="another")
    assert house.services.catalog.end_project("demo-project")
    assert {metadata(house, "researcher", row).status_code for row in before} == {404}
    patient = value(before[0], PATIENT)
    assert house.get(f"/dicomweb/studies?PatientID={patient}", "researcher", JSON).status_code == 204
    after = instance_rows(house, "researcher")
    assert len(after) == len(before)
    for tag in (STUDY, SERIES, INSTANCE, PATIENT, "00080050"):
        assert not {value(row, tag) for row in before} & {value(row, tag) for row in after}
    assert {metadata(house, "researcher", row).status_code for row in before} == {404}
    assert instance_rows(house, "researcher", project="another") == others


def test_the_command_ends_a_project_and_is_recorded(house: House) -> None:
    (house.settings.data / DEMO_MARK).write_text('{"port": 8080}')
    data = house.settings.data
    before = instance_rows(house, "researcher")
    done = here("project", "end", "demo-project", "--data", data)
    assert (done.returncode, done.stdout.strip()) == (0, "ended")
    assert metadata(house, "researcher", before[0]).status_code == 404
    nothing = here("project", "end", "no-such", "--data", data)
    assert (nothing.returncode, nothing.stdout[:28]) == (0, "there was nothing to end: th")
    entries = house.get("/audit/entries?limit=1000", "security-auditor").json or []
    ended = [entry["project"] for entry in entries if entry["action"] == "end-project"]
    assert ended == ["demo-project", "no-such"]
