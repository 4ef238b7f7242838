"""Specific Character Set to text (PS3.3 C.12.1.1.2, PS3.5 section 6.1.2): never raises, never guesses a wider set.

Bytes that the declared set does not know become U+FFFD. Text is decoded before it is split at the backslash, since
0x5C is a legal second byte in GB18030, GBK and Shift JIS.
"""

from __future__ import annotations

import re

from pydicom.charset import CODES_TO_ENCODINGS, ESC, python_encoding

DEFAULT = ("",)
UTF8 = ("ISO_IR 192",)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
# Python's own codecs for these want to see the escape sequence; the others must not.
_KEEP_ESCAPE = frozenset({"iso2022_jp", "iso2022_jp_2"})
_LATIN = "iso8859"
# Latin alphabet No. 9 is younger than pydicom's tables.
_CODECS = {**python_encoding, "ISO_IR 203": "iso8859_15", "ISO 2022 IR 203": "iso8859_15"}
_ESCAPES = {**CODES_TO_ENCODINGS, ESC + b"-b": "iso8859_15"}


def terms(value: bytes) -> tuple[str, ...]:
    """The defined terms of a Specific Character Set value, in their order; the default repertoire when empty."""
    return tuple(term.strip(" \x00") for term in value.decode("ascii", "replace").split("\\")) or DEFAULT


def decode(value: bytes, character_sets: tuple[str, ...]) -> str:
    """`value` as text under the declared `character_sets`, without control characters other than TAB, LF, FF, CR."""
    first = _CODECS.get(character_sets[0], _LATIN)
    text = _plain(value, first) if ESC not in value else _with_escapes(value, first)
    return _CONTROLS.sub("", text)


def _plain(value: bytes, codec: str) -> str:
    # The JIS codecs are 7-bit: before the first escape sequence they mean the Roman set of ISO-IR 14.
    return value.decode("shift_jis" if codec in _KEEP_ESCAPE else codec, "replace")


def _with_escapes(value: bytes, first: str) -> str:
    head, *fragments = value.split(ESC)
    return _plain(head, first) + "".join(_fragment(ESC + fragment) for fragment in fragments)


def _fragment(fragment: bytes) -> str:
    """One run of bytes that begins with an escape sequence (PS3.3 tables C.12-3 and C.12-4)."""
    for code, codec in _ESCAPES.items():
        if not fragment.startswith(code):
            continue
        if codec in _KEEP_ESCAPE:
            return fragment.decode(codec, "replace")
        rest = fragment[len(code) :]
        return rest.decode("gb2312" if codec == "iso_ir_58" else codec, "replace")
    return "\ufffd"
