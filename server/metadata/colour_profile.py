"""A colour profile that says nothing of a device: sRGB as a matrix profile (ICC.1:2010, IEC 61966-2-1).

Where an IOD demands ICC Profile, a level that tells no device sends this one. Colours are then as a viewer shows them
that knows no better, and not as the device measured them.
"""

from __future__ import annotations

import struct

ICC_PROFILE = 0x00282000
# The primaries of sRGB adapted to D50, and the white point of the profile connection space, as s15Fixed16 numbers.
_WHITE = (0.9642, 1.0, 0.8249)
_RED, _GREEN, _BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
_GAMMA = 2.2


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _described(text: bytes) -> bytes:
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(1 + 4 + 4 + 2 + 1 + 67)


def _profile() -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(_GAMMA * 256))
    tags = {
        b"desc": _described(b"sRGB"),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": b"XYZ " + bytes(4) + _fixed(*_WHITE),
        **{
            name: b"XYZ " + bytes(4) + _fixed(*xyz)
            for name, xyz in ((b"rXYZ", _RED), (b"gXYZ", _GREEN), (b"bXYZ", _BLUE))
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += _padded(value)
    size = start + len(body)
    # PS3.3 section C.11.15: an input device profile (scnr) from RGB to XYZ; the date is that of the ICC's version 2.
    head = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x02100000, b"scnr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*_WHITE)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


SRGB = _profile()
"""The profile's bytes, the same every time; their number is even."""
