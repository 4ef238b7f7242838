"""A canary in every VR at every depth: in unknown public elements, in private blocks, in private and public sequences,
and in elements of unknown VR that hold a sequence of undefined length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag

from server.metadata.elements import LONG_VRS

DEPTHS = range(1, 6)
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_TOLD_APART = ("LO", "UN", "FD")
_BYTES = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
_WORDS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_DIGITS = ("DS", "IS", "UI", "DA", "DT", "TM", "AS")
EVERY_VR = (*_NUMBERS, *_BYTES, *_WORDS, *_DIGITS, "AT", "SQ")
# No public element is registered there.
_FIRST = 0x0018F000
_PUBLIC = 0x0008114A

Places = Iterator[tuple[tuple[int, ...], str, str]]
"""The tags on the way to a canary, its VR, and its text."""


def fill_matrix(ds: Dataset) -> Places:
    """Put them all into a data set, five levels deep, and tell where they are."""
    yield from _filled(ds, (), 1)


def _filled(item: Dataset, path: tuple[int, ...], depth: int) -> Places:
    creator = f"CANARY-BLOCK-{depth}"
    block = item.private_block(0x0019, creator, create=True)
    yield (*path, 0x00190010), "LO", creator
    for place, vr in enumerate(EVERY_VR[:-1]):
        for tag in (_FIRST + place, 0x00191000 + place):
            text, value = _value(vr, depth, private=tag != _FIRST + place)
            if tag == _FIRST + place:
                item.add_new(tag, vr, value)
            else:
                block.add_new(place, vr, value)
            if len(text) > 5:
                yield (*path, tag), vr, text
    if depth < DEPTHS[-1]:
        public, private = Dataset(), Dataset()
        item.add_new(_PUBLIC, "SQ", DicomSequence([public]))
        block.add_new(0x80, "SQ", DicomSequence([private]))
        yield from _filled(public, (*path, _PUBLIC), depth + 1)
        if depth in (1, 4):
            yield from _filled(private, (*path, 0x00191080), depth + 1)


def _value(vr: str, depth: int, *, private: bool) -> tuple[str, object]:
    """A canary of this VR as it is found in a file, and as pydicom takes it."""
    # Every depth has canaries of its own in three VRs; in all others a VR's are alike, as many are slow to look for.
    text = f"CANARY-{vr}-{depth if vr in _TOLD_APART else 0}{'P' if private else ''}"
    number = 7_310_000 + EVERY_VR.index(vr) * 10 + private
    if vr in _BYTES or vr in _NUMBERS or vr == "AT":
        text = text.ljust(16, "-")
        if vr in _BYTES:
            return text, text.encode()
        if vr == "AT":
            return text, [Tag(group, element) for group, element in struct.iter_unpack("<HH", text.encode())]
        return text, [one for (one,) in struct.iter_unpack(f"<{_NUMBERS[vr]}", text.encode())]
    if vr == "CS":
        text = text.replace("-", "_")
    if vr in _WORDS:
        return text, text
    digits = {
        "DS": f"1.{number}",
        "IS": f"{number}",
        "UI": f"2.25.{number}{number}",
        "DA": f"17310{3 + private}17",
        "DT": f"1731020{3 + private}115959.{number % 10**6:06}",
        "TM": f"235959.{number % 10**6:06}",
        "AS": f"{depth:03}Y",
    }
    return digits[vr], digits[vr]


def undefined_un(tag: int, text: str, *, depth: int = 1) -> bytes:
    """An element of VR UN and undefined length: a sequence in implicit VR (PS3.5 section 6.2.2), a canary in it."""
    header = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, b"UN", 0, 0xFFFFFFFF)
    return header + _implicit_items(text, depth) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def inserted(body: bytes, tag: int, element: bytes) -> bytes:
    """A Part 10 file (explicit VR little endian, sequences of known length) with one more element in its place."""
    at = 144 + int.from_bytes(body[140:144], "little")
    while _tag_at(body, at) < tag:
        long = body[at + 4 : at + 6].decode() in LONG_VRS
        length = int.from_bytes(body[at + 8 : at + 12] if long else body[at + 6 : at + 8], "little")
        at += (12 if long else 8) + length
    return body[:at] + element + body[at:]


def _tag_at(body: bytes, at: int) -> int:
    group, number = struct.unpack_from("<HH", body, at)
    return int(group) << 16 | int(number)


def _implicit_items(text: str, depth: int) -> bytes:
    padded = text.encode() + b" " * (len(text) % 2)
    inner = struct.pack("<HHL", 0x0010, 0x0010, len(padded)) + padded
    if depth > 1:
        nested = _implicit_items(f"{text}-{depth}", depth - 1)
        inner += struct.pack("<HHL", 0x0040, 0x0275, 0xFFFFFFFF) + nested + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    ends = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    return struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + ends
