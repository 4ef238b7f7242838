"""Reports, key objects and presentation states as text to read: what a *masked* data set of one says, line by line.

PS3.18 section 8.7.4 wants text objects as HTML, plain text and XML. All three say the same; nothing in them is markup
that came with the object, and there is neither script nor style, so that no policy of contents stands in the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from server.errors import UnsupportedPixels
from server.metadata.elements import STRING_VRS, Elements, character_sets, first_text, texts
from server.metadata.masked import MaskedDataset

_DEEPEST, _MOST = 32, 20_000
_CONTENT, _CONCEPT, _MEANING, _VALUE_TYPE, _RELATION = 0x0040A730, 0x0040A043, 0x00080104, 0x0040A040, 0x0040A010
_MEASURED, _NUMBER, _UNITS = 0x0040A300, 0x0040A30A, 0x004008EA
_REFERENCED, _CODE = 0x00081199, 0x0040A168
_VALUES = {
    "TEXT": 0x0040A160,
    "DATE": 0x0040A121,
    "TIME": 0x0040A122,
    "DATETIME": 0x0040A120,
    "PNAME": 0x0040A123,
    "UIDREF": 0x0040A124,
    "SCOORD": 0x00700023,
    "SCOORD3D": 0x00700023,
    "TCOORD": 0x0040A130,
}
_HEAD = (
    ("Patient", 0x00100010),
    ("Patient ID", 0x00100020),
    ("Date of birth", 0x00100030),
    ("Sex", 0x00100040),
    ("Study date", 0x00080020),
    ("Study", 0x00081030),
    ("Series", 0x0008103E),
    ("Date", 0x00080023),
    ("Time", 0x00080033),
    ("Completion", 0x0040A491),
    ("Verification", 0x0040A493),
    ("Label", 0x00700080),
    ("Description", 0x00700081),
    ("Created by", 0x00700084),
    ("Created on", 0x00700082),
)
_SERIES, _IMAGES, _UID = 0x00081115, 0x00081140, 0x00081155
_ANNOTATIONS, _TEXTS, _TEXT = 0x00700001, 0x00700008, 0x00700006
# What no text may hold and no XML document can.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line: how deep it lies in the tree, from 0, what it is called, and what it says, "" where it only holds."""

    depth: int
    name: str
    says: str


def lines(masked: MaskedDataset) -> list[Line]:
    """What the object says. Raises `UnsupportedPixels` for a tree that is deeper or larger than any report."""
    if not isinstance(masked, MaskedDataset):
        raise TypeError("only a MaskedDataset is told")
    elements = masked.elements
    sets = character_sets(elements)
    found = [Line(depth=0, name=name, says=said) for name, tag in _HEAD if (said := _said(elements, tag, sets))]
    for line in (*_pointed_at(elements), *_written(elements, sets), *_tree(elements, sets, 0)):
        found.append(line)
        if len(found) > _MOST:
            raise UnsupportedPixels("the report is larger than any report")
    return [Line(depth=one.depth, name=_clean(one.name), says=_clean(one.says)) for one in found]


def title(masked: MaskedDataset) -> str:
    """The document title: the root's concept name, the content label, or the kind of object."""
    if not isinstance(masked, MaskedDataset):
        raise TypeError("only a MaskedDataset is told")
    sets = character_sets(masked.elements)
    told = _meaning(masked.elements, _CONCEPT, sets) or first_text(masked.elements, 0x00700080, sets)
    return _clean(told) or "Report"


def to_plain(masked: MaskedDataset) -> bytes:
    """Plain text in UTF-8, two spaces to the right for each level of the tree."""
    out = [title(masked), ""]
    for line in lines(masked):
        first, *rest = line.says.splitlines() or [""]
        indent = "  " * line.depth
        out.append(f"{indent}{line.name}: {first}".rstrip())
        out += [f"{indent}    {one}" for one in rest]
    return ("\n".join(out) + "\n").encode()


def to_html(masked: MaskedDataset) -> bytes:
    """An HTML document in UTF-8."""
    return _document(masked, "<!DOCTYPE html>\n<html lang='en'>", "<meta charset='utf-8'>").encode()


def to_xhtml(masked: MaskedDataset) -> bytes:
    """The same document as XML (XHTML), in UTF-8."""
    opening = "<?xml version='1.0' encoding='UTF-8'?>\n<html xmlns='http://www.w3.org/1999/xhtml' lang='en'>"
    return _document(masked, opening, "<meta charset='utf-8'/>").encode()


def _document(masked: MaskedDataset, opening: str, meta: str) -> str:
    name = escape(title(masked))
    out = [f"{opening}<head>{meta}<title>{name}</title></head><body><h1>{name}</h1>"]
    depth = -1
    for line in lines(masked):
        # A line may lie only one level below the one before it.
        here = min(line.depth, depth + 1)
        out += ["<ul><li>"] if here > depth else ["</li></ul>" * (depth - here), "</li><li>"]
        said = "<br/>".join(escape(one) for one in line.says.splitlines())
        out.append(f"<b>{escape(line.name)}</b>{': ' if said else ''}{said}\n")
        depth = here
    return "".join([*out, "</li></ul>" * (depth + 1), "</body></html>\n"])


def _tree(item: Elements, sets: tuple[str, ...], depth: int) -> Iterator[Line]:
    if depth > _DEEPEST:
        raise UnsupportedPixels("the report is deeper than any report")
    for child in _items(item, _CONTENT):
        inside = character_sets(child, sets)
        name = _meaning(child, _CONCEPT, inside) or first_text(child, _RELATION, inside) or "Item"
        yield Line(depth=depth, name=name, says=_value(child, inside))
        yield from _tree(child, inside, depth + 1)


def _value(item: Elements, sets: tuple[str, ...]) -> str:
    kind = first_text(item, _VALUE_TYPE, sets)
    if kind == "CODE":
        return _meaning(item, _CODE, sets)
    if kind == "NUM":
        return "; ".join(
            f"{_said(one, _NUMBER, sets)} {_meaning(one, _UNITS, sets)}".strip() for one in _items(item, _MEASURED)
        )
    if kind in {"IMAGE", "COMPOSITE", "WAVEFORM"}:
        return "; ".join(filter(None, (first_text(one, _UID) for one in _items(item, _REFERENCED))))
    return _said(item, _VALUES[kind], sets) if kind in _VALUES else ""


def _pointed_at(elements: Elements) -> Iterator[Line]:
    for series in _items(elements, _SERIES):
        for image in _items(series, _IMAGES):
            if uid := first_text(image, _UID):
                yield Line(depth=0, name="Image", says=uid)


def _written(elements: Elements, sets: tuple[str, ...]) -> Iterator[Line]:
    for annotation in _items(elements, _ANNOTATIONS):
        for one in _items(annotation, _TEXTS):
            if said := _said(one, _TEXT, character_sets(one, sets)):
                yield Line(depth=0, name="Text", says=said)


def _meaning(item: Elements, tag: int, sets: tuple[str, ...]) -> str:
    """The meaning of the first code of a sequence."""
    return next((first_text(code, _MEANING, character_sets(code, sets)) for code in _items(item, tag)), "")


def _said(item: Elements, tag: int, sets: tuple[str, ...]) -> str:
    element = item.get(tag)
    if element is None or element.vr not in STRING_VRS:
        return ""
    found = texts(element, sets)
    # The ideographic and phonetic groups of a name are told after the alphabetic one.
    if element.vr == "PN":
        found = [" / ".join(" ".join(part.split("^")).strip() for part in one.split("=") if part) for one in found]
    return "; ".join(filter(None, found))


def _items(item: Elements, tag: int) -> tuple[Elements, ...]:
    element = item.get(tag)
    return (element.items or ()) if element is not None else ()


def _clean(text: str) -> str:
    return _CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
