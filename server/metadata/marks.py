"""What a masked data set says of its own masking: only what was really done for this answer (PS3.15 section E.1.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from server.metadata.elements import Element, Elements, definition, sequence_element, string_element, texts
from server.metadata.values import kept
from server.model import ElementAction, MaskingLevel, ProfileOption, RegionKind, RegionStyle

IMAGE_TYPE = 0x00080008
FRAME_TYPE = 0x00089007
BURNED_IN_ANNOTATION = 0x00280301
RECOGNIZABLE_VISUAL_FEATURES = 0x00280302
MARKS = frozenset({0x00120062, 0x00120063, 0x00120064, RECOGNIZABLE_VISUAL_FEATURES, 0x00280303})
BASIC = ("113100", "Basic Application Confidentiality Profile")
OPTIONS: Mapping[ProfileOption, tuple[str, str]] = {
    ProfileOption.CLEAN_PIXEL_DATA: ("113101", "Clean Pixel Data Option"),
    ProfileOption.CLEAN_RECOGNIZABLE_VISUAL_FEATURES: ("113102", "Clean Recognizable Visual Features Option"),
    ProfileOption.CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    ProfileOption.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    ProfileOption.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    ProfileOption.RETAIN_LONG_FULL_DATES: (
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
    ),
    ProfileOption.RETAIN_LONG_MODIFIED_DATES: (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    ProfileOption.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    ProfileOption.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
    ProfileOption.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    ProfileOption.RETAIN_SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
    ProfileOption.RETAIN_INSTITUTION_IDENTITY: ("113112", "Retain Institution Identity Option"),
}
"""Code value and meaning of each option in PS3.16 CID 7050, in the order of the codes."""

_IDENTITY = (0x00100010, 0x00100020, 0x00100030)
_SHOWN = frozenset({ElementAction.KEEP, ElementAction.CLEAN})


def removes_identity(level: MaskingLevel) -> bool:
    """Whether the level applies the Basic Profile and indeed sends neither name nor ID nor birth date."""
    rules = level.elements
    if rules.profile is None or rules.default is not ElementAction.REMOVE or rules.private is ElementAction.KEEP:
        return False
    shown = {rules.by_tag.get(tag, rules.default) for tag in _IDENTITY} & _SHOWN
    uids_go = level.pseudonyms or ProfileOption.RETAIN_UIDS in rules.profile.options
    return uids_go and not shown


def marks(level: MaskingLevel, *, text_hidden: bool, faces_hidden: bool) -> Iterator[Element]:
    """The marks of one answer.

    `text_hidden`: every frame goes out with all found text hidden, after screening; `faces_hidden`: likewise with all
    that would show who it is, after somebody or something looked for it.
    """
    text_hidden = text_hidden and _hides(level, RegionKind.TEXT)
    faces_hidden = faces_hidden and _hides(level, RegionKind.FACE, RegionKind.HEAD_SURFACE)
    if text_hidden:
        yield string_element(BURNED_IN_ANNOTATION, "CS", "NO")
    if faces_hidden:
        yield string_element(RECOGNIZABLE_VISUAL_FEATURES, "CS", "NO")
    profile = level.elements.profile
    if profile is None or not removes_identity(level):
        return
    undone = {ProfileOption.CLEAN_PIXEL_DATA: not text_hidden}
    undone[ProfileOption.CLEAN_RECOGNIZABLE_VISUAL_FEATURES] = not faces_hidden
    done = [code for option, code in OPTIONS.items() if option in profile.options and not undone.get(option)]
    yield string_element(0x00120062, "CS", "YES")
    yield string_element(0x00120063, "LO", f"Safelight {level.name}"[:64])
    yield sequence_element(0x00120064, map(_code, [BASIC, *done]))
    yield string_element(0x00280303, "CS", _longitudinal(level))


def derived(elements: Elements, tag: int = IMAGE_TYPE) -> Element:
    """Image Type or Frame Type with value 1 DERIVED (PS3.3 C.7.6.1.1.2), the others as they were where valid."""
    element = elements.get(tag)
    values = [] if element is None or element.vr != "CS" else texts(element, ("",))
    rest = values[1:] or ["SECONDARY"]
    return string_element(tag, "CS", "DERIVED", *(kept("CS", value) or "" for value in rest))


def _hides(level: MaskingLevel, *kinds: RegionKind) -> bool:
    return RegionStyle.KEEP not in (level.unscreened, *(level.regions[kind] for kind in kinds))


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
