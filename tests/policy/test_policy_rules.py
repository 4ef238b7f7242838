"""Cedar as it is asked here: whatever is not a clean answer is no permission."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import cedarpy
import pytest
from policy_helpers import rule_files, rules_text, shipped, shipped_files

from server.policy.rules import Answer, Question, _answer, ask, read_rules
from server.policy.words import GOVERNANCE, BundleProblems

SCHEMA = shipped_files()["schema.cedarschema"]
CALLER: dict[str, Any] = {
    "uid": {"type": "Caller", "id": "caller"},
    "attrs": {"subject": "treating", "departments": ["surgery"]},
    "parents": [{"type": "Role", "id": "clinician"}],
}
STUDY: dict[str, Any] = {
    "uid": {"type": "Study", "id": "0"},
    "attrs": {
        "study": "this",
        "departments": ["surgery"],
        "care_team": [],
        "stored_by": "importer",
        "stored_department": "archive",
        "age_hours": 7,
        "patient": {"issuer": "A", "id": "1"},
        "labels": [],
        "consent": {
            "disclosure": {"type": "Choice", "id": "unsaid"},
            "research": {"type": "Choice", "id": "unsaid"},
        },
        "modalities": ["CR"],
    },
    "parents": [],
}
CONTEXT: dict[str, object] = {
    "transaction": "search",
    "zone": {"type": "Zone", "id": "unknown"},
    "broken_glass": False,
}
OVERFLOW = """
@id("overflow") @note("Raises for every study older than no hours.")
forbid (principal, action == Action::"original", resource)
when { resource.age_hours * 9223372036854775807 > 5 };
"""


def question(level: str, context: Any = CONTEXT, study: str = "0") -> Question:
    return Question(action=level, kind="Study", identifier=study, context=context)


def one(
    level: str = "original", caller: Any = CALLER, study: Any = STUDY, context: Any = CONTEXT, rules: bytes = b""
) -> Answer:
    book = read_rules({"all.cedar": rules}, SCHEMA) if rules else shipped().book
    (answer,) = ask(book, [question(level, context)], [caller, study])
    return answer


def test_a_clean_permit_names_its_rule() -> None:
    assert one() == Answer(allowed=True, rules=("clinician-department",), problem=False)


def test_a_clean_refusal_is_no_problem() -> None:
    assert one("deidentified") == Answer(allowed=False, rules=(), problem=False)


@pytest.mark.parametrize(
    ("role", "level"), [("researcher", "deidentified"), ("teacher", "teaching"), ("privacy-reviewer", "review")]
)
def test_the_rules_by_themselves_ask_for_a_project(role: str, level: str) -> None:
    """The decision asks for one as well, and facts leave out an empty one; the rule needs neither."""

    approval = {"type": "Approval", "id": "approved"}

    def of(**project: str) -> Any:
        return {
            **CALLER,
            "attrs": {**CALLER["attrs"], "approval": approval, **project},
            "parents": [{"type": "Role", "id": role}],
        }

    assert one(level, of(project="p")).allowed
    for who in (of(), of(project="")):
        assert one(level, who) == Answer(allowed=False, rules=(), problem=False)


def test_a_rule_that_raises_refuses_though_cedar_permits() -> None:
    rules = rules_text().encode() + OVERFLOW.encode()
    request = {
        "principal": CALLER["uid"],
        "action": {"type": "Action", "id": "original"},
        "resource": STUDY["uid"],
        "context": CONTEXT,
    }
    raw = cedarpy.is_authorized(request, rules.decode(), [CALLER, STUDY], SCHEMA.decode())
    assert raw.allowed
    assert raw.diagnostics.errors
    answer = one(rules=rules)
    assert answer.problem
    assert not answer.allowed


@pytest.mark.parametrize("attribute", sorted(STUDY["attrs"]))
def test_a_study_that_lacks_an_attribute_is_refused(attribute: str) -> None:
    study = copy.deepcopy(STUDY)
    del study["attrs"][attribute]
    assert one(study=study) == Answer(allowed=False, rules=(), problem=True)


@pytest.mark.parametrize("attribute", sorted(CALLER["attrs"]))
def test_a_caller_that_lacks_an_attribute_is_refused(attribute: str) -> None:
    caller = copy.deepcopy(CALLER)
    del caller["attrs"][attribute]
    assert one(caller=caller) == Answer(allowed=False, rules=(), problem=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda caller, study: study["attrs"].update(burned_in="NO"),
        lambda caller, study: study["attrs"].update(age_hours=1.5),
        lambda caller, study: study["attrs"].update(age_hours=2**63),
        lambda caller, study: study["attrs"].update(age_hours=True),
        lambda caller, study: study["attrs"].update(departments="surgery"),
        lambda caller, study: study["attrs"]["patient"].pop("issuer"),
        lambda caller, study: study["attrs"].update(stored_by=None),
        lambda caller, study: study["attrs"].update(stored_by="\ud800"),
        lambda caller, study: study.update(uid={"type": "Film", "id": "0"}),
        lambda caller, study: caller["attrs"].update(admin=True),
        lambda caller, study: caller["attrs"].update(project=None),
        lambda caller, study: caller.update(parents=[{"type": "Role", "id": "Clinician"}]),
        lambda caller, study: caller.update(parents=[{"type": "Group", "id": "clinician"}]),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(spoil: Callable[[Any, Any], None]) -> None:
    caller, study = copy.deepcopy(CALLER), copy.deepcopy(STUDY)
    spoil(caller, study)
    answer = one(caller=caller, study=study)
    assert not answer.allowed
    assert answer.problem


@pytest.mark.parametrize(
    "context", [{}, {**CONTEXT, "transaction": 1}, {**CONTEXT, "level": "original"}, {**CONTEXT, "zone": "hospital"}]
)
def test_a_context_that_does_not_fit_is_refused(context: dict[str, object]) -> None:
    assert one(context=context) == Answer(allowed=False, rules=(), problem=True)


@pytest.mark.parametrize("level", ["Original", "view", "", "nonsense", "store"])
def test_a_level_that_is_not_in_the_schema_is_refused(level: str) -> None:
    assert one(level) == Answer(allowed=False, rules=(), problem=True)


def test_missing_entities_are_refused() -> None:
    assert not ask(shipped().book, [question("original", study="1")], [CALLER, STUDY])[0].allowed
    assert not ask(shipped().book, [question("original")], [STUDY])[0].allowed


@pytest.mark.parametrize(
    "response",
    [
        {
            "decision": "NoDecision",
            "diagnostics": {"reason": ["policy0"], "id_annotations_by_reason": {"policy0": "a"}},
        },
        {"decision": "Allow", "diagnostics": {"reason": ["policy0"], "id_annotations_by_reason": {}}},
        {"decision": "Allow", "diagnostics": {"reason": [], "id_annotations_by_reason": {}}},
        {"decision": "Allow", "diagnostics": {}},
    ],
)
def test_an_answer_that_is_not_clean_is_a_problem(response: dict[str, object]) -> None:
    answer = _answer(cedarpy.AuthzResult(response))
    assert answer.problem
    assert not answer.allowed


def test_no_question_no_answer() -> None:
    assert ask(shipped().book, [], [CALLER]) == []


def test_the_second_guards_of_the_rules_hold_by_themselves() -> None:
    nobody = copy.deepcopy(CALLER)
    nobody["parents"] = [{"type": "Role", "id": "patient"}]
    nobody["attrs"]["patient"] = {"issuer": "A", "id": ""}
    unnamed = copy.deepcopy(STUDY)
    unnamed["attrs"]["patient"] = {"issuer": "A", "id": ""}
    assert one("patient", caller=nobody, study=unnamed) == Answer(allowed=False, rules=(), problem=False)
    for role, level in (("researcher", "deidentified"), ("teacher", "teaching")):
        empty = copy.deepcopy(CALLER)
        empty["parents"] = [{"type": "Role", "id": role}]
        empty["attrs"] |= {"project": "", "approval": {"type": "Approval", "id": "approved"}}
        assert one(level, caller=empty) == Answer(allowed=False, rules=(), problem=False)


@pytest.mark.parametrize("officer", ["system-administrator", "security-administrator", "security-auditor"])
@pytest.mark.parametrize("level", sorted(shipped().levels))
def test_no_officer_sees_a_film_whatever_else_is_permitted(officer: str, level: str) -> None:
    more = (
        f'@id("more") @note("Wrong.") permit (principal in Role::"{officer}", action == Action::"{level}", resource);'
    )
    rules = rules_text().encode() + more.encode()
    caller = {**CALLER, "parents": [{"type": "Role", "id": officer}]}
    assert one(level, caller=caller, rules=rules) == Answer(
        allowed=False, rules=("officers-see-no-film",), problem=False
    )


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ('permit (principal in Role::"clinician", action == Action::"original", resource);', "no @id"),
        ('@id("a") permit (principal in Role::"clinician", action == Action::"original", resource);', "no @note"),
        ('@id("a") @note("b") permit (principal, action == Action::"original", resource);', "one role"),
        ('@id("a") @note("b") permit (principal in Role::"clinician", action, resource);', "one action"),
        ('@id("a") @note("b") permit (principal in Role::"clinician", action in Action::"view", resource);', "one act"),
        (
            '@id("a") @note("b") permit (principal in Caller::"caller", action == Action::"original", resource);',
            "one role",
        ),
        (
            '@id("a") @note("b") permit (principal in Role::"clinican", action == Action::"original", resource);',
            "clinican",
        ),
        ('@id("a") @note("b") permit (principal in Role::"clinician", action == Action::"orignal", resource);', "orig"),
        (
            (
                '@id("a") @note("b") permit (principal in Role::"researcher", action == Action::"teaching", resource)'
                ' when { principal.project != "" };'
            ),
            "optional attribute",
        ),
        (
            (
                '@id("a") @note("b") permit (principal in Role::"clinician", action == Action::"original", resource)'
                ' when { resource.modality == "DX" };'
            ),
            "modality",
        ),
        (
            (
                '@id("a") @note("b") forbid (principal, action == Action::"original", resource);'
                '@id("a") @note("c") forbid (principal, action == Action::"teaching", resource);'
            ),
            "two rules",
        ),
        ('@id("a") @note("b") forbid (principal == ?principal, action, resource);', "templates"),
        ('@id("a") @note("two\\nlines") forbid (principal, action, resource);', "@note"),
        ("permit (", "unexpected"),
    ],
)
def test_rules_that_are_not_taken(rules: str, problem: str) -> None:
    with pytest.raises(BundleProblems) as caught:
        read_rules({"all.cedar": rules.encode()}, SCHEMA)
    assert problem in str(caught.value)


@pytest.mark.parametrize("schema", [b"entity ;", b"\xff", b"entity Role;"])
def test_a_schema_that_is_not_taken(schema: bytes) -> None:
    with pytest.raises(BundleProblems):
        read_rules(rule_files(), schema)


def test_what_the_schema_speaks_of_is_read_from_it() -> None:
    book = shipped().book
    assert book.roles == shipped().roles
    assert book.actions == {*shipped().levels, *GOVERNANCE}
