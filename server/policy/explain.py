"""Why a decision is what it is, in sentences for a person. Speaks of rules, roles and levels, never of whom."""

from __future__ import annotations

from collections.abc import Iterator

from server.model import Action, Caller, Deny, StudyRecord
from server.policy.decide import candidates, choose_role, decide, govern
from server.policy.facts import Unusable, caller_entity, request_context, study_entity, study_facts
from server.policy.instead import instead
from server.policy.rules import Answer, Question, ask
from server.policy.words import GOVERNANCE, Grant, PolicyBundle


def explain(
    bundle: PolicyBundle,
    caller: Caller,
    action: Action,
    study: StudyRecord | None,
    *,
    now: float,
    requested: str | None = None,
) -> str:
    """The decision and every step to it, one line each.

    `now` is in seconds since the epoch, `requested` the role that the request names.
    """
    head = (f"policy: {bundle.fingerprint}", f"roles held and known: {_listed(caller.roles & bundle.roles)}")
    acting = choose_role(bundle, caller, requested)
    if isinstance(acting, Deny):
        return "\n".join((*head, _refused(acting)))
    how = "named in the request" if requested is not None else "the only one, or the most masked of those held"
    return "\n".join((*head, f"acting role: {acting.acting_role} ({how})", *_steps(bundle, acting, action, study, now)))


def _steps(
    bundle: PolicyBundle, acting: Caller, action: Action, study: StudyRecord | None, now: float
) -> Iterator[str]:
    role = acting.acting_role or ""
    yield f"action: {action}"
    if action in GOVERNANCE:
        granted = govern(bundle, acting, action)
        yield _refused(granted) if isinstance(granted, Deny) else _granted(granted)
        return
    yield f"ladder, most masked first: {_listed(bundle.ladders[role])}"
    answers = _answers(bundle, acting, action, study, now)
    for name in reversed(bundle.ladders[role]):
        said = answers.get(name, "does not have this action")
        yield f"  {name}: {said}"
    decision = decide(bundle, acting, action, study, now)
    yield _refused(decision) if isinstance(decision, Deny) else f"decision: answered at level {decision.level.name}"
    if study is not None:
        yield from (f"otherwise: {way}" for way in instead(bundle, acting, action, study, now))


def _answers(
    bundle: PolicyBundle, acting: Caller, action: Action, study: StudyRecord | None, now: float
) -> dict[str, str]:
    """What the rules say to each level of the ladder that has the action."""
    able = [level.name for level in candidates(bundle, acting.acting_role or "", action)]
    if study is None:
        return dict.fromkeys(able, "there is no such study")
    try:
        entities = [caller_entity(acting), study_entity(study_facts(study, now), "0")]
        context = request_context(acting, action, opened=study.patient in acting.circumstances.broken_glass)
    except Unusable:
        return dict.fromkeys(able, "the caller or the record of the study cannot be decided about")
    questions = [Question(action=name, kind="Study", identifier="0", context=context) for name in able]
    answers = ask(bundle.book, questions, entities)
    return {name: _said(bundle, answer) for name, answer in zip(able, answers, strict=True)}


def _said(bundle: PolicyBundle, answer: Answer) -> str:
    if answer.problem:
        return "a rule could not be evaluated, so the request is refused"
    notes = "; ".join(f"{rule}: {bundle.book.rules[rule].note}" for rule in answer.rules)
    if answer.allowed:
        return f"permitted by {notes}"
    return f"forbidden by {notes}" if notes else "no rule permits it"


def _granted(grant: Grant) -> str:
    return f"decision: granted by {_listed(grant.rules)}: {grant.reason}"


def _refused(deny: Deny) -> str:
    status = "403, whatever the study" if deny.forbidden else "404, as if there were no such study"
    return f"decision: refused ({status}): {deny.reason}" + (f" [{deny.hint}]" if deny.hint else "")


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names) if isinstance(names, frozenset) else names) or "none"
