"""Make the module of the Types (PS3.3) that a masked object has to honour; run by hand.

    python -m server.metadata.generate_types STANDARD OUT.py

STANDARD is the folder `highdicom/_standard` of an unpacked highdicom wheel (MIT), whose JSON files tell which modules
an IOD has and which attributes, of which Type, a module has. Kept is what conditional rows of PS3.15 Table E.1-1 and
texts without a row depend on: per SOP class, sequence and attribute whether it is required (Type 1 or 1C) or at least
has to be there (2 or 2C). Where several modules have an attribute, the most demanding one counts.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from server.model.ps315_2026d import ATTRIBUTES

_TEXTS = frozenset({"LO", "SH", "ST", "LT", "UC", "UT"})
# Burned In Annotation, ICC Profile, Lossy Image Compression Ratio.
_OTHERS = frozenset({0x00280301, 0x00282000, 0x00282112})
# Codes and the text of content items are judged by whole items.
_WHOLE_ITEMS = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x0040A160})
_RANK = {"1": 1, "1C": 1, "2": 2, "2C": 2, "3": 3}
_HEAD = '''"""What IODs require of conditional rows and of other texts; made by `server/metadata/generate_types.py`.

Types of PS3.3 as in the tables of highdicom {version} (MIT). An entry is an attribute's tag, or `tag@tag` for one in
the items of a sequence.
"""
# fmt: off
# ruff: noqa: E501

from __future__ import annotations

'''

Found = dict[str, dict[str, int]]


def module(
    sop_classes: Mapping[str, str],
    iods: Mapping[str, Sequence[Mapping[str, str]]],
    modules: Mapping[str, Sequence[Mapping[str, Any]]],
    version: str,
) -> str:
    """The text of the module."""
    found = _found(frozenset(sop_classes.values()), iods, modules)
    everywhere = _everywhere(found)
    lines = [_HEAD.format(version=version), "# Wherever an IOD has the attribute there: Type 1 or 1C, Type 2 or 2C.\n"]
    lines += [f"EVERYWHERE: tuple[str, str] = (\n    {_words(everywhere, 1)},\n    {_words(everywhere, 2)},\n)\n"]
    lines += ["# In one IOD: Type 1 or 1C, Type 2 or 2C.\n", "IODS: dict[str, tuple[str, str]] = {\n"]
    for iod, entries in sorted(found.items()):
        own = {entry: rank for entry, rank in entries.items() if entry not in everywhere}
        lines.append(f'    "{iod}": ({_words(own, 1)}, {_words(own, 2)}),\n')
    lines += ["}\n", "SOP_CLASSES: dict[str, str] = {\n"]
    lines += [f'    "{uid}": "{iod}",\n' for uid, iod in sorted(sop_classes.items())]
    return "".join([*lines, "}\n"])


def _found(
    wanted: frozenset[str],
    iods: Mapping[str, Sequence[Mapping[str, str]]],
    modules: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Found:
    rows = {int(tag, 16): basic for tag, _, basic, _ in ATTRIBUTES if "x" not in tag.lower() and tag != "PRIVATE"}
    found: Found = defaultdict(dict)
    for iod in wanted:
        for attribute in (one for use in iods[iod] for one in modules.get(use["key"], ())):
            tag = tag_for_keyword(attribute["keyword"])
            if tag is None or attribute["type"] not in _RANK or not _counts(tag, rows):
                continue
            entry = "@".join(f"{tag_for_keyword(word):08X}" for word in (attribute["keyword"], *attribute["path"][-1:]))
            rank = _RANK[attribute["type"]]
            found[iod][entry] = min(rank, found[iod].get(entry, rank))
    return found


def _counts(tag: int, rows: Mapping[int, str]) -> bool:
    """Whether what happens to the attribute depends on its Type."""
    return (
        "/" in rows[tag]
        if tag in rows
        else (tag in _OTHERS or (dictionary_VR(tag) in _TEXTS and tag not in _WHOLE_ITEMS))
    )


def _everywhere(found: Found) -> dict[str, int]:
    ranks: dict[str, set[int]] = defaultdict(set)
    for entries in found.values():
        for entry, rank in entries.items():
            ranks[entry].add(rank)
    return {entry: min(several) for entry, several in ranks.items() if len(several) == 1}


def _words(entries: Mapping[str, int], rank: int) -> str:
    return json.dumps(" ".join(sorted(entry for entry, one in entries.items() if one == rank)))


if __name__ == "__main__":
    standard, target = map(Path, sys.argv[1:])
    names = ("sop_class_iod_map.json", "iod_module_map.json", "module_attribute_map.json")
    release = (standard.parent / "version.py").read_text("utf-8").split("'")[1]
    sop_classes, iods, modules = (json.loads((standard / name).read_text("utf-8")) for name in names)
    target.write_text(module(sop_classes, iods, modules, release), "utf-8")
