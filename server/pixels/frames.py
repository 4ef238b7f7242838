"""Where each frame lies in a stored Part 10 body, so that every frame can be sealed and opened alone."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from server.errors import UnsupportedPixels
from server.model.readable import Readable
from server.pixels.description import (
    EXPLICIT_BIG,
    IMPLICIT_LITTLE,
    JPEG,
    JPEG_LS,
    NATIVE,
    RLE,
    PixelDescription,
)

_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0"
_UNDEFINED = 0xFFFFFFFF
_LONG_FORM = frozenset({b"OB", b"OW", b"OF", b"OD", b"UN"})
_TAGS = frozenset({(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)})
_MOST_FRAGMENTS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class FrameLayout:
    """Half-open byte ranges of the body, in order and without gaps: head, ranges, tail concatenate to the body.

    `ranges` has one entry per frame, or a single one if frames do not begin on byte boundaries; then `frame_bits`
    is the size of one frame in bits (0 otherwise). The last range runs on to `tail_start`, so it also
    holds padding or delimiter of the element; the decoders never look beyond the frame itself.
    """

    ranges: tuple[tuple[int, int], ...]
    tail_start: int
    frame_bits: int = 0

    def segment_of(self, frame_number: int) -> tuple[int, int]:
        """Return the index into `ranges` and the bit offset therein of a frame (from 1).

        Raises ValueError for a frame that does not exist.
        """
        if frame_number < 1:
            raise ValueError("frames count from 1")
        if self.frame_bits:
            start = (frame_number - 1) * self.frame_bits
            if start + self.frame_bits > 8 * (self.ranges[0][1] - self.ranges[0][0]):
                raise ValueError("no such frame")
            return 0, start
        if frame_number > len(self.ranges):
            raise ValueError("no such frame")
        return frame_number - 1, 0

    def to_json(self) -> dict[str, object]:
        """Return JSON-able values; consecutive ranges share their bounds, so one list tells them all."""
        bounds = [self.ranges[0][0], *(stop for _, stop in self.ranges)]
        return {"bounds": bounds, "frame_bits": self.frame_bits}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> FrameLayout:
        """Undo `to_json`. Raises `UnsupportedPixels` for anything that `to_json` does not make."""
        bounds, bits = value.get("bounds"), value.get("frame_bits")
        if set(value) != {"bounds", "frame_bits"} or not isinstance(bounds, list) or type(bits) is not int or bits < 0:
            raise UnsupportedPixels("frame layout is malformed")
        if len(bounds) < 2 or any(type(bound) is not int or bound < 0 for bound in bounds):
            raise UnsupportedPixels("frame layout is malformed")
        if any(start >= stop for start, stop in pairwise(bounds)) or (bits and len(bounds) != 2):
            raise UnsupportedPixels("frame layout is malformed")
        return cls(ranges=tuple(pairwise(bounds)), tail_start=bounds[-1], frame_bits=bits)


def split(
    body: memoryview | Readable,
    pixel_offset: int,
    description: PixelDescription,
    *,
    extended_offsets: bytes = b"",
    extended_lengths: bytes = b"",
) -> FrameLayout:
    """Find the frames in a whole Part 10 body (inflated if it was deflated); byte order and VR form follow from
    the description's transfer syntax.

    `pixel_offset` is where the tag of the pixel data element begins. The two extended values are those of
    (7FE0,0001) and (7FE0,0002), little endian. Native frames are exact ranges (PS3.5 section 8.1.1), encapsulated ones
    whole items (PS3.5 section A.4). Raises `UnsupportedPixels` when truncated or when offsets contradict the items.
    """
    start, length = _value(body, pixel_offset, description.transfer_syntax_uid)
    if description.transfer_syntax_uid in NATIVE:
        return _native(body, start, length, description)
    if length != _UNDEFINED:
        raise UnsupportedPixels("encapsulated pixel data has a defined length")
    items, tail = _items(body, start)
    if not items:
        raise UnsupportedPixels("no offset table item")
    table, fragments = items[0], items[1:]
    if len(fragments) < description.number_of_frames:
        raise UnsupportedPixels("fewer fragments than frames")
    offsets = bytes(body[table[0] + 8 : table[1]])
    if extended_offsets or extended_lengths:
        if offsets:
            raise UnsupportedPixels("both offset tables have values")
        firsts = _extended(extended_offsets, extended_lengths, fragments, description.number_of_frames)
    elif offsets:
        firsts = _basic(offsets, fragments, description.number_of_frames)
    else:
        firsts = _guessed(body, fragments, description)
    starts = [fragments[first][0] for first in firsts]
    return FrameLayout(ranges=tuple(pairwise([*starts, tail])), tail_start=tail)


def fragments_of(segment: memoryview) -> list[memoryview]:
    """Return the values of the items in one encapsulated segment, up to the sequence delimiter.

    Raises `UnsupportedPixels` when an item is cut off or something else stands between the items.
    """
    values = []
    position = 0
    while position < len(segment):
        tag, length = _item(segment, position)
        if tag == _DELIMITER:
            break
        values.append(segment[position + 8 : position + 8 + length])
        position += 8 + length
    if not values:
        raise UnsupportedPixels("a frame without fragments")
    return values


def _value(body: memoryview | Readable, offset: int, uid: str) -> tuple[int, int]:
    """Return start and length of the value of the element at `offset` (PS3.5 section 7.1)."""
    head = bytes(body[offset : offset + 12])
    if offset < 0 or len(head) < 12:
        raise UnsupportedPixels("pixel data element is cut off")
    order = ">" if uid == EXPLICIT_BIG else "<"
    if struct.unpack_from(f"{order}HH", head) not in _TAGS:
        raise UnsupportedPixels("no pixel data element at the offset")
    if uid == IMPLICIT_LITTLE:
        return offset + 8, struct.unpack_from("<I", head, 4)[0]
    if head[4:6] not in _LONG_FORM:
        raise UnsupportedPixels("pixel data has an unexpected value representation")
    return offset + 12, struct.unpack_from(f"{order}I", head, 8)[0]


def _native(body: memoryview | Readable, start: int, length: int, description: PixelDescription) -> FrameLayout:
    bits, frames = description.frame_bits, description.number_of_frames
    if length == _UNDEFINED or start + length > len(body) or (bits * frames + 7) // 8 > length:
        raise UnsupportedPixels("pixel data is shorter than described")
    tail = start + length
    if bits % 8 and frames > 1:
        return FrameLayout(ranges=((start, tail),), tail_start=tail, frame_bits=bits)
    step = (bits + 7) // 8
    bounds = [start + step * number for number in range(frames)]
    return FrameLayout(ranges=tuple(pairwise([*bounds, tail])), tail_start=tail)


def _item(body: memoryview | Readable, position: int) -> tuple[bytes, int]:
    head = bytes(body[position : position + 8])
    if len(head) < 8 or head[:4] not in {_ITEM, _DELIMITER}:
        raise UnsupportedPixels("encapsulated pixel data is cut off or malformed")
    length = int.from_bytes(head[4:], "little")
    if position + 8 + length > len(body) or (head[:4] == _DELIMITER and length):
        raise UnsupportedPixels("encapsulated pixel data is cut off or malformed")
    return head[:4], length


def _items(body: memoryview | Readable, start: int) -> tuple[list[tuple[int, int]], int]:
    """Return the byte ranges of all items with their headers, and where the element ends."""
    found: list[tuple[int, int]] = []
    position = start
    while True:
        tag, length = _item(body, position)
        if tag == _DELIMITER:
            return found, position + 8
        found.append((position, position + 8 + length))
        position += 8 + length
        if len(found) > _MOST_FRAGMENTS:
            raise UnsupportedPixels("too many fragments")


def _located(offsets: Sequence[int], fragments: Sequence[tuple[int, int]]) -> list[int]:
    """Return the fragment index at each offset (relative to the first fragment), which must ascend from 0."""
    places = {start - fragments[0][0]: index for index, (start, _) in enumerate(fragments)}
    if offsets[0] != 0 or any(first >= second for first, second in pairwise(offsets)):
        raise UnsupportedPixels("offset table does not ascend from the first fragment")
    if any(offset not in places for offset in offsets):
        raise UnsupportedPixels("offset table points between fragments")
    return [places[offset] for offset in offsets]


def _basic(table: bytes, fragments: Sequence[tuple[int, int]], frames: int) -> list[int]:
    if len(table) != 4 * frames:
        raise UnsupportedPixels("basic offset table does not fit the number of frames")
    return _located(struct.unpack(f"<{frames}I", table), fragments)


def _extended(offsets: bytes, lengths: bytes, fragments: Sequence[tuple[int, int]], frames: int) -> list[int]:
    """PS3.3 C.7.6.3.1.8: one fragment per frame, and its exact length (without the byte that pads it)."""
    if len(offsets) != 8 * frames or len(lengths) != 8 * frames or len(fragments) != frames:
        raise UnsupportedPixels("extended offset table does not fit the number of frames")
    firsts = _located(struct.unpack(f"<{frames}Q", offsets), fragments)
    for length, (start, stop) in zip(struct.unpack(f"<{frames}Q", lengths), fragments, strict=True):
        if stop - start - 8 - length not in {0, 1}:
            raise UnsupportedPixels("extended offset table lengths contradict the items")
    return firsts


def _guessed(
    body: memoryview | Readable, fragments: Sequence[tuple[int, int]], description: PixelDescription
) -> list[int]:
    """Without a table: one frame, one fragment per frame, or codestreams that show where they begin."""
    frames = description.number_of_frames
    if frames == 1:
        return [0]
    if len(fragments) == frames:
        return list(range(frames))
    uid = description.transfer_syntax_uid
    if uid == RLE:
        raise UnsupportedPixels("RLE frames are single fragments")
    marks = (b"\xff\xd8\xff",) if uid in JPEG | JPEG_LS else (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
    firsts = [i for i, (start, _) in enumerate(fragments) if bytes(body[start + 8 : start + 20]).startswith(marks)]
    if len(firsts) != frames or firsts[0] != 0:
        raise UnsupportedPixels("fragments cannot be told apart into frames")
    return firsts
