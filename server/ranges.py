"""One part of a representation (RFC 9110 section 14): which bytes a Range field asks for. Pure.

The lengths and offsets are those of the masked representation; there is no other one that could be reached.
"""

from __future__ import annotations

import re

from server.errors import RangeNotSatisfiable

# Several ranges at once, other units and malformed fields are passed over (section 14.2): the whole is sent.
_ONE = re.compile(r"bytes=[ \t]*(?P<first>[0-9]{0,40})-(?P<last>[0-9]{0,40})[ \t]*", re.ASCII | re.IGNORECASE)


def selected(asked: str, length: int) -> range | None:
    """The positions that the Range field `asked` selects of `length` bytes, at least one; None: send the whole.

    Raises `RangeNotSatisfiable` for a range that is well formed and holds no byte (section 14.1.2).
    """
    found = _ONE.fullmatch(asked.strip(" \t"))
    if found is None or not (found["first"] or found["last"]):
        return None
    if not found["first"]:
        wanted = min(int(found["last"]), length)
        if not wanted:
            raise RangeNotSatisfiable(length)
        return range(length - wanted, length)
    first = int(found["first"])
    last = int(found["last"]) if found["last"] else max(first, length - 1)
    if last < first:
        return None
    if first >= length:
        raise RangeNotSatisfiable(length)
    return range(first, min(last + 1, length))


def content_range(part: range, length: int) -> str:
    """The Content-Range field of a 206 (section 14.4)."""
    return f"bytes {part.start}-{part.stop - 1}/{length}"
