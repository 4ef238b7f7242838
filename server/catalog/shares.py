"""What people share: sealed under the keyed token of its identifier.

Who gave and who received is found by numbered places, each a token of its own, so the table does not tell which shares
are of one person, nor how many anybody has.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from server.catalog.access import Access
from server.catalog.database import reading, writing
from server.catalog.schema import shares
from server.model import Caller, Circumstances, PatientIdentity, Share, Zone

MOST = 100
"""So many shares that have not ended a person can give, and so many receive."""
_BYTES = 1024


def put(access: Access, share: Share) -> bool:
    """Keep a share; False, and nothing done, where giver or recipient has too many, with what is over and not yet
    forgotten."""
    token = _token(access, share.identifier)
    sealed = access.seal("shares", token, _value(share), least=_BYTES)
    with writing(access.engine) as connection:
        recipient = _free(connection, shares.c.recipient, _received(access, share.recipient_issuer, share.recipient))
        giver = _free(connection, shares.c.giver, _given(access, share.giver.issuer, share.giver.subject))
        if recipient is None or giver is None:
            return False
        row = {"token": token, "recipient": recipient, "giver": giver, "expires": share.until, "sealed": sealed}
        connection.execute(insert(shares).values(**row))
    return True


def find(access: Access, identifier: str, now: float) -> Share | None:
    """A share that has not ended. Raises `SealBroken`."""
    token = _token(access, identifier)
    with reading(access.engine) as connection:
        sealed = connection.execute(select(shares.c.sealed).where(shares.c.token == token)).scalar()
    share = None if sealed is None else _share(access.open("shares", token, sealed))
    return share if share is not None and now < share.until else None


def accept(access: Access, identifier: str, secret: str, now: float) -> Share | None:
    """Mark a share as accepted whose secret has this digest; None where it is another, was used, or there is no such.

    Of two at once, one gets it. Raises `SealBroken`.
    """
    token = _token(access, identifier)
    with writing(access.engine) as connection:
        sealed = connection.execute(select(shares.c.sealed).where(shares.c.token == token)).scalar()
        share = None if sealed is None else _share(access.open("shares", token, sealed))
        if share is None or now >= share.until or not hmac.compare_digest(share.secret, secret) or not secret:
            return None
        accepted = replace(share, secret="")
        again = access.seal("shares", token, _value(accepted), least=_BYTES)
        connection.execute(update(shares).where(shares.c.token == token).values(sealed=again))
    return accepted


def end(access: Access, identifier: str) -> bool:
    """Forget a share; False if there was none."""
    with writing(access.engine) as connection:
        gone = connection.execute(delete(shares).where(shares.c.token == _token(access, identifier)))
    return gone.rowcount == 1


def received(access: Access, issuer: str, subject: str, now: float) -> list[Share]:
    """What was shared with a person and has not ended, the last to end first. Raises `SealBroken`."""
    return _live(access, shares.c.recipient.in_(_received(access, issuer, subject)), now)


def given(access: Access, issuer: str, subject: str, now: float) -> list[Share]:
    """What a person shares and has not ended, the last to end first. Raises `SealBroken`."""
    return _live(access, shares.c.giver.in_(_given(access, issuer, subject)), now)


def every(access: Access, now: float) -> list[Share]:
    """All that is shared and has not ended, the last to end first. Raises `SealBroken`."""
    return _live(access, shares.c.expires > now, now)


def over(access: Access, before: float) -> list[Share]:
    """What is kept of shares that were over at that time. Raises `SealBroken`."""
    with reading(access.engine) as connection:
        query = select(shares.c.token, shares.c.sealed).where(shares.c.expires <= before)
        rows = connection.execute(query).all()
    found = [_share(access.open("shares", row.token, row.sealed)) for row in rows]
    return [one for one in found if one.until <= before]


def _live(access: Access, where: Any, now: float) -> list[Share]:
    with reading(access.engine) as connection:
        rows = connection.execute(select(shares.c.token, shares.c.sealed).where(where)).all()
    found = [_share(access.open("shares", row.token, row.sealed)) for row in rows]
    return sorted((one for one in found if now < one.until), key=lambda one: (-one.until, one.identifier))


def _free(connection: Connection, column: Any, places: list[bytes]) -> bytes | None:
    taken = set(connection.execute(select(column).where(column.in_(places))).scalars())
    return next((place for place in places if place not in taken), None)


def _token(access: Access, identifier: str) -> bytes:
    return access.tokens.unique("share", identifier)


def _received(access: Access, issuer: str, subject: str) -> list[bytes]:
    return list(_places(access, "share-received", issuer, subject))


def _given(access: Access, issuer: str, subject: str) -> list[bytes]:
    return list(_places(access, "share-given", issuer, subject))


def _places(access: Access, purpose: str, issuer: str, subject: str) -> Iterator[bytes]:
    for number in range(MOST):
        yield access.tokens.unique(purpose, issuer, subject, number.to_bytes(2, "big"))


def _value(share: Share) -> dict[str, Any]:
    giver = share.giver
    return {
        "identifier": share.identifier,
        "study": share.study,
        "study_row": share.study_row,
        "level": share.level,
        "purpose": share.purpose,
        "recipient": [share.recipient_issuer, share.recipient],
        "secret": share.secret,
        "made": share.made,
        "until": share.until,
        "giver": {
            "subject": giver.subject,
            "issuer": giver.issuer,
            "client": giver.client,
            "role": giver.acting_role,
            "project": giver.project,
            "purpose": giver.purpose,
            "patient": [giver.patient.issuer, giver.patient.patient_id] if giver.patient else None,
            "departments": sorted(giver.departments),
            "zone": giver.circumstances.zone,
            "acr": giver.circumstances.acr,
        },
    }


def _share(value: dict[str, Any]) -> Share:
    giver, (issuer, subject) = value["giver"], value["recipient"]
    patient = giver["patient"]
    return Share(
        identifier=value["identifier"],
        study=value["study"],
        study_row=value["study_row"],
        level=value["level"],
        purpose=value["purpose"],
        giver=Caller(
            subject=giver["subject"],
            issuer=giver["issuer"],
            client=giver["client"],
            roles=frozenset({giver["role"]}),
            acting_role=giver["role"],
            project=giver["project"],
            purpose=giver["purpose"],
            patient=PatientIdentity(issuer=patient[0], patient_id=patient[1]) if patient else None,
            departments=frozenset(giver["departments"]),
            circumstances=Circumstances(zone=Zone(giver["zone"]), acr=giver["acr"]),
        ),
        recipient_issuer=issuer,
        recipient=subject,
        secret=value["secret"],
        made=float(value["made"]),
        until=float(value["until"]),
    )
