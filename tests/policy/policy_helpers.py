"""The shipped policy files and made-up callers and studies for the tests of this stage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from server.model import (
    Approval,
    Caller,
    Choice,
    Circumstances,
    Consent,
    PatientIdentity,
    StudyLabel,
    StudyLabels,
    StudyRecord,
    Zone,
)
from server.policy.bundle import build, read_files
from server.policy.words import PolicyBundle

DIRECTORY = Path(__file__).parents[2] / "policies"
NOW = 1_800_000_000.0

ONE_CASE = b"""
[[case]]
title = "one case"
caller = { roles = ["front-desk"] }
actions = ["search"]
expect = "front-desk"
"""


@cache
def shipped() -> PolicyBundle:
    return build(shipped_files())


@cache
def shipped_files() -> Mapping[str, bytes]:
    return read_files(DIRECTORY)


def changed(path: str, *pairs: tuple[str, str]) -> dict[str, bytes]:
    """The shipped files with texts replaced in one of them; a text that is not there is an error of the test."""
    text = shipped_files()[path].decode()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return {**shipped_files(), path: text.encode()}


def rule_files() -> dict[str, bytes]:
    return {path: content for path, content in shipped_files().items() if path.endswith(".cedar") and "/" not in path}


def rules_text() -> str:
    """All shipped rules."""
    return "".join(content.decode() for content in rule_files().values())


def changed_rules(old: str, new: str) -> dict[str, bytes]:
    """The shipped files with a text replaced in every file of rules that has it; there is one at least."""
    assert old in rules_text(), old
    return {
        **shipped_files(),
        **{path: text.replace(old.encode(), new.encode()) for path, text in rule_files().items()},
    }


def with_rules(files: Mapping[str, bytes], rules: str) -> dict[str, bytes]:
    """More rules, and a single case in place of the shipped ones, which the rules might contradict."""
    kept = {path: content for path, content in files.items() if not path.startswith("cases/")}
    return {**kept, "more.cedar": rules.encode(), "cases/one.toml": ONE_CASE}


def caller(
    *roles: str,
    subject: str = "somebody",
    project: str | None = None,
    patient: tuple[str, str] | None = None,
    departments: tuple[str, ...] = (),
    acting: str | None = "",
    purpose: str | None = None,
    approval: Approval | None = Approval.UNLISTED,
    zone: Zone = Zone.UNKNOWN,
    broken_glass: tuple[tuple[str, str], ...] = (),
    hour: int | None = None,
) -> Caller:
    """A caller who acts in the first of the roles unless told otherwise."""
    return Caller(
        subject=subject,
        issuer="https://issuer.example",
        client="client",
        roles=frozenset(roles),
        acting_role=(roles[0] if roles else None) if acting == "" else acting,
        project=project,
        purpose=purpose,
        patient=PatientIdentity(issuer=patient[0], patient_id=patient[1]) if patient else None,
        departments=frozenset(departments),
        circumstances=Circumstances(
            approval=approval,
            zone=zone,
            hour=hour,
            broken_glass=frozenset(PatientIdentity(issuer=one, patient_id=other) for one, other in broken_glass),
        ),
    )


def study(
    *,
    departments: tuple[str, ...] = (),
    care_team: tuple[str, ...] = (),
    stored_by: str = "importer",
    stored_department: str = "archive",
    age: float = 1e6,
    patient: tuple[str, str] = ("A", "1"),
    labels: tuple[StudyLabel, ...] = (),
    disclosure: Choice = Choice.UNSAID,
    research: Choice = Choice.UNSAID,
    modalities: tuple[str, ...] = ("CR",),
) -> StudyRecord:
    """A study first stored `age` seconds before `NOW`."""
    return StudyRecord(
        row="00",
        study_instance_uid="2.25.1",
        patient=PatientIdentity(issuer=patient[0], patient_id=patient[1]),
        labels=StudyLabels(
            stored_by=stored_by,
            stored_department=stored_department,
            stored_at=NOW - age,
            departments=frozenset(departments),
            care_team=frozenset(care_team),
            labels=frozenset(labels),
            consent=Consent(disclosure=disclosure, research=research),
        ),
        revision=b"",
        modalities=frozenset(modalities),
    )
