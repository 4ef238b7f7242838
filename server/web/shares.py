"""Sharing one study with one person, over HTTP. A link's secret comes in a body, never in an address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from server import shares
from server.auth.claims import MAXIMUM_TEXT_LENGTH
from server.errors import BadRequest, NotFound
from server.govern import allowed
from server.model import Action, Ask, Purpose, Representation
from server.services import Services
from server.web.answer import Route
from server.web.governance import body_of

_SHARED = frozenset({"study", "level", "purpose", "recipient", "until"})
_LINK = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")


def _share(services: Services, ask: Ask) -> Representation:
    allowed(services, ask, Action.SHARE)
    body = body_of(_SHARED)
    recipient = body["recipient"]
    if not isinstance(recipient, dict) or set(recipient) not in ({"subject"}, {"issuer", "subject"}):
        raise BadRequest("a recipient is a subject, and their issuer where it is not the caller's own")
    texts = {"issuer": ask.caller.issuer} | recipient | {name: body[name] for name in ("study", "level")}
    try:
        until: datetime | None = datetime.fromisoformat(str(body["until"]))
    except ValueError:
        until = None
    if until is None or until.tzinfo is None:
        raise BadRequest("until is a time with its zone, 2026-11-30T12:00:00Z")
    return share_study(services, ask, texts=texts, purpose=body["purpose"], until=until.timestamp())


def share_study(
    services: Services, ask: Ask, *, texts: Mapping[str, object], purpose: object, until: float
) -> Representation:
    """Share what `texts` name: study, level, and the recipient's issuer and subject. Raises as `shares.share` does."""
    said = {name: one for name, one in texts.items() if isinstance(one, str) and 0 < len(one) <= MAXIMUM_TEXT_LENGTH}
    if len(said) < len(texts):
        raise BadRequest("study, level and recipient are strings")
    if purpose not in list(Purpose):
        raise BadRequest("purpose is an HL7 v3 purpose of use")
    return shares.share(
        services,
        ask,
        study=said["study"],
        level=said["level"],
        purpose=Purpose(str(purpose)),
        issuer=said["issuer"],
        subject=said["subject"],
        until=until,
    )


def _accept(services: Services, ask: Ask) -> Representation:
    allowed(services, ask, Action.ACCEPT_SHARE)
    link = body_of(frozenset({"link"}))["link"]
    found = _LINK.fullmatch(link) if isinstance(link, str) else None
    if found is None:
        raise NotFound
    return shares.accept(services, ask, identifier=found[1], secret=found[2])


def _listed(services: Services, ask: Ask) -> Representation:
    return shares.listed(services, ask)


def end_share(services: Services, ask: Ask, share: str) -> Representation:
    """End a share by its identifier. Raises `NotFound` for what is none, as for what is another's."""
    allowed(services, ask, Action.END_SHARE)
    if not _IDENTIFIER.fullmatch(share):
        raise NotFound
    return shares.end(services, ask, identifier=share)


ROUTES: tuple[Route, ...] = (
    Route(rule="/shares", method="POST", action=Action.SHARE, handler=_share),
    Route(rule="/shares", method="GET", action=Action.READ_SHARES, handler=_listed),
    Route(rule="/accepted-shares", method="POST", action=Action.ACCEPT_SHARE, handler=_accept),
    Route(rule="/shares/<share>", method="DELETE", action=Action.END_SHARE, handler=end_share),
)
