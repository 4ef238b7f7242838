"""Reading items of presentation states out of masked data sets: absent is empty, and nonsense is refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import Dataset
from pydicom.errors import BytesLengthException

from server.errors import UnsupportedPixels

UNREADABLE = (ArithmeticError, BytesLengthException, NotImplementedError, TypeError, ValueError, struct.error)


def first(item: Dataset, keyword: str) -> Any:
    return next(iter(values(item, keyword)), None)


def values(item: Dataset, keyword: str) -> list[Any]:
    try:
        value = item.get(keyword)
    except UNREADABLE:
        return []
    if value is None or value == "":
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]


def items(item: Dataset, keyword: str) -> list[Dataset]:
    return [one for one in values(item, keyword) if isinstance(one, Dataset)]


def about(item: Dataset, uid: str, number: int) -> bool:
    """Whether an item applies to a frame: to all images if it names none (PS3.3 sections C.10.4, C.10.5, C.11.8)."""
    named = items(item, "ReferencedImageSequence")
    return not named or any(
        str(first(one, "ReferencedSOPInstanceUID")) == uid
        and (not (frames := values(one, "ReferencedFrameNumber")) or number in [int(frame) for frame in frames])
        for one in named
    )


@contextmanager
def making_sense() -> Iterator[None]:
    """`UnsupportedPixels` for values that cannot be what they stand for."""
    try:
        yield
    except (AttributeError, *UNREADABLE):
        raise UnsupportedPixels("the presentation state makes no sense") from None
