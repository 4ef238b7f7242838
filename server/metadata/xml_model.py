"""The Native DICOM Model (PS3.19 section A.1) of a masked data set, written from its DICOM JSON model.

So the two say the same of every object: what JSON cannot carry is not told in XML either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import keyword_for_tag

from server.metadata.json_model import Bulk, to_json
from server.metadata.masked import MaskedDataset

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
# Everything but Char of XML 1.0 section 2.2: not even a character reference may name the others.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A reader takes these three as they are only where they are written as references (XML 1.0 sections 2.11 and 3.3.3).
_REFERENCES = {"\r": "&#13;"}
_IN_ATTRIBUTES = {**_REFERENCES, "\n": "&#10;", "\t": "&#9;"}

Model = Mapping[str, Mapping[str, Any]]
"""A data set in the DICOM JSON model, before it is text."""


def to_xml(masked: MaskedDataset, bulk: Bulk, more: Model) -> bytes:
    """What `json_model.to_json` gives, and `more` attributes behind it, as one XML document in UTF-8.

    A character that XML has no way to write becomes U+FFFD. Private elements are named by their creator and without
    their block, as the model demands, and left out where there is no creator.
    """
    return from_json({**to_json(masked, bulk), **more})


def from_json(model: Model) -> bytes:
    """The same data set as an XML document; for rows and reports that were made from masked values already."""
    return "".join([_HEAD, *_attributes(model), "</NativeDicomModel>"]).encode()


def _attributes(model: Model) -> Iterator[str]:
    for tag, attribute in sorted(model.items()):
        named = _named(tag, model)
        if named is None:
            continue
        content = "".join(_content(attribute))
        head = f"<DicomAttribute {named} vr={_quoted(attribute['vr'])}"
        yield f"{head}>{content}</DicomAttribute>" if content else f"{head}/>"


def _named(tag: str, model: Model) -> str | None:
    """The attributes that say which element it is; None for those that the model does not have."""
    group, element = int(tag[:4], 16), int(tag[4:], 16)
    if element == 0:
        return None
    if group % 2 == 0:
        keyword = keyword_for_tag(int(tag, 16))
        return f'tag="{tag}"' + (f" keyword={_quoted(keyword)}" if keyword else "")
    creator = model.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value") if element >= 0x1000 else None
    if not creator or not isinstance(creator[0], str):
        return None
    return f'tag="{tag[:4]}00{tag[6:]}" privateCreator={_quoted(creator[0])}'


def _content(attribute: Mapping[str, Any]) -> Iterator[str]:
    if "BulkDataURI" in attribute:
        yield f"<BulkData uri={_quoted(attribute['BulkDataURI'])}/>"
    elif "InlineBinary" in attribute:
        yield f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>"
    for number, value in enumerate(attribute.get("Value", ()), 1):
        kind = {"SQ": "Item", "PN": "PersonName"}.get(attribute["vr"], "Value")
        if value is None:
            inner = ""
        elif kind == "Value":
            inner = _text(value if isinstance(value, str) else repr(value))
        else:
            inner = "".join(_attributes(value) if kind == "Item" else _name(value))
        yield f'<{kind} number="{number}">{inner}</{kind}>' if inner else f'<{kind} number="{number}"/>'


def _name(value: Mapping[str, str]) -> Iterator[str]:
    for group in _GROUPS:
        if group not in value:
            continue
        # Five components (PS3.5 section 6.2); whatever stands behind a sixth caret stays with the last.
        parts = zip(_COMPONENTS, value[group].split("^", len(_COMPONENTS) - 1), strict=False)
        yield f"<{group}>" + "".join(f"<{part}>{_text(text)}</{part}>" for part, text in parts if text) + f"</{group}>"


def _text(text: str) -> str:
    return escape(_NO_CHARACTER.sub("\ufffd", text), _REFERENCES)


def _quoted(text: str) -> str:
    return quoteattr(_NO_CHARACTER.sub("\ufffd", text), _IN_ATTRIBUTES)
