"""Who has broken the glass for which patient, and until when: kept sealed in the catalogue, forgotten by itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from enum import StrEnum

from server.model import Caller, Identifier, IdentifierKind, StudyRecord
from server.services import Services

SECONDS = 3600.0
"""How long one patient's films stay open to whoever broke the glass for them."""


class GlassReason(StrEnum):
    """Why somebody opens films that no care relation opens to them. A closed list."""

    EMERGENCY = "emergency"
    CROSS_COVER = "cross-cover"
    SECOND_OPINION = "second-opinion"


def break_for(services: Services, caller: Caller, patient: Identifier) -> float:
    """Open one patient's films to the caller; returns until when, in seconds since the epoch."""
    until = services.clock() + SECONDS
    services.catalog.put_session(_name(caller, patient), b"{}", until)
    return until


def is_broken(services: Services, caller: Caller, patient: Identifier) -> bool:
    """Whether the caller has broken the glass for this patient, and not too long ago."""
    return services.catalog.get_session(_name(caller, patient), services.clock()) is not None


def patient_of(record: StudyRecord) -> Identifier:
    """The identifier of the study's patient; without a Patient ID the study itself stands for the patient."""
    own = record.patient.patient_id or f"\x00{record.study_instance_uid}"
    return Identifier(kind=IdentifierKind.PATIENT, value=f"{record.patient.issuer}\x00{own}")


def opened(services: Services, caller: Caller, record: StudyRecord) -> Caller:
    """The caller, to whom a study's patient is open where they broke the glass for that patient."""
    if not is_broken(services, caller, patient_of(record)):
        return caller
    around = replace(caller.circumstances, broken_glass=frozenset({record.patient}))
    return replace(caller, circumstances=around)


def _name(caller: Caller, patient: Identifier) -> bytes:
    parts = (caller.issuer, caller.subject, caller.acting_role or "", patient.kind, patient.value)
    # Lengths first, so that no two callers and patients can be written alike.
    text = "".join(f"{len(part)}:{part}" for part in ("broken glass", *parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
