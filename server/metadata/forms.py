"""The attributes of many objects as one value: elements that they share are written once, and opened once.

A series repeats nearly everything from slice to slice. `pack` writes each distinct element once and for every object
the numbers of its own; after `unpack`, equal elements are one and the same object, so that what is worked out for one
of them holds for all.

All integers little endian: the number of distinct elements and of objects; per element its tag, VR, form and length;
the values; per object the number of its elements, then the elements' numbers. The value of a sequence is its items,
packed likewise.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

from server.errors import SealBroken
from server.metadata.elements import Element, Elements

_COUNTS = struct.Struct("<II")
_HEADER = struct.Struct("<I2sBQ")
_PLAIN, _ENCAPSULATED, _SEQUENCE = 0, 1, 2


def pack(objects: Sequence[Elements]) -> bytes:
    """One value for these data sets, whose every value is little endian."""
    numbers: dict[tuple[int, str, int, bytes], int] = {}
    lists = [[_number(element, numbers) for element in elements.values()] for elements in objects]
    headers = b"".join(_HEADER.pack(tag, vr.encode(), form, len(value)) for tag, vr, form, value in numbers)
    counted = [struct.pack(f"<{len(one) + 1}I", len(one), *one) for one in lists]
    values = (value for _, _, _, value in numbers)
    return b"".join([_COUNTS.pack(len(numbers), len(lists)), headers, *values, *counted])


def unpack(packed: bytes) -> list[Elements]:
    """What was packed. Raises `SealBroken` for whatever `pack` does not write."""
    try:
        return _unpacked(packed)
    except (IndexError, UnicodeDecodeError, struct.error) as error:
        raise SealBroken("packed attributes are broken") from error


def _unpacked(packed: bytes) -> list[Elements]:
    distinct, objects = _COUNTS.unpack_from(packed)
    at = _COUNTS.size + distinct * _HEADER.size
    headers = list(_HEADER.iter_unpack(packed[_COUNTS.size : at]))
    ends = pairwise(accumulate((length for *_, length in headers), initial=at))
    elements = [
        _element(tag, vr.decode("ascii"), form, packed[start:end])
        for (tag, vr, form, _), (start, end) in zip(headers, ends, strict=True)
    ]
    at += sum(length for *_, length in headers)
    words = struct.unpack(f"<{(len(packed) - at) // 4}I", packed[at:])
    found: list[Elements] = []
    place = 0
    for _ in range(objects):
        count = words[place]
        own = [elements[number] for number in words[place + 1 : place + 1 + count]]
        if len(own) != count:
            raise IndexError
        found.append({element.tag: element for element in own})
        place += 1 + count
    if place != len(words) or len(elements) != distinct:
        raise SealBroken("packed attributes are longer or shorter than they say")
    return found


def _number(element: Element, numbers: dict[tuple[int, str, int, bytes], int]) -> int:
    if element.items is not None:
        form, value = _SEQUENCE, pack(element.items)
    else:
        form, value = (_ENCAPSULATED if element.encapsulated else _PLAIN), element.value
    return numbers.setdefault((element.tag, element.vr, form, value), len(numbers))


def _element(tag: int, vr: str, form: int, value: bytes) -> Element:
    if form == _SEQUENCE:
        return Element(tag, vr, b"", tuple(unpack(value)))
    if form not in (_PLAIN, _ENCAPSULATED):
        raise SealBroken("packed attributes are of no known form")
    return Element(tag, vr, value, None, form == _ENCAPSULATED)
