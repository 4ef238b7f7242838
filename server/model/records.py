"""What the catalogue knows of patients, studies, series and instances, and how each is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.errors import InvalidUID
from server.model.lists import Choice, IdentifierKind, RegionKind, ReviewReason, ScreeningState, StudyLabel

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+", re.ASCII)


def check_uid(value: str) -> str:
    """Return `value` if it is a valid UID (PS3.5 section 9.1: at most 64 characters, no leading zeros).

    Raises `InvalidUID` otherwise.
    """
    if len(value) > 64 or not _UID.fullmatch(value):
        raise InvalidUID
    return value


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
class Consent:
    """What the patient said of a study: to its disclosure within the hospital, and to research and teaching."""

    disclosure: Choice = Choice.UNSAID
    research: Choice = Choice.UNSAID


@dataclass(frozen=True, kw_only=True)
class StudyLabels:
    """What the server itself recorded about who cares for a study; never read from the film's header.

    `stored_*` are fixed by the first store (the technologist's subject and department, seconds since the epoch);
    `departments` and `care_team` (subjects) are the care relation, set by import, by command or by a role that may;
    `labels` and `consent` are set by roles that may.
    """

    stored_by: str
    stored_department: str
    stored_at: float
    departments: frozenset[str] = frozenset()
    care_team: frozenset[str] = frozenset()
    labels: frozenset[StudyLabel] = frozenset()
    consent: Consent = Consent()


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

    `detector` names who found it: "review" a person, "residual" the second look, "" whoever the set's version names.
    `content` is what a text says, for certain: "marker" a view or laterality marker, "technique" what a
    machine says of the picture; "unread" what is hidden and is not for certain any text, "" whatever else.

    `frames` is the set of frame numbers it applies to (from 1), or None for every frame. `confidence` is 0 to 1.
    """

    kind: RegionKind
    top_row: int
    left_column: int
    row_count: int
    column_count: int
    frames: frozenset[int] | None = None
    confidence: float = 1.0
    detector: str = ""
    content: str = ""

    def __post_init__(self) -> None:
        if self.row_count < 1 or self.column_count < 1:
            raise ValueError("a region has at least one row and one column")
        if self.frames is not None and (not self.frames or min(self.frames) < 1):
            raise ValueError("frames count from 1")


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """A value that identifies: a UID, a patient (as `issuer + "\\x00" + id`), an accession number, another local ID."""

    kind: IdentifierKind
    value: str


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study as catalogued: what a decision about it may look at. `row` is random, `revision` changes with labels.

    `attributes` are the study-level attributes of the first stored instance, in the DICOM JSON model (PS3.18 F.2),
    keyed by eight upper-case hexadecimal digits; `row_keys` maps each of its identifiers to the random key
    that every pseudonym is computed from. `identifies` holds what identifies in the whole of that instance (pairs of
    kind and value, for the cleaner of texts), None where it is not known. `modalities` are those its series named when
    they were stored, "unknown" for one that named none: a header's word, by which a rule may forbid and never permit.
    """

    row: str
    study_instance_uid: str
    patient: PatientIdentity
    labels: StudyLabels
    revision: bytes
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)
    identifies: frozenset[tuple[str, str]] | None = None
    modalities: frozenset[str] = frozenset({"unknown"})


@dataclass(frozen=True, kw_only=True)
class SeriesRecord:
    """One series as catalogued; `attributes`, `row_keys` and `identifies` as in `StudyRecord`, at series level.

    `revision` is random and changes whenever anything of the series or of an instance of it does; b"" for one of which
    nothing did since there are revisions. What changes of the study changes the study's.
    """

    row: str
    series_instance_uid: str
    study: StudyRecord
    revision: bytes = b""
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    row_keys: Mapping[Identifier, bytes] = field(default_factory=dict)
    identifies: frozenset[tuple[str, str]] | None = None


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """One instance as catalogued: no pixels, nothing that a stored header could use to unmask.

    `content` is the sealed original, `regions` the sealed region set (None until screened); `revision` is random and
    changes whenever the row does, so an ETag built on it never speaks of the content. `found_by` is the version of the
    detectors that made the region set, "" before there is one. `review` says why a person has to look, `since` when
    that began, in seconds since the epoch (0 where it did not). `faces_sought`: faces were looked for in it, and where
    it is a slice, the head in its volume. `rejected` is the code of the rejection note that hides it (113001, say), 0
    without one.
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
    found_by: str = ""
    review: ReviewReason | None = None
    since: float = 0.0
    faces_sought: bool = False
    rejected: int = 0

    @property
    def study(self) -> StudyRecord:
        return self.series.study
