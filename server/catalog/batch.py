"""One transaction in which instances are registered: what it reads, what waits to be written, what it writes."""

from __future__ import annotations

import hmac
from dataclasses import replace

from sqlalchemy import Connection

from server.catalog import changes, consents, identifiers, keys, rejections
from server.catalog.access import Access
from server.catalog.database import fetch, insert_many
from server.catalog.identifiers import Keys
from server.catalog.keywords import study_keywords
from server.catalog.labels import rewrite
from server.catalog.new_instance import Duplicate, NewInstance, Registered
from server.catalog.postings import add_study
from server.catalog.reads import instance_in
from server.catalog.records import (
    OpenedInstance,
    OpenedStudy,
    insert_series,
    insert_study,
    instance_columns,
    instance_token,
    open_series,
    open_study,
    series_token,
    study_token,
    touched,
    write_series,
)
from server.catalog.schema import instances, series, studies
from server.catalog.tokens import Keyword, KeywordKind
from server.errors import Conflict
from server.model import InstanceRecord, ScreeningState, SeriesRecord, StudyRecord


class Batch:
    """What one transaction registers. What is read in it is read once, and each series is changed once."""

    def __init__(self, access: Access, connection: Connection) -> None:
        self._access = access
        self._connection = connection
        self._studies: dict[str, OpenedStudy] = {}
        self._series: dict[tuple[str, str], SeriesRecord] = {}
        self._touched: dict[str, SeriesRecord] = {}
        self._waiting: list[dict[str, object]] = []
        self._changed: dict[bytes, None] = {}
        self._keys: list[tuple[Keys, bool]] = []
        self._places: dict[bytes, int] = {}

    def add(self, new: NewInstance) -> Registered | Duplicate:
        """Raises `Conflict`, `Overtaken`."""
        access, connection = self._access, self._connection
        stored = self._stored(new.path.instance)
        if stored is not None:
            same_body = hmac.compare_digest(stored.body_digest, new.body_digest)
            if not same_body or stored.record.path != new.path:
                raise Conflict("the SOP Instance UID is stored with another body or at another path")
            return Duplicate(instance=stored.record)
        known = self._studies.get(new.path.study) or self._study(new.path.study)
        if known is None:
            found = self._new_study(new)
        else:
            _check_same(known.record, new)
            found = known
        self._studies[new.path.study] = found
        parent = self._parent(new, found)
        study = parent.study
        rejected = new.rejection or (rejections.expected(access, connection, study, new.path.instance) if known else 0)
        instance = _new_instance(access, new, parent, rejected)
        self._waiting.append(instance_columns(access, instance, new.body_digest))
        self._changed[bytes.fromhex(study.row)] = None
        if new.study_key is not None:
            keys.keep(connection, new.study_key)
        if new.keys is not None:
            self._keys.append((new.keys, known is None))
        if new.rejection:
            self._write()
            rejections.reject(access, connection, study, new.rejection, new.rejects)
        return Registered(instance=instance, new_study=known is None)

    def close(self) -> dict[bytes, int]:
        """Write all that has waited. Returns the places taken on search lists, by their keys."""
        self._write()
        if self._keys:
            identifiers.keep(self._access, self._connection, self._keys)
        if self._changed:
            self._places |= changes.note(self._access, self._connection, *self._changed)
        return self._places

    def _write(self) -> None:
        if self._waiting:
            insert_many(self._connection, instances, self._waiting)
        for one in self._touched.values():
            write_series(self._access, self._connection, one)
        self._waiting, self._touched = [], {}
        # What is read from here on may have been changed by a rejection.
        self._series = {}

    def _stored(self, uid: str) -> OpenedInstance | None:
        token = instance_token(self._access, uid)
        if any(one["uid_token"] == token for one in self._waiting):
            self._write()
        columns = [instances.c.row]
        if not fetch(self._connection.engine, columns, instances.c.uid_token, [token], snapshot=self._connection):
            return None
        return instance_in(self._access, self._connection, uid)

    def _study(self, uid: str) -> OpenedStudy | None:
        columns, token = [studies.c.row, studies.c.uid_token, studies.c.sealed], study_token(self._access, uid)
        found = fetch(self._connection.engine, columns, studies.c.uid_token, [token], snapshot=self._connection)
        return open_study(self._access, *found[0]) if found else None

    def _one_series(self, study: StudyRecord, uid: str) -> SeriesRecord | None:
        row = bytes.fromhex(study.row)
        columns, token = [series.c.row, series.c.uid_token, series.c.sealed], series_token(self._access, row, uid)
        found = fetch(
            self._connection.engine, columns, series.c.uid_token, [token],
            within=(series.c.study, row), snapshot=self._connection,
        )  # fmt: skip
        if not found:
            return None
        ((place, seen, sealed),) = found
        return open_series(self._access, place, seen, sealed, study)

    def _new_study(self, new: NewInstance) -> OpenedStudy:
        study, places = _new_study(self._access, self._connection, new)
        self._places |= places
        return study

    def _parent(self, new: NewInstance, found: OpenedStudy) -> SeriesRecord:
        """The series of an instance, as it is once this transaction is over."""
        access, connection, study = self._access, self._connection, found.record
        at = study.row, new.path.series
        if (parent := self._series.get(at)) is not None:
            return parent
        parent = self._one_series(study, new.path.series)
        if parent is None:
            if not modalities(new) <= study.modalities:
                study = replace(study, modalities=study.modalities | modalities(new))
                study = rewrite(access, connection, study, found.sequence)
                self._studies[study.study_instance_uid] = replace(found, record=study)
            parent = _new_series(access, connection, new, study)
        else:
            parent = self._touched[parent.row] = touched(access, parent)
        self._series[at] = parent
        return parent


def _check_same(study: StudyRecord, new: NewInstance) -> None:
    if study.patient != new.patient:
        raise Conflict("the study belongs to another patient")
    if study.labels.stored_department != new.labels.stored_department:
        raise Conflict("the study was first stored by another department")


def _new_study(access: Access, connection: Connection, new: NewInstance) -> tuple[OpenedStudy, dict[bytes, int]]:
    row = access.new_row("study")
    study = StudyRecord(
        row=row.hex(),
        study_instance_uid=new.path.study,
        patient=new.patient,
        labels=replace(new.labels, consent=consents.kept(access, connection, new.patient)),
        revision=bytes.fromhex(access.new_revision("study")),
        attributes=new.study_attributes,
        row_keys=new.study_row_keys,
        identifies=new.identifies,
        modalities=modalities(new),
    )
    places = add_study(access, connection, row, study_keywords(new.patient, new.study_attributes))
    sequence = places[access.tokens.list_key(Keyword(kind=KeywordKind.ALL))]
    insert_study(access, connection, study, sequence)
    return OpenedStudy(record=study, sequence=sequence), places


def modalities(new: NewInstance) -> frozenset[str]:
    """What a series says of its modality, "unknown" where it says nothing."""
    values = new.series_attributes.get("00080060", {}).get("Value")
    named = {str(value).strip() for value in values} if isinstance(values, list) else set()
    return frozenset(named - {"", "None"}) or frozenset({"unknown"})


def _new_series(access: Access, connection: Connection, new: NewInstance, study: StudyRecord) -> SeriesRecord:
    made = SeriesRecord(
        row=access.new_row("series").hex(),
        series_instance_uid=new.path.series,
        study=study,
        revision=bytes.fromhex(access.new_revision("series")),
        attributes=new.series_attributes,
        row_keys=new.series_row_keys,
        identifies=new.identifies,
    )
    insert_series(access, connection, made)
    return made


def _new_instance(access: Access, new: NewInstance, parent: SeriesRecord, rejected: int) -> InstanceRecord:
    return InstanceRecord(
        row=access.new_row("instance").hex(),
        path=new.path,
        series=parent,
        sop_class_uid=new.sop_class_uid,
        transfer_syntax_uid=new.transfer_syntax_uid,
        number_of_frames=new.number_of_frames,
        screening=ScreeningState.PENDING,
        content=new.content,
        regions=None,
        revision=bytes.fromhex(access.new_revision("instance")),
        attributes=new.instance_attributes,
        row_keys=new.instance_row_keys,
        rejected=rejected,
    )
