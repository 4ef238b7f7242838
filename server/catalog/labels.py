"""Changing who cares for a study. What the first store fixed (who, which department, when, which patient) stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import update

from server.catalog import changes
from server.catalog.access import Access
from server.catalog.database import writing
from server.catalog.reads import study_in
from server.catalog.records import STUDY_BYTES, study_value
from server.catalog.schema import studies
from server.errors import NotFound
from server.model import StudyRecord


def set_labels(
    access: Access, study_uid: str, *, departments: Collection[str], care_team: Collection[str]
) -> StudyRecord:
    """Replace the care relation of a study and give it a new revision. Raises `NotFound`."""
    with writing(access.engine) as connection:
        found = study_in(access, connection, study_uid)
        if found is None:
            raise NotFound
        labels = replace(found.record.labels, departments=frozenset(departments), care_team=frozenset(care_team))
        revision = bytes.fromhex(access.new_revision("study"))
        changed = replace(found.record, labels=labels, revision=revision)
        row = bytes.fromhex(changed.row)
        sealed = access.seal("studies", row, study_value(changed, found.sequence), least=STUDY_BYTES)
        connection.execute(update(studies).where(studies.c.row == row).values(sealed=sealed))
        changes.note(access, connection, row)
    return changed
