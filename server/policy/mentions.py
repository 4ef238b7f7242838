"""What of a study the rules for a role can look at: studies that agree in it get one decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from cedarpy import pst

from server.policy.words import RuleBook

STUDY_ATTRIBUTES = frozenset({"departments", "care_team", "stored_by", "stored_department", "age_hours", "patient"})
"""The attributes of a study in the schema, as `facts` writes them."""


def looked_at(book: RuleBook, role: str) -> frozenset[str]:
    """The attributes of a study that any rule about this role may read, whatever the level.

    All of them wherever a rule does anything with a study but to read an attribute of it: too many costs time, too few
    would join studies that the rules tell apart.
    """
    found: set[str] = set()
    for template in book.policies.to_pst().static_policies.values():
        if _role(template.principal) in (None, role):
            found |= set(_attributes(template))
    return frozenset(found) & STUDY_ATTRIBUTES


def _role(scope: object) -> str | None:
    """The one role that a rule is about, None if it may be about any."""
    if isinstance(scope, pst.ScopeIn) and isinstance(scope.entity, pst.EntityUid):
        return scope.entity.id if scope.entity.type.basename == "Role" else None
    return None


def _attributes(template: pst.Template) -> Iterator[str]:
    if not isinstance(template.resource, pst.ScopeAny):
        yield from STUDY_ATTRIBUTES
    yield from _read(template.clauses)


def _read(node: object) -> Iterator[str]:
    if isinstance(node, pst.Var) and node.name == "resource":
        yield from STUDY_ATTRIBUTES
    elif isinstance(node, pst.GetAttr | pst.HasAttr) and isinstance(node.base, pst.Var):
        yield from (node.attr,) if isinstance(node, pst.GetAttr) else node.attrs
    elif isinstance(node, Mapping):
        for one in node.items():
            yield from _read(one)
    elif isinstance(node, tuple | list | set | frozenset):
        for one in node:
            yield from _read(one)
    elif is_dataclass(node):
        for part in fields(node):
            yield from _read(getattr(node, part.name))
