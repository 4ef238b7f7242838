"""Changing what the rules look at of a study: who cares for it, its labels, what its patient said.

What the first store fixed (who, which department, when, which patient) stays.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, update

from server.catalog import changes, consents
from server.catalog.access import Access
from server.catalog.database import writing
from server.catalog.keywords import patient_keyword
from server.catalog.postings import lengths, rows_of
from server.catalog.reads import study_in
from server.catalog.records import STUDY_BYTES, OpenedStudy, open_study, select_studies
from server.catalog.schema import studies
from server.catalog.sealed_values import study_value
from server.errors import NotFound, SealBroken
from server.model import Consent, StudyLabel, StudyLabels, StudyRecord


def set_labels(
    access: Access,
    study_uid: str,
    *,
    departments: Collection[str],
    care_team: Collection[str],
    labels: Collection[StudyLabel] | None = None,
) -> StudyRecord:
    """Replace the care relation of a study, its labels (None: as they are), and its revision. Raises `NotFound`."""
    with writing(access.engine) as connection:
        found = study_in(access, connection, study_uid)
        if found is None:
            raise NotFound
        former = found.record.labels
        kept = former.labels if labels is None else frozenset(labels)
        wanted = replace(former, departments=frozenset(departments), care_team=frozenset(care_team), labels=kept)
        return _write(access, connection, found, wanted)


def set_consent(access: Access, study_uid: str, consent: Consent) -> int:
    """Record what the patient of a study said: for every study of that patient, and for those that are yet to come.

    Returns how many studies it was written to; a study without a Patient ID stands for itself. Raises `NotFound`.
    """
    with writing(access.engine) as connection:
        found = study_in(access, connection, study_uid)
        if found is None:
            raise NotFound
        patient = found.record.patient
        every = [found]
        if consents.keep(access, connection, patient, consent):
            every = [one for one in _of_list(access, connection, found) if one.record.patient == patient]
        for one in every:
            _write(access, connection, one, replace(one.record.labels, consent=consent))
    return len(every)


def _of_list(access: Access, connection: Connection, study: OpenedStudy) -> list[OpenedStudy]:
    """The studies on the search list of a study's patient, which may hold patients that are only written alike."""
    patient = study.record.patient
    ((key, length),) = lengths(access, connection, [patient_keyword(patient.patient_id, patient.issuer)]).items()
    rows = list(rows_of(connection, key, 0, length))
    found = connection.execute(select_studies().where(studies.c.row.in_(rows)))
    opened = [open_study(access, one.row, one.uid_token, one.sealed) for one in found]
    if not any(one.record.row == study.record.row for one in opened):
        raise SealBroken("a study is not on the search list of its patient")
    return opened


def rewrite(access: Access, connection: Connection, record: StudyRecord, sequence: int) -> StudyRecord:
    """Seal a changed study anew under a new revision, within a transaction that notes the change."""
    changed = replace(record, revision=bytes.fromhex(access.new_revision("study")))
    row = bytes.fromhex(changed.row)
    sealed = access.seal("studies", row, study_value(changed, sequence), least=STUDY_BYTES)
    connection.execute(update(studies).where(studies.c.row == row).values(sealed=sealed))
    return changed


def _write(access: Access, connection: Connection, found: OpenedStudy, labels: StudyLabels) -> StudyRecord:
    changed = rewrite(access, connection, replace(found.record, labels=labels), found.sequence)
    changes.note(access, connection, bytes.fromhex(changed.row))
    return changed
