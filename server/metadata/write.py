"""Writing a Part 10 file from a masked data set: nothing of the stored file's preamble or group 0002 goes in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from server.errors import NotAcceptable
from server.metadata.elements import PIXEL_KEYWORDS, UNDEFINED, Element, first_number, first_text, string_element
from server.metadata.encode import element_header, encode_element
from server.metadata.identifiers import valid_uid
from server.metadata.masked import MaskedDataset

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLEMENTATION_CLASS_UID = "2.25.189267384605110218337127464158702553049"
IMPLEMENTATION_VERSION_NAME = "SAFELIGHT_0_1"

_PIXEL_TAGS = {keyword: tag for tag, keyword in PIXEL_KEYWORDS.items()}
_NATIVE_VRS = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}
_ITEM = bytes.fromhex("feff00e0")
_SEQUENCE_END = bytes.fromhex("feffdde000000000")
_LONGEST = 0xFFFFFFFE
_DEFLATION = 4


@dataclass(frozen=True, kw_only=True)
class NativePixels:
    """All frames one behind the other, little endian (PS3.5 section 8.1.1); `keyword` names the element."""

    value: bytes
    keyword: str = "PixelData"


@dataclass(frozen=True, kw_only=True)
class EncapsulatedPixels:
    """One encoded frame per fragment (PS3.5 section A.4)."""

    frames: Sequence[bytes]


PixelElement = NativePixels | EncapsulatedPixels


def write(masked: MaskedDataset, transfer_syntax_uid: str, pixels: PixelElement | None) -> Iterator[bytes]:
    """A Part 10 file, in pieces: zero preamble, our own group 0002, Explicit VR Little Endian elements, pixels.

    `transfer_syntax_uid` is Explicit VR Little Endian, deflated or not, or an encapsulated one; the caller encoded
    `pixels` for it.
    Raises `NotAcceptable` when the level leaves no SOP class or instance UID, or the pixels do not fit one element.
    """
    sop_class, instance = first_text(masked.elements, 0x00080016), first_text(masked.elements, 0x00080018)
    if not (valid_uid(sop_class) and valid_uid(instance)):
        raise NotAcceptable("the level leaves no SOP class or instance UID")
    pieces = [] if pixels is None else list(_pixel_pieces(masked, pixels))
    return _file(_file_meta(sop_class, instance, transfer_syntax_uid), transfer_syntax_uid, _body(masked, pieces))


def _file(file_meta: bytes, transfer_syntax_uid: str, body: Iterator[bytes]) -> Iterator[bytes]:
    yield b"".join([bytes(128), b"DICM", file_meta])
    yield from _deflated(body) if transfer_syntax_uid == DEFLATED else body


def _deflated(body: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 1951 without a header, padded to even length (PS3.5 section A.5)."""
    compressor, length = zlib.compressobj(_DEFLATION, zlib.DEFLATED, -zlib.MAX_WBITS), 0
    for piece in body:
        packed = compressor.compress(piece)
        length += len(packed)
        yield packed
    rest = compressor.flush()
    yield rest + bytes((length + len(rest)) % 2)


def _body(masked: MaskedDataset, pixels: list[bytes]) -> Iterator[bytes]:
    at = _PIXEL_TAGS["PixelData"]
    yield b"".join(encode_element(element) for tag, element in masked.elements.items() if tag < at)
    yield from pixels
    behind = [encode_element(element) for tag, element in masked.elements.items() if tag > at]
    if behind:
        yield b"".join(behind)


def _file_meta(sop_class: str, instance: str, transfer_syntax_uid: str) -> bytes:
    group = b"".join(
        encode_element(element)
        for element in (
            Element(0x00020001, "OB", b"\x00\x01"),
            string_element(0x00020002, "UI", sop_class),
            string_element(0x00020003, "UI", instance),
            string_element(0x00020010, "UI", transfer_syntax_uid),
            string_element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID),
            string_element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME),
        )
    )
    return encode_element(Element(0x00020000, "UL", struct.pack("<L", len(group)))) + group


def _pixel_pieces(masked: MaskedDataset, pixels: PixelElement) -> Iterator[bytes]:
    if isinstance(pixels, EncapsulatedPixels):
        return _encapsulated(pixels.frames)
    vr = _NATIVE_VRS.get(pixels.keyword)
    if vr is None:
        vr = "OW" if (first_number(masked.elements, 0x00280100) or 16) > 8 else "OB"
    value = _even(pixels.value)
    if len(value) > _LONGEST:
        raise NotAcceptable("the pixels do not fit one element")
    return iter((element_header(_PIXEL_TAGS[pixels.keyword], vr, len(value)), value))


def _encapsulated(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Basic Offset Table and fragments; an Extended Offset Table (PS3.3 C.7.6.3.1.8) where 32 bits do not reach."""
    if any(len(frame) >= _LONGEST for frame in frames):
        raise NotAcceptable("a frame does not fit one fragment")
    lengths = [len(frame) + len(frame) % 2 for frame in frames]
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + 8 + length)
    del offsets[-1]
    table = b""
    if offsets and offsets[-1] > UNDEFINED:
        count = len(frames)
        yield encode_element(Element(0x7FE00001, "OV", struct.pack(f"<{count}Q", *offsets)))
        yield encode_element(Element(0x7FE00002, "OV", struct.pack(f"<{count}Q", *lengths)))
    else:
        table = struct.pack(f"<{len(offsets)}L", *offsets)
    yield element_header(_PIXEL_TAGS["PixelData"], "OB", UNDEFINED) + _ITEM + struct.pack("<L", len(table)) + table
    for frame in frames:
        yield _ITEM + struct.pack("<L", len(frame) + len(frame) % 2) + _even(frame)
    yield _SEQUENCE_END


def _even(value: bytes) -> bytes:
    return value + b"\x00" if len(value) % 2 else value
