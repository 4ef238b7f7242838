"""The policy bundle: read once, checked as a whole, fingerprinted, then in force until a better one is read.

The directory holds files of rules (`*.cedar`), `schema.cedarschema`, `levels/*.toml` with `levels/order.toml` among
them, `cases/*.toml`, `claims/*.cedar` and `safe-private.toml`. Whatever is wrong with any of it is told at once, and
nothing of it comes into force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from server.model import Approval, Choice, MaskingLevel, Purpose, StudyLabel, Zone
from server.policy.cases import FORBIDDEN, GRANTED, NOT_FOUND, read_cases, run_cases
from server.policy.levels import read_level
from server.policy.order import read_order
from server.policy.rules import SCHEMA_FILE, read_claims, read_rules
from server.policy.safe_private import SAFE_PRIVATE_FILE, read_safe_private
from server.policy.words import GOVERNANCE, BundleProblems, Case, PolicyBundle, RuleBook

_ORDER_FILE = "levels/order.toml"
_LARGEST_FILE = 1 << 20
_LISTS: Mapping[str, type[StrEnum]] = {
    "Label": StudyLabel,
    "Choice": Choice,
    "Approval": Approval,
    "Zone": Zone,
    "Purpose": Purpose,
}

Part = TypeVar("Part")


def load(directory: Path) -> PolicyBundle:
    """Read, check and try out the bundle in a directory. Raises `BundleProblems` (a `PolicyError`)."""
    return build(read_files(directory))


def read_files(directory: Path) -> Mapping[str, bytes]:
    """The bytes of every file of the bundle, by path within it; each is read once. Raises `BundleProblems`."""
    files: dict[str, bytes] = {}
    try:
        # Resolved once: where the directory is a link, a link put in its place changes all files at once.
        directory = directory.resolve(strict=True)
        paths = [
            *sorted(directory.glob("*.cedar")),
            *sorted((directory / "claims").glob("*.cedar")),
            directory / SCHEMA_FILE,
            *sorted((directory / "levels").glob("*.toml")),
            *sorted((directory / "cases").glob("*.toml")),
            directory / SAFE_PRIVATE_FILE,
        ]
        for path in paths:
            with path.open("rb") as file:
                files[path.relative_to(directory).as_posix()] = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise BundleProblems((f"the policy directory cannot be read: {error.strerror}",)) from None
    too_large = [name for name, content in files.items() if len(content) > _LARGEST_FILE]
    if too_large:
        raise BundleProblems(tuple(f"{name}: larger than {_LARGEST_FILE} bytes" for name in too_large))
    return files


def build(files: Mapping[str, bytes]) -> PolicyBundle:
    """Make a bundle of the bytes of its files and run its cases. Raises `BundleProblems` with all that is wrong."""
    problems: list[str] = []
    rules = {name: content for name, content in files.items() if name.endswith(".cedar") and "/" not in name}
    book = _collect(problems, lambda: read_rules(rules, files.get(SCHEMA_FILE, b"")))
    levels = _levels(problems, files)
    cases = _cases(problems, files)
    ordered = None if problems else _collect(problems, lambda: read_order(files.get(_ORDER_FILE, b""), levels))
    stated = {name: content for name, content in files.items() if name.startswith("claims/")}
    claims = None if book is None else _collect(problems, partial(read_claims, stated, book.schema))
    if book is None or ordered is None or claims is None or problems:
        raise BundleProblems(tuple(problems))
    order, ladders = ordered
    bundle = PolicyBundle(
        fingerprint=fingerprint(files),
        book=book,
        levels=MappingProxyType(levels),
        order=order,
        ladders=ladders,
        cases=tuple(cases),
        claims=claims[0],
        claim_set=claims[1],
    )
    problems += _disagreements(book, bundle)
    problems = problems or list(_failures(bundle))
    if problems:
        raise BundleProblems(tuple(problems))
    return bundle


def _levels(problems: list[str], files: Mapping[str, bytes]) -> dict[str, MaskingLevel]:
    levels = {}
    listed = _collect(problems, lambda: read_safe_private(files.get(SAFE_PRIVATE_FILE, b""))) or ()
    written = {name: content for name, content in _in_folder(files, "levels") if name != "order"}
    for name, content in written.items():
        if level := _collect(problems, partial(read_level, name, content, listed, written)):
            levels[name] = level
    return levels


def _cases(problems: list[str], files: Mapping[str, bytes]) -> list[Case]:
    cases: list[Case] = []
    for name, content in _in_folder(files, "cases"):
        cases += _collect(problems, partial(read_cases, name, content)) or ()
    if not cases:
        problems.append("cases: there is none, so nothing shows that the rules do what they should")
    return cases


def _in_folder(files: Mapping[str, bytes], folder: str) -> Iterator[tuple[str, bytes]]:
    for path, content in sorted(files.items()):
        if path.startswith(f"{folder}/"):
            yield path.removeprefix(f"{folder}/").removesuffix(".toml"), content


def fingerprint(files: Mapping[str, bytes]) -> str:
    """SHA-256 in hexadecimal over names and contents; no two different bundles have the same input to it."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(hashlib.sha256(name.encode()).digest())
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """One bundle, whatever is in force elsewhere: what a request holds from its first question to its last."""

    current: PolicyBundle

    def pinned(self) -> Pinned:
        return self

    def reload(self) -> tuple[str, ...]:
        """Nothing: a request keeps its bundle."""
        return ()


class BundleHolder:
    """The bundle in force. A reload that finds anything wrong leaves the former one in force and says what it is."""

    def __init__(self, directory: Path) -> None:
        """Raises `BundleProblems` if there is no valid bundle to start with."""
        self._directory = directory
        self._current = load(directory)

    @property
    def current(self) -> PolicyBundle:
        """The bundle in force at this moment."""
        return self._current

    def pinned(self) -> Pinned:
        """The bundle in force at this moment, to be kept for one request."""
        return Pinned(current=self._current)

    def reload(self) -> tuple[str, ...]:
        """Read the directory again; the problems that kept the former bundle in force, or none.

        What changes while it is read is left for the next time: half of an edit is nobody's policy.
        """
        try:
            files = read_files(self._directory)
            if fingerprint(files) == self._current.fingerprint:
                return ()
            if files != read_files(self._directory):
                return ("the policy directory is being changed",)
            self._current = build(files)
        except BundleProblems as error:
            return error.problems
        return ()


def _disagreements(book: RuleBook, bundle: PolicyBundle) -> Iterator[str]:
    """Where rules, schema, levels and ladders do not speak of the same things."""
    levels, governance = frozenset(bundle.levels), frozenset(action.value for action in GOVERNANCE)
    yield from (f"{SCHEMA_FILE}: no action `{name}`" for name in sorted((levels | governance) - book.actions))
    yield from (f"{SCHEMA_FILE}: no level `{name}`" for name in sorted(book.actions - levels - governance))
    yield from (f"{SCHEMA_FILE}: no role `{name}`" for name in sorted(bundle.roles - book.roles))
    yield from (f"{_ORDER_FILE}: no ladder for `{name}`" for name in sorted(book.roles - bundle.roles))
    yield from (f'{SCHEMA_FILE}: `{name}` is in no group "view"' for name in sorted(levels - book.views))
    yield from (f"{SCHEMA_FILE}: `{name}` shows no film" for name in sorted(book.views - levels))
    for name, kind in _LISTS.items():
        if set(book.enums.get(name, ())) != set(kind):
            yield f"{SCHEMA_FILE}: `{name}` has to list {', '.join(kind)}"
    if set(book.enums.get("Level", ())) != levels:
        yield f"{SCHEMA_FILE}: `Level` has to list {', '.join(sorted(levels))}"
    for name in sorted(levels & (governance | {NOT_FOUND, FORBIDDEN, GRANTED})):
        yield f"levels/{name}.toml: the name has another meaning"
    climbed = {(role, level) for role, ladder in bundle.ladders.items() for level in ladder}
    permitted = {(rule.role, rule.action) for rule in book.rules.values() if rule.permits}
    for role, level in sorted(climbed - permitted):
        yield f"{_ORDER_FILE}: `{level}` is on the ladder of `{role}`, but no rule permits it"
    for rule in book.rules.values():
        if rule.permits and rule.action in levels and (rule.role, rule.action) not in climbed:
            yield f"{rule.file}: rule `{rule.identifier}` permits a level that is not on the ladder of its role"


def _failures(bundle: PolicyBundle) -> Iterator[str]:
    for outcome in run_cases(bundle, bundle.cases):
        if not outcome.passed:
            case = outcome.case
            yield f"cases: {case.title}: {outcome.action} gives {outcome.got}, not {case.expect}"


def _collect(problems: list[str], read: Callable[[], Part]) -> Part | None:
    try:
        return read()
    except BundleProblems as error:
        problems += error.problems
        return None
