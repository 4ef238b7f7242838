"""The decision: which role acts, and at which masking level, if any, a study is shown to it. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from server.model import RECIPIENT, Action, Caller, Decision, Deny, MaskingLevel, Permit, StudyRecord
from server.policy.facts import (
    ARCHIVE,
    StudyFacts,
    Unusable,
    caller_entity,
    request_context,
    seen_by,
    study_entity,
    study_facts,
)
from server.policy.rules import Answer, Question, ask
from server.policy.words import GOVERNANCE, Grant, PolicyBundle

ROLE_HEADER = "Safelight-Role"

Kind = tuple[StudyFacts, bool]

# More questions than this in one bundle's memory begin anew.
_MOST_REMEMBERED = 4096


def choose_role(bundle: PolicyBundle, caller: Caller, requested: str | None) -> Caller | Deny:
    """The caller with one acting role, never with the union of several.

    The role `requested` has to be held. With none requested, the only role held acts; of several, the one whose least
    masked level is more masked than that of every other (a role that sees no film is more masked than any). Where no
    role is, because two levels are equal or cannot be compared, the caller has to say which one is meant.

    Anybody may act as the recipient of what was shared with them; then nothing else that a token says gives anything.
    """
    if requested == RECIPIENT and RECIPIENT in bundle.roles:
        return replace(
            caller,
            roles=frozenset({RECIPIENT}),
            acting_role=RECIPIENT,
            departments=frozenset(),
            project=None,
            patient=None,
        )
    held = caller.roles & bundle.roles - {RECIPIENT}
    if not held:
        return _never(bundle, None, "the token holds no role that the policy knows")
    if requested is not None:
        if requested not in held:
            return _never(bundle, None, "the requested role is not held", f"{ROLE_HEADER} names no role of the token")
        return replace(caller, acting_role=requested)
    for role in held:
        if all(_is_more_masked(bundle, role, other) for other in held if other != role):
            return replace(caller, acting_role=role)
    hint = f"name the acting role in the header {ROLE_HEADER}"
    return _never(bundle, None, "several roles are held and none is the most masked", hint)


def may_ever(bundle: PolicyBundle, caller: Caller, action: Action) -> Deny | None:
    """None if the acting role has this action on some study at least; else the refusal, whatever the study.

    To be asked before anything is looked up, so that a refusal says nothing about what exists.
    """
    role = caller.acting_role
    if role is None or role not in caller.roles or role not in bundle.ladders:
        return _never(bundle, None, "no acting role that the token holds and the policy knows")
    if action in GOVERNANCE:
        granted = govern(bundle, caller, action)
        return granted if isinstance(granted, Deny) else None
    if not candidates(bundle, role, action):
        hint = f"acting as {role}; {ROLE_HEADER} may name another role" if len(caller.roles) > 1 else ""
        return _never(bundle, role, "no level of the role's ladder has this action", hint)
    return None


def decide(bundle: PolicyBundle, caller: Caller, action: Action, study: StudyRecord | None, now: float) -> Decision:
    """Decide about one study; `study` is None where there is no such study, which is refused alike.

    `now` is in seconds since the epoch.
    """
    if study is not None:
        return decide_many(bundle, caller, action, (study,), now)[0]
    return may_ever(bundle, caller, action) or _not_here(bundle, caller, "no such study")


def decide_many(
    bundle: PolicyBundle, caller: Caller, action: Action, studies: Sequence[StudyRecord], now: float
) -> list[Decision]:
    """One decision per study, in order: the least masked level of the acting role's ladder that has the action and
    that the rules permit.

    Any error in a rule, a record that no rule can be asked about, and a level with pseudonyms for a caller without a
    project are refusals; none of them falls back to another level. Studies that the rules cannot tell apart are decided
    once.
    """
    never = may_ever(bundle, caller, action)
    if never is None and action in GOVERNANCE:
        never = _never(bundle, caller.acting_role, "an act of governance has no masking level")
    if never is not None:
        return [never] * len(studies)
    facts = [_kind_or_none(bundle, caller, study, now) for study in studies]
    distinct = list(dict.fromkeys(fact for fact in facts if fact is not None))
    decided = _decided(bundle, caller, action, distinct)
    unusable = _not_here(bundle, caller, "the record of the study cannot be decided about")
    return [unusable if fact is None else decided[fact] for fact in facts]


def govern(bundle: PolicyBundle, caller: Caller, action: Action) -> Grant | Deny:
    """Decide about an act that shows no film: `store`, `label` or `read-audit`. A refusal is always `forbidden`.

    All that a rule can look at is in caller and action, so equal questions are asked once.
    """
    known = bundle.governed.get((caller, action))
    if known is None:
        if len(bundle.governed) >= _MOST_REMEMBERED:
            bundle.governed.clear()
        known = bundle.governed[caller, action] = _govern(bundle, caller, action)
    return known


def _govern(bundle: PolicyBundle, caller: Caller, action: Action) -> Grant | Deny:
    role = caller.acting_role
    if role is None or role not in caller.roles or role not in bundle.ladders:
        return _never(bundle, None, "no acting role that the token holds and the policy knows")
    if action not in GOVERNANCE:
        return _never(bundle, role, "not an act of governance")
    try:
        entities = [caller_entity(caller), ARCHIVE]
        context = request_context(caller, action)
    except Unusable:
        return _never(bundle, role, "the caller cannot be decided about")
    question = Question(action=action.value, kind="Archive", identifier="archive", context=context)
    (answer,) = ask(bundle.book, [question], entities)
    if answer.problem:
        return _never(bundle, role, "a rule could not be evaluated")
    if not answer.allowed:
        return _never(bundle, role, "no rule grants this to the role")
    return Grant(acting_role=role, rules=answer.rules, policy=bundle.fingerprint, reason=_reason(bundle, answer))


def candidates(bundle: PolicyBundle, role: str, action: Action) -> list[MaskingLevel]:
    """The levels of the role's ladder that have the action, least masked first; unknown roles have none."""
    ladder = bundle.ladders.get(role, ())
    return [bundle.levels[name] for name in reversed(ladder) if action in bundle.levels[name].transactions]


def _decided(bundle: PolicyBundle, caller: Caller, action: Action, kinds: Sequence[Kind]) -> dict[Kind, Decision]:
    """One decision per kind. All that a rule can look at is in the question, so equal questions are asked once."""
    found = {kind: known for kind in kinds if (known := bundle.decided.get((caller, action, *kind))) is not None}
    asked = [kind for kind in kinds if kind not in found]
    new = dict(zip(asked, _decide_distinct(bundle, caller, action, asked), strict=True)) if asked else {}
    if len(bundle.decided) + len(new) > _MOST_REMEMBERED:
        bundle.decided.clear()
    if len(new) <= _MOST_REMEMBERED:
        bundle.decided.update({(caller, action, *kind): decision for kind, decision in new.items()})
    return found | new


def _decide_distinct(bundle: PolicyBundle, caller: Caller, action: Action, kinds: Sequence[Kind]) -> Iterable[Decision]:
    levels = candidates(bundle, caller.acting_role or "", action)
    try:
        entities = [caller_entity(caller), *(study_entity(facts, str(row)) for row, (facts, _) in enumerate(kinds))]
        contexts = {opened: request_context(caller, action, opened=opened) for opened in (False, True)}
    except Unusable:
        return [_not_here(bundle, caller, "the caller cannot be decided about")] * len(kinds)
    questions = [
        Question(action=level.name, kind="Study", identifier=str(row), context=contexts[opened])
        for row, (_, opened) in enumerate(kinds)
        for level in levels
    ]
    answers = ask(bundle.book, questions, entities)
    width = len(levels)
    return [_pick(bundle, caller, levels, answers[row * width : (row + 1) * width]) for row in range(len(kinds))]


def _pick(bundle: PolicyBundle, caller: Caller, levels: Sequence[MaskingLevel], answers: Sequence[Answer]) -> Decision:
    if any(answer.problem for answer in answers):
        return _not_here(bundle, caller, "a rule could not be evaluated")
    for level, answer in zip(levels, answers, strict=True):
        if not answer.allowed:
            continue
        # What was shared has pseudonyms of its own.
        if level.pseudonyms and not (caller.project or "").strip() and caller.circumstances.share is None:
            return _not_here(bundle, caller, "the level needs pseudonyms and the token names no project")
        return Permit(
            level=level,
            acting_role=caller.acting_role or "",
            rules=answer.rules,
            policy=bundle.fingerprint,
            reason=_reason(bundle, answer),
        )
    forbidding = tuple(sorted({rule for answer in answers for rule in answer.rules}))
    return replace(_not_here(bundle, caller, "no rule permits a level of the role's ladder"), rules=forbidding)


def _is_more_masked(bundle: PolicyBundle, role: str, other: str) -> bool:
    """Whether the least masked level of `role` is strictly more masked than that of `other`."""
    here, there = bundle.ladders[role][-1:], bundle.ladders[other][-1:]
    if not here or not there:
        return len(here) < len(there)
    return bundle.order.is_more_masked(here[0], there[0])


def _kind_or_none(bundle: PolicyBundle, caller: Caller, study: StudyRecord, now: float) -> Kind | None:
    """What the rules can tell of a study, and whether the glass is broken for its patient."""
    try:
        facts = study_facts(study, now)
    except Unusable:
        return None
    seen = seen_by(facts, caller, bundle.book)
    return seen, study.patient in caller.circumstances.broken_glass


def _reason(bundle: PolicyBundle, answer: Answer) -> str:
    return " ".join(bundle.book.rules[rule].note for rule in answer.rules)


def _never(bundle: PolicyBundle, role: str | None, reason: str, hint: str = "") -> Deny:
    return Deny(forbidden=True, policy=bundle.fingerprint, reason=reason, hint=hint, acting_role=role)


def _not_here(bundle: PolicyBundle, caller: Caller, reason: str) -> Deny:
    return Deny(forbidden=False, policy=bundle.fingerprint, reason=reason, acting_role=caller.acting_role)
