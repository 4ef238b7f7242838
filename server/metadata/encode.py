"""Elements to bytes: Explicit VR Little Endian (PS3.5 section A.2), the one coding that leaves this server."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from server.metadata.elements import LONG_VRS, UNDEFINED, Element, Elements

_SEQUENCE_END = bytes.fromhex("feffdde000000000")
_ITEM = bytes.fromhex("feff00e0")


def element_header(tag: int, vr: str, length: int) -> bytes:
    """Tag, VR and length of an element; a value too long for a short VR goes out as UN (PS3.5 section 6.2.2)."""
    if vr not in LONG_VRS and length > 0xFFFE:
        vr = "UN"
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
    return head + (struct.pack("<2xL", length) if vr in LONG_VRS else struct.pack("<H", length))


def encode_element(element: Element) -> bytes:
    """One element, value padded to even length; sequences and items with defined lengths."""
    tag, vr, value, items, encapsulated = element
    if encapsulated:
        return element_header(tag, vr, UNDEFINED) + value + _SEQUENCE_END
    if items is not None:
        value = b"".join(map(_item, items))
    elif len(value) % 2:
        value += b"\x00" if vr in ("UI", "OB", "UN") else b" "
    return element_header(tag, vr, len(value)) + value


def encode_elements(elements: Elements) -> Iterator[bytes]:
    """The elements in the order of their tags, each encoded."""
    return map(encode_element, elements.values())


def _item(item: Elements) -> bytes:
    body = b"".join(encode_elements(item))
    return _ITEM + struct.pack("<L", len(body)) + body
