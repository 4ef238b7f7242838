"""What the sealed index can do for a search: fewer candidates, never an answer of its own.

It is asked only for values that the level shows; the filter on the masked view decides what matches.
"""

from __future__ import annotations

from server.admit import View, original_uid
from server.catalog.keywords import StudyQuery
from server.metadata.pseudonyms import row_key_of_identifier
from server.model import ElementAction, IdentifierKind
from server.query import Query
from server.services import Services

_STUDY_UID = 0x0020000D
_PATIENT_NAME, _PATIENT_ID, _ACCESSION, _STUDY_DATE = 0x00100010, 0x00100020, 0x00080050, 0x00080020


def narrowed(services: Services, view: View, query: Query, study: str | None) -> StudyQuery | None:
    """What the sealed index can do for this search; None if nothing can match.

    In a world of pseudonyms only identifiers are turned back. Elsewhere a value narrows only where the level keeps its
    attribute: where it does not, the filter on the masked view will match nothing.
    """
    uids = [study] if study else []
    wanted = [uid.strip() for uid in query.value(_STUDY_UID).replace("\\", ",").split(",") if uid.strip()]
    if study and wanted and study not in wanted:
        return None
    originals: frozenset[str] | None = None
    if uids or wanted:
        found = (original_uid(services, view, uid) for uid in (uids or wanted))
        originals = frozenset(uid for uid in found if uid is not None)
        if not originals:
            return None
    if view.domain is not None:
        patient = query.value(_PATIENT_ID)
        if patient and not any(wild in patient for wild in "*?"):
            row_key = row_key_of_identifier(view.domain, IdentifierKind.PATIENT, patient)
            real = services.catalog.identifier_of(row_key) if row_key else None
            if real is None or real.kind is not IdentifierKind.PATIENT:
                return None
            issuer, _, own = real.value.partition("\x00")
            return StudyQuery(study_uids=originals, patient_id=None if own.startswith("\x00") else own, issuer=issuer)
        return StudyQuery(study_uids=originals)
    kept = view.level.elements

    def value(tag: int) -> str | None:
        return query.value(tag) or None if kept.by_tag.get(tag, kept.default) is ElementAction.KEEP else None

    first, last = _days(value(_STUDY_DATE))
    return StudyQuery(
        study_uids=originals,
        patient_id=value(_PATIENT_ID),
        patient_name=value(_PATIENT_NAME),
        accession_number=value(_ACCESSION),
        date_from=first,
        date_to=last,
    )


def _days(value: str | None) -> tuple[str | None, str | None]:
    """The ends of a range of dates, None where it has none or is not of whole days (the filter then decides)."""
    if not value:
        return None, None
    first, dash, last = value.partition("-")
    ends = [first, last if dash else first]
    try:
        for end in ends:
            StudyQuery(date_from=end or None)
    except ValueError:
        return None, None
    return ends[0] or None, ends[1] or None
