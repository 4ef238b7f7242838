"""Of which Type an attribute is in the object's IOD, where PS3.15's action depends on it: X/Z, Z/D, X/Z/U*, ..."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from server.metadata.iod_types import EVERYWHERE, IODS, SOP_CLASSES
from server.model import ElementAction

NEEDS_VALUE, NEEDS_PRESENCE, OPTIONAL = 1, 2, 3
# Source Image Sequence in Derivation Image Sequence: Type 2, but what Referenced Series Sequence lists has to be
# referred to in the object (PS3.3 section C.12.2).
_REFERRED = frozenset({(0x00089124, 0x00082112)})


def need(sop_class: str, parent: int, tag: int) -> int:
    """1 for Type 1 or 1C, 2 for Type 2 or 2C, 3 for Type 3 and for what is not known.

    `parent` is the tag of the sequence in whose items the attribute lies, 0 at the top. A condition (1C, 2C) counts as
    met: the attribute was there.
    """
    if (parent, tag) in _REFERRED and sop_class in SOP_CLASSES:
        return NEEDS_VALUE
    return _needs(SOP_CLASSES.get(sop_class, "")).get((parent, tag), OPTIONAL)


def chosen(choices: tuple[ElementAction, ...], needed: int) -> ElementAction:
    """The strictest of a row's actions that keeps the object valid: the first, unless its Type asks for another."""
    if needed == NEEDS_VALUE:
        return choices[-1]
    if needed == NEEDS_PRESENCE and choices[0] is ElementAction.REMOVE:
        return choices[min(1, len(choices) - 1)]
    return choices[0]


@cache
def _needs(iod: str) -> Mapping[tuple[int, int], int]:
    needs: dict[tuple[int, int], int] = {}
    if iod:
        for lists in (EVERYWHERE, IODS.get(iod, ("", ""))):
            for rank, entries in enumerate(lists, start=1):
                for entry in entries.split():
                    tag, _, parent = entry.partition("@")
                    needs[int(parent or "0", 16), int(tag, 16)] = rank
    return needs
