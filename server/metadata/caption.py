"""The words of `annotation` (PS3.18 section 8.3.5.1.1): what a *masked* data set says of patient and technique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.metadata.elements import character_sets, first_text
from server.metadata.masked import MaskedDataset

KINDS = ("patient", "technique")
"""The keywords that are supported."""

# Name before the value, tag, unit behind it.
_LINES: Mapping[str, Sequence[tuple[str, int, str]]] = {
    "patient": (
        ("", 0x00100010, ""),
        ("ID ", 0x00100020, ""),
        ("born ", 0x00100030, ""),
        ("sex ", 0x00100040, ""),
        ("study ", 0x00080020, ""),
    ),
    "technique": (
        ("", 0x00080060, ""),
        ("", 0x00180015, ""),
        ("view ", 0x00185101, ""),
        ("side ", 0x00200062, ""),
        ("", 0x00180060, " kV"),
        ("", 0x00181151, " mA"),
        ("", 0x00181150, " ms"),
        ("", 0x00180050, " mm"),
        ("TR ", 0x00180080, " ms"),
        ("TE ", 0x00180081, " ms"),
        ("series ", 0x00200011, ""),
        ("image ", 0x00200013, ""),
    ),
}


def caption(masked: MaskedDataset, kind: str) -> tuple[str, ...]:
    """The lines for one keyword of `KINDS`; none for what the level does not tell."""
    sets = character_sets(masked.elements)
    said = ((before, first_text(masked.elements, tag, sets), after) for before, tag, after in _LINES[kind])
    return tuple(f"{before}{_read(value)}{after}" for before, value, after in said if value)


def _read(value: str) -> str:
    """A name without its carets, and nothing that is no letter to be drawn."""
    return "".join(
        one if one.isprintable() else " " for one in " ".join(value.split("=", maxsplit=1)[0].split("^"))
    ).strip()
