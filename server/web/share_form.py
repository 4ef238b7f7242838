"""The forms with which people share a study and end what is shared; what they do is what `shares` does for programs."""

from __future__ import annotations

from typing import Any

import orjson
from flask import request

from server import shares
from server.errors import BadRequest
from server.model import RECIPIENT, Action, Ask, Purpose, Representation
from server.services import Services
from server.web.shares import end_share, share_study

_DAY = 86400.0
LONGEST_DAYS = int(shares.LONGEST_SECONDS // _DAY)


def share(services: Services, ask: Ask) -> str:
    """Share what the form says; returns the link, which is shown once and is in no address of ours."""
    form = request.form
    days = form.get("days", "")
    if not (days.isascii() and days.isdigit() and len(days) < 4 and 1 <= int(days) <= LONGEST_DAYS):
        raise BadRequest(f"a share ends in 1 to {LONGEST_DAYS} days")
    answer = share_study(
        services,
        ask,
        texts={name: form.get(name, "").strip() for name in ("study", "level", "issuer", "subject")},
        purpose=form.get("purpose", ""),
        until=services.clock() + int(days) * _DAY,
    )
    return str(_read(answer)["link"])


def end(services: Services, ask: Ask) -> None:
    """End the share that the form names."""
    end_share(services, ask, request.form.get("share", ""))


def known(services: Services, ask: Ask, *, listing: bool) -> dict[str, object]:
    """What the section about shares is made of: what there is to choose from, and what is shared."""
    return {
        "levels": services.policy.current.ladders.get(RECIPIENT, ()),
        "purposes": [one for one in Purpose if one is not Purpose.UNKNOWN],
        "issuers": sorted(services.tokens.all, key=lambda one: (one != ask.caller.issuer, one)),
        "days": LONGEST_DAYS,
        "rows": _read(shares.listed(services, ask)) if listing else [],
        "receives": ask.requested_role == RECIPIENT,
    }


ACTIONS = {"shares": Action.SHARE, "ended-shares": Action.END_SHARE}
"""What the policy is asked for each form."""


def _read(answer: Representation) -> Any:
    body = answer.body
    return orjson.loads(body if isinstance(body, bytes) else b"".join(body))
