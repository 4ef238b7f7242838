"""The review queue over HTTP, and how far screening has come. By named roles only."""

from __future__ import annotations

from flask import request

from server import review, status
from server.errors import BadRequest
from server.model import Action, Ask, Representation
from server.services import Services
from server.web.answer import Route

_MAX_BYTES = 256 * 1024
_FILM = "/review/studies/<study>/series/<series>/instances/<instance>"


def _queue(services: Services, ask: Ask) -> Representation:
    limit = request.args.get("limit", "100")
    if not (limit.isascii() and limit.isdigit()) or not 1 <= int(limit) <= 1000:
        raise BadRequest("limit is 1 to 1000")
    return review.queue(services, ask, limit=int(limit))


def _film(services: Services, ask: Ask, **path: str) -> Representation:
    return review.film(services, ask, **path)


def _settle(services: Services, ask: Ask, **path: str) -> Representation:
    held = request.headers.get("If-Match")
    body = request.get_json(silent=True) if (request.content_length or 0) <= _MAX_BYTES else None
    return review.settle(services, ask, body, held=None if held is None else held.strip(), **path)


ROUTES: tuple[Route, ...] = (
    Route(rule="/review", method="GET", action=Action.READ_QUEUE, handler=_queue),
    Route(rule=_FILM, method="GET", action=Action.READ_QUEUE, handler=_film),
    Route(rule=_FILM, method="PUT", action=Action.SETTLE, handler=_settle),
    Route(rule="/metrics", method="GET", action=Action.READ_STATUS, handler=status.metrics),
)
