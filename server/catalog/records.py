"""Between the sealed rows and the records of `server.model`. Plain columns must agree with the seal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, select, update

from server.catalog.access import Access
from server.catalog.database import insert_many, replace_sealed
from server.catalog.schema import instances, series, studies
from server.catalog.sealed_labels import labels_of
from server.catalog.sealed_values import JSONObject, instance_value, series_value, study_value
from server.errors import SealBroken
from server.model import (
    Identifier,
    IdentifierKind,
    InstancePath,
    InstanceRecord,
    ObjectReference,
    PatientIdentity,
    ReviewReason,
    ScreeningState,
    SeriesRecord,
    StudyRecord,
)

STUDY_BYTES = 4096
SERIES_BYTES = 2048
INSTANCE_BYTES = 2048


@dataclass(frozen=True, kw_only=True)
class OpenedStudy:
    """A study and what the catalogue keeps beside it: `sequence` counts studies from 0 in the order of storing."""

    record: StudyRecord
    sequence: int


@dataclass(frozen=True, kw_only=True)
class OpenedInstance:
    """An instance and what the catalogue keeps beside it: the keyed digest of the body as it was stored."""

    record: InstanceRecord
    body_digest: bytes


def study_token(access: Access, uid: str) -> bytes:
    return access.tokens.unique("study", uid)


def series_token(access: Access, study_row: bytes, uid: str) -> bytes:
    # Bound to the study's row: one series UID in two studies gives two tokens that do not tell.
    return access.tokens.unique("series", study_row, uid)


def instance_token(access: Access, uid: str) -> bytes:
    return access.tokens.unique("instance", uid)


def select_studies() -> Select[Any]:
    return select(studies.c.row, studies.c.uid_token, studies.c.sealed)


def select_instances() -> Select[Any]:
    """All columns that `open_joined` needs: an instance with its series and its study."""
    joined = instances.join(series, instances.c.series == series.c.row).join(
        studies, instances.c.study == studies.c.row
    )
    columns = instances.c
    return select(
        *(columns.row, columns.study, columns.series, columns.uid_token, columns.sealed, columns.screening),
        columns.rejected,
        series.c.study.label("series_study"),
        series.c.uid_token.label("series_token"),
        series.c.sealed.label("series_sealed"),
        studies.c.uid_token.label("study_token"),
        studies.c.sealed.label("study_sealed"),
    ).select_from(joined)


def open_study(access: Access, row: bytes, token: bytes, sealed: bytes) -> OpenedStudy:
    """Raises `SealBroken` if the row does not open or its token is another study's."""
    value = access.open("studies", row, sealed)
    _agree(study_token(access, value["uid"]) == token, "studies")
    record = StudyRecord(
        row=row.hex(),
        study_instance_uid=value["uid"],
        patient=PatientIdentity(issuer=value["patient"][0], patient_id=value["patient"][1]),
        labels=labels_of(value["labels"]),
        revision=bytes.fromhex(value["revision"]),
        attributes=value["attributes"],
        row_keys=_row_keys(value["row_keys"]),
        identifies=_identifies(value),
        modalities=frozenset(value.get("modalities", ["unknown"])),
    )
    return OpenedStudy(record=record, sequence=value["sequence"])


def open_series(access: Access, row: bytes, token: bytes, sealed: bytes, study: StudyRecord) -> SeriesRecord:
    """Raises `SealBroken` if the row does not open, or belongs to another study or another UID."""
    value = access.open("series", row, sealed)
    _agree(value["study"] == study.row, "series")
    _agree(series_token(access, bytes.fromhex(study.row), value["uid"]) == token, "series")
    return SeriesRecord(
        row=row.hex(),
        series_instance_uid=value["uid"],
        study=study,
        attributes=value["attributes"],
        row_keys=_row_keys(value["row_keys"]),
        identifies=_identifies(value),
        # Rows sealed before there was such a thing have none, until something in them changes.
        revision=bytes.fromhex(value.get("revision", "")),
    )


def open_instance(access: Access, found: Row[Any] | Joined, parent: SeriesRecord) -> OpenedInstance:
    """Raises `SealBroken` if the row does not open, or its plain columns say something else than what is sealed."""
    value = access.open("instances", found.row, found.sealed)
    _agree(value["series"] == parent.row == found.series.hex(), "instances")
    _agree(value["study"] == parent.study.row == found.study.hex(), "instances")
    _agree(instance_token(access, value["uid"]) == found.uid_token, "instances")
    _agree(value["screening"] == found.screening, "instances")
    # Rows sealed before there were rejections say nothing of one.
    rejected = value.get("rejected", 0)
    _agree((rejected != 0) == (found.rejected != 0), "instances")
    record = InstanceRecord(
        row=found.row.hex(),
        path=InstancePath(
            study=parent.study.study_instance_uid, series=parent.series_instance_uid, instance=value["uid"]
        ),
        series=parent,
        sop_class_uid=value["sop_class"],
        transfer_syntax_uid=value["transfer_syntax"],
        number_of_frames=value["frames"],
        screening=ScreeningState(value["screening"]),
        content=_reference(value["content"]),
        regions=None if value["regions"] is None else _reference(value["regions"]),
        revision=bytes.fromhex(value["revision"]),
        attributes=value["attributes"],
        row_keys=_row_keys(value["row_keys"]),
        found_by=value.get("found_by", ""),
        review=_review(value),
        since=value.get("since", 0.0),
        # Rows sealed before anybody looked for faces.
        faces_sought=value.get("faces_sought") is True,
        rejected=rejected,
    )
    return OpenedInstance(record=record, body_digest=bytes.fromhex(value["digest"]))


class Joined(NamedTuple):
    """One row of `select_instances`, as it was read."""

    row: bytes
    study: bytes
    series: bytes
    uid_token: bytes
    sealed: bytes
    screening: str
    rejected: int
    series_study: bytes
    series_token: bytes
    series_sealed: bytes
    study_token: bytes
    study_sealed: bytes


def open_joined(access: Access, found: Joined) -> OpenedInstance:
    """Open one row of `select_instances` from the study down. Raises `SealBroken`."""
    _agree(found.series_study == found.study, "series")
    study = remembered_study(access, found.study, found.study_token, found.study_sealed)
    parent = remembered_series(access, found.series, found.series_token, found.series_sealed, study.record)
    read = (*found[:7], parent)
    return access.opened.of("instances", found.row, read, lambda: open_instance(access, found, parent))


def remembered_study(access: Access, row: bytes, token: bytes, sealed: bytes) -> OpenedStudy:
    """As `open_study`, for studies that are asked about again and again."""
    return access.opened.of("studies", row, (token, sealed), lambda: open_study(access, row, token, sealed))


def remembered_series(access: Access, row: bytes, token: bytes, sealed: bytes, study: StudyRecord) -> SeriesRecord:
    """As `open_series`, for series that are asked about again and again."""
    read = (token, sealed, study)
    return access.opened.of("series", row, read, lambda: open_series(access, row, token, sealed, study))


def insert_study(access: Access, connection: Connection, record: StudyRecord, sequence: int) -> None:
    insert_many(connection, studies, [study_columns(access, record, sequence)])


def study_columns(access: Access, record: StudyRecord, sequence: int) -> dict[str, Any]:
    row = bytes.fromhex(record.row)
    sealed = access.seal("studies", row, study_value(record, sequence), least=STUDY_BYTES)
    return {"row": row, "uid_token": study_token(access, record.study_instance_uid), "sealed": sealed}


def insert_series(access: Access, connection: Connection, record: SeriesRecord) -> None:
    insert_many(connection, series, [series_columns(access, record)])


def series_columns(access: Access, record: SeriesRecord) -> dict[str, Any]:
    row, study = bytes.fromhex(record.row), bytes.fromhex(record.study.row)
    sealed = access.seal("series", row, series_value(record), least=SERIES_BYTES)
    token = series_token(access, study, record.series_instance_uid)
    return {"row": row, "study": study, "uid_token": token, "sealed": sealed}


def touched(access: Access, record: SeriesRecord) -> SeriesRecord:
    """A series under another revision, which `write_series` writes in the same transaction."""
    return replace(record, revision=bytes.fromhex(access.new_revision("series")))


def write_series(access: Access, connection: Connection, record: SeriesRecord) -> None:
    """Put a changed series in the place of the former one."""
    row = bytes.fromhex(record.row)
    replace_sealed(connection, series, row, access.seal("series", row, series_value(record), least=SERIES_BYTES))


def _touched(access: Access, connection: Connection, record: InstanceRecord) -> InstanceRecord:
    """Give a series another revision, in the transaction in which an instance of it changes.

    Returns the instance with it. The series of `record` is as it was found in this very transaction.
    """
    changed = touched(access, record.series)
    write_series(access, connection, changed)
    return replace(record, series=changed)


def instance_columns(access: Access, record: InstanceRecord, body_digest: bytes) -> dict[str, Any]:
    row = bytes.fromhex(record.row)
    return {
        "row": row,
        "study": bytes.fromhex(record.study.row),
        "series": bytes.fromhex(record.series.row),
        "uid_token": instance_token(access, record.path.instance),
        "sealed": access.seal("instances", row, instance_value(record, body_digest), least=INSTANCE_BYTES),
        "screening": record.screening.value,
        "attempts": 0,
        "rejected": int(record.rejected != 0),
    }


def replace_instance(
    access: Access, connection: Connection, record: InstanceRecord, body_digest: bytes
) -> InstanceRecord:
    """Write the changed row, its queue state with it, and give its lease back."""
    row = bytes.fromhex(record.row)
    connection.execute(
        update(instances)
        .where(instances.c.row == row)
        .values(
            sealed=access.seal("instances", row, instance_value(record, body_digest), least=INSTANCE_BYTES),
            screening=record.screening.value,
            lease_owner=None,
            lease_until=None,
            attempts=0,
            fault=None,
        )
    )
    return _touched(access, connection, record)


def hide_instance(access: Access, connection: Connection, record: InstanceRecord, body_digest: bytes) -> InstanceRecord:
    """Write a row that was rejected. The screening goes on as it was: its lease and its attempts are not touched."""
    row = bytes.fromhex(record.row)
    sealed = access.seal("instances", row, instance_value(record, body_digest), least=INSTANCE_BYTES)
    connection.execute(update(instances).where(instances.c.row == row).values(sealed=sealed, rejected=1))
    return _touched(access, connection, record)


def _review(value: JSONObject) -> ReviewReason | None:
    """Rows sealed before there was such a thing: a failed film waits for a person all the same."""
    if value.get("review") is not None:
        return ReviewReason(value["review"])
    return ReviewReason.UNKNOWN if value["screening"] == ScreeningState.FAILED else None


def _reference(value: list[Any]) -> ObjectReference:
    name, kind, version, segments = value
    return ObjectReference(name=name, kind=kind, version=version, segments=segments)


def _row_keys(values: list[list[str]]) -> dict[Identifier, bytes]:
    return {Identifier(kind=IdentifierKind(kind), value=value): bytes.fromhex(key) for kind, value, key in values}


def _identifies(value: JSONObject) -> frozenset[tuple[str, str]] | None:
    # Rows sealed before there was such a thing have none.
    found = value.get("identifies")
    return None if found is None else frozenset((kind, text) for kind, text in found)


def _agree(agrees: bool, table: str) -> None:
    if not agrees:
        raise SealBroken(f"a row of {table} contradicts its columns")
