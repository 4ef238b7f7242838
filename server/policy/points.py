"""Situations of the finite space as the questions that the real engine answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from server.policy.rules import Answer, Question, ask
from server.policy.space import BASE, OWN, PATIENTS, Cell, Point, Value
from server.policy.words import RuleBook

_CHUNK = 4000


def answers(book: RuleBook, within: Cell) -> Iterator[tuple[Point, Answer]]:
    """What the real engine says to every point of a cell, a batch at a time."""
    # In strides, the first of them in parts, so that whoever looks for one situation of a kind is soon through.
    stride = max(1, within.size // _CHUNK)
    for start in range(stride):
        points = list(islice(within.points(), start, None, stride))
        for chunk in _parts(points) if start == 0 else (points,):
            yield from zip(chunk, answered(book, within, chunk), strict=True)


def _parts(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Every point once: few from all over, then more, then most."""
    for first, stop in ((0, 1), (1, 8), (8, 64)):
        if chunk := [point for row, point in enumerate(points) if first <= row % 64 < stop]:
            yield chunk


def answered(book: RuleBook, within: Cell, points: Sequence[Point]) -> list[Answer]:
    """What the real engine says to some points of a cell."""
    entities: dict[str, Mapping[str, object]] = {}
    contexts: dict[str, Mapping[str, object]] = {}
    questions = []
    film = within.action in book.views
    for point in points:
        values = within.full(point)
        caller = "/".join(str(values[name]) for name in BASE if name.startswith("principal."))
        study = "/".join(str(values[name]) for name in BASE if name.startswith("resource."))
        around = "/".join(str(values[name]) for name in BASE if name.startswith("context."))
        if caller not in entities:
            entities[caller] = _caller(values, within.role, caller)
        if study not in entities:
            entities[study] = _study(values, study) if film else _ARCHIVE | {"uid": {"type": "Archive", "id": study}}
        if around not in contexts:
            contexts[around] = _context(values)
        kind = "Study" if film else "Archive"
        questions.append(
            Question(action=within.action, kind=kind, identifier=study, context=contexts[around], caller=caller)
        )
    return ask(book, questions, list(entities.values()))


_ARCHIVE: dict[str, object] = {"attrs": {}, "parents": []}


def _member(kind: str, value: Value) -> dict[str, object]:
    return {"type": kind, "id": value}


def _list(value: Value) -> list[str]:
    return list(value) if isinstance(value, tuple) else []


def _caller(values: Mapping[str, Value], role: str, identifier: str) -> Mapping[str, object]:
    attributes: dict[str, object] = {"subject": OWN, "departments": _list(values["principal.departments"])}
    if values["principal.project"] is not None:
        attributes["project"] = values["principal.project"]
    if values["principal.approval"] is not None:
        attributes["approval"] = _member("Approval", values["principal.approval"])
    if values["principal.patient"] is not None:
        attributes["patient"] = _patient(values["principal.patient"])
    if values["principal.share"] is not None:
        attributes["share"] = {
            "study": values["principal.share.study"],
            "level": _member("Level", values["principal.share.level"]),
            "giver": _member("Level", values["principal.share.giver"]),
        }
    uid = {"type": "Caller", "id": identifier}
    return {"uid": uid, "attrs": attributes, "parents": [{"type": "Role", "id": role}]}


def _study(values: Mapping[str, Value], identifier: str) -> Mapping[str, object]:
    names = ("departments", "care_team", "modalities")
    attributes: dict[str, object] = {name: _list(values[f"resource.{name}"]) for name in names}
    attributes |= {
        name: values[f"resource.{name}"] for name in ("study", "stored_by", "stored_department", "age_hours")
    }
    attributes["labels"] = [_member("Label", label) for label in _list(values["resource.labels"])]
    asked = ("disclosure", "research")
    attributes["consent"] = {name: _member("Choice", values[f"resource.consent.{name}"]) for name in asked}
    attributes["patient"] = _patient(values["resource.patient"])
    return {"uid": {"type": "Study", "id": identifier}, "attrs": attributes, "parents": []}


def _context(values: Mapping[str, Value]) -> Mapping[str, object]:
    context: dict[str, object] = {
        "transaction": values["context.transaction"],
        "zone": _member("Zone", values["context.zone"]),
        "broken_glass": values["context.broken_glass"],
    }
    if values["context.purpose"] is not None:
        context["purpose"] = _member("Purpose", values["context.purpose"])
    for name in ("acr", "hour", "weekday"):
        if values[f"context.{name}"] is not None:
            context[name] = values[f"context.{name}"]
    return context


def _patient(value: Value) -> dict[str, str]:
    issuer, identifier = PATIENTS[str(value)]
    return {"issuer": issuer, "id": identifier}
