"""What a bundle remembers of its decisions: the answers to equal questions, and nothing that could be another's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from policy_helpers import NOW, caller, shipped, study
from test_policy_decide import callers, studies

from server.model import Action, Caller, Deny, PatientIdentity, Permit, StudyRecord, Zone
from server.policy import decide as deciding
from server.policy.decide import decide, decide_many, govern


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many questions the rules are asked at each time that they are."""
    counts: list[int] = []
    ask = deciding.ask  # type: ignore[attr-defined]

    def counting(book: object, questions: list[object], entities: object) -> object:
        counts.append(len(questions))
        return ask(book, questions, entities)  # type: ignore[arg-type]

    monkeypatch.setattr(deciding, "ask", counting)
    return counts


def test_equal_questions_are_asked_once(asked: list[int]) -> None:
    bundle = replace(shipped())
    who, what = caller("clinician", departments=("radiology",)), study(departments=("radiology",))
    first = decide(bundle, who, Action.RETRIEVE_RENDERED, what, NOW)
    again = decide(bundle, replace(who), Action.RETRIEVE_RENDERED, replace(what, row="ff" * 16), NOW)
    assert isinstance(first, Permit)
    assert again == first
    assert len(asked) == 1


def test_whatever_a_rule_can_look_at_is_asked_anew(asked: list[int]) -> None:
    bundle = replace(shipped())
    who, what = caller("clinician", departments=("radiology",)), study(departments=("radiology",))
    around = who.circumstances
    others = [
        replace(who, subject="somebody else"),
        replace(who, departments=frozenset({"surgery"})),
        replace(who, purpose="HRESCH"),
        replace(who, project="demo-project"),
        replace(who, circumstances=replace(around, hour=3)),
        replace(who, circumstances=replace(around, weekday=7)),
        replace(who, circumstances=replace(around, zone=Zone.OUTSIDE)),
        replace(who, circumstances=replace(around, acr="gold")),
        replace(who, circumstances=replace(around, broken_glass=frozenset({what.patient}))),
        replace(who, patient=PatientIdentity(issuer="A", patient_id="1")),
    ]
    for one in (who, *others):
        decide(bundle, one, Action.RETRIEVE_RENDERED, what, NOW)
    decide(bundle, who, Action.RETRIEVE_METADATA, what, NOW)
    decide(bundle, who, Action.RETRIEVE_RENDERED, study(departments=("surgery",)), NOW)
    assert len(asked) == len(others) + 3


@given(who=callers, what=studies)
def test_what_is_remembered_is_what_the_rules_say(who: Caller, what: StudyRecord) -> None:
    remembering = shipped()
    decide(remembering, who, Action.RETRIEVE_FRAMES, what, NOW)
    fresh = replace(remembering)
    assert decide(remembering, who, Action.RETRIEVE_FRAMES, what, NOW) == decide(
        fresh, who, Action.RETRIEVE_FRAMES, what, NOW
    )


def test_another_bundle_remembers_nothing_of_this_one() -> None:
    bundle = replace(shipped())
    who, what = caller("clinician", departments=("radiology",)), study(departments=("radiology",))
    assert isinstance(decide(bundle, who, Action.RETRIEVE_RENDERED, what, NOW), Permit)
    without = replace(bundle, ladders={**bundle.ladders, "clinician": ()})
    assert not without.decided
    assert not isinstance(decide(without, who, Action.RETRIEVE_RENDERED, what, NOW), Permit)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "_MOST_REMEMBERED", 8)
    bundle, what = replace(shipped()), study(departments=("radiology",))
    for number in range(40):
        who = caller("clinician", subject=f"u{number}", departments=("radiology",))
        decide(bundle, who, Action.RETRIEVE_RENDERED, what, NOW)
        assert len(bundle.decided) <= 8
    many = [study(departments=("radiology",), stored_by=f"u{number}", age=number * 3600.0) for number in range(40)]
    decide_many(bundle, caller("technologist", departments=("radiology",)), Action.RETRIEVE_RENDERED, many, NOW)
    assert len(bundle.decided) <= 8


def test_whatever_a_rule_can_look_at_of_an_act_is_asked_anew(asked: list[int]) -> None:
    bundle = replace(shipped())
    who = caller("technologist", departments=("radiology",))
    around = who.circumstances
    others = [
        replace(who, subject="somebody else"),
        replace(who, departments=frozenset({"surgery"})),
        replace(who, purpose="HRESCH"),
        replace(who, circumstances=replace(around, hour=3)),
        replace(who, circumstances=replace(around, zone=Zone.OUTSIDE)),
        replace(who, circumstances=replace(around, acr="gold")),
        replace(who, acting_role="researcher", roles=frozenset({"researcher"})),
    ]
    for one in (who, *others, replace(who)):
        govern(bundle, one, Action.STORE)
    assert len(asked) == len(others) + 1
    assert not isinstance(govern(bundle, who, Action.STORE), Deny)
    assert isinstance(govern(bundle, others[-1], Action.STORE), Deny)
    assert isinstance(govern(bundle, who, Action.LABEL), Deny)


@given(who=callers)
def test_what_is_remembered_of_an_act_is_what_the_rules_say(who: Caller) -> None:
    remembering = shipped()
    for action in (Action.STORE, Action.LABEL, Action.READ_AUDIT):
        govern(remembering, who, action)
        assert govern(remembering, who, action) == govern(replace(remembering), who, action)


def test_another_bundle_remembers_no_grant_of_this_one() -> None:
    bundle = replace(shipped())
    who = caller("technologist", departments=("radiology",))
    assert not isinstance(govern(bundle, who, Action.STORE), Deny)
    without = replace(bundle, ladders={name: one for name, one in bundle.ladders.items() if name != "technologist"})
    assert not without.governed
    assert isinstance(govern(without, who, Action.STORE), Deny)


def test_the_memory_of_acts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "_MOST_REMEMBERED", 8)
    bundle = replace(shipped())
    for number in range(40):
        govern(bundle, caller("technologist", subject=f"u{number}", departments=("radiology",)), Action.STORE)
        assert len(bundle.governed) <= 8
