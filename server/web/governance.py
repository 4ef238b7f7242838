"""The acts of governance over HTTP: labels, consents, projects, the journal. Each by named roles only."""

from __future__ import annotations

from datetime import date

from flask import request

from server import glass_review, govern
from server.auth.claims import MAXIMUM_TEXT_LENGTH
from server.errors import BadRequest
from server.glass import GlassReason
from server.glass_review import Finding
from server.model import Action, Ask, Choice, Consent, Representation, StudyLabel
from server.services import Services
from server.web.answer import Route

_MAX_BYTES = 64 * 1024


def body_of(*keys: frozenset[str]) -> dict[str, object]:
    """The JSON object of the request, which has exactly one of these sets of keys. Raises `BadRequest`."""
    body = request.get_json(silent=True) if (request.content_length or 0) <= _MAX_BYTES else None
    if not isinstance(body, dict) or frozenset(body) not in keys:
        raise BadRequest(f"a JSON object with {' or with '.join(', '.join(sorted(one)) for one in keys)}")
    return body


_CARE = frozenset({"departments", "care_team"})


def _set_labels(services: Services, ask: Ask, study: str) -> Representation:
    govern.allowed(services, ask, Action.LABEL)
    body = body_of(_CARE, _CARE | {"labels"})
    lists = {name: _texts(value) for name, value in body.items()}
    try:
        labels = frozenset(map(StudyLabel, lists["labels"])) if "labels" in lists else None
    except ValueError:
        raise BadRequest(f"labels are {', '.join(StudyLabel)}") from None
    return govern.set_labels(
        services, ask, study=study, departments=lists["departments"], care_team=lists["care_team"], labels=labels
    )


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise BadRequest("labels are lists of strings")
    return frozenset(value)


def _labels(services: Services, ask: Ask, study: str) -> Representation:
    return govern.labels_of(services, ask, study=study)


def _record_consent(services: Services, ask: Ask, study: str) -> Representation:
    govern.allowed(services, ask, Action.RECORD_CONSENT)
    body = body_of(frozenset({"disclosure", "research"}))
    try:
        consent = Consent(disclosure=Choice(str(body["disclosure"])), research=Choice(str(body["research"])))
    except ValueError:
        raise BadRequest(f"a consent is one of {', '.join(Choice)}, each") from None
    return govern.record_consent(services, ask, study=study, consent=consent)


def _approve_project(services: Services, ask: Ask, project: str) -> Representation:
    govern.allowed(services, ask, Action.APPROVE_PROJECT)
    body = body_of(frozenset({"approved_until"}))
    if len(project) > MAXIMUM_TEXT_LENGTH or not project.isprintable() or project != project.strip():
        raise BadRequest("that is no name of a project")
    try:
        until = date.fromisoformat(str(body["approved_until"]))
    except ValueError:
        raise BadRequest("approved_until is a day, YYYY-MM-DD") from None
    return govern.approve_project(services, ask, project=project, until=until)


def _projects(services: Services, ask: Ask) -> Representation:
    return govern.projects(services, ask)


def _read_audit(services: Services, ask: Ask) -> Representation:
    after = request.args.get("after", "0")
    limit = request.args.get("limit", "100")
    if not (after.isascii() and after.isdigit() and limit.isascii() and limit.isdigit()) or not 1 <= int(limit) <= 1000:
        raise BadRequest("after is a sequence number, limit is 1 to 1000")
    return govern.read_audit(services, ask, after=int(after), limit=int(limit), kind=request.args.get("kind", ""))


def _break_glass(services: Services, ask: Ask, study: str) -> Representation:
    govern.allowed(services, ask, Action.BREAK_GLASS)
    body = request.get_json(silent=True) if (request.content_length or 0) <= _MAX_BYTES else None
    if not isinstance(body, dict) or set(body) != {"reason", "text"} or body["reason"] not in list(GlassReason):
        raise BadRequest(f'breaking the glass wants {{"reason": one of {", ".join(GlassReason)}, "text": why}}')
    text = body["text"]
    if not isinstance(text, str) or not 10 <= len(text.strip()) <= 1000:
        raise BadRequest("the text says why, in 10 to 1000 characters")
    return govern.break_glass(services, ask, study=study, reason=GlassReason(body["reason"]), text=text.strip())


def _broken(services: Services, ask: Ask) -> Representation:
    return glass_review.listed(services, ask)


def _review_glass(services: Services, ask: Ask, entry: str) -> Representation:
    govern.allowed(services, ask, Action.REVIEW_GLASS)
    body = body_of(frozenset({"finding", "text"}))
    text = body["text"]
    if body["finding"] not in list(Finding) or not isinstance(text, str) or not 10 <= len(text.strip()) <= 1000:
        raise BadRequest(f"a finding is one of {', '.join(Finding)}, with 10 to 1000 characters why")
    if not (entry.isascii() and entry.isdigit() and len(entry) < 16):
        raise BadRequest("an entry is named by its number")
    return glass_review.review(services, ask, seq=int(entry), finding=Finding(str(body["finding"])), text=text.strip())


ROUTES: tuple[Route, ...] = (
    Route(rule="/labels/studies/<study>", method="PUT", action=Action.LABEL, handler=_set_labels),
    Route(rule="/labels/studies/<study>", method="GET", action=Action.LABEL, handler=_labels),
    Route(rule="/consents/studies/<study>", method="PUT", action=Action.RECORD_CONSENT, handler=_record_consent),
    Route(rule="/projects/<project>", method="PUT", action=Action.APPROVE_PROJECT, handler=_approve_project),
    Route(rule="/projects", method="GET", action=Action.APPROVE_PROJECT, handler=_projects),
    Route(rule="/break-glass/studies/<study>", method="POST", action=Action.BREAK_GLASS, handler=_break_glass),
    Route(rule="/break-glass", method="GET", action=Action.REVIEW_GLASS, handler=_broken),
    Route(rule="/break-glass/<entry>/review", method="POST", action=Action.REVIEW_GLASS, handler=_review_glass),
    Route(rule="/audit/entries", method="GET", action=Action.READ_AUDIT, handler=_read_audit),
)
