"""Decisions: against an independent statement of the rules, and the refusals one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_helpers import NOW, caller, changed, shipped, shipped_files, study, with_rules

from server.model import Action, Caller, Deny, Permit, StudyRecord
from server.policy.bundle import build
from server.policy.decide import choose_role, decide, decide_many, govern, may_ever
from server.policy.explain import explain
from server.policy.facts import study_facts
from server.policy.words import GOVERNANCE, Grant, PolicyBundle

VIEWS = tuple(action for action in Action if action not in GOVERNANCE)
OFFICERS = ("system-administrator", "security-administrator", "security-auditor")
OVERFLOW = """
@id("overflow") @note("Raises for every study older than no hours.")
forbid (principal, action == Action::"original", resource)
when { resource.age_hours * 9223372036854775807 > 5 };
"""
BROAD = '@id("broad") @note("Everything.") permit (principal in Role::"clinician", action == Action::"{}", resource);'

names = st.sampled_from(["", "radiology", "surgery", "u1", "u2"])
few = st.lists(names, max_size=2).map(tuple)
identities = st.tuples(st.sampled_from(["", "A", "B"]), st.sampled_from(["", "1", "2"]))
callers = st.builds(
    lambda role, subject, project, patient, departments: caller(
        role, subject=subject, project=project, patient=patient, departments=departments
    ),
    st.sampled_from(sorted(shipped().roles)),
    st.sampled_from(["u1", "u2"]),
    st.sampled_from([None, "", "p"]),
    st.none() | identities,
    few,
)
studies = st.builds(
    lambda departments, care_team, stored_by, stored_department, age, patient: study(
        departments=departments,
        care_team=care_team,
        stored_by=stored_by,
        stored_department=stored_department,
        age=age,
        patient=patient,
    ),
    few,
    few,
    names,
    names,
    st.sampled_from([-1.0, 0.0, 86399.0, 86400.0, 1e7]),
    identities,
)


def expected(who: Caller, what: StudyRecord) -> str | None:
    """The rules once more, in words of another language."""
    labels = what.labels
    theirs = who.departments - {""}
    age = NOW - labels.stored_at
    radiology = labels.stored_department == "radiology" and "radiology" in who.departments
    levels = {
        "clinician": ("original", theirs & labels.departments or who.subject in labels.care_team or radiology),
        "patient": ("patient", who.patient and who.patient.patient_id and who.patient == what.patient),
        "researcher": ("deidentified", who.project),
        "teacher": ("teaching", who.project),
        "front-desk": ("front-desk", True),
        "privacy-reviewer": ("review", who.project),
        "technologist": ("original", labels.stored_by == who.subject and 0 <= age < 24 * 3600),
    }
    level, earned = levels.get(who.acting_role or "", ("", False))
    return level if earned else None


@settings(max_examples=200, deadline=None)
@given(callers, st.lists(studies, max_size=4), st.sampled_from(VIEWS))
def test_decisions_are_those_of_the_rules(who: Caller, what: list[StudyRecord], action: Action) -> None:
    decisions = decide_many(shipped(), who, action, what, NOW)
    assert decisions == [decide(shipped(), who, action, one, NOW) for one in what]
    ladder = shipped().ladders[who.acting_role or ""]
    has_action = any(action in shipped().levels[name].transactions for name in ladder)
    for decision, one in zip(decisions, what, strict=True):
        if isinstance(decision, Permit):
            assert decision.level.name == expected(who, one)
            assert action in decision.level.transactions
            assert decision.rules
            assert decision.reason
            assert decision.policy == shipped().fingerprint
        else:
            assert decision.forbidden is not has_action
            assert not has_action or expected(who, one) is None


@pytest.mark.parametrize("role", OFFICERS)
@pytest.mark.parametrize("action", VIEWS)
def test_officers_see_no_film(role: str, action: Action) -> None:
    who = caller(role, subject="u", project="p", departments=("radiology",))
    what = study(care_team=("u",), departments=("radiology",), stored_department="radiology")
    decision = decide(shipped(), who, action, what, NOW)
    assert isinstance(decision, Deny)
    assert decision.forbidden


def test_govern_grants_exactly_these_things() -> None:
    granted = {
        (role, action)
        for role in shipped().roles
        for action in Action
        if isinstance(govern(shipped(), caller(role, project="p", departments=("radiology",)), action), Grant)
    }
    assert granted == {
        ("technologist", Action.STORE),
        ("security-administrator", Action.LABEL),
        ("security-administrator", Action.APPROVE_PROJECT),
        ("front-desk", Action.RECORD_CONSENT),
        ("clinician", Action.BREAK_GLASS),
        ("security-auditor", Action.READ_AUDIT),
        ("security-auditor", Action.REVIEW_GLASS),
        ("privacy-reviewer", Action.READ_QUEUE),
        ("privacy-reviewer", Action.SETTLE),
        ("privacy-reviewer", Action.READ_STATUS),
        ("system-administrator", Action.READ_STATUS),
        ("clinician", Action.SHARE),
        ("clinician", Action.READ_SHARES),
        ("clinician", Action.END_SHARE),
        ("recipient", Action.ACCEPT_SHARE),
        ("recipient", Action.READ_SHARES),
        ("security-administrator", Action.READ_SHARES),
        ("security-administrator", Action.END_SHARE),
    }


def test_an_act_of_governance_is_never_a_view() -> None:
    decision = decide(shipped(), caller("technologist"), Action.STORE, study(), NOW)
    assert isinstance(decision, Deny)
    assert decision.forbidden
    assert may_ever(shipped(), caller("technologist"), Action.STORE) is None
    assert isinstance(may_ever(shipped(), caller("technologist"), Action.LABEL), Deny)


def test_a_refusal_says_the_same_of_a_hidden_study_as_of_none() -> None:
    who = caller("clinician")
    hidden = decide(shipped(), who, Action.RETRIEVE_RENDERED, study(), NOW)
    absent = decide(shipped(), who, Action.RETRIEVE_RENDERED, None, NOW)
    assert isinstance(hidden, Deny)
    assert isinstance(absent, Deny)
    assert replace(hidden, reason="") == replace(absent, reason="")
    teacher = caller("teacher", project="p")
    for one in (study(), None):
        decision = decide(shipped(), teacher, Action.RETRIEVE_INSTANCE, one, NOW)
        assert isinstance(decision, Deny)
        assert decision.forbidden


@pytest.mark.parametrize(
    "who",
    [
        caller("clinician", acting=None, departments=("surgery",)),
        caller("researcher", acting="clinician", departments=("surgery",)),
        caller("admin", departments=("surgery",)),
        caller("CLINICIAN", departments=("surgery",)),
        caller(departments=("surgery",), acting="clinician"),
    ],
)
@pytest.mark.parametrize("action", [Action.RETRIEVE_RENDERED, Action.STORE])
def test_no_known_acting_role_is_forbidden(who: Caller, action: Action) -> None:
    for decision in (
        decide(shipped(), who, action, study(departments=("surgery",)), NOW),
        govern(shipped(), who, action),
    ):
        assert isinstance(decision, Deny)
        assert decision.forbidden


@pytest.mark.parametrize(
    "what",
    [
        study(departments=("surgery",), age=float("nan")),
        study(departments=("surgery",), age=float("inf")),
        study(departments=("surgery",), age=-1e300),
        study(departments=("surgery",), stored_by="\udc80"),
        study(departments=("surgery", "\ud800")),
        study(departments=("surgery",), patient=("A", "\ud800")),
    ],
)
def test_an_unusable_record_is_refused_and_spoils_no_other(what: StudyRecord) -> None:
    who = caller("clinician", departments=("surgery",))
    good = study(departments=("surgery",))
    first, second, third = decide_many(shipped(), who, Action.SEARCH, [good, what, good], NOW)
    assert isinstance(first, Permit)
    assert isinstance(second, Deny)
    assert first == third


@pytest.mark.parametrize(
    "spoiled", [{"subject": ""}, {"subject": "\ud800"}, {"project": "\ud800"}, {"purpose": "\ud800"}]
)
def test_an_unusable_caller_is_refused(spoiled: dict[str, str]) -> None:
    who = replace(caller("front-desk"), **spoiled)  # type: ignore[arg-type]
    assert isinstance(decide(shipped(), who, Action.SEARCH, study(), NOW), Deny)
    storer = replace(who, roles=frozenset({"technologist"}), acting_role="technologist")
    assert isinstance(govern(shipped(), storer, Action.STORE), Deny)


def test_a_subject_that_is_empty_is_not_in_an_empty_care_team() -> None:
    who = caller("clinician", subject="")
    assert isinstance(decide(shipped(), who, Action.SEARCH, study(care_team=("",)), NOW), Deny)


def test_separators_in_issuer_and_id_do_not_join_patients() -> None:
    who = caller("patient", patient=("A\x00B", "C"))
    assert isinstance(decide(shipped(), who, Action.SEARCH, study(patient=("A", "B\x00C")), NOW), Deny)
    assert isinstance(decide(shipped(), who, Action.SEARCH, study(patient=("A\x00B", "C")), NOW), Permit)


def test_a_rule_that_raises_refuses_and_does_not_fall_back() -> None:
    files = changed("levels/order.toml", ('clinician = ["original"]', 'clinician = ["patient", "original"]'))
    bundle = build(with_rules(files, OVERFLOW + BROAD.format("patient")))
    who = caller("clinician", departments=("surgery",))
    decision = decide(bundle, who, Action.SEARCH, study(departments=("surgery",)), NOW)
    assert isinstance(decision, Deny)
    assert decision.reason == "a rule could not be evaluated"
    fresh = decide(bundle, who, Action.SEARCH, study(departments=("surgery",), age=0), NOW)
    assert isinstance(fresh, Permit)


def test_a_rule_of_governance_that_raises_refuses() -> None:
    rule = """
    @id("overflow") @note("Raises.") forbid (principal in Role::"technologist", action == Action::"store", resource)
    when { principal.departments.contains("surgery") && 9223372036854775807 + 1 > 0 };
    """
    bundle = build(with_rules(shipped_files(), rule))
    assert isinstance(govern(bundle, caller("technologist"), Action.STORE), Grant)
    refused = govern(bundle, caller("technologist", departments=("surgery",)), Action.STORE)
    assert isinstance(refused, Deny)
    assert refused.reason == "a rule could not be evaluated"


def test_a_role_that_is_not_held_governs_nothing() -> None:
    for who in (caller("researcher", acting="technologist"), caller("technologist", acting=None)):
        assert isinstance(govern(shipped(), who, Action.STORE), Deny)
        assert isinstance(may_ever(shipped(), who, Action.STORE), Deny)


@pytest.mark.parametrize(("age", "hours"), [(-1.0, -1), (0.0, 0), (86399.9, 23), (86400.0, 24)])
def test_the_age_of_a_study_is_rounded_down(age: float, hours: int) -> None:
    assert study_facts(study(age=age), NOW).age_hours == hours


@pytest.fixture(scope="module")
def two_steps() -> PolicyBundle:
    files = changed("levels/order.toml", ('clinician = ["original"]', 'clinician = ["teaching", "original"]'))
    return build(with_rules(files, BROAD.format("teaching")))


def test_the_highest_permitted_step_that_has_the_action_is_shown(two_steps: PolicyBundle) -> None:
    who = caller("clinician", departments=("surgery",), project="p")
    near, far = study(departments=("surgery",)), study()
    shown = [decide(two_steps, who, Action.RETRIEVE_RENDERED, one, NOW) for one in (near, far)]
    assert [one.level.name for one in shown if isinstance(one, Permit)] == ["original", "teaching"]
    refused = decide(two_steps, who, Action.RETRIEVE_INSTANCE, far, NOW)
    assert isinstance(refused, Deny)
    assert not refused.forbidden


def test_pseudonyms_need_a_project_whatever_a_rule_says(two_steps: PolicyBundle) -> None:
    for project in (None, "", " "):
        who = caller("clinician", project=project)
        decision = decide(two_steps, who, Action.RETRIEVE_RENDERED, study(), NOW)
        assert isinstance(decision, Deny)
        assert not decision.forbidden


@pytest.mark.parametrize(
    ("roles", "requested", "acting"),
    [
        (("clinician",), None, "clinician"),
        (("clinician", "researcher"), None, "researcher"),
        (("clinician", "researcher", "teacher"), None, "teacher"),
        (("clinician", "security-auditor"), None, "security-auditor"),
        (("clinician", "front-desk"), None, "front-desk"),
        (("clinician", "admin"), None, "clinician"),
        (("clinician", "researcher"), "clinician", "clinician"),
        (("front-desk", "researcher"), None, None),
        (("front-desk", "researcher", "clinician"), None, None),
        (("clinician", "technologist"), None, None),
        (("security-auditor", "system-administrator"), None, None),
        (("researcher",), "clinician", None),
        (("researcher",), "Researcher", None),
        (("researcher",), "", None),
        (("admin",), "admin", None),
        (("admin", "clinician"), "admin", None),
        (("admin",), None, None),
        ((), None, None),
    ],
)
def test_a_T7_one_role_acts(roles: tuple[str, ...], requested: str | None, acting: str | None) -> None:
    chosen = choose_role(shipped(), caller(*roles, acting=None), requested)
    if acting is None:
        assert isinstance(chosen, Deny)
        assert chosen.forbidden
        assert ("Safelight-Role" in chosen.hint) is bool(set(roles) & shipped().roles)
    else:
        assert isinstance(chosen, Caller)
        assert chosen.acting_role == acting


def test_a_T7_rights_of_several_roles_are_never_added() -> None:
    both = caller("researcher", "clinician", departments=("surgery",), project="p", acting="researcher")
    decision = decide(shipped(), both, Action.RETRIEVE_INSTANCE, study(departments=("surgery",)), NOW)
    assert isinstance(decision, Permit)
    assert decision.level.name == "deidentified"
    assert isinstance(decide(shipped(), replace(both, acting_role="clinician"), Action.SEARCH, study(), NOW), Deny)


def test_a_role_chosen_before_does_not_stick() -> None:
    chosen = choose_role(shipped(), caller("clinician", "researcher", acting="clinician"), None)
    assert isinstance(chosen, Caller)
    assert chosen.acting_role == "researcher"


def test_a_T10_a_patient_sees_no_other_patient() -> None:
    who = caller("patient", patient=("A", "1"))
    for other in (("A", "2"), ("B", "1"), ("", "1"), ("A", ""), ("A", "1 "), ("a", "1"), ("1", "A")):
        assert isinstance(decide(shipped(), who, Action.SEARCH, study(patient=other), NOW), Deny)


@pytest.mark.parametrize("role", sorted(shipped().roles))
def test_no_decision_and_no_explanation_tells_an_identity(role: str) -> None:
    canary = "CANARY"
    who = caller(
        role,
        subject=f"{canary}-subject",
        project=f"{canary}-project",
        departments=(f"{canary}-department",),
        patient=(f"{canary}-issuer", f"{canary}-id"),
        purpose=f"{canary}-purpose",
    )
    spoiled = replace(who, subject=f"{canary}\ud800")
    bundle = build(with_rules(shipped_files(), OVERFLOW))
    for one in (
        study(departments=(f"{canary}-department",), patient=(f"{canary}-issuer", f"{canary}-id")),
        study(care_team=(f"{canary}-subject",), stored_by=f"{canary}-subject", age=5),
        study(stored_by=f"{canary}\ud800"),
    ):
        for action in Action:
            for asking in (who, spoiled):
                assert canary not in repr(decide(bundle, asking, action, one, NOW))
                assert canary not in repr(govern(bundle, asking, action))
                assert canary not in explain(bundle, asking, action, one, now=NOW)


def test_an_explanation_names_rules_and_ladder(two_steps: PolicyBundle) -> None:
    who = caller("clinician", "researcher", departments=("surgery",), project="p", acting=None)
    text = explain(two_steps, who, Action.RETRIEVE_RENDERED, study(), now=NOW, requested="clinician")
    assert "acting role: clinician (named in the request)" in text
    assert "  original: no rule permits it" in text
    assert "  teaching: permitted by broad: Everything." in text
    assert "answered at level teaching" in text
    text = explain(two_steps, who, Action.RETRIEVE_INSTANCE, study(), now=NOW, requested="clinician")
    assert "  teaching: does not have this action" in text
    assert "404, as if there were no such study" in text
    text = explain(two_steps, caller("front-desk", "researcher"), Action.SEARCH, None, now=NOW)
    assert "[name the acting role in the header Safelight-Role]" in text
    text = explain(two_steps, caller("front-desk"), Action.SEARCH, None, now=NOW)
    assert "there is no such study" in text
    text = explain(two_steps, caller("technologist"), Action.STORE, None, now=NOW)
    assert "granted by technologist-store: A technologist may store." in text
