"""A pydicom view of elements, for those who read numbers and code strings out of them."""

from __future__ import annotations

import pydicom.config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from server.metadata.charset import DEFAULT
from server.metadata.elements import (
    SPECIFIC_CHARACTER_SET,
    TEXT_VRS,
    UNDEFINED,
    Element,
    Elements,
    character_sets,
    string_element,
    text,
)

# pydicom's warnings quote the value that they complain about, and a warning ends in a log.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def to_pydicom(elements: Elements, inherited: tuple[str, ...] = DEFAULT) -> Dataset:
    """A new `Dataset` of Explicit VR Little Endian raw elements, with all text in ISO_IR 192."""
    sets = character_sets(elements, inherited)
    view = Dataset({BaseTag(tag): _viewed(element, sets) for tag, element in elements.items()})
    view.set_original_encoding(is_implicit_vr=False, is_little_endian=True, character_encoding="utf8")
    return view


def _viewed(element: Element, sets: tuple[str, ...]) -> DataElement | RawDataElement:
    tag, vr, value, items, encapsulated = element
    if items is not None:
        return DataElement(BaseTag(tag), "SQ", Sequence([to_pydicom(item, sets) for item in items]))
    if tag == SPECIFIC_CHARACTER_SET:
        value = b"ISO_IR 192"
    elif vr in TEXT_VRS:
        value = string_element(tag, vr, text(element, sets)).value
    length = UNDEFINED if encapsulated else len(value)
    return RawDataElement(BaseTag(tag), vr, length, value, 0, False, True)  # noqa: FBT003
