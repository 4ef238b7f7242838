from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pixel_kit import BASE, FORMATS
from reference import REFERENCES, Reference, opened

from server.errors import UnsupportedPixels
from server.pixels.description import (
    EXPLICIT_BIG,
    IMPLICIT_LITTLE,
    JPEG_2000,
    JPEG_BASELINE,
    RLE,
    PixelDescription,
)
from server.pixels.frames import FrameLayout, fragments_of, split

HEAD = b"head"
TAIL = b"\xfc\xff\xfc\xffOB\0\0\0\0\0\0"


def described(frames: int, uid: str = JPEG_2000) -> PixelDescription:
    return replace(FORMATS["grey 8"], rows=1, columns=3, number_of_frames=frames, transfer_syntax_uid=uid)


def items(*values: bytes) -> bytes:
    return b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value for value in values)


def encapsulated(table: bytes, *values: bytes, end: bytes = b"\xfe\xff\xdd\xe0\0\0\0\0") -> memoryview:
    element = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff"
    return memoryview(HEAD + element + items(table, *values) + end + TAIL)


def native(value: bytes, form: bytes = b"OW") -> memoryview:
    return memoryview(HEAD + b"\xe0\x7f\x10\0" + form + b"\0\0" + struct.pack("<I", len(value)) + value + TAIL)


def values_of(body: memoryview, layout: FrameLayout) -> list[bytes]:
    return [b"".join(fragments_of(body[slice(*bounds)])) for bounds in layout.ranges]


def joined(body: memoryview, layout: FrameLayout) -> bytes:
    parts = [
        body[: layout.ranges[0][0]],
        *(body[slice(*bounds)] for bounds in layout.ranges),
        body[layout.tail_start :],
    ]
    return b"".join(parts)


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_head_frames_and_tail_are_the_whole_body(reference: Reference) -> None:
    stored = opened(reference.path)
    assert joined(memoryview(stored.body), stored.layout) == stored.body
    assert len(stored.layout.ranges) in {1, stored.description.number_of_frames}
    told = json.loads(json.dumps(stored.layout.to_json()))
    assert FrameLayout.from_json(told) == stored.layout


def test_native_frames_and_padding() -> None:
    body = native(b"abcDEFghi\0")
    layout = split(body, 4, described(3, BASE.transfer_syntax_uid))
    assert [bytes(body[slice(*bounds)]) for bounds in layout.ranges] == [b"abc", b"DEF", b"ghi\0"]
    assert bytes(body[layout.tail_start :]) == TAIL


def test_native_headers_of_each_form() -> None:
    implicit = memoryview(HEAD + b"\xe0\x7f\x10\0\x04\0\0\0abc\0" + TAIL)
    assert split(implicit, 4, described(1, IMPLICIT_LITTLE)).ranges == ((12, 16),)
    big = memoryview(HEAD + b"\x7f\xe0\0\x10OB\0\0\0\0\0\x04abc\0" + TAIL)
    assert split(big, 4, described(1, EXPLICIT_BIG)).ranges == ((16, 20),)


def test_bits_that_do_not_fill_bytes_stay_together() -> None:
    bits = replace(FORMATS["one bit"], rows=3, columns=3, number_of_frames=3)
    layout = split(native(b"\0\0\0\0"), 4, bits)
    assert len(layout.ranges) == 1
    assert [layout.segment_of(number) for number in (1, 2, 3)] == [(0, 0), (0, 9), (0, 18)]
    for number in (0, 4):
        with pytest.raises(ValueError):
            layout.segment_of(number)
    whole = split(native(b"\0\0\0\0"), 4, replace(bits, rows=8, columns=1, number_of_frames=4))
    assert [whole.segment_of(number) for number in (1, 4)] == [(0, 0), (3, 0)]
    for number in (0, 5):
        with pytest.raises(ValueError):
            whole.segment_of(number)


@pytest.mark.parametrize(
    ("body", "description"),
    [
        (native(b"abcDEFgh"), described(3, BASE.transfer_syntax_uid)),
        (native(b"abcd")[:18], described(1, BASE.transfer_syntax_uid)),
        (native(b"abcd", b"US"), described(1, BASE.transfer_syntax_uid)),
        (
            memoryview(HEAD + b"\xe0\x7f\x10\0OW\0\0\xff\xff\xff\xff" + bytes(99)),
            described(1, BASE.transfer_syntax_uid),
        ),
        (memoryview(HEAD + b"\x08\0\x10\0OW\0\0\x04\0\0\0abcd"), described(1, BASE.transfer_syntax_uid)),
        (memoryview(HEAD), described(1)),
        (native(b"abcd", b"OB"), described(1)),
        (encapsulated(b""), described(1)),
        (encapsulated(b"", b"ab", end=b""), described(1)),
        (encapsulated(b"", b"ab")[:-14], described(1)),
        (encapsulated(b"", b"ab", end=b"\xfe\xff\xdd\xe0\x02\0\0\0"), described(1)),
        (encapsulated(b"", b"ab"), described(2)),
        (encapsulated(struct.pack("<2I", 0, 4), b"ab", b"cd"), described(2)),
        (encapsulated(struct.pack("<2I", 10, 0), b"ab", b"cd"), described(2)),
        (encapsulated(struct.pack("<2I", 0, 0), b"ab", b"cd"), described(2)),
        (encapsulated(struct.pack("<2I", 0, 999), b"ab", b"cd"), described(2)),
        (encapsulated(struct.pack("<I", 0), b"ab", b"cd"), described(2)),
        (encapsulated(struct.pack("<I", 10), b"ab", b"cd"), described(1)),
        (encapsulated(b"", b"ab", b"cd", b"ef"), described(2)),
        (encapsulated(b"", b"ab", b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x51"), described(2)),
        (encapsulated(b"", b"ab", b"cd", b"ef"), described(2, RLE)),
    ],
)
def test_contradictions_are_refused(body: memoryview, description: PixelDescription) -> None:
    with pytest.raises(UnsupportedPixels):
        split(body, 4, description)


def test_offset_tables_and_what_stands_in_for_them() -> None:
    basic = encapsulated(struct.pack("<2I", 0, 20), b"ab", b"cd", b"ef")
    assert values_of(basic, split(basic, 4, described(2))) == [b"abcd", b"ef"]
    plain = encapsulated(b"", b"ab", b"cd")
    assert values_of(plain, split(plain, 4, described(2))) == [b"ab", b"cd"]
    assert values_of(plain, split(plain, 4, described(1))) == [b"abcd"]
    start = b"\xff\xd8\xff\xe0"
    marked = encapsulated(b"", start + b"1 ", b"2 ", start + b"3 ")
    assert values_of(marked, split(marked, 4, described(2, JPEG_BASELINE))) == [start + b"1 2 ", start + b"3 "]


def test_extended_offset_tables() -> None:
    body = encapsulated(b"", b"ab", b"cde\0")
    offsets, lengths = struct.pack("<2Q", 0, 10), struct.pack("<2Q", 2, 3)
    layout = split(body, 4, described(2), extended_offsets=offsets, extended_lengths=lengths)
    assert values_of(body, layout) == [b"ab", b"cde\0"]
    for wrong_offsets, wrong_lengths in (
        (offsets, struct.pack("<2Q", 2, 2)),
        (struct.pack("<2Q", 0, 12), lengths),
        (offsets[:8], lengths[:8]),
        (offsets, b""),
        (b"", lengths),
    ):
        with pytest.raises(UnsupportedPixels):
            split(body, 4, described(2), extended_offsets=wrong_offsets, extended_lengths=wrong_lengths)
    both = encapsulated(struct.pack("<2I", 0, 10), b"ab", b"cde\0")
    with pytest.raises(UnsupportedPixels):
        split(both, 4, described(2), extended_offsets=offsets, extended_lengths=lengths)


def test_a_segment_is_items_and_nothing_else() -> None:
    for wrong in (b"", b"abcdefgh", items(b"ab") + b"\0", items(b"ab")[:-1], b"\xfe\xff\xdd\xe0\0\0\0\0"):
        with pytest.raises(UnsupportedPixels):
            fragments_of(memoryview(wrong))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"bounds": [1, 2]},
        {"bounds": [2, 1], "frame_bits": 0},
        {"bounds": [1], "frame_bits": 0},
        {"bounds": [1, 2.5], "frame_bits": 0},
        {"bounds": [-1, 2], "frame_bits": 0},
        {"bounds": [1, 2, 3], "frame_bits": 9},
        {"bounds": [1, 2], "frame_bits": True},
        {"bounds": [1, 2], "frame_bits": 0, "more": 1},
    ],
)
def test_a_malformed_layout_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(UnsupportedPixels):
        FrameLayout.from_json(value)


@given(noise=st.binary(max_size=200), uid=st.sampled_from([JPEG_2000, RLE, BASE.transfer_syntax_uid]))
def test_any_bytes_give_a_layout_or_a_refusal(noise: bytes, uid: str) -> None:
    body = memoryview(HEAD + b"\xe0\x7f\x10\0OB\0\0" + (b"\xff\xff\xff\xff" if uid == RLE else b"") + noise)
    try:
        layout = split(body, 4, described(2, uid))
    except UnsupportedPixels:
        return
    assert joined(body, layout) == bytes(body)
