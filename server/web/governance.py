"""The acts of governance over HTTP: setting a study's care relation, reading the journal. Both by named roles only."""

from __future__ import annotations

from flask import request

from server import govern
from server.errors import BadRequest
from server.glass import GlassReason
from server.model import Action, Ask, Representation
from server.services import Services
from server.web.answer import Route

_MAX_BYTES = 64 * 1024


def _set_labels(services: Services, ask: Ask, study: str) -> Representation:
    body = request.get_json(silent=True) if (request.content_length or 0) <= _MAX_BYTES else None
    if not isinstance(body, dict) or set(body) != {"departments", "care_team"}:
        raise BadRequest('labels are {"departments": [...], "care_team": [...]}')
    lists = [body["departments"], body["care_team"]]
    if not all(isinstance(one, list) and all(isinstance(item, str) and item for item in one) for one in lists):
        raise BadRequest("labels are lists of strings")
    return govern.set_labels(services, ask, study=study, departments=frozenset(lists[0]), care_team=frozenset(lists[1]))


def _read_audit(services: Services, ask: Ask) -> Representation:
    after = request.args.get("after", "0")
    limit = request.args.get("limit", "100")
    if not (after.isascii() and after.isdigit() and limit.isascii() and limit.isdigit()) or not 1 <= int(limit) <= 1000:
        raise BadRequest("after is a sequence number, limit is 1 to 1000")
    return govern.read_audit(services, ask, after=int(after), limit=int(limit), kind=request.args.get("kind", ""))


def _break_glass(services: Services, ask: Ask, study: str) -> Representation:
    body = request.get_json(silent=True) if (request.content_length or 0) <= _MAX_BYTES else None
    if not isinstance(body, dict) or set(body) != {"reason", "text"} or body["reason"] not in list(GlassReason):
        raise BadRequest(f'breaking the glass wants {{"reason": one of {", ".join(GlassReason)}, "text": why}}')
    text = body["text"]
    if not isinstance(text, str) or not 10 <= len(text.strip()) <= 1000:
        raise BadRequest("the text says why, in 10 to 1000 characters")
    return govern.break_glass(services, ask, study=study, reason=GlassReason(body["reason"]), text=text.strip())


ROUTES: tuple[Route, ...] = (
    Route(rule="/labels/studies/<study>", method="PUT", action=Action.LABEL, handler=_set_labels),
    Route(rule="/break-glass/studies/<study>", method="POST", action=Action.BREAK_GLASS, handler=_break_glass),
    Route(rule="/audit/entries", method="GET", action=Action.READ_AUDIT, handler=_read_audit),
)
