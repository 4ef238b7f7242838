"""What an object has to have to stay valid, although no rule of the level keeps it: said so that it says nothing."""

from __future__ import annotations

from collections.abc import Mapping

from server.metadata.colour_profile import ICC_PROFILE, SRGB
from server.metadata.elements import TEXT_VRS, Element, Elements, first_text, sequence_element, string_element
from server.metadata.marks import BURNED_IN_ANNOTATION
from server.metadata.required import NEEDS_PRESENCE, NEEDS_VALUE, OPTIONAL, need
from server.metadata.values import dummy
from server.model import ElementAction, ElementRules

# Type 2 in every IOD (PS3.3 C.7.1.1 and C.7.2.1): there, so that their absence is not told, where a level hides them.
REQUIRED = {0x00080090: "PN", 0x00100010: "PN", 0x00100020: "LO", 0x00100030: "DA", 0x00100040: "CS"}
# Type 2 of modules that nearly every object has (PS3.3 C.7.5.1), or with a Frame of Reference UID (C.7.4.1).
MANUFACTURER, FRAME_OF_REFERENCE_UID, POSITION_REFERENCE_INDICATOR = 0x00080070, 0x00200052, 0x00201040
# Module Contrast/Bolus (PS3.3 C.7.6.4): its Type 2 attribute, and those that tell of it; the enhanced module has none
# of these but in a sequence.
_AGENT, _CONTRAST = 0x00180010, frozenset(range(0x00181040, 0x0018104A))
_VALUE_TYPE, _CONCEPT_NAME = 0x0040A040, 0x0040A043
_KEY_OBJECTS = frozenset({"1.2.840.10008.5.1.4.1.1.88.59"})
# Of Rescale Type and Modality LUT Type, the term of PS3.3 section C.11.1.1.2 for what is not specified.
_UNSPECIFIED: Mapping[int, str] = {0x00281054: "US", 0x00283004: "US"}


def without_rule(rules: ElementRules, tag: int) -> bool:
    """Whether rules of a profile have nothing to say of an attribute but that what is not listed goes."""
    said = rules.by_tag.get(tag, ElementAction.CLEAN) is not ElementAction.CLEAN
    return rules.profile is not None and not said and tag not in rules.profile.choices


def demanded(element: Element, sop_class: str, parent: int) -> Element | None:
    """What stands for a text of which nothing may be said: a dummy (Type 1), empty (Type 2) or None. A colour profile,
    which holds texts of its maker, becomes a general one.

    For attributes that PS3.15 Table E.1-1 has no row for; `parent` as of `need`. Its value has no part in it.
    """
    tag, vr = element.tag, element.vr
    if (tag, vr) == (ICC_PROFILE, "OB"):
        wanted = need(sop_class, parent, tag) == NEEDS_VALUE
        return Element(tag, vr, SRGB) if wanted else None
    if vr not in TEXT_VRS or vr == "PN":
        return None
    needed = need(sop_class, parent, tag)
    if needed == NEEDS_VALUE:
        return string_element(tag, vr, _UNSPECIFIED[tag]) if tag in _UNSPECIFIED else dummy(tag, vr)
    return Element(tag, vr, b"") if needed == NEEDS_PRESENCE else None


def equipment(elements: Elements, out: Elements, sop_class: str) -> Elements:
    """Attributes without a row that the masked `out` of `elements` has to have, whether it had them or not."""
    framed = FRAME_OF_REFERENCE_UID in out or POSITION_REFERENCE_INDICATOR in elements
    framed = framed and need(sop_class, 0, POSITION_REFERENCE_INDICATOR) != OPTIONAL
    wanted = [MANUFACTURER, POSITION_REFERENCE_INDICATOR] if framed else [MANUFACTURER]
    if not _CONTRAST.isdisjoint(out):
        # By what is shown, so that it does not tell whether the object named one.
        wanted.append(_AGENT)
    empty = (Element(tag, "LO", b"") for tag in wanted)
    return {one.tag: demanded(one, sop_class, 0) or one for one in empty}


def burned_in(sop_class: str, *, left: bool) -> Element | None:
    """Burned In Annotation where the IOD demands it; `left`: nobody can say that no text is left, so some may be."""
    wanted = need(sop_class, 0, BURNED_IN_ANNOTATION) == NEEDS_VALUE
    return string_element(BURNED_IN_ANNOTATION, "CS", "YES" if left else "NO") if wanted else None


def title(elements: Elements, out: Elements) -> Element | None:
    """A title for a report (PS3.3 section C.17.3.2: Type 1C, with a root container) whose own may not be told.

    The most general ones of PS3.16's CID 7000 and, for a Key Object Selection, CID 7010.
    """
    if first_text(elements, _VALUE_TYPE) != "CONTAINER" or _CONCEPT_NAME not in elements or _CONCEPT_NAME in out:
        return None
    key_objects = first_text(elements, 0x00080016) in _KEY_OBJECTS
    code = ("113000", "DCM", "Of Interest") if key_objects else ("18748-4", "LN", "Diagnostic Imaging Report")
    item = {
        tag: string_element(tag, vr, value)
        for (tag, vr), value in zip(((0x00080100, "SH"), (0x00080102, "SH"), (0x00080104, "LO")), code, strict=True)
    }
    return sequence_element(_CONCEPT_NAME, [item])
