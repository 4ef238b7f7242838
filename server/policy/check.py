"""What is odd about a bundle that is valid: rules that never apply, acts that nobody may do, cases that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from server.policy.cases import GRANTED, run_cases
from server.policy.mentions import parts
from server.policy.points import answers
from server.policy.rules import alone
from server.policy.space import BASE, applies, cell, path_of
from server.policy.words import GOVERNANCE, PolicyBundle, Rule


def oddities(bundle: PolicyBundle) -> Iterator[str]:
    """One sentence for each thing that has to be put right before the bundle is one to sign. Raises `NotFinite`."""
    yield from _unreachable(bundle)
    yield from _incomplete(bundle)
    yield from _unshown(bundle)


def remarks(bundle: PolicyBundle) -> Iterator[str]:
    """One sentence for each thing that is allowed and worth knowing."""
    for rule in bundle.book.rules.values():
        if not rule.permits and not _ever_forbids(bundle, rule):
            yield f"{rule.file}: rule `{rule.identifier}` stands by: nothing that it forbids is permitted by any other"
    read = {path for rule in bundle.book.rules.values() for path in _paths(rule.parsed.clauses)}
    for path in sorted(set(BASE) - read):
        yield f"no rule looks at `{path}`"


def _unreachable(bundle: PolicyBundle) -> Iterator[str]:
    for rule in bundle.book.rules.values():
        if not rule.permits:
            if not _ever_matches(bundle, rule):
                yield f"{rule.file}: rule `{rule.identifier}` never applies: no situation is as it says"
        elif not _ever_decides(bundle, rule):
            yield f"{rule.file}: rule `{rule.identifier}` never permits anything: it never applies or is forbidden"


def _ever_matches(bundle: PolicyBundle, rule: Rule) -> bool:
    book = bundle.book
    return any(_matches(bundle, rule, role, action) for role in sorted(book.roles) for action in sorted(book.actions))


def _ever_decides(bundle: PolicyBundle, rule: Rule) -> bool:
    book = bundle.book
    here = cell(book, rule.role or "", rule.action or "", list(book.rules.values()))
    return any(answer.allowed and rule.identifier in answer.rules for _, answer in answers(book, here))


def _ever_forbids(bundle: PolicyBundle, rule: Rule) -> bool:
    """Whether the rule can apply to a role and an action that another rule permits."""
    permits = [one for one in bundle.book.rules.values() if one.permits]
    return any(_matches(bundle, rule, one.role or "", one.action or "") for one in permits)


def _matches(bundle: PolicyBundle, rule: Rule, role: str, action: str) -> bool:
    if not applies(bundle.book, rule, role, action):
        return False
    book = replace(bundle.book, policies=alone(rule))
    here = cell(bundle.book, role, action, [rule])
    return any(rule.identifier in answer.rules for _, answer in answers(book, here))


def _incomplete(bundle: PolicyBundle) -> Iterator[str]:
    if not bundle.claims:
        yield "claims: there is none, so nothing is proved of the rules"
    rules = bundle.book.rules.values()
    granted = {rule.action for rule in rules if rule.permits}
    for action in sorted(GOVERNANCE):
        if action.value not in granted:
            yield f"no rule lets anybody do `{action}`"
    for level in sorted(set(bundle.levels) - granted):
        yield f"no rule permits the level `{level}`"
    for role in sorted(bundle.roles - {rule.role for rule in rules if rule.permits}):
        yield f"no rule permits the role `{role}` anything"


def _unshown(bundle: PolicyBundle) -> Iterator[str]:
    """What no case shows: a rule that decides in none, a level or an act that comes of none, a role that is in none."""
    outcomes = run_cases(bundle, bundle.cases)
    used = {rule for outcome in outcomes for rule in outcome.rules}
    for name, rule in bundle.book.rules.items():
        if name not in used and (rule.permits or _ever_forbids(bundle, rule)):
            yield f"{rule.file}: no case shows what the rule `{name}` is for"
    for level in sorted(set(bundle.levels) - {outcome.got for outcome in outcomes}):
        yield f"no case ends at the level `{level}`"
    shown = {outcome.action for outcome in outcomes if outcome.got == GRANTED}
    yield from (f"no case grants `{action}`" for action in sorted(GOVERNANCE - shown))
    acting = {role for case in bundle.cases for role in case.caller.roles}
    yield from (f"no case is about the role `{role}`" for role in sorted(bundle.roles - acting))


def _paths(node: object) -> Iterator[str]:
    if path := path_of(node):
        yield path
    for part in parts(node):
        yield from _paths(part)
