"""The page of governance: labels, consents, approvals and broken glass, each for the acting role that may.

Every form does what the resource of the same name does for programs, by the same use case with the same decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from server import glass_review, govern, record
from server.auth.claims import MAXIMUM_TEXT_LENGTH
from server.errors import BadRequest, Forbidden, NotFound, SafelightError, StepUp
from server.glass_review import Finding
from server.model import Act, Action, Ask, Choice, Consent, Representation, StudyLabel
from server.services import Services
from server.web import session, share_form
from server.web.answer import finish, fresh_enough, limits, refuse, services
from server.web.identify import identify, whoever
from server.web.page import form_session, signed_in, to

blueprint = Blueprint("govern_page", __name__)
_LONGEST_LIST = 64


@dataclass(frozen=True)
class Done:
    """What a form did, in a sentence."""

    sentence: str


@blueprint.get("/governance")
def governance() -> AnyResponse:
    """Everything that the acting role may set or review; one sentence where that is nothing."""
    house = services()
    try:
        found = signed_in(house)
        if found is None:
            return to("/")
        ask, current = found
        limits().asked(f"{ask.caller.issuer}#{ask.caller.subject}", house.clock())
        return _shown(house, ask, current, told=_SAID.get(request.args.get("done", ""), ""))
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.GOVERN, error)


def _shown(house: Services, ask: Ask, current: session.Session, *, told: str, link: str = "") -> Response:
    """The page, with its entry. Raises as `_page`, and `AuditUnavailable`."""
    made = _page(house, ask, current, told=told, link=link)
    entered = Representation(media_type="text/html", body=made.get_data())
    record.answer(house, ask, record.Subject(action=Act.GOVERN, object=""), entered)
    return made


def _page(house: Services, ask: Ask, current: session.Session, *, told: str, link: str = "") -> Response:
    role = ask.requested_role
    may = {action: _may(house, ask, action) for action in _SHOWN}
    study = request.args.get("study", "").strip()
    labels, missing = _labels(house, ask, study) if may[Action.LABEL] and study else (None, False)
    approved = _read(govern.projects(house, ask)) if may[Action.APPROVE_PROJECT] else []
    struck = _read(glass_review.listed(house, ask)) if may[Action.REVIEW_GLASS] else []
    shared = share_form.known(house, ask, listing=bool(may[Action.READ_SHARES]))
    response = Response(
        render_template(
            "governance.html",
            may={action.value.replace("-", "_"): bool(able) for action, able in may.items()},
            again=next((action.value for action, able in may.items() if able is None), ""),
            study=study, labels=labels, missing=missing, told=told, every_label=list(StudyLabel),
            choices=list(Choice), findings=list(Finding), projects=approved, struck=struck,
            shared=shared, link=link,
            roles=sorted(current.caller.roles), role=role, session=current, named=_named(role),
        ),
        mimetype="text/html",
    )  # fmt: skip
    return finish(response)


_SHOWN = (
    Action.LABEL, Action.RECORD_CONSENT, Action.APPROVE_PROJECT, Action.REVIEW_GLASS,
    Action.SHARE, Action.READ_SHARES, Action.END_SHARE,
)  # fmt: skip


def _may(house: Services, ask: Ask, action: Action) -> bool | None:
    """Whether the acting role may; None where it may after another sign-in."""
    try:
        govern.allowed(house, ask, action)
        fresh_enough(house, ask, action)
    except Forbidden:
        return False
    except StepUp:
        return None
    return True


def _read(answer: Representation) -> Any:
    body = answer.body
    return orjson.loads(body if isinstance(body, bytes) else b"".join(body))


def _labels(house: Services, ask: Ask, study: str) -> tuple[dict[str, object] | None, bool]:
    """What is set of a study, and whether there is none of that name."""
    try:
        return _read(govern.labels_of(house, ask, study=study)), False
    except (BadRequest, NotFound):
        return None, True


def _named(role: str | None) -> str:
    return f"?{urlencode({session.NAMED_ROLE: role})}" if role else ""


def _set_labels(house: Services, ask: Ask) -> None:
    form = request.form
    try:
        labels = frozenset(map(StudyLabel, form.getlist("labels")))
    except ValueError:
        raise BadRequest(f"labels are {', '.join(StudyLabel)}") from None
    govern.set_labels(
        house, ask, study=_study(), departments=_words("departments"), care_team=_words("care_team"), labels=labels
    )


def _record_consent(house: Services, ask: Ask) -> None:
    try:
        consent = Consent(disclosure=Choice(request.form["disclosure"]), research=Choice(request.form["research"]))
    except (KeyError, ValueError):
        raise BadRequest(f"a consent is one of {', '.join(Choice)}, each") from None
    govern.record_consent(house, ask, study=_study(), consent=consent)


def _approve_project(house: Services, ask: Ask) -> None:
    project = request.form.get("project", "").strip()
    if not project or len(project) > MAXIMUM_TEXT_LENGTH or not project.isprintable():
        raise BadRequest("that is no name of a project")
    try:
        until = date.fromisoformat(request.form.get("approved_until", ""))
    except ValueError:
        raise BadRequest("approved_until is a day, YYYY-MM-DD") from None
    govern.approve_project(house, ask, project=project, until=until)


def _review_glass(house: Services, ask: Ask) -> None:
    number, text = request.form.get("seq", ""), request.form.get("text", "").strip()
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise BadRequest("seq is the number of an entry")
    if request.form.get("finding") not in list(Finding) or not 10 <= len(text) <= 1000:
        raise BadRequest(f"a finding is one of {', '.join(Finding)}, with 10 to 1000 characters why")
    glass_review.review(house, ask, seq=int(number), finding=Finding(request.form["finding"]), text=text)


def _study() -> str:
    return request.form.get("study", "").strip()


def _words(name: str) -> frozenset[str]:
    """A list as people write it: one in a line."""
    words = frozenset(line.strip() for line in request.form.get(name, "").splitlines() if line.strip())
    if len(words) > _LONGEST_LIST or any(len(word) > MAXIMUM_TEXT_LENGTH for word in words):
        raise BadRequest("a list is too long")
    return words


_FORMS: tuple[tuple[str, Action, Callable[[Services, Ask], str | None], Done], ...] = (
    ("labels", Action.LABEL, _set_labels, Done("The labels of the study are set.")),
    ("consents", Action.RECORD_CONSENT, _record_consent, Done("What the patient said is recorded.")),
    ("projects", Action.APPROVE_PROJECT, _approve_project, Done("The project's approval is entered.")),
    ("reviews", Action.REVIEW_GLASS, _review_glass, Done("The review is noted.")),
    ("shares", share_form.ACTIONS["shares"], share_form.share, Done("The study is shared.")),
    ("ended-shares", share_form.ACTIONS["ended-shares"], share_form.end, Done("The share has ended.")),
)
_SAID = {name: done.sentence for name, _, _, done in _FORMS}
ACTS: dict[str, Action | Act] = {
    "govern_page.governance": Act.GOVERN,
    **{f"govern_page.{name}": action for name, action, _, _ in _FORMS},
}


def _add(name: str, action: Action, act: Callable[[Services, Ask], str | None]) -> None:
    def submit() -> AnyResponse:
        house = services()
        try:
            _, current, _ = form_session(house)
            ask = identify(request, house)
            limits().asked(f"{ask.caller.issuer}#{ask.caller.subject}", house.clock())
            govern.allowed(house, ask, action)
            fresh_enough(house, ask, action)
            link = act(house, ask)
            if link:
                # Shown once, and never in an address of ours, which a redirection would need.
                return _shown(house, ask, current, told=_SAID[name], link=link)
        except SafelightError as error:
            return refuse(house, whoever(request, house), action, error)
        query = {"done": name} | ({session.NAMED_ROLE: ask.requested_role} if ask.requested_role else {})
        return to(f"/governance?{urlencode(query)}")

    blueprint.add_url_rule(f"/governance/{name}", endpoint=name, view_func=submit, methods=["POST"])


for _name, _action, _act, _ in _FORMS:
    _add(_name, _action, _act)
