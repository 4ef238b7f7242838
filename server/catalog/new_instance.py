"""What is handed to the catalogue to be registered, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.catalog.identifiers import Keys
from server.catalog.keys import WrappedKey
from server.model import Identifier, InstancePath, InstanceRecord, ObjectReference, PatientIdentity, StudyLabels

Attributes = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class NewInstance:
    """An instance to be stored, whose sealed object `content` is already durable.

    `labels` are those of a new study; of a known one, only `labels.stored_department` (the storer's) is looked at.
    `body_digest` is keyed by the caller. The attributes and row keys of study and series, and `identifies`
    for both, count when these are new. A rejection note has its code and what it `rejects`; it is hidden itself. `keys`
    and `study_key` are what was drawn for it and is not written down yet; the object is sealed under them.
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
    keys: Keys | None = None
    study_key: WrappedKey | None = None


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The instance is catalogued and waits for its screening."""

    instance: InstanceRecord
    new_study: bool


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """The same body is already catalogued at the same path; `content` of the new instance is not referred to."""

    instance: InstanceRecord
