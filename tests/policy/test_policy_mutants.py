"""Rules that are wrong in one thing are noticed: by the checks of a bundle, by its cases, or by its claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from mutants import Mutant, mutants
from policy_helpers import rules_text, shipped, shipped_files

import server.policy.bundle
import server.policy.rules
from server.policy.bundle import build
from server.policy.cases import Outcome, read_cases, run_cases
from server.policy.claims import prove_claims
from server.policy.levels import read_level
from server.policy.points import answers
from server.policy.rules import read_rules
from server.policy.space import cell
from server.policy.words import BundleProblems, Case, PolicyBundle

EVERY = tuple(mutants(shipped_files()))
OFFICERS = ("system-administrator", "security-administrator", "security-auditor")
# A wrong permit for each officer: what the rule that stands by is there for.
WRONG = "".join(
    f'@id("wrong-{officer}-{level}") @note("Wrong.") '
    f'permit (principal in Role::"{officer}", action == Action::"{level}", resource);\n'
    for officer in OFFICERS
    for level in sorted(shipped().levels)
)


def caught_at_once(mutant: Mutant) -> str:
    """What the bundle's own reading says of it: "cases", "check", or "" where it would come into force."""
    try:
        build(mutant.files)
    except BundleProblems as error:
        return "cases" if any(problem.startswith("cases: ") for problem in error.problems) else "check"
    return ""


def refuted(bundle: PolicyBundle) -> list[str]:
    return [verdict.identifier for verdict in prove_claims(bundle) if verdict.broken]


def test_every_mutant_is_caught() -> None:
    caught: Counter[tuple[str, str]] = Counter()
    missed = []
    for mutant in EVERY:
        how = caught_at_once(mutant)
        if not how and mutant.rule != "officers-see-no-film":
            how = "claims" if refuted(build(mutant.files)) else ""
        if how:
            caught[how, mutant.kind] += 1
        else:
            missed.append(mutant)
    print(*sorted(caught.items()), sep="\n")
    assert sum(caught.values()) >= 490
    assert {how for how, _ in caught} == {"cases", "check", "claims"}
    # Of the rule that stands by: nothing is permitted that it could forbid. See the test below.
    assert {mutant.rule for mutant in missed} == {"officers-see-no-film"}


def test_every_mutant_of_the_rule_that_stands_by_is_caught() -> None:
    """Whoever permits an officer something is stopped by this rule; by a mutant of it, not everybody is."""
    standing = [mutant for mutant in EVERY if mutant.rule == "officers-see-no-film" and not caught_at_once(mutant)]
    assert len(standing) >= 5
    assert not seen_by_officers(rules_text())
    for mutant in standing:
        text = "".join(
            content.decode() for name, content in mutant.files.items() if name.endswith(".cedar") and "/" not in name
        )
        assert seen_by_officers(text), mutant


def seen_by_officers(rules: str) -> list[str]:
    """Which officer sees what under these rules and a permit of everything for every officer."""
    book = read_rules({"all.cedar": (rules + WRONG).encode()}, shipped_files()["schema.cedarschema"])
    found = []
    for officer in OFFICERS:
        for level in sorted(shipped().levels):
            here = cell(book, officer, level, [])
            found += [f"{officer} {level}" for _, answer in answers(book, here) if answer.allowed]
    return found


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mutant touches a level, a case, or more than one file of rules; and one case that fails is enough."""
    level = cache(lambda name, content, listed: read_level(name, content, listed, levels))
    levels = {
        path.removeprefix("levels/").removesuffix(".toml"): content
        for path, content in shipped_files().items()
        if path.startswith("levels/")
    }
    monkeypatch.setattr(server.policy.bundle, "read_level", lambda *given: level(*given[:3]))
    monkeypatch.setattr(server.policy.bundle, "read_cases", cache(read_cases))
    monkeypatch.setattr(server.policy.bundle, "run_cases", _until_one_fails)
    parse, schema = server.policy.rules._parsed, shipped().book.schema

    @cache
    def parsed(name: str, content: bytes) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        problems: list[str] = []
        return tuple(parse(name, content, schema, problems)), tuple(problems)

    def parsed_once(name: str, content: bytes, _: object, problems: list[str]) -> tuple[Any, ...]:
        found, told = parsed(name, content)
        problems += told
        return found

    monkeypatch.setattr(server.policy.rules, "_parsed", parsed_once)


def _until_one_fails(bundle: PolicyBundle, cases: Sequence[Case]) -> Iterator[Outcome]:
    for case in cases:
        for outcome in run_cases(bundle, [case]):
            yield outcome
            if not outcome.passed:
                return


@pytest.mark.parametrize("kind", sorted({mutant.kind for mutant in EVERY}))
def test_there_are_mutants_of_every_kind(kind: str) -> None:
    assert sum(mutant.kind == kind for mutant in EVERY) >= 4


def test_every_rule_has_mutants() -> None:
    assert {mutant.rule for mutant in EVERY} == set(shipped().book.rules)
    assert len(EVERY) >= 500
