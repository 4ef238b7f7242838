"""Whether two files are one and the same data set, whatever transfer syntax each is in. Says yes or no, and no more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from server.cut import description_of
from server.develop import decoded_frame, unseal
from server.errors import DecodeFailed, UnsupportedPixels
from server.metadata.elements import Element, Elements
from server.metadata.part10 import StoredObject
from server.model import InstanceRecord
from server.pixels.decode import decode
from server.pixels.frame import Frame, values
from server.pixels.frames import FrameLayout
from server.services import Services

# What a transfer syntax brings along: lengths of groups, offset tables, the order of planes, padding at the end.
_OF_SYNTAX = frozenset({0x00280006, 0x7FE00001, 0x7FE00002, 0xFFFCFFFC})
_PHOTOMETRIC = 0x00280004
_COLOURS = frozenset({b"RGB", b"YBR_FULL", b"YBR_FULL_422", b"YBR_RCT"})


def same_data_set(services: Services, record: InstanceRecord, stored: StoredObject, layout: FrameLayout | None) -> bool:
    """Whether a stored instance is the data set that came in: every element and every sample. Raises `SealBroken`.

    Pixels that cannot be decoded are not the same; those that were compressed with loss are as different as they are.
    """
    original = unseal(services, record)
    if not _alike(original.elements, stored.elements) or stored.pixel_keyword not in (None, original.pixel_keyword):
        return False
    description = description_of(stored)
    if original.description is None or description is None or layout is None:
        return (original.description, original.layout, description, layout) == (None, None, None, None)
    if description.number_of_frames != original.description.number_of_frames:
        return False
    try:
        for number in range(1, description.number_of_frames + 1):
            index, bit_offset = layout.segment_of(number)
            start, stop = layout.ranges[index]
            segment = memoryview(stored.body[start:stop])
            new = decode(segment, description, services.decoder, bit_offset=bit_offset)
            if not _same_samples(new, decoded_frame(services, original, number)):
                return False
    except (DecodeFailed, UnsupportedPixels):
        return False
    return True


def _same_samples(new: Frame, old: Frame) -> bool:
    if new.photometric_interpretation != old.photometric_interpretation:
        return False
    return np.array_equal(values(new.samples, new.description), values(old.samples, old.description))


def _alike(some: Elements, others: Elements) -> bool:
    mine, theirs = (dict(_compared(one.values())) for one in (some, others))
    if mine.keys() != theirs.keys():
        return False
    return all(_same(one, theirs[tag]) for tag, one in mine.items())


def _compared(elements: Iterable[Element]) -> Iterable[tuple[int, Element]]:
    return ((one.tag, one) for one in elements if one.tag & 0xFFFF and one.tag not in _OF_SYNTAX)


def _same(one: Element, other: Element) -> bool:
    """The same value, under whatever VR: without explicit ones a private element has none."""
    if (one.items is None) != (other.items is None):
        return False
    if one.items is not None and other.items is not None:
        pairs = zip(one.items, other.items, strict=False)
        return len(one.items) == len(other.items) and all(_alike(a, b) for a, b in pairs)
    mine, theirs = one.value.rstrip(b" \x00"), other.value.rstrip(b" \x00")
    # How colours are coded goes with the syntax; that they are the same colours, the samples tell.
    return mine == theirs or (one.tag == _PHOTOMETRIC and {mine, theirs} <= _COLOURS)
