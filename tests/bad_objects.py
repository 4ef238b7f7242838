"""Objects that must not be stored, and why each is broken: made here, or cut out of a good film."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import data_store
import pydicom.data
from builders import PixelFormat, chest_film, part10_bytes
from pydicom import uid as uids
from pydicom.dataset import Dataset

SMALL = PixelFormat(rows=16, columns=16)
NESTING = 10_000
WHEEL = Path(pydicom.data.__file__).parent / "test_files"
STORE = Path(data_store.__file__).parent / "data"

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_REFERENCED_SERIES = 0x00081115


def film(syntax: str = uids.ExplicitVRLittleEndian, pixels: PixelFormat = SMALL, **overrides: object) -> bytes:
    """A good film of its own study, or one with some attributes changed."""
    return part10_bytes(chest_film(pixels, study=900, **overrides), syntax)  # type: ignore[arg-type]


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """One Explicit VR Little Endian element; `length` overrides the true one."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    long = vr in {"OB", "OW", "SQ", "UN", "UT", "OV"}
    return head + (struct.pack("<HL", 0, size) if long else struct.pack("<H", size)) + value


def _elements(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Tag, begin and end of the top-level elements of an Explicit VR Little Endian film."""
    position = 132
    while position < len(body):
        group, number = struct.unpack_from("<HH", body, position)
        long = body[position + 4 : position + 6] in {b"OB", b"OW", b"SQ", b"UN", b"UT", b"OV"}
        size = body[position + 8 : position + 12] if long else body[position + 6 : position + 8]
        end = position + (12 if long else 8) + int.from_bytes(size, "little")
        yield group << 16 | number, position, end
        position = end


def before(body: bytes, tag: int, inserted: bytes) -> bytes:
    """`inserted` put before the first top-level element whose tag is `tag` or above."""
    at = next((begin for found, begin, _ in _elements(body) if found >= tag), len(body))
    return body[:at] + inserted + body[at:]


def without(body: bytes, tag: int) -> bytes:
    return body[:132] + b"".join(body[begin:end] for found, begin, end in _elements(body) if found != tag)


def nested(depth: int, *, undefined: bool) -> bytes:
    """ReferencedSeriesSequence in itself, `depth` times."""
    if undefined:
        opening = element(_REFERENCED_SERIES, "SQ", b"", 0xFFFFFFFF) + _item(_ITEM, 0xFFFFFFFF)
        return opening * depth + (_item(_ITEM_END, 0) + _item(_SEQUENCE_END, 0)) * depth
    pieces: list[bytes] = []
    size = 0
    for _ in range(depth):
        pieces.append(element(_REFERENCED_SERIES, "SQ", b"", size + 8) + _item(_ITEM, size))
        size += 20
    return b"".join(reversed(pieces))


def _item(tag: int, length: int) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)


def deflate_bomb(size: int) -> bytes:
    """A deflated film of a few kilobytes that inflates to `size` bytes."""
    plain = film(uids.ExplicitVRLittleEndian)
    syntax = film(uids.DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(syntax[140:144], "little")
    plain_start = 144 + int.from_bytes(plain[140:144], "little")
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [
        squeezer.compress(plain[plain_start:]),
        squeezer.compress(struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, size)),
    ]
    block = bytes(1 << 20)
    pieces += [squeezer.compress(block) for _ in range(size >> 20)]
    return syntax[:start] + b"".join(pieces) + squeezer.flush()


def _replaced(old: bytes, new: bytes, body: bytes) -> bytes:
    assert body.count(old) >= 1
    return body.replace(old, new, 1)


def _length_beyond_end() -> bytes:
    body = film()
    at = body.rindex(b"\xe0\x7f\x10\x00OW\0\0")
    return body[: at + 8] + struct.pack("<L", 0xFFFFFF00) + body[at + 12 :]


def _without_meta() -> bytes:
    body = film()
    return body[144 + int.from_bytes(body[140:144], "little") :]


def _encapsulated_as(uid: str) -> bytes:
    """An RLE film that says it is in another encapsulated transfer syntax."""
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return _replaced(element(0x00020010, "UI", b"1.2.840.10008.1.2.5\0"), element(0x00020010, "UI", value), _rle())


def _rle() -> bytes:
    return film(uids.RLELossless)


def _syntax(uid: str) -> bytes:
    """A native film that says it is in another transfer syntax."""
    ds = chest_film(SMALL, study=900)
    body = part10_bytes(ds)
    old = element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return _replaced(old, element(0x00020010, "UI", value), body)


def _wrong_group_2() -> bytes:
    return before(film(), 0x80000, element(0x00020016, "AE", b"MUSTER", 0xFF00))


def _in_meta(inserted: bytes) -> Callable[[], bytes]:
    return lambda: before(film(), 0x30000, inserted)


def _uid(keyword: str, value: str | None) -> Callable[[], bytes]:
    """A film whose data set has `value` as its UID, whatever pydicom thinks of it."""

    def make() -> bytes:
        ds = chest_film(SMALL, study=900)
        if value is None:
            return _without(ds, keyword)
        ds[keyword].value = "1.2.3.4.5.6.7.8"
        body = part10_bytes(ds)
        tag = ds[keyword].tag
        old = element(tag, "UI", b"1.2.3.4.5.6.7.8\0")
        raw = value.encode()
        new = element(tag, "UI", raw + b"\0" * (len(raw) % 2))
        return _replaced(old, new, body)

    return make


def _without(ds: Dataset, keyword: str) -> bytes:
    body = part10_bytes(ds)
    raw = str(ds[keyword].value).encode()
    return body.replace(element(ds[keyword].tag, "UI", raw + b"\0" * (len(raw) % 2)), b"", 1)


def _fragments(body: bytes) -> int:
    """Where the pixel data's first item (the offset table) begins."""
    return body.rindex(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12


def _frames(value: bytes) -> bytes:
    return before(film(), 0x280000, element(0x00280008, "IS", value + b" " * (len(value) % 2)))


def _rows(value: bytes, vr: str = "US") -> bytes:
    return _replaced(element(0x00280010, "US", b"\x10\0"), element(0x00280010, vr, value), film())


def _offset_table(*offsets: int) -> Callable[[], bytes]:
    """Two RLE frames behind a Basic Offset Table that says this."""

    def make() -> bytes:
        body = film(uids.RLELossless, PixelFormat(rows=16, columns=16, frames=2))
        at = _fragments(body)
        old = int.from_bytes(body[at + 4 : at + 8], "little")
        table = struct.pack(f"<{len(offsets)}L", *offsets)
        return body[: at + 4] + struct.pack("<L", len(table)) + table + body[at + 8 + old :]

    return make


def _both_tables() -> bytes:
    return _with_extended_table(film(uids.RLELossless, PixelFormat(rows=16, columns=16, frames=2)), lie=0)


def _with_extended_table(body: bytes, *, lie: int) -> bytes:
    """The true Extended Offset Table put before the pixel data of two RLE frames, its lengths off by `lie`."""
    at = _fragments(body)
    first = at + 8 + int.from_bytes(body[at + 4 : at + 8], "little")
    sizes = [int.from_bytes(body[first + 4 : first + 8], "little")]
    second = first + 8 + sizes[0]
    sizes.append(int.from_bytes(body[second + 4 : second + 8], "little"))
    offsets = element(0x7FE00001, "OV", struct.pack("<2Q", 0, second - first))
    lengths = element(0x7FE00002, "OV", struct.pack("<2Q", *(size - lie for size in sizes)))
    return body[: at - 12] + offsets + lengths + body[at - 12 :]


def _extended_table() -> bytes:
    """An Extended Offset Table whose lengths are not those of the fragments."""
    return _with_extended_table(_offset_table()(), lie=8)


def _cut(share: float, syntax: str = uids.ExplicitVRLittleEndian) -> Callable[[], bytes]:
    def make() -> bytes:
        body = film(syntax)
        return body[: int(len(body) * share)]

    return make


BAD: Mapping[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "zeros": lambda: bytes(100_000),
    "only a preamble": lambda: bytes(128) + b"DICM",
    "no file meta": _without_meta,
    "a file meta length beyond the end": _wrong_group_2,
    "group 2 twice": _in_meta(element(0x00020010, "UI", b"1.2.840.10008.1.2\0")),
    "group 2 within the data set": lambda: before(film(), 0x100000, element(0x00020010, "UI", b"1.2.840.10008.1.2\0")),
    "group 0": lambda: before(film(), 0x100000, element(0x00000900, "US", b"\0\0")),
    "implicit file meta": _in_meta(struct.pack("<HHL", 2, 0x13, 4) + b"ABCD"),
    "an unknown VR": lambda: before(film(), 0x100000, element(0x00091010, "ZZ", b"MUSTER")),
    "an attribute twice": lambda: before(film(), 0x200000, element(0x00100020, "LO", b"OTHER ID")),
    "nested 10 000 times, undefined length": lambda: before(film(), 0x100000, nested(NESTING, undefined=True)),
    "nested 10 000 times, defined length": lambda: before(film(), 0x100000, nested(NESTING, undefined=False)),
    "nested 100 000 times and never closed": lambda: before(
        film(), 0x100000, nested(100_000, undefined=True)[:2_000_000]
    ),
    "nested 33 times": lambda: before(film(), 0x100000, nested(33, undefined=True)),
    "600 000 elements": lambda: before(film(), 0x90000, b"".join(
        element(0x00090000 + number // 2**16 * 0x20000 + number % 2**16, "US", b"\0\0") for number in range(600_000)
    )),
    "pixel data beyond the end": _length_beyond_end,
    "an element beyond the end": lambda: film() + element(0xFFFCFFFC, "OB", b"ab", 2**31),
    "an item beyond the end": lambda: before(
        film(), 0x100000, element(_REFERENCED_SERIES, "SQ", _item(_ITEM, 2**31))
    ),
    "a sequence of what is no item": lambda: before(film(), 0x100000, element(_REFERENCED_SERIES, "SQ", b"MUSTER^M")),
    "no SOP Instance UID": _uid("SOPInstanceUID", None),
    "no Study Instance UID": _uid("StudyInstanceUID", None),
    "no SOP Class UID": _uid("SOPClassUID", None),
    "an empty Series Instance UID": _uid("SeriesInstanceUID", ""),
    "a UID of 65 characters": _uid("SOPInstanceUID", "1.2" + ".1" * 31),
    "a UID with a leading zero": _uid("StudyInstanceUID", "1.2.03"),
    "a UID of other digits": _uid("SeriesInstanceUID", "1.2.\u0663"),
    "a UID that is a path": _uid("StudyInstanceUID", "../../../etc/passwd"),
    "a UID with a NUL inside": _uid("SOPInstanceUID", "1.2\0.3"),
    "a UID without a dot": _uid("SOPInstanceUID", "12"),
    "a UID with a letter": _uid("SOPInstanceUID", "1.2.3a"),
    "a private transfer syntax": lambda: _syntax("1.2.3.4"),
    "GE's private transfer syntax": lambda: _syntax("1.2.840.113619.5.2"),
    "no transfer syntax": lambda: _syntax("1.2.840.10008.1.1"),
    "JPEG XL": lambda: _encapsulated_as("1.2.840.10008.1.2.4.110"),
    "encapsulated by name only": lambda: _syntax(uids.RLELossless),
    "2**31 frames": lambda: _frames(b"2147483648"),
    "2**31 - 1 frames": lambda: _frames(b"2147483647"),
    "more frames than any number": lambda: _frames(b"9" * 5_000),
    "minus one frame": lambda: _frames(b"-1"),
    "a name of frames": lambda: _frames(b"MUSTER^MAXIMA "),
    "frames with a point": lambda: _frames(b"1.5 "),
    "two numbers of frames": lambda: _frames(b"1\\1 "),
    "rows of one byte": lambda: _rows(b"\x10"),
    "no rows": lambda: _rows(b""),
    "100 000 frames of one": lambda: film(NumberOfFrames=100_000),
    "200 000 frames of a sample of one bit": lambda: film(
        pixels=PixelFormat(rows=1, columns=25_000, bits_allocated=1, bits_stored=1, frames=8),
        Columns=1,
        NumberOfFrames=200_000,
    ),
    "0 frames": lambda: film(NumberOfFrames=0),
    "65535 x 65535": lambda: film(Rows=65535, Columns=65535),
    "65535 x 65535, compressed": lambda: _rle().replace(
        element(0x00280010, "US", struct.pack("<H", 16)) + element(0x00280011, "US", struct.pack("<H", 16)),
        element(0x00280010, "US", b"\xff\xff") + element(0x00280011, "US", b"\xff\xff"),
    ),
    "2 samples": lambda: film(SamplesPerPixel=2),
    "more bits stored than allocated": lambda: film(BitsStored=17),
    "12 bits allocated": lambda: film(BitsAllocated=12),
    "an unknown photometric interpretation": lambda: film(PhotometricInterpretation="MUSTER"),
    "no image pixel module": lambda: film(Rows=None, Columns=None),
    "pixel data one row short": lambda: film(Rows=17),
    "cut in the data set": _cut(0.5),
    "cut in the pixels": _cut(0.99),
    "cut in an encapsulated frame": _cut(0.97, uids.RLELossless),
    "cut in a deflated stream": _cut(0.9, uids.DeflatedExplicitVRLittleEndian),
    "broken deflate": lambda: _syntax(uids.DeflatedExplicitVRLittleEndian),
    "an offset table that goes back": _offset_table(10, 0),
    "an offset table that does not begin at 0": _offset_table(8, 16),
    "an offset table that points between": _offset_table(0, 3),
    "an offset table beyond the end": _offset_table(0, 2**31),
    "an offset table for more frames": _offset_table(0, 10, 20),
    "two offset tables": _both_tables,
    "an extended offset table that lies": _extended_table,
}  # fmt: skip
