"""The site's list of private elements that are safe to keep (PS3.15 section E.3.10): `safe-private.toml`."""

from __future__ import annotations

from server.model import SafePrivate
from server.policy.tables import Table

SAFE_PRIVATE_FILE = "safe-private.toml"
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "IS", "DS"})
_TERMS = frozenset({"CS", "SH", "LO"})


def read_safe_private(content: bytes) -> tuple[SafePrivate, ...]:
    """The entries of the file. Raises `BundleProblems` naming everything that is wrong."""
    table = Table.parse(SAFE_PRIVATE_FILE, content)
    entries = tuple(_entry(one) for one in table.tables("element"))
    table.end()
    places = [(one.creator, one.group, one.element) for one in entries]
    if len(set(places)) != len(places):
        table.problem("an element is listed twice")
    table.finish()
    return entries


def _entry(table: Table) -> SafePrivate:
    entry = SafePrivate(
        creator=table.text("creator"),
        group=table.take("group", int),
        element=table.take("element", int),
        vr=table.text("vr"),
        terms=frozenset(table.words("terms")),
    )
    table.end()
    if entry.group % 2 == 0 or not 9 <= entry.group <= 0xFFFF or entry.group == 0xFFFF:
        table.problem("`group` is no private group")
    if not 0 <= entry.element <= 0xFF:
        table.problem("`element` is the low byte of an element number")
    if entry.vr not in (_TERMS if entry.terms else _NUMBERS):
        table.problem("`vr` is one of numbers, or CS, SH or LO with `terms`: free text cannot be vouched for")
    return entry
