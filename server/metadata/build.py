"""A Part 10 file from a data set that came as metadata and bulk data (PS3.18 section 10.5.2): what a store takes then.

It goes through the reader of every stored file, and nothing here is trusted to have checked anything.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pydicom import uid as uids

from server.errors import UnreadableObject, UnsupportedPixels
from server.metadata.elements import (
    SPECIFIC_CHARACTER_SET,
    UNDEFINED,
    Element,
    Elements,
    first_text,
    in_order,
    string_element,
)
from server.metadata.encode import element_header, encode_element
from server.metadata.read_model import Model, elements_of
from server.metadata.write import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

Bulk = Callable[[str], tuple[str, str, bytes]]
"""From a BulkDataURI to media type, transfer syntax ("" where none is said) and bytes; raises `UnreadableObject`."""

_PIXEL_DATA, _NUMBER_OF_FRAMES, _FIRST_GROUP = 0x7FE00010, 0x00280008, 0x0008
_SYNTAXES = {
    "image/jls": uids.JPEGLSLossless,
    "image/jp2": uids.JPEG2000Lossless,
    "image/jpx": uids.JPEG2000MCLossless,
    "image/jphc": uids.HTJ2KLossless,
    "image/dicom-rle": uids.RLELossless,
}
_JPEG = {0xC0: uids.JPEGBaseline8Bit, 0xC1: uids.JPEGExtended12Bit, 0xC3: uids.JPEGLosslessSV1}
_OF_TYPE = {
    "image/jpeg": {*_JPEG.values(), uids.JPEGLossless},
    "image/jls": {uids.JPEGLSLossless, uids.JPEGLSNearLossless},
    "image/jp2": {uids.JPEG2000Lossless, uids.JPEG2000},
    "image/jpx": {uids.JPEG2000MCLossless, uids.JPEG2000MC},
    "image/jphc": {uids.HTJ2KLossless, uids.HTJ2KLosslessRPCL, uids.HTJ2K},
    "image/dicom-rle": {uids.RLELossless},
}
_ITEM, _END = bytes.fromhex("feff00e0"), bytes.fromhex("feffdde000000000")


def part10(model: Model, bulk: Bulk) -> tuple[bytes, bool]:
    """The file, and whether elements that belong to no data set (of groups below 0008) were left out.

    Raises `UnreadableObject`, and `UnsupportedPixels` for compressed pixels in a form that is not known: those of more
    than one frame, or of a media type without a transfer syntax.
    """

    def octets(uri: str) -> bytes:
        media_type, syntax, value = bulk(uri)
        if media_type != "application/octet-stream" or syntax not in ("", uids.ExplicitVRLittleEndian):
            raise UnreadableObject("bulk data that are no pixels are octets, little endian")
        return value

    pixels = model.get(f"{_PIXEL_DATA:08X}")
    uri = pixels.get("BulkDataURI") if isinstance(pixels, dict) else None
    if uri is not None and pixels is not None and pixels.keys() - {"vr", "BulkDataURI"}:
        raise UnreadableObject("the pixel data is there in two forms")
    others = {tag: one for tag, one in model.items() if uri is None or tag != f"{_PIXEL_DATA:08X}"}
    read = elements_of(others, octets)
    kept = {tag: one for tag, one in read.items() if tag >> 16 >= _FIRST_GROUP}
    kept[SPECIFIC_CHARACTER_SET] = string_element(SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192")
    syntax: str = uids.ExplicitVRLittleEndian
    encoded = [(element.tag, encode_element(element)) for element in in_order(kept.values()).values()]
    if uri is not None:
        syntax, written = _pixels(kept, str((pixels or {}).get("vr")), *bulk(str(uri)))
        encoded = sorted([*encoded, (_PIXEL_DATA, written)])
    body = b"".join([bytes(128), b"DICM", _file_meta(kept, syntax), *(one for _, one in encoded)])
    return body, len(kept.keys() | {SPECIFIC_CHARACTER_SET}) < len(read.keys() | {SPECIFIC_CHARACTER_SET})


def _pixels(elements: Elements, vr: str, media_type: str, said: str, value: bytes) -> tuple[str, bytes]:
    """Transfer syntax and encoded element of pixel data from a part of its own."""
    if media_type == "application/octet-stream" and said in ("", uids.ExplicitVRLittleEndian):
        if vr not in ("OB", "OW"):
            raise UnreadableObject("pixel data of another VR")
        return uids.ExplicitVRLittleEndian, encode_element(Element(_PIXEL_DATA, vr, value))
    syntax = said or (_jpeg_syntax(value) if media_type == "image/jpeg" else _SYNTAXES.get(media_type, ""))
    if syntax not in _OF_TYPE.get(media_type, set()):
        raise UnsupportedPixels("compressed pixel data of this media type and transfer syntax are not taken")
    if first_text(elements, _NUMBER_OF_FRAMES) not in ("", "1"):
        raise UnsupportedPixels("several compressed frames in one part are not taken")
    padded = value + b"\x00" * (len(value) % 2)
    fragments = _ITEM + bytes(4) + _ITEM + struct.pack("<L", len(padded)) + padded
    return syntax, element_header(_PIXEL_DATA, "OB", UNDEFINED) + fragments + _END


def _jpeg_syntax(value: bytes) -> str:
    """The transfer syntax of a JPEG stream by its frame header (ITU-T T.81 table B.1), "" for another process."""
    at = 2
    while value[:2] == b"\xff\xd8" and at + 4 <= len(value) and value[at] == 0xFF:
        marker = value[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _JPEG.get(marker, "")
        at += 2 + int.from_bytes(value[at + 2 : at + 4], "big")
    return ""


def _file_meta(elements: Elements, syntax: str) -> bytes:
    group = b"".join(
        encode_element(element)
        for element in (
            Element(0x00020001, "OB", b"\x00\x01"),
            string_element(0x00020002, "UI", first_text(elements, 0x00080016)),
            string_element(0x00020003, "UI", first_text(elements, 0x00080018)),
            string_element(0x00020010, "UI", syntax),
            string_element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID),
            string_element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME),
        )
    )
    return encode_element(Element(0x00020000, "UL", struct.pack("<L", len(group)))) + group
