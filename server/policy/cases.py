"""Policy cases: what a hospital expects of its rules, as files that are run before the rules come into force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from server.model import (
    Action,
    Approval,
    Caller,
    Choice,
    Circumstances,
    Consent,
    Deny,
    PatientIdentity,
    Permit,
    Shared,
    StudyLabel,
    StudyLabels,
    StudyRecord,
    Zone,
)
from server.policy.decide import choose_role, decide, govern
from server.policy.tables import Table
from server.policy.words import GOVERNANCE, Case, Grant, PolicyBundle

NOT_FOUND, FORBIDDEN, GRANTED = "not-found", "forbidden", "granted"
"""What a case may expect besides the name of a level."""

_NOW = 2_000_000_000.0
_ROW = "this"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one case came to for one of its actions; `rules` are those that decided."""

    case: Case
    action: Action
    got: str
    rules: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.got == self.case.expect


def read_cases(name: str, content: bytes) -> tuple[Case, ...]:
    """Read `cases/<name>.toml`: a list of `[[case]]` tables, at least one. Raises `BundleProblems`."""
    table = Table.parse(f"cases/{name}.toml", content)
    cases = tuple(_case(entry) for entry in table.tables("case"))
    table.end()
    if not cases:
        table.problem("holds no case")
    table.finish()
    return cases


def run_cases(bundle: PolicyBundle, cases: Sequence[Case]) -> tuple[Outcome, ...]:
    """Decide every case under the bundle, role chosen as for a request; one outcome for each of its actions."""
    return tuple(_outcome(bundle, case, action) for case in cases for action in case.actions)


def _outcome(bundle: PolicyBundle, case: Case, action: Action) -> Outcome:
    caller = choose_role(bundle, case.caller, case.asks_as)
    decision: Permit | Grant | Deny
    if isinstance(caller, Deny):
        decision = caller
    elif action in GOVERNANCE:
        decision = govern(bundle, caller, action)
    else:
        decision = decide(bundle, caller, action, case.study, _NOW)
    if isinstance(decision, Deny):
        got = FORBIDDEN if decision.forbidden else NOT_FOUND
        return Outcome(case=case, action=action, got=got, rules=decision.rules)
    got = decision.level.name if isinstance(decision, Permit) else GRANTED
    return Outcome(case=case, action=action, got=got, rules=decision.rules)


def _case(table: Table) -> Case:
    title = table.text("title")
    who = table.table("caller")
    caller = Caller(
        subject=_optional_text(who, "subject", "somebody"),
        issuer="https://issuer.example",
        client="a-client",
        roles=frozenset(who.words("roles")),
        project=_optional_text(who, "project", None),
        purpose=_optional_text(who, "purpose", None),
        patient=_patient(who) if who.has("patient") else None,
        departments=_optional_words(who, "departments"),
        circumstances=_circumstances(who),
    )
    asks_as = _optional_text(who, "asks_as", None)
    who.end()
    study = _study(table.table("study") if table.has("study") else Table("", {}, []))
    actions = tuple(sorted(table.choices("actions", Action)))
    if not actions:
        table.problem("`actions` names no action")
    expect = table.text("expect")
    table.end()
    return Case(title=title, caller=caller, asks_as=asks_as, actions=actions, study=study, expect=expect)


def _circumstances(table: Table) -> Circumstances:
    opened = table.tables("broken_glass") if table.has("broken_glass") else ()
    return Circumstances(
        share=_shared(table.table("share")) if table.has("share") else None,
        # Of cases that say nothing of it: what most projects are, until somebody enters them.
        approval=table.choice("approval", Approval) if table.has("approval") else Approval.UNLISTED,
        zone=table.choice("zone", Zone) if table.has("zone") else Zone.UNKNOWN,
        hour=table.number("hour", range(24)) if table.has("hour") else None,
        weekday=table.number("weekday", range(1, 8)) if table.has("weekday") else None,
        acr=_optional_text(table, "acr", None),
        broken_glass=frozenset(_identity(one) for one in opened),
    )


def _shared(table: Table) -> Shared:
    """What was shared with the caller: this study or another, at a level, by somebody who sees it at a level."""
    share = Shared(
        study=_optional_text(table, "study", _ROW),
        level=table.take("level", str),
        giver=table.take("giver", str),
    )
    table.end()
    return share


def _study(table: Table) -> StudyRecord:
    hours_old = table.take("hours_old", int) if table.has("hours_old") else 1000
    labels = StudyLabels(
        stored_by=_optional_text(table, "stored_by", "an-importer"),
        stored_department=_optional_text(table, "stored_department", "an-archive"),
        stored_at=_NOW - 3600.0 * max(-(10**6), min(hours_old, 10**6)),
        departments=_optional_words(table, "departments"),
        care_team=_optional_words(table, "care_team"),
        labels=table.choices("labels", StudyLabel) if table.has("labels") else frozenset(),
        consent=Consent(
            disclosure=table.choice("disclosure", Choice) if table.has("disclosure") else Choice.UNSAID,
            research=table.choice("research", Choice) if table.has("research") else Choice.UNSAID,
        ),
    )
    modalities = _optional_words(table, "modalities") or frozenset({"unknown"})
    patient = _patient(table) if table.has("patient") else PatientIdentity(issuer="A-HOSPITAL", patient_id="A-PATIENT")
    table.end()
    return StudyRecord(
        row=_ROW, study_instance_uid="2.25.1", patient=patient, labels=labels, revision=b"", modalities=modalities
    )


def _patient(table: Table) -> PatientIdentity:
    return _identity(table.table("patient"))


def _identity(patient: Table) -> PatientIdentity:
    identity = PatientIdentity(issuer=patient.take("issuer", str), patient_id=patient.take("id", str))
    patient.end()
    return identity


def _optional_words(table: Table, key: str) -> frozenset[str]:
    return frozenset(table.words(key)) if table.has(key) else frozenset()


@overload
def _optional_text(table: Table, key: str, otherwise: str) -> str: ...
@overload
def _optional_text(table: Table, key: str, otherwise: None) -> str | None: ...
def _optional_text(table: Table, key: str, otherwise: str | None) -> str | None:
    return table.take(key, str) if table.has(key) else otherwise
