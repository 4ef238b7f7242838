"""The shared words: frozen values in DICOM's and OAuth's own terms, valid from construction.

No stage owns these, every stage speaks them. Regions speak of rows and columns, never of x and y; frames count
from 1, as in DICOM PS3.3 C.7.6.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from server.errors import InvalidUID

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+", re.ASCII)


def check_uid(value: str) -> str:
    """Return `value` if it is a valid UID (PS3.5 section 9.1: at most 64 characters, no leading zeros).

    Raises `InvalidUID` otherwise.
    """
    if len(value) > 64 or not _UID.fullmatch(value):
        raise InvalidUID
    return value


class Randomness(Protocol):
    """Where every random byte comes from, so that a test can fix it.

    `label` names the purpose. The operating system's source ignores it; a test's source derives the bytes from it,
    so that what is drawn for one purpose never depends on how much was drawn for another.
    """

    def bytes(self, count: int, label: str) -> bytes: ...


class Action(StrEnum):
    """What a caller may ask for: PS3.18's transactions and the acts of governance. A closed list."""

    SEARCH = "search"
    RETRIEVE_METADATA = "retrieve-metadata"
    RETRIEVE_BULKDATA = "retrieve-bulkdata"
    RETRIEVE_FRAMES = "retrieve-frames"
    RETRIEVE_INSTANCE = "retrieve-instance"
    RETRIEVE_RENDERED = "retrieve-rendered"
    RETRIEVE_THUMBNAIL = "retrieve-thumbnail"
    STORE = "store"
    LABEL = "label"
    READ_AUDIT = "read-audit"


class ScreeningState(StrEnum):
    """How far text detection has come with an instance. Everything but `SCREENED` counts as sensitive everywhere."""

    PENDING = "pending"
    SCREENED = "screened"
    FAILED = "failed"


class RegionKind(StrEnum):
    """What a region hides. A closed list; every masking level names a style for every kind."""

    TEXT = "text"
    FACE = "face"
    HEAD_SURFACE = "head-surface"
    BODY = "body"
    BANNER = "banner"
    MANUAL = "manual"


class RegionStyle(StrEnum):
    """What a masking level does with the samples of a region."""

    KEEP = "keep"
    MOSAIC = "mosaic"
    FILL = "fill"


class ElementAction(StrEnum):
    """PS3.15 Table E.1-1a action codes: what a masking level does with an attribute."""

    DUMMY = "D"
    ZERO = "Z"
    REMOVE = "X"
    KEEP = "K"
    CLEAN = "C"
    UID = "U"


@dataclass(frozen=True, kw_only=True)
class InstancePath:
    """Study, series and SOP instance UID of one object; valid UIDs by construction (PS3.18 section 10.1)."""

    study: str
    series: str
    instance: str

    def __post_init__(self) -> None:
        for uid in (self.study, self.series, self.instance):
            check_uid(uid)


@dataclass(frozen=True, kw_only=True)
class PatientIdentity:
    """A patient as PS3.3 C.7.1.1 identifies one: Patient ID within Issuer of Patient ID ("" when absent)."""

    issuer: str
    patient_id: str


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, from a verified token and nothing else.

    `roles` are the roles held that the policy knows; `acting_role` is the one in force, None until it is chosen.
    `project` is the research grant, `purpose` an HL7 v3 PurposeOfUse code, `patient` the patient binding.
    """

    subject: str
    issuer: str
    client: str
    roles: frozenset[str]
    acting_role: str | None = None
    project: str | None = None
    purpose: str | None = None
    patient: PatientIdentity | None = None
    departments: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class StudyLabels:
    """What the server itself recorded about who cares for a study; never read from the film's header.

    `stored_*` are fixed by the first store (the technologist's subject and department, seconds since the epoch);
    `departments` and `care_team` (subjects) are the care relation, set by import, by command or by a role that may.
    """

    stored_by: str
    stored_department: str
    stored_at: float
    departments: frozenset[str] = frozenset()
    care_team: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ObjectReference:
    """The current version of one sealed object, as its catalogue row vouches for it.

    `name` is 32 lower-case hexadecimal digits, random; `segments` is the number of sealed segments, at least 1.
    """

    name: str
    kind: str
    version: int
    segments: int


@dataclass(frozen=True, kw_only=True)
class Region:
    """A rectangle to hide, in whole samples of the stored frame; half-open, rows before columns.

    `frames` is the set of frame numbers it applies to (from 1), or None for every frame. `confidence` is 0 to 1.
    """

    kind: RegionKind
    top_row: int
    left_column: int
    row_count: int
    column_count: int
    frames: frozenset[int] | None = None
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if self.row_count < 1 or self.column_count < 1:
            raise ValueError("a region has at least one row and one column")
        if self.frames is not None and (not self.frames or min(self.frames) < 1):
            raise ValueError("frames count from 1")


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study as catalogued: what a decision about it may look at. `row` is random, `revision` changes with labels.

    `attributes` are the study-level attributes of the first stored instance, in the DICOM JSON model (PS3.18 F.2),
    keyed by eight upper-case hexadecimal digits; `row_keys` maps each of its identifiers to the random key
    that every pseudonym is computed from.
    """

    row: str
    study_instance_uid: str
    patient: PatientIdentity
    labels: StudyLabels
    revision: bytes
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SeriesRecord:
    """One series as catalogued; `attributes` and `row_keys` as in `StudyRecord`, at series level."""

    row: str
    series_instance_uid: str
    study: StudyRecord
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """One instance as catalogued: no pixels, nothing that a stored header could use to unmask.

    `content` is the sealed original, `regions` the sealed region set (None until screened); `revision` is random and
    changes whenever the row does, so an ETag built on it never speaks of the content.
    """

    row: str
    path: InstancePath
    series: SeriesRecord
    sop_class_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    screening: ScreeningState
    content: ObjectReference
    regions: ObjectReference | None
    revision: bytes
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)

    @property
    def study(self) -> StudyRecord:
        return self.series.study


class IdentifierKind(StrEnum):
    """The name spaces in which a value identifies something; equal text of two kinds is two identifiers."""

    UID = "uid"
    PATIENT = "patient"
    ACCESSION = "accession"
    LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """A value that identifies: a UID, a patient (as `issuer + "\\x00" + id`), an accession number, another local ID."""

    kind: IdentifierKind
    value: str


@dataclass(frozen=True, kw_only=True)
class ElementRules:
    """Which PS3.15 action applies to which attribute; `default` to all the rest.

    `by_tag` is keyed by the 32-bit tag. `private` applies to every private element and wins over `default`.
    """

    default: ElementAction
    private: ElementAction
    by_tag: Mapping[int, ElementAction]


@dataclass(frozen=True, kw_only=True)
class MaskingLevel:
    """One file of `policies/levels/`: everything that happens to an original on its way to a caller.

    `transactions` are the retrieve and search actions whose answers may leave at this level. `whole_frame` is what
    happens to every frame whatever was found, `unscreened` to the frames of an instance whose screening has not
    finished; `longest_side` bounds rendered pictures in pixels (None: as stored). `pseudonyms` replaces identifiers
    per project, `shift_dates` moves all dates of a patient together.
    """

    name: str
    description: str
    transactions: frozenset[Action]
    elements: ElementRules
    pseudonyms: bool
    shift_dates: bool
    regions: Mapping[RegionKind, RegionStyle]
    unscreened: RegionStyle
    whole_frame: RegionStyle
    keep_unused_bits: bool
    longest_side: int | None
    fingerprint: str

    @property
    def alters_samples(self) -> bool:
        """Whether any sample of any frame may differ from the stored one."""
        styles = {*self.regions.values(), self.unscreened, self.whole_frame}
        return styles != {RegionStyle.KEEP} or not self.keep_unused_bits


@dataclass(frozen=True, kw_only=True)
class Permit:
    """A decision to answer: at which level, for which acting role, by which rules of which policy bundle."""

    level: MaskingLevel
    acting_role: str
    rules: tuple[str, ...]
    policy: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Deny:
    """A decision not to answer. `forbidden`: the role never has this action (403); else the object is not there (404).

    `hint` may be shown to the caller and never speaks of the object.
    """

    forbidden: bool
    policy: str
    reason: str
    hint: str = ""
    acting_role: str | None = None


Decision = Permit | Deny


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One line of the record. `subject`, `client` and `object` are sealed in the journal, the rest is readable.

    `kind` is "answer", "opening", "closing", "refusal", "store", "label", "screening", "alarm", "sign-in" or, of the
    journal itself, "recovered"; `status` is the HTTP status (0 where there is none); `digest` a keyed digest of the
    body in hexadecimal ("" when there is none).
    """

    kind: str
    action: str
    status: int
    request: str
    subject: str = ""
    client: str = ""
    object: str = ""
    acting_role: str = ""
    purpose: str = ""
    project: str = ""
    level: str = ""
    rules: tuple[str, ...] = ()
    policy: str = ""
    reason: str = ""
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request as a use case sees it: who asks, in which role they want to act, and what they hold already.

    `requested_role` comes from `Safelight-Role` or the session; `request` is the random id of this request;
    `held_etag` the entity tags of If-None-Match (RFC 9110 section 13.1.2).
    """

    caller: Caller
    request: str
    requested_role: str | None = None
    held_etags: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Representation:
    """PS3.18's word for what is sent: a media type and a body, with the level that it was developed at.

    A streamed body is an iterator of bytes; it has its opening entry in the journal when it gets here and writes its
    closing entry when it ends.
    """

    media_type: str
    body: bytes | Iterator[bytes]
    status: int = 200
    etag: str | None = None
    level: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
