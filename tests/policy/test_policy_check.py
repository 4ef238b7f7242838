"""What a check finds odd, what a difference tells, and what an explanation says would change a decision."""

from __future__ import annotations

from functools import partial

import pytest
from policy_helpers import NOW, ONE_CASE, caller, changed_rules, shipped, shipped_files, study

from server.model import Action, Choice, StudyLabel, Zone
from server.policy.bundle import build
from server.policy.check import oddities, remarks
from server.policy.difference import differences, ladders
from server.policy.explain import explain
from server.policy.words import BundleProblems, PolicyBundle

NEVER = """
@id("never") @note("Of no age at all.")
forbid (principal, action == Action::"patient", resource)
when { resource.age_hours < 3 && resource.age_hours > 5 };
"""
SHADOWED = """
@id("shadowed") @note("Forbidden in every case.")
permit (principal in Role::"teacher", action == Action::"teaching", resource)
when { resource.labels.contains(Label::"minor") };
"""


def with_more(rules: str) -> PolicyBundle:
    return build({**shipped_files(), "more.cedar": rules.encode()})


def test_the_shipped_bundle_is_one_to_sign() -> None:
    assert list(oddities(shipped())) == []
    told = list(remarks(shipped()))
    assert [line for line in told if "stands by" in line] == [
        "officers.cedar: rule `officers-see-no-film` stands by: nothing that it forbids is permitted by any other"
    ]
    assert "no rule looks at `resource.modalities`" in told


def test_a_rule_that_never_applies_is_found() -> None:
    assert any("`never` never applies" in line for line in oddities(with_more(NEVER)))


def test_a_permit_that_is_always_forbidden_is_found() -> None:
    assert any("`shadowed` never permits anything" in line for line in oddities(with_more(SHADOWED)))


def test_what_nobody_may_do_and_what_no_case_shows_is_found() -> None:
    files = {path: content for path, content in shipped_files().items() if not path.startswith("cases/")}
    reviewers = files["reviewers.cedar"].decode()
    start = reviewers.index('@id("privacy-reviewer-settle")')
    stop = reviewers.index('@id("privacy-reviewer-status")')
    del files["claims/claims.cedar"]
    files |= {"reviewers.cedar": (reviewers[:start] + reviewers[stop:]).encode(), "cases/one.toml": ONE_CASE}
    found = list(oddities(build(files)))
    assert "no rule lets anybody do `settle`" in found
    assert "claims: there is none, so nothing is proved of the rules" in found
    assert "clinicians.cedar: no case shows what the rule `clinician-radiology` is for" in found
    assert "no case ends at the level `original`" in found
    assert "no case is about the role `teacher`" in found


@pytest.mark.parametrize(
    ("path", "old", "new", "problem"),
    [
        ("clinicians.cedar", "context.broken_glass }", 'resource.modalities.contains("CR") }', "header's word"),
        ("safeguards.cedar", 'Label::"minor"', 'Label::"child"', "child"),
        ("safeguards.cedar", "context.zone", "context.place", "place"),
        ("schema.cedarschema", '"vip", "staff"', '"vip"', "staff"),
        ("schema.cedarschema", '["unsaid", "opt-in", "opt-out"]', '["unsaid", "opt-out"]', "opt-in"),
        ("schema.cedarschema", '"TRAIN",', '"TRAIN", "MORE",', "`Purpose` has to list"),
    ],
)
def test_what_the_schema_does_not_know_is_refused(path: str, old: str, new: str, problem: str) -> None:
    text = shipped_files()[path].decode()
    assert old in text
    with pytest.raises(BundleProblems, match=problem):
        build({**shipped_files(), path: text.replace(old, new).encode()})


def test_a_rule_may_forbid_by_modality_hour_and_strength_of_sign_in() -> None:
    rules = """
@id("no-ultrasound") @note("No ultrasound at the front desk.")
forbid (principal in Role::"front-desk", action == Action::"front-desk", resource)
when { resource.modalities.contains("US") };
@id("at-night") @note("The front desk is closed at night.")
forbid (principal in Role::"front-desk", action == Action::"front-desk", resource)
when { context has hour && (context.hour < 6 || context.hour >= 22) };
"""
    bundle = with_more(rules)
    at = partial(explain, bundle, action=Action.SEARCH, now=NOW)
    assert "no-ultrasound" in at(caller("front-desk"), study=study(modalities=("US",)))
    assert "at-night" in at(caller("front-desk", hour=23), study=study())
    assert "answered at level front-desk" in at(caller("front-desk", hour=12), study=study())
    assert list(oddities(bundle)) == [
        "more.cedar: no case shows what the rule `no-ultrasound` is for",
        "more.cedar: no case shows what the rule `at-night` is for",
    ]


def test_equal_bundles_have_no_difference() -> None:
    again = build({**shipped_files(), "officers.cedar": shipped_files()["officers.cedar"] + b"// a remark\n"})
    assert list(differences(shipped(), again)) == []
    assert list(ladders(shipped(), again)) == []


def changed_bundle(old: str, new: str) -> PolicyBundle:
    files = {path: content for path, content in changed_rules(old, new).items() if not path.startswith("cases/")}
    return build({**files, "cases/one.toml": ONE_CASE})


def test_a_difference_says_who_gains_what_and_when() -> None:
    (found,) = differences(shipped(), changed_bundle("resource.age_hours < 24", "resource.age_hours < 30"))
    assert (found.role, found.action, found.gains) == ("technologist", "original", True)
    assert found.when["resource.age_hours"] == (24, 25, 29)
    assert found.when["resource.stored_by"] == ("own-subject",)
    assert str(found).startswith("technologist gains original in ")


def test_a_difference_says_who_loses_what_and_when() -> None:
    (found,) = differences(shipped(), with_more(NEVER.replace("&& resource.age_hours > 5", "")))
    assert (found.role, found.action, found.gains) == ("patient", "patient", False)
    assert found.when["resource.age_hours"] == (2,)


def test_a_role_that_comes_is_a_difference() -> None:
    scope = 'permit (\n  principal in Role::"front-desk",\n  action == Action::"record-consent"'
    old = changed_bundle(scope, scope.replace("front-desk", "technologist"))
    found = {(one.role, one.action, one.gains) for one in differences(old, shipped())}
    assert found == {("front-desk", "record-consent", True), ("technologist", "record-consent", False)}


def told(who: object, what: object, action: Action = Action.RETRIEVE_RENDERED) -> list[str]:
    text = explain(shipped(), who, action, what, now=NOW)  # type: ignore[arg-type]
    return [line.removeprefix("otherwise: ") for line in text.splitlines() if line.startswith("otherwise: ")]


def test_an_explanation_says_what_would_change_it() -> None:
    found = told(caller("clinician", departments=("surgery",)), study())
    assert "level original, if the caller were of the care team" in found
    assert "level original, if the study were labelled with a department of the caller's" in found
    assert "level original, if the glass were broken for the patient" in found


def test_an_explanation_says_what_would_close_a_film() -> None:
    found = told(caller("researcher", project="p"), study())
    assert "not found, if the project were ended" in found
    assert "not found, if the consent to research were opt-out" in found
    assert "not found, if it were labelled vip" in found
    assert not any("treated" in line or "somebody" in line for line in found)


def test_two_things_are_tried_where_one_is_not_enough() -> None:
    what = study(departments=("surgery",), labels=(StudyLabel.LEGAL_CASE,), disclosure=Choice.OPT_OUT)
    found = told(caller("clinician", departments=("surgery",), zone=Zone.OUTSIDE), what)
    assert found
    assert all(" and " in line for line in found)
    assert "level original, if the caller were of the care team and the request came from the zone hospital" in found


def test_an_explanation_names_the_rule_that_forbids() -> None:
    text = explain(
        shipped(),
        caller("clinician", departments=("surgery",)),
        Action.SEARCH,
        study(departments=("surgery",), labels=(StudyLabel.VIP,)),
        now=NOW,
    )
    assert "original: forbidden by closely-held: Films of well-known people" in text
