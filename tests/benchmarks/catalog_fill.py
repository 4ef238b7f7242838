"""A large catalogue, written straight into the database: the very rows that as many stores would have left.

Every value is made, sealed, keyed and padded by the product's own functions; only the way into the tables is another,
many rows at a time. No films lie behind the rows. Everything follows from the number of a study.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from house import NOW
from pg8000.dbapi import Connection as Postgres
from tqdm import tqdm

from server.catalog.access import Access
from server.catalog.identifiers import identifier_columns
from server.catalog.keywords import ENTRIES_PER_STUDY, study_keywords
from server.catalog.records import instance_columns, series_columns, study_columns
from server.catalog.tokens import Keyword, KeywordKind, mask_row, posting
from server.metadata.attributes import Attributes, dataset_from_attributes
from server.metadata.cleaning import identifying, worth_keeping
from server.metadata.identifiers import identifiers
from server.model import (
    Identifier,
    IdentifierKind,
    InstancePath,
    InstanceRecord,
    ObjectReference,
    PatientIdentity,
    ScreeningState,
    SeriesRecord,
    StudyLabels,
    StudyRecord,
)

SERIES, INSTANCES = 2, 4
"""A study has two series of two instances each."""
_BATCH = 2_000
_GIVEN = ("MAXIMA", "ERIKA", "ANTON", "BEATE", "CLEMENS", "DORA", "EMIL", "FRIEDA", "GUSTAV", "HEDWIG", "IDA")
_MODALITIES = ("DX", "DX", "DX", "CR", "CT", "MR", "US", "MG")
_DESCRIPTIONS = ("CHEST PA", "CHEST LAT", "HAND LEFT", "KNEE RIGHT", "ABDOMEN", "SKULL", "SPINE LUMBAR", "PELVIS")

Row = Mapping[str, object]


class Tables(Protocol):
    """Takes rows of one table at a time; closed at the end."""

    def write(self, table: str, rows: Sequence[Row]) -> None: ...
    def close(self) -> None: ...


class SqliteTables:
    """Without a journal: a machine that fails meanwhile has to begin anew."""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -1500000"):
            self._connection.execute(f"PRAGMA {pragma}")

    def write(self, table: str, rows: Sequence[Row]) -> None:
        names = list(rows[0])
        marks = ", ".join("?" * len(names))
        self._connection.execute("BEGIN")
        self._connection.executemany(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",
            [tuple(row.values()) for row in rows],
        )
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class PostgresTables:
    """By COPY, each batch a transaction."""

    def __init__(self, connection: Postgres) -> None:
        self._connection = connection

    def write(self, table: str, rows: Sequence[Row]) -> None:
        lines = ("\t".join(_copied(value) for value in row.values()) + "\n" for row in rows)
        cursor = self._connection.cursor()
        stream = io.BytesIO("".join(lines).encode())
        cursor.execute(f"COPY {table} ({', '.join(rows[0])}) FROM STDIN", stream=stream)
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


def _copied(value: object) -> str:
    return f"\\\\x{value.hex()}" if isinstance(value, bytes) else str(value)


def fill(access: Access, tables: Tables, studies: int) -> None:
    """Catalogue `studies` studies of `INSTANCES` instances each."""
    lists: dict[bytes, int] = defaultdict(int)
    for start in tqdm(range(0, studies, _BATCH), desc=f"cataloguing {studies * INSTANCES} instances", unit=" batches"):
        rows: dict[str, list[Row]] = defaultdict(list)
        for number in range(start, min(start + _BATCH, studies)):
            _study(access, lists, rows, number)
        for table in ("studies", "series", "instances", "postings", "identifiers"):
            rows[table].sort(key=lambda row: next(iter(row.values())))  # type: ignore[arg-type, return-value]
            tables.write(table, rows[table])
    tables.close()


def name_of(number: int) -> str:
    """A made-up name; of 17 576 family names each is as frequent as the next."""
    drawn = int.from_bytes(_drawn(f"name/{number // 2}")[:4], "big")
    letters = "".join(chr(65 + drawn // 26**at % 26) for at in range(3))
    return f"MUSTER{letters}^{_GIVEN[drawn % len(_GIVEN)]}"


def patient_of(number: int) -> PatientIdentity:
    """Every patient has two studies."""
    return PatientIdentity(issuer="MUSTERKRANKENHAUS", patient_id=f"M-{number // 2:07d}")


def study_uid(number: int) -> str:
    return f"2.25.{int.from_bytes(_drawn(f'study/{number}'), 'big')}"


def day_of(number: int) -> str:
    drawn = int.from_bytes(_drawn(f"day/{number}")[:4], "big")
    return f"{2001 + drawn % 25}{1 + drawn // 25 % 12:02d}{1 + drawn // 300 % 28:02d}"


def accession_of(number: int) -> str:
    return f"A{number:08d}"


def series_uid(number: int, place: int) -> str:
    return f"2.25.{int.from_bytes(_drawn(f'series/{number}/{place}'), 'big')}"


def film_uid(number: int, place: int, within: int) -> str:
    return f"2.25.{int.from_bytes(_drawn(f'film/{number}/{place}/{within}'), 'big')}"


def modality_of(number: int) -> str:
    return _MODALITIES[_drawn(f"kind/{number}")[6] % len(_MODALITIES)]


def _drawn(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def _study(access: Access, lists: dict[bytes, int], rows: dict[str, list[Row]], number: int) -> None:
    drawn = _drawn(f"kind/{number}")
    patient, uid = patient_of(number), study_uid(number)
    attributes: Attributes = {
        "00080020": {"vr": "DA", "Value": [day_of(number)]},
        "00080030": {"vr": "TM", "Value": [f"{drawn[0] % 24:02d}{drawn[1] % 60:02d}{drawn[2] % 60:02d}"]},
        "00080050": {"vr": "SH", "Value": [accession_of(number)]},
        "00080090": {"vr": "PN", "Value": [{"Alphabetic": f"DOCTOR{drawn[3] % 64:02d}^ERIKA"}]},
        "00081030": {"vr": "LO", "Value": [_DESCRIPTIONS[drawn[4] % len(_DESCRIPTIONS)]]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": name_of(number)}]},
        "00100020": {"vr": "LO", "Value": [patient.patient_id]},
        "00100021": {"vr": "LO", "Value": [patient.issuer]},
        "00100030": {"vr": "DA", "Value": [f"{1930 + number // 2 % 90}{1 + drawn[5] % 12:02d}15"]},
        "00100040": {"vr": "CS", "Value": ["FM"[number // 2 % 2]]},
        "0020000D": {"vr": "UI", "Value": [uid]},
        "00200010": {"vr": "SH", "Value": [f"S{number:07d}"]},
    }
    modality = modality_of(number)
    elements = dataset_from_attributes(attributes)
    known = {one: _row_key(one) for one in identifiers(elements)}
    study = StudyRecord(
        row=_drawn(f"row/study/{number}").hex(),
        study_instance_uid=uid,
        patient=patient,
        labels=StudyLabels(
            stored_by="technologist",
            stored_department="radiology",
            stored_at=NOW - 86400.0 * (1 + drawn[7]),
            departments=frozenset({"radiology"}),
        ),
        revision=_drawn(f"revision/study/{number}"),
        attributes=attributes,
        row_keys=dict(known),
        identifies=worth_keeping(identifying(elements)),
        modalities=frozenset({modality}),
    )
    rows["studies"].append(study_columns(access, study, number))
    for place in range(SERIES):
        _series(access, known, rows, (number, place), study, modality)
    row = bytes.fromhex(study.row)
    words = list(study_keywords(patient, attributes))
    changes = [Keyword(kind=KeywordKind.CHANGED)] * INSTANCES
    for word in (*words, *changes):
        key = access.tokens.list_key(word)
        token, mask = posting(key, lists[key])
        lists[key] += 1
        rows["postings"].append({"token": token, "masked_row": mask_row(row, mask)})
    for place in range(ENTRIES_PER_STUDY - len(words)):
        filler = hashlib.sha256(f"filler/{number}/{place}".encode()).digest()
        rows["postings"].append({"token": filler[:16], "masked_row": filler[16:]})
    for identifier, row_key in known.items():
        # The one who was here with the study before has a row already.
        if number % 2 == 0 or identifier.value != f"{patient.issuer}\x00{patient.patient_id}":
            rows["identifiers"].append(identifier_columns(access, identifier, row_key))


def _series(
    access: Access,
    known: dict[Identifier, bytes],
    rows: dict[str, list[Row]],
    at: tuple[int, int],
    study: StudyRecord,
    modality: str,
) -> None:
    number, place = at
    uid = series_uid(number, place)
    attributes: Attributes = {
        "00080060": {"vr": "CS", "Value": [modality]},
        "0008103E": {"vr": "LO", "Value": [("PA", "LATERAL")[place]]},
        "0020000E": {"vr": "UI", "Value": [uid]},
        "00200011": {"vr": "IS", "Value": [place + 1]},
    }
    series = SeriesRecord(
        row=_drawn(f"row/series/{number}/{place}").hex(),
        series_instance_uid=uid,
        study=study,
        attributes=attributes,
        row_keys=_with(known, study, uid),
        identifies=study.identifies,
    )
    rows["series"].append(series_columns(access, series))
    for within in range(INSTANCES // SERIES):
        name = f"{number}/{place}/{within}"
        its_uid = film_uid(number, place, within)
        film: Attributes = {
            "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.1.1"]},
            "00080018": {"vr": "UI", "Value": [its_uid]},
            "00200013": {"vr": "IS", "Value": [within + 1]},
            "00280010": {"vr": "US", "Value": [2500]},
            "00280011": {"vr": "US", "Value": [3000]},
            "00280100": {"vr": "US", "Value": [16]},
        }
        instance = InstanceRecord(
            row=_drawn(f"row/film/{name}").hex(),
            path=InstancePath(study=study.study_instance_uid, series=uid, instance=its_uid),
            series=series,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            number_of_frames=1,
            screening=ScreeningState.SCREENED,
            content=ObjectReference(name=_drawn(f"content/{name}").hex(), kind="instance", version=1, segments=3),
            regions=ObjectReference(name=_drawn(f"regions/{name}").hex(), kind="regions", version=1, segments=1),
            revision=_drawn(f"revision/film/{name}"),
            attributes=film,
            row_keys=_with(known, study, its_uid),
        )
        rows["instances"].append(instance_columns(access, instance, hashlib.sha256(name.encode()).digest()))


def _with(known: dict[Identifier, bytes], study: StudyRecord, uid: str) -> dict[Identifier, bytes]:
    """The row keys of a study's series or film: those of the study, and that of its own UID."""
    own = Identifier(kind=IdentifierKind.UID, value=uid)
    known[own] = _row_key(own)
    return {**study.row_keys, own: known[own]}


def _row_key(identifier: Identifier) -> bytes:
    return _drawn(f"row-key/{identifier.kind}/{identifier.value}")
