"""PS3.15's D for sequences: items that are valid and say nothing."""

from __future__ import annotations

from collections.abc import Mapping

from server.metadata.elements import Element, Elements, in_order, sequence_element, string_element


def _item(*elements: Element) -> Elements:
    return in_order(elements)


def _code(value: str, scheme: str, meaning: str) -> Elements:
    return _item(
        string_element(0x00080100, "SH", value),
        string_element(0x00080102, "SH", scheme),
        string_element(0x00080104, "LO", meaning),
    )


_REMOVED = _code("REMOVED", "99SAFELIGHT", "Removed")
_ITEMS: Mapping[int, Elements] = {
    0x00080082: _REMOVED,  # InstitutionCodeSequence
    0x00401101: _REMOVED,  # PersonIdentificationCodeSequence
    0x00081072: _item(  # OperatorIdentificationSequence
        string_element(0x00080080, "LO", "REMOVED"), sequence_element(0x00401101, [_REMOVED])
    ),
    0x0040A073: _item(  # VerifyingObserverSequence
        string_element(0x0040A027, "LO", "REMOVED"),
        string_element(0x0040A030, "DT", "19000101000000"),
        string_element(0x0040A075, "PN", "REMOVED"),
        sequence_element(0x0040A088, []),
    ),
    0x0040A730: _item(  # ContentSequence: one comment
        string_element(0x0040A010, "CS", "CONTAINS"),
        string_element(0x0040A040, "CS", "TEXT"),
        sequence_element(0x0040A043, [_code("121106", "DCM", "Comment")]),
        string_element(0x0040A160, "UT", "REMOVED"),
    ),
    0x0040B020: _item(  # WaveformAnnotationSequence
        string_element(0x00700006, "ST", "REMOVED"), Element(0x0040A0B0, "US", b"\x01\x00\x00\x00")
    ),
    0x00700001: _item(string_element(0x00700002, "CS", "REMOVED")),  # GraphicAnnotationSequence
    0x00340001: _item(),  # FlowIdentifierSequence
}
REFERENCES = frozenset({0x00081111})
"""ReferencedPerformedProcedureStepSequence: with its UIDs replaced it is a dummy already."""


def dummy_sequence(tag: int) -> Element | None:
    """A sequence with one item that says nothing; None for one that PS3.15 never gives a dummy."""
    item = _ITEMS.get(tag)
    return None if item is None else sequence_element(tag, [item])
