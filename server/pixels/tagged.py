"""Where an ICC profile lies in a JPEG stream and in a JP2 file: what `encode` hands on to it."""

from __future__ import annotations

import struct

_MARK = b"ICC_PROFILE\0"
_MOST = 65_533 - len(_MARK) - 2


def jpeg_with(stream: bytes, profile: bytes) -> bytes:
    """A JPEG stream with the profile in APP2 segments behind its JFIF header (ICC.1:2010 annex B.4)."""
    if not profile:
        return stream
    at = 2
    while stream[at : at + 2] == b"\xff\xe0":
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    pieces = [profile[start : start + _MOST] for start in range(0, len(profile), _MOST)]
    segments = b"".join(
        b"\xff\xe2" + struct.pack(">H", 2 + len(_MARK) + 2 + len(piece)) + _MARK + bytes([number, len(pieces)]) + piece
        for number, piece in enumerate(pieces, 1)
    )
    return stream[:at] + segments + stream[at:]


def jp2_with(file: bytes, profile: bytes) -> bytes:
    """A JP2 file whose colour specification is the profile (ISO/IEC 15444-1 section I.5.3.3)."""
    if not profile:
        return file
    out, at = b"", 0
    while at < len(file):
        kind, box = _box(file, at)
        at += len(box)
        out += _boxed(b"jp2h", _colours(box[8:], profile)) if kind == b"jp2h" else box
    return out


def _colours(boxes: bytes, profile: bytes) -> bytes:
    out, at = b"", 0
    while at < len(boxes):
        kind, box = _box(boxes, at)
        at += len(box)
        out += _boxed(b"colr", b"\x02\x00\x00" + profile) if kind == b"colr" else box
    return out


def _box(data: bytes, at: int) -> tuple[bytes, bytes]:
    """The type of the box at a place and all of it; length 0 runs to the end."""
    length = int.from_bytes(data[at : at + 4], "big") or len(data) - at
    return data[at + 4 : at + 8], data[at : at + max(length, 8)]


def _boxed(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content
