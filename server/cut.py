"""Where an object is cut before it is sealed, so that attributes and single frames open alone."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from server.errors import UnsupportedPixels
from server.metadata.elements import SPECIFIC_CHARACTER_SET, Element, in_order
from server.metadata.part10 import StoredObject
from server.metadata.view import to_pydicom
from server.model.kinds import is_video
from server.pixels.description import PixelDescription, PixelKeyword, describe
from server.pixels.frames import FrameLayout, split
from server.spool import Window, in_memory

Segment = bytes | memoryview | Window

_IMAGE = 0x0028
_LARGE = 4096
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002


def layout_of(stored: StoredObject, description: PixelDescription | None) -> FrameLayout | None:
    """How the frames, which are as described, lie in the body; None for an object without pixels.

    Raises `UnsupportedPixels`.
    """
    if stored.pixel_offset is not None and stored.pixel_end is not None and is_video(stored.transfer_syntax_uid):
        # One stream for all frames: sealed as a whole, apart from the attributes, and opened by nobody yet.
        return FrameLayout(ranges=((stored.pixel_offset, stored.pixel_end),), tail_start=stored.pixel_end)
    if description is None or stored.pixel_offset is None:
        return None
    tables = (stored.elements.get(tag) for tag in (_EXTENDED_OFFSETS, _EXTENDED_LENGTHS))
    offsets, lengths = (table.value if table else b"" for table in tables)
    return split(stored.body, stored.pixel_offset, description, extended_offsets=offsets, extended_lengths=lengths)


def description_of(stored: StoredObject) -> PixelDescription | None:
    """What the header says of the frames; None where nobody decodes any. Raises `UnsupportedPixels`."""
    if stored.pixel_keyword is None or is_video(stored.transfer_syntax_uid):
        return None
    keyword = cast(PixelKeyword, stored.pixel_keyword)
    # As when it is opened again: of the image attributes alone.
    image = {tag: one for tag, one in stored.elements.items() if tag >> 16 == _IMAGE or tag == SPECIFIC_CHARACTER_SET}
    small = sum(len(one.value) if one.items is None else _LARGE for one in image.values()) < _LARGE
    read = _described if small else _described.__wrapped__
    description = read(tuple(image.values()), stored.transfer_syntax_uid, keyword)
    if description is None:
        raise UnsupportedPixels("pixel data without an image pixel module")
    return description


@lru_cache(maxsize=256)
def _described(image: tuple[Element, ...], transfer_syntax_uid: str, keyword: PixelKeyword) -> PixelDescription | None:
    """Slices of one series say the same of their frames, byte for byte. Raises `UnsupportedPixels`."""
    return describe(to_pydicom(in_order(image)), transfer_syntax_uid, keyword=keyword)


def segments(stored: StoredObject, layout: FrameLayout | None, first: bytes) -> list[Segment]:
    """What is sealed: the manifest, then the whole object cut at its frames, so that one frame opens alone."""
    body, end = stored.body, len(stored.body)
    ranges = [(0, end), (end, end)] if layout is None else layout.ranges
    if layout is not None:
        ranges = [(0, ranges[0][0]), *ranges, (layout.tail_start, end)]
    if (view := in_memory(body)) is not None:
        return [first, *(view[start:stop] for start, stop in ranges)]
    return [first, *(Window(body, start, stop) for start, stop in ranges)]
