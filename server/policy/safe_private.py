"""Private elements that are safe to keep (PS3.15 section E.3.10): the site's list, `safe-private.toml`, and of the
standard's own, Table E.3.10-1, what can be checked by its value.

Of its 479 rows these are all numbers, and code strings as far as they say yes or no, or a term that PS3.6's public
attribute of the same meaning has. Its texts, UIDs, bytes and sequences are not kept: nothing tells a right value of
theirs from a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from server.model import SafePrivate
from server.model.safe_private_2026d import SAFE_PRIVATE
from server.policy.tables import Table

SAFE_PRIVATE_FILE = "safe-private.toml"
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "IS", "DS"})
_TERMS = frozenset({"CS", "SH", "LO"})
_YES_NO = frozenset({"Y", "N", "YES", "NO"})
_OTHER_TERMS: Mapping[tuple[str, int, int], frozenset[str]] = {
    # As Diffusion Directionality (0018,9075), PS3.3 section C.8.13.5.9.
    ("SIEMENS MR HEADER", 0x0019, 0x0D): frozenset({"DIRECTIONAL", "BMATRIX", "ISOTROPIC", "NONE"}),
}


def _standard() -> Iterator[SafePrivate]:
    for row in SAFE_PRIVATE:
        terms = _OTHER_TERMS.get(row[:3], _YES_NO) if row.vr == "CS" else frozenset[str]()
        if row.vr == "CS" or row.vr in _NUMBERS:
            yield SafePrivate(
                creator=row.creator,
                group=row.group,
                element=row.element,
                vr=row.vr,
                terms=terms,
                multiplicity=row.multiplicity,
            )


STANDARD = tuple(_standard())
"""The entries that Table E.3.10-1 makes; those of the site come before them."""


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
        multiplicity="1-n",
    )
    table.end()
    if entry.group % 2 == 0 or not 9 <= entry.group <= 0xFFFF or entry.group == 0xFFFF:
        table.problem("`group` is no private group")
    if not 0 <= entry.element <= 0xFF:
        table.problem("`element` is the low byte of an element number")
    if entry.vr not in (_TERMS if entry.terms else _NUMBERS):
        table.problem("`vr` is one of numbers, or CS, SH or LO with `terms`: free text cannot be vouched for")
    return entry
