"""Decisions are quick enough to be asked anew for every request and every study of a list."""

from __future__ import annotations

import time
from collections.abc import Callable

from policy_helpers import NOW, caller, rule_files, shipped, shipped_files, study

from server.model import Action, Permit, StudyLabel
from server.policy.decide import decide, decide_many
from server.policy.rules import read_rules

ONE_MS, LIST_MS = 2.0, 50.0
WHO = caller("clinician", subject="treating", departments=("surgery", "radiology"), purpose="TREAT")


def milliseconds(work: Callable[[], object], rounds: int) -> list[float]:
    """CPU time of each round, ascending: what else runs on the machine does not count."""
    work()
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append((time.process_time() - begun) * 1e3)
    return sorted(taken)


def test_one_decision() -> None:
    one = study(departments=("surgery",), labels=(StudyLabel.MINOR,))
    taken = milliseconds(lambda: decide(shipped(), WHO, Action.RETRIEVE_RENDERED, one, NOW), 200)
    print(f"one decision: median {taken[100]:.3f} ms, p95 {taken[190]:.3f} ms")
    assert taken[190] <= ONE_MS


def test_a_list_of_a_thousand_studies_of_a_thousand_care_teams() -> None:
    many = [
        study(
            care_team=(f"colleague-{number}", *(["treating"] if number % 7 == 0 else [])),
            departments=(f"ward-{number % 50}",),
            patient=("A", f"{number}"),
            stored_by=f"technologist-{number}",
            age=3600.0 * number,
            labels=tuple(StudyLabel)[: number % 6],
        )
        for number in range(1000)
    ]
    found = decide_many(shipped(), WHO, Action.SEARCH, many, NOW)
    assert sum(isinstance(one, Permit) for one in found) == sum(
        number % 7 == 0 and number % 6 < 5 for number in range(1000)
    )
    taken = milliseconds(lambda: decide_many(shipped(), WHO, Action.SEARCH, many, NOW), 15)
    print(f"1 000 studies: median {taken[7]:.1f} ms, worst {taken[-1]:.1f} ms")
    assert taken[7] <= LIST_MS


def test_a_list_of_a_thousand_studies_of_a_thousand_ages() -> None:
    who = caller("technologist", subject="on-shift")
    many = [
        study(stored_by="on-shift" if number % 2 else f"t{number}", age=3600.0 * (number - 3)) for number in range(1000)
    ]
    found = decide_many(shipped(), who, Action.SEARCH, many, NOW)
    assert [number - 3 for number, one in enumerate(found) if isinstance(one, Permit)] == list(range(0, 24, 2))
    taken = milliseconds(lambda: decide_many(shipped(), who, Action.SEARCH, many, NOW), 15)
    print(f"1 000 ages: median {taken[7]:.1f} ms, worst {taken[-1]:.1f} ms")
    assert taken[7] <= LIST_MS


def test_ages_that_a_rule_counts_with_are_told_apart() -> None:
    assert shipped().book.age_bounds == (0, 24)
    more = (
        b'@id("odd") @note("Odd.") forbid (principal, action == Action::"original", resource) '
        b"when { resource.age_hours * 2 == 6 };"
    )
    book = read_rules({**rule_files(), "odd.cedar": more}, shipped_files()["schema.cedarschema"])
    assert book.age_bounds is None


def test_grouping_changes_no_decision() -> None:
    """What the rules only hold against the caller's own is grouped by that; one by one nothing is."""
    many = [
        study(
            care_team=(f"c{number}", *(["treating"] if number % 3 == 0 else [])),
            departments=("surgery", f"d{number}") if number % 5 == 0 else (f"d{number}",),
            stored_department="radiology" if number % 11 == 0 else "archive",
            labels=tuple(StudyLabel)[number % 6 :],
            patient=("A", str(number % 3)),
        )
        for number in range(60)
    ]
    for who in (WHO, caller("patient", patient=("A", "1")), caller("researcher", project="p")):
        glass = caller("clinician", broken_glass=(("A", "1"),))
        for asked in (who, glass):
            alone = [decide(shipped(), asked, Action.SEARCH, one, NOW) for one in many]
            assert decide_many(shipped(), asked, Action.SEARCH, many, NOW) == alone
