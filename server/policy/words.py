"""The words of this stage: a checked policy bundle and its parts. Made by `bundle.build`, then never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cedarpy

from server.errors import PolicyError
from server.model import Action, Caller, MaskingLevel, StudyRecord

GOVERNANCE = frozenset(
    {
        Action.STORE,
        Action.LABEL,
        Action.READ_AUDIT,
        Action.READ_QUEUE,
        Action.SETTLE,
        Action.READ_STATUS,
        Action.BREAK_GLASS,
    }
)
"""The actions that show no film: they are granted or not, and have no masking level."""


class BundleProblems(PolicyError):
    """The policy bundle is not valid; `problems` holds one sentence for each thing that is wrong, with its file."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of `access.cedar`: its `@id`, its `@note`, and what its scope names (None: not restricted)."""

    identifier: str
    note: str
    permits: bool
    role: str | None
    action: str | None


@dataclass(frozen=True, kw_only=True)
class RuleBook:
    """The parsed rules with the schema that every question is checked against. `rules` is keyed by `@id`."""

    policies: cedarpy.PolicySet
    schema: cedarpy.Schema
    rules: Mapping[str, Rule]
    roles: frozenset[str]
    actions: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class LevelOrder:
    """The partial order of the levels: `less_masked[name]` are all levels that are strictly less masked than `name`.

    Two levels of which neither is in the other's set cannot be compared.
    """

    less_masked: Mapping[str, frozenset[str]]

    def is_more_masked(self, name: str, other: str) -> bool:
        """Whether `name` shows strictly less than `other`; False when they are equal or cannot be compared."""
        return other in self.less_masked.get(name, frozenset())


@dataclass(frozen=True, kw_only=True)
class Case:
    """One expectation of what the rules decide. `expect` is a level, "not-found", "forbidden" or "granted".

    `asks_as` is the role that the request names, None if it names none.
    """

    title: str
    caller: Caller
    asks_as: str | None
    actions: tuple[Action, ...]
    study: StudyRecord
    expect: str


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A decision to let an act of governance happen: for which acting role, by which rules of which bundle."""

    acting_role: str
    rules: tuple[str, ...]
    policy: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PolicyBundle:
    """Everything a decision needs. `ladders` gives each role its levels, most masked first; empty: sees no film.

    `fingerprint` is the SHA-256 in hexadecimal of all the files that the bundle was made of.
    """

    fingerprint: str
    book: RuleBook
    levels: Mapping[str, MaskingLevel]
    order: LevelOrder
    ladders: Mapping[str, tuple[str, ...]]
    cases: tuple[Case, ...]

    @property
    def roles(self) -> frozenset[str]:
        """The roles that the policy knows; a claim naming any other role gives nothing."""
        return frozenset(self.ladders)
