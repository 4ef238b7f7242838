"""Reading a Part 10 file (PS3.10 section 7) into elements and a pixel span, without trusting a byte of it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from server.errors import BadRequest, TooLarge, UnreadableObject
from server.metadata.elements import PIXEL_KEYWORDS, Element, Elements, first_text, in_order
from server.metadata.parse import SEQUENCE_END, Coding, Limits, Parser
from server.metadata.view import to_pydicom
from server.model import InstancePath, check_uid
from server.model.readable import Readable

_EXPLICIT = Coding(implicit=False, big=False)
_PREAMBLE = 128
# Deflated Explicit, JPIP Referenced Deflate and JPIP HTJ2K Referenced Deflate (PS3.5 sections A.5, A.7, A.12).
_DEFLATED = frozenset({DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One object as sent: `body` is the whole file (inflated, where it was deflated), offsets count in it.

    `file_meta` is group 0002, `elements` the data set without its top-level pixel data, what lies behind that included.
    The pixel data element spans `pixel_offset` (its tag) to `pixel_end`; all three pixel fields are None without one.
    `encapsulated` says that its length is undefined and its value a run of fragments.
    """

    file_meta: Elements
    elements: Elements
    transfer_syntax_uid: str
    path: InstancePath
    sop_class_uid: str
    pixel_keyword: str | None
    pixel_offset: int | None
    pixel_end: int | None
    encapsulated: bool
    body: Readable

    @property
    def dataset(self) -> Dataset:
        """A new pydicom view of `elements`."""
        return to_pydicom(self.elements)


def coding_of(transfer_syntax_uid: str) -> Coding:
    """How a data set in this transfer syntax (after inflation) is coded. Raises `UnreadableObject` if unknown."""
    uid = UID(transfer_syntax_uid)
    if not uid.is_transfer_syntax or uid.is_private:
        raise UnreadableObject("the transfer syntax is not known")
    return Coding(implicit=uid == ImplicitVRLittleEndian, big=uid == ExplicitVRBigEndian)


def read(body: Readable, limits: Limits | None = None) -> StoredObject:
    """Take a Part 10 file apart.

    Raises `UnreadableObject` for whatever is malformed, truncated or contradicts itself, `TooLarge` if it inflates
    beyond `limits.inflated` bytes.
    """
    limits = limits or Limits()
    file_meta, start = _file_meta(body, limits)
    syntax = first_text(file_meta, 0x00020010)
    coding = coding_of(syntax)
    if syntax in _DEFLATED:
        body = body[:start] + _inflated(body[start:], limits.inflated - start)
    elif len(body) > limits.inflated:
        raise TooLarge
    parser = Parser(data=body, coding=coding, limits=limits)
    elements = parser.data_set(start)
    pixels = parser.pixels
    if pixels is not None and pixels.encapsulated != _encapsulates(syntax):
        raise UnreadableObject("the pixel data is not in the form that the transfer syntax asks for")
    path, sop_class = _identity(elements)
    return StoredObject(
        file_meta=file_meta,
        elements=elements,
        transfer_syntax_uid=syntax,
        path=path,
        sop_class_uid=sop_class,
        pixel_keyword=None if pixels is None else PIXEL_KEYWORDS[pixels.tag],
        pixel_offset=None if pixels is None else pixels.offset,
        pixel_end=None if pixels is None else pixels.end,
        encapsulated=pixels is not None and pixels.encapsulated,
        body=body,
    )


def reread(head: bytes, tail: bytes, transfer_syntax_uid: str, limits: Limits | None = None) -> Elements:
    """The elements of a stored object from its sealed `head` and `tail`, without the pixel data.

    `head` is the (inflated) file from its first byte; from the tag of the pixel data on it is not read. `tail` is what
    lies behind the pixel data; a sequence delimiter at its beginning is stepped over. Raises `UnreadableObject`.
    """
    limits = limits or Limits()
    start = _behind_meta(head)
    coding = coding_of(transfer_syntax_uid)
    delimiter = struct.pack(">HHL" if coding.big else "<HHL", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
    before = Parser(data=head, coding=coding, limits=limits, stop_at_pixels=True).data_set(start)
    behind = Parser(data=tail.removeprefix(delimiter), coding=coding, limits=limits).data_set(0)
    if before.keys() & behind.keys():
        raise UnreadableObject("an element stands before and behind the pixel data")
    return in_order([*before.values(), *behind.values()])


def _behind_meta(head: bytes) -> int:
    """Where the data set begins: what stands before it has been read once, when the object was stored."""
    if head[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise UnreadableObject("this is not a Part 10 file")
    position = _PREAMBLE + 4
    while head[position : position + 2] == b"\x02\x00":
        position += _length(head, position)
    return position


def _file_meta(body: Readable, limits: Limits) -> tuple[Elements, int]:
    """Group 0002 and the offset of the data set. The group length is not believed: the group ends where it ends."""
    if body[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise UnreadableObject("this is not a Part 10 file")
    position = _PREAMBLE + 4
    found: dict[int, Element] = {}
    flat = replace(limits, depth=0)
    while body[position : position + 2] == b"\x02\x00":
        end = position + _length(body, position)
        # Group 0002 is refused inside a data set; renumbered, its elements go through the same strict reader.
        renumbered = b"\x09\x00" + body[position + 2 : end]
        single = Parser(data=renumbered, coding=_EXPLICIT, limits=flat).data_set(0)
        for element in single.values():
            tag = 0x00020000 | element.tag & 0xFFFF
            if tag in found:
                raise UnreadableObject("the file meta information says something twice")
            found[tag] = element._replace(tag=tag)
        position = end
    return in_order(found.values()), position


def _length(body: Readable, position: int) -> int:
    """The length in bytes of the Explicit VR Little Endian element at `position`, header included."""
    if body[position + 4 : position + 6] in (b"OB", b"OW", b"UN", b"UT", b"UC", b"UR", b"SQ"):
        return 12 + int.from_bytes(body[position + 8 : position + 12], "little")
    return 8 + int.from_bytes(body[position + 6 : position + 8], "little")


def _identity(elements: Elements) -> tuple[InstancePath, str]:
    """The object's UIDs, as its data set has them: what group 0002 repeats of them is often stale, and never leaves."""
    try:
        path = InstancePath(
            study=first_text(elements, 0x0020000D),
            series=first_text(elements, 0x0020000E),
            instance=first_text(elements, 0x00080018),
        )
        sop_class = check_uid(first_text(elements, 0x00080016))
    except BadRequest as error:
        raise UnreadableObject("a UID that an object must have is missing or is no UID") from error
    return path, sop_class


def _inflated(deflated: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(deflated, max(limit, 1))
    except zlib.error as error:
        raise UnreadableObject("the deflated data set is broken") from error
    if inflater.unconsumed_tail:
        raise TooLarge
    if not inflater.eof:
        raise UnreadableObject("the deflated data set is truncated")
    return inflated


def _encapsulates(transfer_syntax_uid: str) -> bool:
    return UID(transfer_syntax_uid).is_encapsulated
