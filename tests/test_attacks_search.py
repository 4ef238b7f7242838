"""Searching as an oracle: ten thousand questions tell nothing of a masked attribute (a.Q1 to a.Q8).

Two catalogues of equal shape differ only in what the researcher's level hides: names, IDs, birth dates, sexes, texts,
UIDs and their order, true dates. A deterministic attacker who knows every true value of both gets one transcript.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from search_oracle import Answer, extraction, transcript
from sweep_routes import unsynced

from server.metadata.pseudonyms import Pseudonyms

QUERIES = int(os.environ.get("SAFELIGHT_ORACLE_QUERIES", "1000"))
JSON = "application/dicom+json"
# Patient of each study: two of them come twice.
PATIENTS = (1, 2, 3, 1, 4, 2)
MOVED = 40
# What the level shows as it is: the character set, kinds of things, numbers and times of day.
KEPT = {"00080005", "00080056", "00080016", "00080030", "00080060", "00180015", "00200011", "00200013", "00080008"}
PEOPLE = (
    ("MUSTER^MAXIMA", "ID-1", "19400101"), ("BEISPIEL^ANTON", "ID-2", "19500202"), ("EXAMPLE^ZOE", "ID-3", "19600303"),
    ("SAMPLE^BEA", "ID-4", "19700404"),
)  # fmt: skip
OTHERS = (
    ("ZUFALL^ZACHARIAS^MARIA", "MRN-0000009", "19991231"), ("YPSILON^A", "MRN-8", ""), ("A^B", "7", "20010101"),
    ("", "MRN-00000000006", "19010101"),
)  # fmt: skip


def films(side: int) -> list[bytes]:
    """Six studies of one or two instances; on side 1 all that is hidden differs, and the UIDs sort backwards."""
    made = []
    for study, patient in enumerate(PATIENTS, start=1):
        name, own, born = (OTHERS if side else PEOPLE)[patient - 1]
        for instance in range(1, 2 + study % 2):
            number = f"{9 - study}{9 - instance}" if side else f"{study}{instance}"
            base = date(1950 + study, 1 + study, 3 + patient) + timedelta(days=MOVED * side)
            later = base + timedelta(days=study)
            hidden: dict[str, Any] = {
                "PatientName": name, "PatientID": own, "PatientBirthDate": born, "PatientSex": "M" if side else "F",
                "IssuerOfPatientID": "OTHER" if side else "ONE", "StudyInstanceUID": f"2.25.{side + 1}{number[0]}1",
                "SeriesInstanceUID": f"2.25.{side + 1}{number[0]}2", "SOPInstanceUID": f"2.25.{side + 1}{number}3",
                "FrameOfReferenceUID": f"2.25.{side + 1}{number[0]}4", "AccessionNumber": f"A{side}{number[0]}",
                "StudyID": f"S{side}{number[0]}", "ReferringPhysicianName": "DOC^TOR" if side else "PHYSI^CIAN",
                "StudyDescription": f"SIDE {side} MUSTER", "SeriesDescription": "MAXIMA" if side else "ZUFALL",
                "PatientComments": f"COMMENT {side}", "InstitutionName": f"HOUSE {side}",
            }  # fmt: skip
            days: dict[str, Any] = {
                "StudyDate": f"{base:%Y%m%d}",
                "SeriesDate": f"{base:%Y%m%d}",
                "ContentDate": f"{later:%Y%m%d}",
            }
            days |= {"PerformedProcedureStepStartDate": f"{later:%Y%m%d}"}
            days |= {"StudyTime": "101112", "SeriesTime": "111213", "PerformedProcedureStepStartTime": "121314"}
            ds = chest_film(PixelFormat(rows=16, columns=16), instance=instance, canaries=False, **hidden, **days)
            ds.Rows, ds.InstanceNumber, ds.SeriesNumber = 16, instance, 1
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            made.append(part10_bytes(ds))
    return made


def asker(house: House, user: str) -> Callable[[str], Answer]:
    token = house.token(user)

    def ask(query: str) -> Answer:
        response = house.get(f"/dicomweb/{query}", user, JSON, token=token)
        headers = [pair for pair in response.headers if pair[0] not in {"Date", "Safelight-Request"}]
        return Answer(status=response.status_code, headers=tuple(headers), body=response.get_data())

    return ask


def known(house: House) -> tuple[list[tuple[str, str]], list[str]]:
    """Every true value of a catalogue with its attribute, and every original UID."""
    words, uids = [], []
    for row in house.get("/dicomweb/instances", "technologist", JSON).json or []:
        uids += [row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
        for tag, one in row.items():
            for value in one.get("Value", []) if tag < "00280000" and one["vr"] not in {"SQ", "UR"} else []:
                text = value.get("Alphabetic", "") if isinstance(value, dict) else str(value)
                words += [(tag, text)] if text else []
    return sorted(set(words)), sorted(set(uids))


def nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every shift be smaller by what the true dates of side 1 are later: as the chance of its key might be."""
    drawn = Pseudonyms.__dict__["shift_days"]
    assert isinstance(drawn, cached_property)
    monkeypatch.setattr(Pseudonyms, "shift_days", property(lambda names: drawn.func(names) - MOVED))


def test_a_Q1_to_Q8_questions_tell_nothing_of_what_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    with House(tmp_path / "0", seed="oracle") as one, House(tmp_path / "1", seed="oracle") as other:
        for side, house in enumerate((one, other)):
            assert house.store(*films(side)).status_code == 200
        (words, uids), (other_words, other_uids) = known(one), known(other)
        hidden = {tag for tag, _ in words} - KEPT
        common = {pair for pair in words if pair[0] in hidden} & set(other_words)
        assert not common, common
        words, uids = words + other_words, uids + other_uids
        first = transcript(asker(one, "researcher"), words, uids, QUERIES)
        with monkeypatch.context() as patch:
            nearer(patch)
            second = transcript(asker(other, "researcher"), words, uids, QUERIES)
        differing = [(asked, a.status, b.status) for (asked, a), (_, b) in zip(first, second, strict=True) if a != b]
        assert not differing, f"{len(differing)} of {QUERIES}: {differing[:5]}"
        assert first == second
        statuses = [answer.status for _, answer in first]
        assert statuses.count(200) > QUERIES // 10
        assert statuses.count(204) > QUERIES // 10
        assert not any(status >= 500 for status in statuses)
        bodies = b"".join(answer.body for _, answer in first)
        texts = [*uids, *(value for name, value in words if name in {"00100010", "00100020"} and len(value) > 3)]
        # A row's dates move: the attacker sees none of the true ones of its patient.
        assert not [text for text in texts if f'"{text}"'.encode() in bodies]


def test_a_Q1_the_same_extraction_finds_a_name_where_the_level_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced(monkeypatch)
    with House(tmp_path, seed="oracle") as house:
        assert house.store(*films(0)).status_code == 200
        assert _extracted(asker(house, "front-desk")) in {name for name, _, _ in PEOPLE}
        found = _extracted(asker(house, "researcher"))
        rows = house.get("/dicomweb/studies", "researcher", JSON).json or []
        assert found in {row["00100010"]["Value"][0]["Alphabetic"] for row in rows}


def _extracted(ask: Callable[[str], Answer]) -> str:
    attack = extraction("PatientName", "studies")
    asked, best = next(attack), ""
    for _ in range(3000):
        answer = ask(asked)
        if answer.status == 200:
            best = asked.partition("=")[2][:-1].replace("%5E", "^").replace("%20", " ")
        following = attack.send(answer)
        if best and following.endswith("=A*") and len(following) < len(asked):
            break
        asked = following
    return best


@pytest.mark.parametrize(("name", "tag"), [("StudyDate", "00080020"), ("PatientBirthDate", "00100030")])
def test_a_Q2_no_true_date_is_found(name: str, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Study dates are found where they were moved to and only there, birth dates nowhere at all."""
    unsynced(monkeypatch)
    with House(tmp_path, seed="oracle") as house:
        assert house.store(*films(0)).status_code == 200
        ask = asker(house, "researcher")
        rows = {user: house.get("/dicomweb/studies", user, JSON).json or [] for user in ("technologist", "researcher")}
        true, shown = ({day for row in rows[user] for day in row[tag].get("Value", [])} for user in rows)
        assert len(true) >= 4
        assert not true & shown
        for day in true:
            assert ask(f"studies?{name}={day}").status == 204
            assert ask(f"studies?{name}={day}-{day}").status == 204
        for day in shown:
            assert ask(f"studies?{name}={day}-{day}").status == 200
        assert ask(f"studies?{name}=18000101-22001231").status == (200 if name == "StudyDate" else 204)
