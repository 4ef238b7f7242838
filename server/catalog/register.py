"""Registering an instance: study, series, search entries and instance in one transaction, or nothing.

The instance enters the screening queue by the same row, so no acknowledged instance can miss its screening.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from server.catalog import changes, consents, rejections
from server.catalog.access import Access
from server.catalog.database import writing
from server.catalog.keywords import study_keywords
from server.catalog.labels import rewrite
from server.catalog.postings import add_study, remember
from server.catalog.reads import instance_in, series_in, study_in
from server.catalog.records import insert_instance, insert_series, insert_study
from server.catalog.tokens import Keyword, KeywordKind
from server.errors import Conflict
from server.model import (
    Identifier,
    InstancePath,
    InstanceRecord,
    ObjectReference,
    PatientIdentity,
    ScreeningState,
    SeriesRecord,
    StudyLabels,
    StudyRecord,
)

Attributes = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class NewInstance:
    """An instance to be stored, whose sealed object `content` is already durable.

    `labels` are those of a new study; of a known one, only `labels.stored_department` (the storer's) is looked at.
    `body_digest` is keyed by the caller. The attributes and row keys of study and series, and `identifies`
    for both, count when these are new. A rejection note has its code and what it `rejects`; it is hidden itself.
    """

    path: InstancePath
    patient: PatientIdentity
    labels: StudyLabels
    sop_class_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    content: ObjectReference
    body_digest: bytes
    study_attributes: Attributes = field(default_factory=dict)
    series_attributes: Attributes = field(default_factory=dict)
    instance_attributes: Attributes = field(default_factory=dict)
    study_row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)
    series_row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)
    instance_row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)
    identifies: frozenset[tuple[str, str]] | None = None
    rejection: int = 0
    rejects: frozenset[InstancePath] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The instance is catalogued and waits for its screening."""

    instance: InstanceRecord
    new_study: bool


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """The same body is already catalogued at the same path; `content` of the new instance is not referred to."""

    instance: InstanceRecord


def register(access: Access, new: NewInstance) -> Registered | Duplicate:
    """Catalogue an instance, durably when this returns.

    Raises `Conflict`, with nothing changed, when the SOP Instance UID is stored with another body or at another path,
    when the study belongs to another patient or was first stored by another department, or when a rejection note names
    what is not of its own study.
    """
    with writing(access.engine) as connection:
        stored = instance_in(access, connection, new.path.instance)
        if stored is not None:
            same_body = hmac.compare_digest(stored.body_digest, new.body_digest)
            if not same_body or stored.record.path != new.path:
                raise Conflict("the SOP Instance UID is stored with another body or at another path")
            return Duplicate(instance=stored.record)
        found = study_in(access, connection, new.path.study)
        places: dict[bytes, int] = {}
        if found is None:
            study, places = _new_study(access, connection, new)
        else:
            study = found.record
            _check_same(study, new)
        parent = series_in(access, connection, study, new.path.series)
        if parent is None:
            if found is not None and not modalities(new) <= study.modalities:
                study = replace(study, modalities=study.modalities | modalities(new))
                study = rewrite(access, connection, study, found.sequence)
            parent = _new_series(access, connection, new, study)
        rejected = new.rejection or rejections.expected(access, connection, study, new.path.instance)
        instance = _new_instance(access, connection, new, parent, rejected)
        if new.rejection:
            rejections.reject(access, connection, study, new.rejection, new.rejects)
        places |= changes.note(access, connection, bytes.fromhex(study.row))
    remember(access, {key: place + 1 for key, place in places.items()})
    return Registered(instance=instance, new_study=found is None)


def _check_same(study: StudyRecord, new: NewInstance) -> None:
    if study.patient != new.patient:
        raise Conflict("the study belongs to another patient")
    if study.labels.stored_department != new.labels.stored_department:
        raise Conflict("the study was first stored by another department")


def _new_study(access: Access, connection: Connection, new: NewInstance) -> tuple[StudyRecord, dict[bytes, int]]:
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
    return study, places


def modalities(new: NewInstance) -> frozenset[str]:
    """What a series says of its modality, "unknown" where it says nothing."""
    values = new.series_attributes.get("00080060", {}).get("Value")
    named = {str(value).strip() for value in values} if isinstance(values, list) else set()
    return frozenset(named - {"", "None"}) or frozenset({"unknown"})


def _new_series(access: Access, connection: Connection, new: NewInstance, study: StudyRecord) -> SeriesRecord:
    series = SeriesRecord(
        row=access.new_row("series").hex(),
        series_instance_uid=new.path.series,
        study=study,
        revision=bytes.fromhex(access.new_revision("series")),
        attributes=new.series_attributes,
        row_keys=new.series_row_keys,
        identifies=new.identifies,
    )
    insert_series(access, connection, series)
    return series


def _new_instance(
    access: Access, connection: Connection, new: NewInstance, parent: SeriesRecord, rejected: int
) -> InstanceRecord:
    instance = InstanceRecord(
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
    return insert_instance(access, connection, instance, new.body_digest)
