"""What patients said to the use of their films, sealed under a keyed token of the patient: the table names nobody."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from server.catalog.access import Access
from server.catalog.schema import consents
from server.model import Choice, Consent, PatientIdentity

_BYTES = 128


def keep(access: Access, connection: Connection, patient: PatientIdentity, consent: Consent) -> bool:
    """Replace what the patient said; False, and nothing done, for a patient without an ID, who cannot be told apart."""
    if not patient.patient_id.strip():
        return False
    token = _token(access, patient)
    sealed = access.seal("consents", token, value_of(consent), least=_BYTES)
    connection.execute(delete(consents).where(consents.c.token == token))
    connection.execute(insert(consents).values(token=token, sealed=sealed))
    return True


def kept(access: Access, connection: Connection, patient: PatientIdentity) -> Consent:
    """What the patient said; unsaid where nothing is kept. Raises `SealBroken`."""
    token = _token(access, patient)
    sealed = connection.execute(select(consents.c.sealed).where(consents.c.token == token)).scalar()
    return consent_of(None if sealed is None else access.open("consents", token, sealed))


def value_of(consent: Consent) -> list[str]:
    """A consent as it is sealed."""
    return [consent.disclosure.value, consent.research.value]


def consent_of(value: list[str] | None) -> Consent:
    """A consent as it was sealed; rows sealed before there was such a thing have none."""
    if value is None:
        return Consent()
    disclosure, research = value
    return Consent(disclosure=Choice(disclosure), research=Choice(research))


def _token(access: Access, patient: PatientIdentity) -> bytes:
    return access.tokens.unique("consent", patient.issuer, patient.patient_id)
