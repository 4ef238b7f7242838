"""What of a study the rules for a role can look at: studies that agree in it get one decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType

from cedarpy import pst

from server.policy.words import Rule, RuleBook, Sight

STUDY_ATTRIBUTES = frozenset(
    {
        *("study", "departments", "care_team", "labels", "consent", "modalities"),
        *("stored_by", "stored_department", "age_hours", "patient"),
    }
)
"""The attributes of a study in the schema, as `facts` writes them."""

# How a study's attribute can be held against the caller's without its value coming out: (operator, caller's, study's).
_OWN = frozenset(
    {
        ("eq", "patient", "patient"),
        ("eq", "share.study", "study"),
        ("eq", "subject", "stored_by"),
        ("contains_any", "departments", "departments"),
        ("contains", "subject", "care_team"),
    }
)


def looked_at(book: RuleBook, role: str) -> frozenset[str]:
    """The attributes of a study that any rule about this role may read, whatever the level."""
    return frozenset(book.sights.get(role, dict.fromkeys(STUDY_ATTRIBUTES)))


def sights(rules: Iterable[Rule], roles: Iterable[str]) -> Mapping[str, Mapping[str, Sight]]:
    """For each role, what any rule about it reads of a study, whatever the level, and how.

    All of it wherever a rule does anything with a study but to read an attribute of it: too much costs time, too little
    would join studies that the rules tell apart.
    """
    read = [(rule.role if rule.permits else _role(rule.parsed.principal), dict(_sights(rule.parsed))) for rule in rules]
    return MappingProxyType({role: _joined(seen for about, seen in read if about in (None, role)) for role in roles})


_COMPARISONS = frozenset({"eq", "not_eq", "less", "less_eq", "greater", "greater_eq"})


def age_bounds(rules: Iterable[Rule]) -> tuple[int, ...] | None:
    """The numbers that rules hold an age against, ascending; None where one does anything else with it."""
    bounds = list(_bounds([rule.parsed.clauses for rule in rules]))
    return None if None in bounds else tuple(sorted({bound for bound in bounds if bound is not None}))


def _bounds(node: object) -> Iterator[int | None]:
    if isinstance(node, pst.BinaryOp) and node.op in _COMPARISONS:
        sides = (node.left, node.right)
        numbers = [side.value for side in sides if isinstance(side, pst.LongLit)]
        if numbers and any(_attribute(side) == ("resource", "age_hours") for side in sides):
            yield from numbers
            return
    if _attribute(node) == ("resource", "age_hours"):
        yield None
        return
    for part in parts(node):
        yield from _bounds(part)


def _joined(seen: Iterable[Mapping[str, Sight]]) -> Mapping[str, Sight]:
    found: dict[str, Sight] = {}
    for one in seen:
        for name, sight in one.items():
            found[name] = sight if found.get(name, sight) is sight else Sight.VALUE
    return MappingProxyType({name: sight for name, sight in found.items() if name in STUDY_ATTRIBUTES})


def _role(scope: object) -> str | None:
    """The one role that a rule is about, None if it may be about any."""
    if isinstance(scope, pst.ScopeIn) and isinstance(scope.entity, pst.EntityUid):
        return scope.entity.id if scope.entity.type.basename == "Role" else None
    return None


def _sights(template: pst.Template) -> Iterator[tuple[str, Sight]]:
    found = dict.fromkeys(STUDY_ATTRIBUTES, Sight.VALUE) if not isinstance(template.resource, pst.ScopeAny) else {}
    for name, sight in _read(template.clauses):
        found[name] = sight if found.get(name, sight) is sight else Sight.VALUE
    return iter(found.items())


def _read(node: object) -> Iterator[tuple[str, Sight]]:
    if isinstance(node, pst.BinaryOp) and (own := _own(node)):
        yield own, Sight.OWN
    elif isinstance(node, pst.Var) and node.name == "resource":
        yield from dict.fromkeys(STUDY_ATTRIBUTES, Sight.VALUE).items()
    elif isinstance(node, pst.GetAttr | pst.HasAttr) and isinstance(node.base, pst.Var):
        if node.base.name == "resource":
            yield from ((name, Sight.VALUE) for name in ((node.attr,) if isinstance(node, pst.GetAttr) else node.attrs))
    else:
        for part in parts(node):
            yield from _read(part)


def parts(node: object) -> Iterator[object]:
    """What a node of a syntax tree is made of."""
    if isinstance(node, Mapping):
        yield from node.values()
    elif isinstance(node, tuple | list | set | frozenset):
        yield from node
    elif is_dataclass(node):
        yield from (getattr(node, part.name) for part in fields(node))


def _own(node: pst.BinaryOp) -> str | None:
    sides = dict(filter(None, (_attribute(node.left), _attribute(node.right))))
    if set(sides) != {"principal", "resource"}:
        return None
    return sides["resource"] if (node.op, sides["principal"], sides["resource"]) in _OWN else None


def _attribute(node: object) -> tuple[str, str] | None:
    """(variable, attribute) where a node reads one attribute of the caller or the study, or one of a share."""
    if isinstance(node, pst.GetAttr) and _attribute(node.base) == ("principal", "share"):
        return "principal", f"share.{node.attr}"
    return (node.base.name, node.attr) if isinstance(node, pst.GetAttr) and isinstance(node.base, pst.Var) else None
