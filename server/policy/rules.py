"""The access rules in Cedar: parsed and checked once, then asked, always against the schema.

Cedar answers as if a rule that raises did not exist, so a `forbid` that overflows would permit. Here any error that it
reports, any missing decision, and a permit that names no rule are all `problem`: the callers refuse. Cedar's own
messages quote the entities of the question, identity included, so none of its text is carried over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cedarpy
from cedarpy import pst

from server.policy.mentions import age_bounds, sights
from server.policy.words import BundleProblems, Rule, RuleBook

SCHEMA_FILE = "schema.cedarschema"

_ENUMS = re.compile(r"^entity (\w+) enum \[([^\]]*)\];$", re.MULTILINE)
_ACTIONS = re.compile(r'^action "([^"\\]*)"(?: in \[([^\]]*)\])? appliesTo \{$', re.MULTILINE)
_QUOTED = re.compile(r'"([^"\\]*)"')


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the rules say to one question. `rules` are the `@id`s that decided; with a `problem` it is void."""

    allowed: bool
    rules: tuple[str, ...]
    problem: bool


def read_rules(files: Mapping[str, bytes], schema: bytes) -> RuleBook:
    """Parse and validate the files of rules, by name, against `schema.cedarschema`. Raises `BundleProblems`.

    Every rule needs an `@id` of its own and a `@note`; a `permit` names exactly one role and one action in its scope,
    so that what a role may do is read off the rules that name it, and does not look at `modalities`, which a film's
    header says; there are no templates.
    """
    try:
        schema_handle = cedarpy.Schema.from_str(schema.decode())
    except ValueError as error:
        raise BundleProblems((f"{SCHEMA_FILE}: {_one_line(error)}",)) from None
    if not files:
        raise BundleProblems(("*.cedar: there is no file of rules",))
    problems: list[str] = []
    found: dict[str, Rule] = {}
    for name, content in sorted(files.items()):
        for template in _parsed(name, content, schema_handle, problems):
            rule = _rule(name, template)
            problems += [f"{name}: {sentence}" for sentence in _rule_problems(rule, found)]
            found[rule.identifier] = rule
    if problems:
        raise BundleProblems(tuple(problems))
    # The handle tells nothing about itself but its text, which Cedar writes in one form whatever the file looked like.
    rendered = str(schema_handle)
    actions = {name: _QUOTED.findall(groups) for name, groups in _ACTIONS.findall(rendered)}
    enums = {name: tuple(_QUOTED.findall(members)) for name, members in _ENUMS.findall(rendered)}
    return RuleBook(
        policies=_together(files),
        schema=schema_handle,
        rules=MappingProxyType(found),
        actions=frozenset(actions),
        views=frozenset(name for name, groups in actions.items() if "view" in groups),
        enums=MappingProxyType(enums),
        sights=sights(found.values(), enums.get("Role", ())),
        age_bounds=age_bounds(found.values()),
    )


def read_claims(files: Mapping[str, bytes], schema: cedarpy.Schema) -> tuple[Mapping[str, Rule], cedarpy.PolicySet]:
    """Parse and validate claims. Raises `BundleProblems`."""
    problems: list[str] = []
    found: dict[str, Rule] = {}
    for name, content in sorted(files.items()):
        for template in _parsed(name, content, schema, problems):
            rule = _rule(name, template)
            problems += [f"{name}: {sentence}" for sentence in _rule_problems(rule, found)]
            if rule.permits:
                problems.append(f"{name}: `{rule.identifier}` permits; a claim says what is never permitted")
            found[rule.identifier] = rule
    if problems:
        raise BundleProblems(tuple(problems))
    return MappingProxyType(found), _together(files)


def alone(rule: Rule) -> cedarpy.PolicySet:
    """A policy set of one rule."""
    one = rule.parsed
    return cedarpy.PolicySet.from_pst(pst.PolicySet(templates={}, static_policies={one.id: one}, template_links=()))


def _together(files: Mapping[str, bytes]) -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_str("\n".join(content.decode() for _, content in sorted(files.items())))


def _parsed(name: str, content: bytes, schema: cedarpy.Schema, problems: list[str]) -> Iterable[pst.Template]:
    try:
        text = content.decode()
        parsed = cedarpy.PolicySet.from_str(text).to_pst()
    except ValueError as error:
        problems.append(f"{name}: {_one_line(error)}")
        return ()
    problems += [f"{name}: {_one_line(error)}" for error in cedarpy.validate_policies(text, schema).errors]
    if parsed.templates:
        problems.append(f"{name}: templates are not used here")
    return parsed.static_policies.values()


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether `caller` may do `action` to the resource `kind::"identifier"`, in a context."""

    action: str
    kind: str
    identifier: str
    context: Mapping[str, object]
    caller: str = "caller"


def ask(book: RuleBook, questions: Sequence[Question], entities: Sequence[Mapping[str, object]]) -> list[Answer]:
    """Ask what each question says.

    `entities` and contexts are in Cedar's JSON form; questions, entities and contexts that do not conform to the schema
    come back as a problem, as does anything that Cedar reports.
    """
    if not questions:
        return []
    requests = [
        {
            "principal": {"type": "Caller", "id": one.caller},
            "action": {"type": "Action", "id": one.action},
            "resource": {"type": one.kind, "id": one.identifier},
            "context": dict(one.context),
        }
        for one in questions
    ]
    results = cedarpy.is_authorized_batch(requests, book.policies, [dict(entity) for entity in entities], book.schema)
    if len(results) != len(questions):
        return [Answer(allowed=False, rules=(), problem=True)] * len(questions)
    return [_answer(result) for result in results]


def _answer(result: cedarpy.AuthzResult) -> Answer:
    reasons = result.diagnostics.reasons
    named = result.diagnostics.id_annotations_by_reason
    rules = tuple(sorted(named[reason] for reason in reasons if reason in named))
    allowed = result.decision is cedarpy.Decision.Allow
    problem = (
        bool(result.diagnostics.errors)
        or result.decision not in (cedarpy.Decision.Allow, cedarpy.Decision.Deny)
        or len(rules) != len(reasons)
        or (allowed and not rules)
    )
    return Answer(allowed=allowed and not problem, rules=rules, problem=problem)


def _rule(file: str, template: pst.Template) -> Rule:
    role = action = None
    if isinstance(template.principal, pst.ScopeIn) and isinstance(template.principal.entity, pst.EntityUid):
        entity = template.principal.entity
        role = entity.id if entity.type.basename == "Role" else None
    if isinstance(template.action, pst.ActionEq):
        action = template.action.entity.id
    return Rule(
        identifier=template.annotations.get("id", ""),
        note=template.annotations.get("note", ""),
        permits=template.effect == "permit",
        role=role,
        action=action,
        file=file,
        parsed=template,
    )


def _rule_problems(rule: Rule, found: Mapping[str, Rule]) -> Iterator[str]:
    if not rule.identifier.strip():
        yield "a rule has no @id"
    elif rule.identifier in found:
        yield f"two rules have the @id `{rule.identifier}`"
    if not rule.note.strip() or not rule.note.isprintable():
        yield f"rule `{rule.identifier}` has no @note of one line"
    if rule.permits and (rule.role is None or rule.action is None):
        yield f"rule `{rule.identifier}` permits, so its scope names one role and one action"
    if rule.permits and "modalities" in sights([rule], [rule.role or ""])[rule.role or ""]:
        yield f"rule `{rule.identifier}` permits by `modalities`, which is a film's header's word"


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
