"""What a picture is made by: the attributes that displays read (PS3.3 C.7.6.3, C.9.2, C.11), and no others."""

from __future__ import annotations

from server.metadata.elements import SPECIFIC_CHARACTER_SET, TEXT_VRS, Element, Elements

_IMAGE = 0x0028
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
# Imager Pixel Spacing, Nominal Scanned Pixel Spacing, Presentation LUT Shape.
_FURTHER = frozenset({SPECIFIC_CHARACTER_SET, 0x00181164, 0x00182010, 0x20500020})
# Pixel Measures, Frame VOI LUT, Pixel Value Transformation.
_MACROS = frozenset({0x00289110, 0x00289132, 0x00289145})


def shown_elements(elements: Elements) -> Elements:
    """Those elements of a data set, without the words beside the numbers; the items of functional groups all stay."""
    return {tag: _shown(one) for tag, one in elements.items() if _is_shown(tag, one)}


def _is_shown(tag: int, element: Element) -> bool:
    group = tag >> 16
    if tag in (_SHARED, _PER_FRAME):
        return True
    image = group == _IMAGE or tag in _FURTHER or (0x6000 <= group <= 0x601E and group % 2 == 0)
    return image and element.vr not in TEXT_VRS


def _shown(element: Element) -> Element:
    if element.items is None:
        return element
    groups = element.tag in (_SHARED, _PER_FRAME)
    return element._replace(items=tuple(_item(item, groups) for item in element.items))


def _item(item: Elements, groups: bool) -> Elements:
    kept = {tag: one for tag, one in item.items() if (tag in _MACROS if groups else one.vr not in TEXT_VRS)}
    return {tag: _shown(one) for tag, one in kept.items()}
