"""Read the journal for a person. Identity is shown only to who brings the seal key; `verify` does the checking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from server.audit import disk
from server.audit.entries import LONGEST, READABLE, Line, Malformed, open_identity, parse_line
from server.errors import AuditUnavailable, SealBroken
from server.model import AuditEvent


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry as shown: its number, its time (ISO 8601, UTC) and the event, with "" for what stayed sealed."""

    seq: int
    time: str
    event: AuditEvent


def read(directory: Path, seal_key: bytes | None) -> Iterator[Entry]:
    """Every whole entry in order; a torn last line is left out.

    Raises `SealBroken` at a line that is malformed or whose identity does not open with `seal_key`, and
    `AuditUnavailable` if the files cannot be read.
    """
    try:
        for number in disk.journal_numbers(directory):
            with (directory / disk.journal_name(number)).open("rb") as file:
                while (raw := file.readline(LONGEST + 1)).endswith(b"\n"):
                    yield _entry(raw[:-1], seal_key)
                if len(raw) > LONGEST:
                    raise SealBroken("a line of the journal is malformed")
    except OSError as error:
        raise AuditUnavailable(f"the journal cannot be read: {error.strerror}") from error


def cell(text: str) -> str:
    """The text for a terminal or a spreadsheet: what does not print is escaped, a formula is quoted."""
    shown = "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def _entry(raw: bytes, seal_key: bytes | None) -> Entry:
    try:
        line = parse_line(raw)
    except Malformed as error:
        raise SealBroken("a line of the journal is malformed") from error
    identity = open_identity(line, seal_key) if seal_key is not None else {}
    return Entry(seq=line.seq, time=str(line.fields["time"]), event=_event(line, identity))


def _event(line: Line, identity: Mapping[str, str]) -> AuditEvent:
    values: dict[str, object] = {name: line.fields[name] for name in READABLE if name in line.fields}
    try:
        status = int(str(values.pop("status", 0)))
    except ValueError as error:
        raise SealBroken("a line of the journal is malformed") from error
    rules = values.pop("rules", [])
    texts = {name: str(value) for name, value in values.items()} | dict(identity)
    needed = {"kind": "", "action": "", "request": ""}
    return AuditEvent(
        **(needed | texts), status=status, rules=tuple(map(str, rules if isinstance(rules, list) else []))
    )
