"""Lookup tables of grey values: a curve stays, anything else in a table goes (PS3.3 C.11.1 and C.11.2)."""

from __future__ import annotations

import struct
from itertools import pairwise

from server.metadata.elements import Elements

LOOKUP_TABLES = frozenset({0x00283000, 0x00283010, 0x20500010})
"""Modality LUT, VOI LUT and Presentation LUT Sequence."""

_DESCRIPTOR, _DATA = 0x00283002, 0x00283006


def is_curve(item: Elements) -> bool:
    """Whether an item's table is exactly as long as its descriptor says, and rises or falls throughout.

    Grey values that mean something are in order; letters, a picture or whatever else a table may hide are not. So are
    bytes beyond the table's end.
    """
    if _DESCRIPTOR not in item or _DATA not in item:
        # Only a descriptor, or the identity: there is no table to hide anything in.
        return _DATA not in item
    descriptor, data = item[_DESCRIPTOR].value, item[_DATA].value
    if len(descriptor) != 6:
        return False
    count, _, bits = struct.unpack("<3H", descriptor)
    count = count or 65_536
    if not 8 <= bits <= 16 or len(data) not in {2 * count, count + count % 2}:
        return False
    wide = len(data) == 2 * count
    if not wide and bits != 8:
        return False
    entries = struct.unpack(f"<{count}H", data) if wide else tuple(data[:count])
    if max(entries) >= 1 << bits or (not wide and any(data[count:])):
        return False
    return all(one <= other for one, other in pairwise(entries)) or all(
        one >= other for one, other in pairwise(entries)
    )
