"""What a masked data set says of its own masking: only what was really done for this answer (PS3.15 section E.1.1)."""

from __future__ import annotations

from collections.abc import Iterator

from server.metadata.elements import Element, Elements, definition, sequence_element, string_element, texts
from server.metadata.values import kept
from server.model import ElementAction, MaskingLevel, RegionKind, RegionStyle

IMAGE_TYPE = 0x00080008
FRAME_TYPE = 0x00089007
BURNED_IN_ANNOTATION = 0x00280301
MARKS = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
_IDENTITY = (0x00100010, 0x00100020, 0x00100030)
_SHOWN = frozenset({ElementAction.KEEP, ElementAction.CLEAN})


def removes_identity(level: MaskingLevel) -> bool:
    """Whether the level sends neither name nor ID nor birth date, replaces UIDs and keeps nothing unlisted."""
    rules = level.elements
    actions = {rules.by_tag.get(tag, rules.default) for tag in _IDENTITY} | {rules.default, rules.private}
    return level.pseudonyms and not actions & _SHOWN


def marks(level: MaskingLevel, *, pixels_masked: bool) -> Iterator[Element]:
    """The marks of one answer. `pixels_masked`: every frame goes out with all found text hidden, after screening."""
    pixels_masked = pixels_masked and RegionStyle.KEEP not in (level.regions[RegionKind.TEXT], level.unscreened)
    if pixels_masked:
        yield string_element(BURNED_IN_ANNOTATION, "CS", "NO")
    if not removes_identity(level):
        return
    yield string_element(0x00120062, "CS", "YES")
    yield string_element(0x00120063, "LO", f"Safelight {level.name}"[:64])
    codes = [("113100", "Basic Application Confidentiality Profile")]
    if pixels_masked:
        codes.append(("113101", "Clean Pixel Data Option"))
    if level.shift_dates:
        codes.append(("113107", "Retain Longitudinal Temporal Information Modified Dates Option"))
    yield sequence_element(0x00120064, map(_code, codes))
    yield string_element(0x00280303, "CS", _longitudinal(level))


def derived(elements: Elements, tag: int = IMAGE_TYPE) -> Element:
    """Image Type or Frame Type with value 1 DERIVED (PS3.3 C.7.6.1.1.2), the others as they were where valid."""
    element = elements.get(tag)
    values = [] if element is None or element.vr != "CS" else texts(element, ("",))
    rest = values[1:] or ["SECONDARY"]
    return string_element(tag, "CS", "DERIVED", *(kept("CS", value) or "" for value in rest))


def _longitudinal(level: MaskingLevel) -> str:
    if level.shift_dates:
        return "MODIFIED"
    shown = (tag for tag, action in level.elements.by_tag.items() if action in _SHOWN)
    dated = any(known is not None and {"DA", "DT"} & set(known.vrs) for known in map(definition, shown))
    return "UNMODIFIED" if dated else "REMOVED"


def _code(code: tuple[str, str]) -> Elements:
    value, meaning = code
    return {
        0x00080100: string_element(0x00080100, "SH", value),
        0x00080102: string_element(0x00080102, "SH", "DCM"),
        0x00080104: string_element(0x00080104, "LO", meaning),
    }
