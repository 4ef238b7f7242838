"""Wrong versions of rules: each shipped rule with one thing dropped, flipped or exchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

RULE = re.compile(r'@id\("([^"]+)"\)\n@note.*?\n(permit|forbid) \(\n.*?\n\)(.*?);\n', re.DOTALL)
_SWAPS = (
    ("==", "!="), ("!=", "=="), ("&&", "||"), ("||", "&&"), (" < ", " <= "), (" >= ", " > "),
    ("containsAny", "containsAll"), (".containsAny(resource.departments)", ".contains(principal.subject)"),
    ("when {", "unless {"), ("unless {", "when {"),
)  # fmt: skip
_ENTITY = re.compile(r'(Role|Level|Label|Choice|Approval|Zone|Purpose|Action)::"([^"]+)"')
_OTHERS: Mapping[str, tuple[str, ...]] = {
    "Role": ("clinician", "system-administrator"),
    "Level": ("original", "deidentified"),
    "Label": ("minor", "staff"),
    "Choice": ("opt-in", "unsaid"),
    "Approval": ("approved", "unlisted"),
    "Zone": ("outside", "unknown"),
    "Purpose": ("HPAYMT", "HMARKT"),
    "Action": ("original", "store"),
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """What was done (`kind`) to which rule, and the files then."""

    kind: str
    rule: str
    what: str
    files: Mapping[str, bytes]

    def __str__(self) -> str:
        return f"{self.kind}: {self.rule}: {self.what}"


def mutants(files: Mapping[str, bytes]) -> Iterator[Mutant]:
    """Every mutant of every rule in the files of rules, each different from what is shipped."""
    for name, content in files.items():
        if not name.endswith(".cedar") or "/" in name:
            continue
        text = content.decode()
        for match in RULE.finditer(text):
            for kind, what, changed in _of_rule(match[0], match[2]):
                if changed != match[0]:
                    mutated = text[: match.start()] + changed + text[match.end() :]
                    yield Mutant(kind=kind, rule=match[1], what=what, files={**files, name: mutated.encode()})


def _of_rule(rule: str, effect: str) -> Iterator[tuple[str, str, str]]:
    yield "rule dropped", "", ""
    yield "effect flipped", effect, rule.replace(f"\n{effect} (", f"\n{'forbid' if effect == 'permit' else 'permit'} (")
    head, mark, conditions = rule.partition("\n)")
    for clause in re.finditer(r"\s*(?:when|unless) \{.*?\n?\}(?=\s*unless|;)", conditions, re.DOTALL):
        yield "condition dropped", clause[0].split()[0], head + mark + conditions.replace(clause[0], "", 1)
    for scope in re.finditer(r"\n  (principal|action) (?:in|==) [^\n]*?(,?)(?=\n)", head):
        yield "scope widened", scope[1], rule.replace(scope[0], f"\n  {scope[1]}{scope[2]}", 1)
    yield from _within(rule, head + mark, conditions)


def _within(rule: str, head: str, conditions: str) -> Iterator[tuple[str, str, str]]:
    for old, new in _SWAPS:
        for at in re.finditer(re.escape(old), conditions):
            changed = conditions[: at.start()] + new + conditions[at.end() :]
            yield "operator exchanged", f"{old} to {new} at {at.start()}", head + changed
    for at in re.finditer(r"(?<![\w\"])\d+", conditions):
        for step in (-1, 1):
            changed = conditions[: at.start()] + str(int(at[0]) + step) + conditions[at.end() :]
            yield "number changed", f"{at[0]} by {step}", head + changed
    for at in re.finditer(r'(?<=[=(] )"[^"]*"|(?<=\()"[^"]*"', conditions):
        changed = conditions[: at.start()] + '"elsewhere"' + conditions[at.end() :]
        yield "word changed", at[0], head + changed
    for at in _ENTITY.finditer(rule):
        for other in _OTHERS[at[1]]:
            changed = f'{rule[: at.start()]}{at[1]}::"{other}"{rule[at.end() :]}'
            yield "member exchanged", f"{at[2]} for {other} at {at.start()}", changed
    for at in re.finditer(r'(?:, )?(?:Level|Label|Purpose|Zone|Role)::"[^"]+"(?=[,\]\n])', conditions):
        changed = conditions[: at.start()] + conditions[at.end() :]
        yield "member dropped", at[0].strip(", "), head + changed.replace("[, ", "[")
