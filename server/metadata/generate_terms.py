"""Make the module of the terms (PS3.3) that attributes of VR CS may have; run by hand.

    python -m server.metadata.generate_terms STANDARD OUT.py

STANDARD is the folder `standard` of an unpacked dicom-standard wheel (MIT), whose JSON files hold the descriptions of
attributes and the sections that they refer to. Kept is, per attribute, every Defined Term and Enumerated Value that its
descriptions or those sections list, wherever it occurs: a term may be wrong for one object, but is nobody's name.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag

_TERM = re.compile(r"<dt>(.*?)</dt>", re.DOTALL)
_MARKUP = re.compile(r"<[^>]+>")
_VALUE = re.compile(r"[A-Z0-9][A-Z0-9 _]{0,15}", re.ASCII)
_HEAD = '''"""Terms of PS3.3 for attributes of VR CS, by tag; made by `server/metadata/generate_terms.py`.

Facts of the DICOM Standard, (c) NEMA, as in the package dicom-standard {version} (MIT).
"""
# fmt: off
# ruff: noqa: E501

from __future__ import annotations

TERMS: dict[int, str] = {{
'''


def module(attributes: Sequence[Mapping[str, Any]], sections: Mapping[str, str], version: str) -> str:
    """The text of the module; the terms of an attribute are divided by bars."""
    found: dict[int, set[str]] = defaultdict(set)
    for attribute in attributes:
        tag = int(attribute["tag"][1:5] + attribute["tag"][6:10], 16) if "x" not in attribute["tag"] else 0
        if keyword_for_tag(tag) and dictionary_VR(tag) == "CS":
            linked = (sections.get(one["sourceUrl"], "") for one in attribute["externalReferences"])
            found[tag] |= {term for text in (attribute["description"], *linked) for term in _terms(text)}
    lines = [f'    0x{tag:08X}: "{"|".join(sorted(terms))}",\n' for tag, terms in sorted(found.items()) if terms]
    return "".join([_HEAD.format(version=version), *lines, "}\n"])


def _terms(text: str) -> Iterator[str]:
    for said in _TERM.findall(text):
        value = " ".join(unescape(_MARKUP.sub(" ", said)).split())
        if _VALUE.fullmatch(value):
            yield value


if __name__ == "__main__":
    standard, target = map(Path, sys.argv[1:])
    names = ("module_to_attributes.json", "macro_to_attributes.json", "references.json")
    modules, macros, sections = (json.loads((standard / name).read_text("utf-8")) for name in names)
    target.write_text(module([*modules, *macros], sections, "0.1.0"), "utf-8")
