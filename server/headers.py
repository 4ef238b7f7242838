"""What headers say of pictures, each wording read once: the films of a device say the same over and over.

What is kept is a function of the very bytes of a few elements that form pictures, and of nothing else: no name, date,
UID or sample is among them, and the elements that are not asked about are not handed on either.
"""

from __future__ import annotations

from functools import lru_cache

from server.metadata.elements import SPECIFIC_CHARACTER_SET, Element, Elements
from server.metadata.masked import MaskedDataset
from server.metadata.view import to_pydicom
from server.pixels.description import PixelDescription, PixelKeyword, describe
from server.pixels.display import DisplayAttributes, display_attributes

# The image pixel module without its tables, and what says that a film was compressed (PS3.3 C.7.6.3, C.7.6.1.1.5).
_DESCRIBING = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        *(0x00280000 | element for element in (0x2, 0x4, 0x6, 0x8, 0x10, 0x11, 0x100, 0x101, 0x102, 0x103, 0x120)),
        *(0x00280000 | element for element in (0x121, 0x2110)),
    }
)
_LONGEST = 256


def description_of(elements: Elements, transfer_syntax_uid: str, keyword: PixelKeyword) -> PixelDescription | None:
    """`describe` of these elements. Raises as it does."""
    form = tuple(one for tag, one in elements.items() if tag in _DESCRIBING)
    return (_described if _short(form) else _described.__wrapped__)(form, transfer_syntax_uid, keyword)


def display_of(masked: MaskedDataset, frame_number: int) -> DisplayAttributes:
    """`display_attributes` of a masked data set. Raises as it does."""
    form = tuple(masked.elements.values())
    # Functional groups are sequences: without any, all frames are shown alike.
    return _displayed(form) if _short(form) else display_attributes(masked.dataset, frame_number=frame_number)


def _short(form: tuple[Element, ...]) -> bool:
    return all(one.items is None and len(one.value) <= _LONGEST for one in form)


@lru_cache(maxsize=256)
def _described(form: tuple[Element, ...], transfer_syntax_uid: str, keyword: PixelKeyword) -> PixelDescription | None:
    return describe(to_pydicom({one.tag: one for one in form}), transfer_syntax_uid, keyword=keyword)


@lru_cache(maxsize=256)
def _displayed(form: tuple[Element, ...]) -> DisplayAttributes:
    return display_attributes(to_pydicom({one.tag: one for one in form}))
