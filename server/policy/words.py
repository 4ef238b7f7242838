"""The words of this stage: a checked policy bundle and its parts. Made by `bundle.build`, then never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import cedarpy
from cedarpy import pst

from server.errors import PolicyError
from server.model import Action, Caller, Decision, Deny, MaskingLevel, StudyRecord

GOVERNANCE = frozenset(
    {
        Action.STORE,
        Action.LABEL,
        Action.RECORD_CONSENT,
        Action.APPROVE_PROJECT,
        Action.READ_AUDIT,
        Action.READ_QUEUE,
        Action.SETTLE,
        Action.READ_STATUS,
        Action.BREAK_GLASS,
        Action.REVIEW_GLASS,
        Action.SHARE,
        Action.ACCEPT_SHARE,
        Action.READ_SHARES,
        Action.END_SHARE,
    }
)
"""The actions that show no film: they are granted or not, and have no masking level."""


class BundleProblems(PolicyError):
    """The policy bundle is not valid; `problems` holds one sentence for each thing that is wrong, with its file."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Sight(StrEnum):
    """How a rule reads an attribute of a study: its VALUE, or only whether it is, or holds, the caller's OWN."""

    VALUE = "value"
    OWN = "own"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: its `@id`, its `@note`, the file it stands in, and what its scope names (None: not restricted).

    `parsed` is its syntax tree.
    """

    identifier: str
    note: str
    permits: bool
    role: str | None
    action: str | None
    file: str
    parsed: pst.Template


@dataclass(frozen=True, kw_only=True)
class RuleBook:
    """The parsed rules with the schema that every question is checked against. `rules` is keyed by `@id`.

    `enums` gives the members of each closed list of the schema, `views` are the actions in its group "view".
    `sights` maps each role to the attributes of a study that any rule about it reads, and whether as a `Sight`.
    `age_bounds` are the numbers that an age is held against, None where a rule does anything else with it.
    """

    policies: cedarpy.PolicySet
    schema: cedarpy.Schema
    rules: Mapping[str, Rule]
    actions: frozenset[str]
    views: frozenset[str]
    enums: Mapping[str, tuple[str, ...]]
    sights: Mapping[str, Mapping[str, Sight]]
    age_bounds: tuple[int, ...] | None

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self.enums.get("Role", ()))


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

    `claims` are rules that decide nothing: each a `forbid` that says what is never permitted; `claim_set` holds them.
    `fingerprint` is the SHA-256 in hexadecimal of all the files that the bundle was made of. `decided` remembers what
    these rules said of equal questions, `governed` what of acts that show no film; no copy of a bundle has its memory.
    """

    fingerprint: str
    book: RuleBook
    levels: Mapping[str, MaskingLevel]
    order: LevelOrder
    ladders: Mapping[str, tuple[str, ...]]
    cases: tuple[Case, ...]
    claims: Mapping[str, Rule]
    claim_set: cedarpy.PolicySet
    decided: dict[tuple[object, ...], Decision] = field(default_factory=dict, init=False, compare=False, repr=False)
    governed: dict[tuple[Caller, Action], Grant | Deny] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def roles(self) -> frozenset[str]:
        """The roles that the policy knows; a claim naming any other role gives nothing."""
        return frozenset(self.ladders)
