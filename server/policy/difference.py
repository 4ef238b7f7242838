"""What one bundle permits and another does not: which role gains or loses which level or act, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from server.policy.points import answered
from server.policy.space import Cell, Point, Value, applies, cell
from server.policy.words import PolicyBundle, Rule, RuleBook

_CHUNK = 4000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A role `gains`, or loses, an action (a level or an act of governance) in `count` of `total` situations.

    `when` gives, for each attribute whose value matters there, the values that it has in all of them.
    """

    role: str
    action: str
    gains: bool
    count: int
    total: int
    when: Mapping[str, tuple[Value, ...]]

    def __str__(self) -> str:
        when = "; ".join(f"{path}: {' or '.join(map(_said, values))}" for path, values in self.when.items())
        what = "gains" if self.gains else "loses"
        situations = f"{self.count} of {self.total} situations"
        return f"{self.role} {what} {self.action} in {situations}" + (f", where {when}" if when else "")


def differences(old: PolicyBundle, new: PolicyBundle) -> Iterator[Difference]:
    """Every difference between two bundles, by role and action. Raises `NotFinite`."""
    for role in sorted(old.book.roles | new.book.roles):
        for action in sorted(old.book.actions | new.book.actions):
            before, after = _rules(old.book, role, action), _rules(new.book, role, action)
            if _same(before, after):
                continue
            larger = (
                old.book if len(old.book.enums.get("Label", ())) >= len(new.book.enums.get("Label", ())) else new.book
            )
            here = cell(larger, role, action, [*before, *after])
            yield from _of_cell(old, new, here)


def ladders(old: PolicyBundle, new: PolicyBundle) -> Iterator[str]:
    """What differs beside the rules: ladders, and levels that do something else under the same name."""
    for role in sorted(old.roles | new.roles):
        before, after = old.ladders.get(role, ()), new.ladders.get(role, ())
        if before != after:
            yield f"{role}: the ladder was {', '.join(before) or 'empty'} and is {', '.join(after) or 'empty'}"
    for name in sorted(set(old.levels) | set(new.levels)):
        if name not in new.levels:
            yield f"the level {name} is gone"
        elif name not in old.levels:
            yield f"the level {name} is new"
        elif old.levels[name].fingerprint != new.levels[name].fingerprint:
            yield f"the level {name} does something else"


def _rules(book: RuleBook, role: str, action: str) -> list[Rule]:
    """The rules that a role and an action meet; none where none of them permits."""
    if role not in book.roles or action not in book.actions:
        return []
    met = [rule for rule in book.rules.values() if applies(book, rule, role, action)]
    return met if any(rule.permits for rule in met) else []


def _same(before: Sequence[Rule], after: Sequence[Rule]) -> bool:
    def said(rule: Rule) -> tuple[object, ...]:
        one = rule.parsed
        return one.effect, one.principal, one.action, one.resource, one.clauses

    return [said(rule) for rule in before] == [said(rule) for rule in after]


def _of_cell(old: PolicyBundle, new: PolicyBundle, here: Cell) -> Iterator[Difference]:
    every = list(here.points())
    before, after = _allowed(old.book, here, every), _allowed(new.book, here, every)
    for gains in (False, True):
        changed = [
            point for point, was, now in zip(every, before, after, strict=True) if was is not now and now is gains
        ]
        if changed:
            yield Difference(
                role=here.role,
                action=here.action,
                gains=gains,
                count=len(changed),
                total=len(every),
                when=_narrowed(here, changed),
            )


def _allowed(book: RuleBook, here: Cell, points: Sequence[Point]) -> list[bool]:
    if not _rules(book, here.role, here.action):
        return [False] * len(points)
    chunks = (points[start : start + _CHUNK] for start in range(0, len(points), _CHUNK))
    return [answer.allowed for chunk in chunks for answer in answered(book, here, chunk)]


def _narrowed(here: Cell, changed: Sequence[Point]) -> dict[str, tuple[Value, ...]]:
    found = {}
    for at, (path, values) in enumerate(here.axes.items()):
        there = {point[at] for point in changed}
        if len(there) < len(values):
            found[path] = tuple(value for value in values if value in there)
    return found


def _said(value: Value) -> str:
    if isinstance(value, tuple):
        return "{" + ", ".join(value) + "}"
    return "absent" if value is None else str(value)
