"""Finding studies, series and instances by UID. What is not there is None; deciding who may know it comes later."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, exists, func, select

from server.catalog.access import Access
from server.catalog.records import (
    Joined,
    OpenedInstance,
    OpenedStudy,
    instance_token,
    open_instance,
    open_joined,
    open_series,
    open_study,
    remembered_series,
    remembered_study,
    select_instances,
    select_studies,
    series_token,
    study_token,
)
from server.catalog.schema import instances, retired, series, studies
from server.errors import SealBroken
from server.model import InstancePath, InstanceRecord, SeriesRecord, StudyRecord

_SERIES_NUMBER = "00200011"
_INSTANCE_NUMBER = "00200013"
CHUNK = 400
_REVISIONS = 20_000
"""So many studies' revisions are remembered."""
_SERIES: Select[Any] = select(series.c.row, series.c.uid_token, series.c.sealed)
_SHOWN = instances.c.rejected == 0
# Statements are built once: building one takes longer than running it.
_STUDY = select_studies().where(studies.c.uid_token == bindparam("token"))
_INSTANCE = select_instances().where(instances.c.uid_token == bindparam("token"))
_SHOWN_SERIES = exists(select(instances.c.row).where(instances.c.series == series.c.row, _SHOWN))
_SHOWN_OF = _SERIES.where(series.c.study == bindparam("study"), _SHOWN_SERIES)
_SHOWN_NAMED = _SHOWN_OF.where(series.c.uid_token == bindparam("token"))


def find_study(access: Access, uid: str) -> StudyRecord | None:
    with access.reading() as connection:
        found = study_in(access, connection, uid)
    return None if found is None else found.record


def find_series(access: Access, study_uid: str, uid: str) -> SeriesRecord | None:
    with access.reading() as connection:
        study = study_in(access, connection, study_uid)
        return None if study is None else series_in(access, connection, study.record, uid)


def find_instance(access: Access, path: InstancePath) -> InstanceRecord | None:
    """The instance at exactly this path; under another study or series, or rejected, it is not there."""
    found = _instance(access, path.instance)
    return found.record if found is not None and found.record.path == path and not found.record.rejected else None


def find_stored(access: Access, sop_instance_uid: str) -> OpenedInstance | None:
    """The instance with this UID wherever it lies, with the keyed digest of the body that was stored."""
    return _instance(access, sop_instance_uid)


def series_of(access: Access, study_uid: str, series_uid: str | None = None) -> list[SeriesRecord]:
    """All series of a study, or one of them, that have an instance which is not rejected, by series number, then UID.

    No instance is opened.
    """
    if access.snapshot is None:
        with access.at_once() as moment:
            return series_of(moment, study_uid, series_uid)
    found = access.fetch_by(_STUDY, {"token": study_token(access, study_uid)})
    if not found:
        return []
    study = remembered_study(access, *found[0]).record
    named = {"study": bytes.fromhex(study.row)}
    if series_uid is not None:
        named["token"] = series_token(access, named["study"], series_uid)
    rows = access.fetch_by(_SHOWN_OF if series_uid is None else _SHOWN_NAMED, named)
    return sorted(
        (remembered_series(access, row, token, sealed, study) for row, token, sealed in rows), key=series_order
    )


def series_at(access: Access, row: str) -> SeriesRecord | None:
    """The series of this row (32 hexadecimal digits). Raises `SealBroken`."""
    columns = [series.c.study, series.c.uid_token, series.c.sealed, studies.c.uid_token, studies.c.sealed]
    query = select(*columns).join(studies, series.c.study == studies.c.row)
    with access.reading() as connection:
        found = connection.execute(query.where(series.c.row == bytes.fromhex(row))).one_or_none()
    if found is None:
        return None
    lies_in, token, sealed, study_uid, study = found
    return open_series(access, bytes.fromhex(row), token, sealed, open_study(access, lies_in, study_uid, study).record)


def studies_at(access: Access, rows: Sequence[bytes]) -> dict[bytes, OpenedStudy]:
    """The studies in these rows, as far as they are there. Raises `SealBroken`."""
    found: dict[bytes, OpenedStudy] = {}
    with access.reading() as connection:
        for begin in range(0, len(rows), CHUNK):
            query = select_studies().where(studies.c.row.in_(rows[begin : begin + CHUNK]))
            for row in connection.execute(query):
                found[bytes(row.row)] = open_study(access, row.row, row.uid_token, row.sealed)
    return found


def unchanged(access: Access, revisions: Mapping[bytes, bytes]) -> bool:
    """Whether every study, by its row, is there and of this revision. Raises `SealBroken`."""
    rows, found = list(revisions), 0
    for begin in range(0, len(rows), CHUNK):
        columns = [studies.c.row, studies.c.uid_token, studies.c.sealed]
        for row, token, sealed in access.fetch(columns, studies.c.row, rows[begin : begin + CHUNK]):
            if _revision(access, row, token, sealed) != revisions[row]:
                return False
            found += 1
    return found == len(rows)


def _revision(access: Access, row: bytes, token: bytes, sealed: bytes) -> bytes:
    """The revision of a study's row. One that was opened before, to the byte, is not opened again."""
    digest = hashlib.sha256(b"".join((row, token, sealed))).digest()
    known = access.revisions.get(digest)
    if known is not None:
        return known
    value = access.open("studies", row, sealed)
    if study_token(access, value["uid"]) != token:
        raise SealBroken("a row of studies contradicts its columns")
    if len(access.revisions) >= _REVISIONS:
        access.revisions.clear()
    access.revisions[digest] = bytes.fromhex(value["revision"])
    return access.revisions[digest]


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What lies in a study and is not rejected: its series, in no order, and how many instances each of those has."""

    series: tuple[SeriesRecord, ...]
    instances: tuple[int, ...]


def outlines(access: Access, found: Sequence[StudyRecord]) -> dict[str, Outline]:
    """The outline of each study, by its row; no instance is opened. Raises `SealBroken`."""
    by_row = {bytes.fromhex(study.row): study for study in found}
    rows = list(by_row)
    parts: dict[bytes, list[SeriesRecord]] = defaultdict(list)
    counts: dict[bytes, list[int]] = defaultdict(list)
    number = func.count()
    with access.reading() as connection:
        for begin in range(0, len(rows), CHUNK):
            chunk = rows[begin : begin + CHUNK]
            query = select(series.c.study, series.c.row, series.c.uid_token, series.c.sealed)
            for row in connection.execute(query.where(series.c.study.in_(chunk), _SHOWN_SERIES)):
                study = by_row[bytes(row.study)]
                parts[bytes(row.study)].append(open_series(access, row.row, row.uid_token, row.sealed, study))
            counted = select(instances.c.study, number).where(instances.c.study.in_(chunk), _SHOWN)
            for lies_in, many in connection.execute(counted.group_by(instances.c.study, instances.c.series)):
                counts[bytes(lies_in)].append(many)
    return {study.row: Outline(series=tuple(parts[row]), instances=tuple(counts[row])) for row, study in by_row.items()}


def count_instances(access: Access, found: SeriesRecord) -> int:
    """How many instances of a series are not rejected; none is opened."""
    counted = select(func.count()).select_from(instances).where(instances.c.series == bytes.fromhex(found.row), _SHOWN)
    with access.reading() as connection:
        return int(connection.execute(counted).scalar_one())


def instances_of(access: Access, study_uid: str, series_uid: str | None = None) -> list[InstanceRecord]:
    """All instances of a study, or of one series of it, that are not rejected, by series number and UID, then instance
    number and UID."""
    with access.reading() as connection:
        study = study_in(access, connection, study_uid)
        if study is None:
            return []
        row = bytes.fromhex(study.record.row)
        parents_query, query = _series_query(study.record), select(instances).where(instances.c.study == row, _SHOWN)
        if series_uid is not None:
            token = series_token(access, row, series_uid)
            parents_query = parents_query.where(series.c.uid_token == token)
            query = query.join(series, instances.c.series == series.c.row).where(series.c.uid_token == token)
        parents = {parent.row: _open(access, parent, study.record) for parent in connection.execute(parents_query)}
        rows = connection.execute(query).all()
    if any(found.series not in parents for found in rows):
        raise SealBroken("an instance lies in a series of another study")
    records = [open_instance(access, found, parents[found.series]).record for found in rows]
    return sorted(records, key=instance_order)


def object_names(access: Access, *, page: int = 500) -> Iterator[str]:
    """The names of all sealed objects that instances refer to, or did until a moment ago. Raises `SealBroken`."""
    after = b""
    query = select(instances.c.row, instances.c.sealed).order_by(instances.c.row).limit(page)
    while True:
        with access.reading() as connection:
            rows = connection.execute(query.where(instances.c.row > after)).all()
        if not rows:
            break
        for row, sealed in rows:
            value = access.open("instances", row, sealed)
            yield from (reference[0] for reference in (value["content"], value["regions"]) if reference is not None)
        after = rows[-1].row
    with access.reading() as connection:
        yield from connection.execute(select(retired.c.name)).scalars().all()


def study_in(access: Access, connection: Connection, uid: str) -> OpenedStudy | None:
    row = connection.execute(_STUDY, {"token": study_token(access, uid)}).one_or_none()
    return None if row is None else open_study(access, row.row, row.uid_token, row.sealed)


def series_in(access: Access, connection: Connection, study: StudyRecord, uid: str) -> SeriesRecord | None:
    token = series_token(access, bytes.fromhex(study.row), uid)
    row = connection.execute(_series_query(study).where(series.c.uid_token == token)).one_or_none()
    return None if row is None else _open(access, row, study)


def _instance(access: Access, uid: str) -> OpenedInstance | None:
    rows = access.fetch_by(_INSTANCE, {"token": instance_token(access, uid)})
    return open_joined(access, Joined(*rows[0])) if rows else None


def instance_in(access: Access, connection: Connection, uid: str) -> OpenedInstance | None:
    row = connection.execute(_INSTANCE, {"token": instance_token(access, uid)}).one_or_none()
    return None if row is None else open_joined(access, Joined(*row))


def _series_query(study: StudyRecord) -> Select[Any]:
    return select(series.c.row, series.c.uid_token, series.c.sealed).where(series.c.study == bytes.fromhex(study.row))


def _open(access: Access, row: Row[Any], study: StudyRecord) -> SeriesRecord:
    return open_series(access, row.row, row.uid_token, row.sealed, study)


def series_order(record: SeriesRecord) -> tuple[bool, float, str]:
    return (*_number(record.attributes.get(_SERIES_NUMBER, {}).get("Value")), record.series_instance_uid)


def instance_order(record: InstanceRecord) -> tuple[object, ...]:
    number = _number(record.attributes.get(_INSTANCE_NUMBER, {}).get("Value"))
    return (*series_order(record.series), *number, record.path.instance)


def _number(values: object) -> tuple[bool, float]:
    """Absent or odd numbers come last."""
    value = values[0] if isinstance(values, list) and values else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return False, float(value)
    return True, 0.0
