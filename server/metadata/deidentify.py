"""The attribute masker: the one place where a stored data set becomes one that may leave.

An allow-list in the terms of PS3.15 annex E: what no rule of the level keeps is removed, at any depth. Actions: K keeps
a value that its VR and PS3.6 allow; U replaces a UID, never a registered one; D gives a pseudonym where the value
identifies, else a constant; Z empties; X removes; C moves dates and keeps times, and removes everything else, since
there is no cleaner of text yet. A level whose default is K is the exception: it repeats values byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.errors import PolicyError
from server.metadata.charset import DEFAULT
from server.metadata.elements import (
    PIXEL_KEYWORDS,
    SPECIFIC_CHARACTER_SET,
    STRING_VRS,
    Element,
    Elements,
    character_sets,
    definition,
    in_order,
    sequence_element,
    string_element,
    texts,
)
from server.metadata.identifiers import (
    KINDS,
    identifier_in,
    issuer_in,
    patient_identifier,
    valid_uid,
    well_known,
)
from server.metadata.marks import BURNED_IN_ANNOTATION, FRAME_TYPE, IMAGE_TYPE, MARKS, derived, marks
from server.metadata.masked import MaskedDataset, masked_dataset
from server.metadata.pseudonyms import Names
from server.metadata.values import allowed_count, count, dummy, kept, shifted, whole
from server.model import ElementAction, IdentifierKind, MaskingLevel

ORIGINAL_EXCEPTIONS: Mapping[int, str] = {
    0x04000500: "EncryptedAttributesSequence: what it encrypts cannot be masked",
    0x4FFE0001: "MACParametersSequence: belongs to signatures that a new encoding breaks",
    0xFFFAFFFA: "DigitalSignaturesSequence: a new encoding breaks signatures",
    0x7FE00001: "ExtendedOffsetTable: written anew",
    0x7FE00002: "ExtendedOffsetTableLengths: written anew",
    0x7FE00003: "EncapsulatedPixelDataValueTotalLength: written anew",
}
"""What even the level that keeps everything does not send, besides the preamble, group 0002, group lengths and the
transfer syntax; the image pixel attributes follow the form of the samples that are sent."""

_DATA_SET_TRAILING_PADDING = 0xFFFCFFFC
_PATIENT_NAME = 0x00100010
_PATIENT_ID = 0x00100020
_ROWS = 0x00280010
# Smallest and largest pixel values and the histogram: numbers computed from samples that the level may hide.
_STATISTICS = frozenset({*range(0x00280104, 0x00280112), 0x00603000})


def deidentify(elements: Elements, level: MaskingLevel, names: Names, *, pixels_masked: bool) -> MaskedDataset:
    """`elements` (a stored object's, or attributes of a catalogue row) as they leave at `level`; a new tree.

    `pixels_masked`: every frame of this object leaves masked after its screening finished, or wholly masked.
    Raises `PolicyError` when level and names do not belong together, `SealBroken` for an identifier without row key.
    """
    if level.pseudonyms is not names.replaces or (level.shift_dates and not names.shift_days):
        raise PolicyError("the level and the pseudonyms do not belong together")
    masker = _Masker(level=level, names=names, patient=patient_identifier(elements).value)
    out = dict(masker.masked(elements, DEFAULT, "", top=True))
    if not masker.faithful:
        out[SPECIFIC_CHARACTER_SET] = string_element(SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192")
        # What the film says of an earlier masking is not true of this one.
        out = {tag: element for tag, element in out.items() if tag not in MARKS}
    if level.alters_samples:
        # Only this answer can say whether text is left in it; the film's own NO was said of other samples.
        out.pop(BURNED_IN_ANNOTATION, None)
        if _ROWS in elements and (IMAGE_TYPE in out or not masker.faithful):
            out[IMAGE_TYPE] = derived(out)
    if not masker.faithful:
        out |= {mark.tag: mark for mark in marks(level, pixels_masked=pixels_masked and level.alters_samples)}
    return masked_dataset(in_order(out.values()), level)


@dataclass(frozen=True, kw_only=True)
class _Masker:
    """One level, one object's names; `patient` is the value of the object's own patient identifier."""

    level: MaskingLevel
    names: Names
    patient: str

    @property
    def faithful(self) -> bool:
        """Whether what no rule names is kept: then values are repeated, not judged, and text keeps its encoding."""
        return self.level.elements.default is ElementAction.KEEP

    def masked(
        self, elements: Elements, inherited: tuple[str, ...], issuer: str, *, top: bool = False
    ) -> Mapping[int, Element]:
        sets = character_sets(elements, inherited)
        issuer = issuer_in(elements, sets, issuer)
        out: dict[int, Element] = {}
        for tag, element in elements.items():
            action = self._action(tag)
            if action is ElementAction.REMOVE or not self._possible(element):
                continue
            done = self._apply(element, action, sets, issuer, top=top)
            if done is not None:
                out[tag] = done
        if FRAME_TYPE in out and self.level.alters_samples:
            out[FRAME_TYPE] = derived(out, FRAME_TYPE)
        return out

    def _action(self, tag: int) -> ElementAction:
        rules = self.level.elements
        group, number = tag >> 16, tag & 0xFFFF
        if number == 0 or group in (0x0000, 0x0002, 0x0004) or tag in ORIGINAL_EXCEPTIONS:
            return ElementAction.REMOVE
        if tag == SPECIFIC_CHARACTER_SET:
            return ElementAction.KEEP if self.faithful else ElementAction.REMOVE
        if tag == _DATA_SET_TRAILING_PADDING and not self.faithful:
            return ElementAction.REMOVE
        if self.level.alters_samples and (tag in PIXEL_KEYWORDS or tag in _STATISTICS):
            return ElementAction.REMOVE
        if group % 2:
            return rules.private if rules.private is ElementAction.KEEP else ElementAction.REMOVE
        repeated = tag & 0xFF00FFFF if group >> 8 in (0x50, 0x60) else tag
        return rules.by_tag.get(tag, rules.by_tag.get(repeated, rules.default))

    def _possible(self, element: Element) -> bool:
        """Whether PS3.6 knows the element with this VR; private ones were judged by their own rule."""
        if self.faithful or element.tag & 0x00010000:
            return True
        known = definition(element.tag)
        return known is not None and element.vr in known.vrs

    def _apply(
        self, element: Element, action: ElementAction, sets: tuple[str, ...], issuer: str, *, top: bool
    ) -> Element | None:
        tag, vr, _, items, _ = element
        if action is ElementAction.ZERO:
            return Element(tag, vr, b"", None if items is None else ())
        if items is not None:
            return self._sequence(tag, items, sets, issuer) if action is ElementAction.KEEP else None
        if vr == "UI" and self._replaces_uids(action):
            return self._uids(element)
        match action:
            case ElementAction.KEEP | ElementAction.UID:
                return element if self.faithful else self._kept(element, sets)
            case ElementAction.CLEAN:
                return self._shifted(element, sets)
            case _:
                return self._dummy(element, sets, issuer, top=top)

    def _sequence(self, tag: int, items: tuple[Elements, ...], sets: tuple[str, ...], issuer: str) -> Element:
        # Items stay even when nothing is left in them: the frames of functional groups are counted by them.
        return sequence_element(tag, (in_order(self.masked(item, sets, issuer).values()) for item in items))

    def _replaces_uids(self, action: ElementAction) -> bool:
        """With pseudonyms a UID that is kept as a class or a syntax has to be a registered one; D means U here."""
        return self.names.replaces and action is not ElementAction.CLEAN

    def _uids(self, element: Element) -> Element | None:
        values = texts(element, DEFAULT)
        if not all(map(valid_uid, values)):
            return None
        replaced = (value if well_known(value) else self.names.uid(value) for value in values)
        return string_element(element.tag, "UI", *replaced)

    def _kept(self, element: Element, sets: tuple[str, ...]) -> Element | None:
        tag, vr = element.tag, element.vr
        known = None if tag & 0x00010000 else definition(tag)
        if vr not in STRING_VRS:
            fits = known is None or not element.value or allowed_count(known, count(element))
            return element if fits and whole(element) else None
        values = texts(element, sets)
        checked = [valid for value in values if (valid := kept(vr, value)) is not None]
        if len(checked) < len(values) or (vr == "UI" and not all(map(valid_uid, values))):
            return None
        if known is not None and not allowed_count(known, len(values)):
            return None
        return string_element(tag, vr, *checked)

    def _shifted(self, element: Element, sets: tuple[str, ...]) -> Element | None:
        if element.vr not in ("DA", "DT", "TM") or not self.level.shift_dates:
            return None
        values = texts(element, sets)
        moved = [day for value in values if (day := shifted(element.vr, value, self.names.shift_days)) is not None]
        return string_element(element.tag, element.vr, *moved) if len(moved) == len(values) else None

    def _dummy(self, element: Element, sets: tuple[str, ...], issuer: str, *, top: bool) -> Element | None:
        tag, vr = element.tag, element.vr
        if not self.names.replaces or tag & 0x00010000:
            return dummy(tag, vr)
        if top and tag in (_PATIENT_NAME, _PATIENT_ID):
            # An empty name or ID becomes a pseudonym too, so that emptiness is not told.
            return string_element(tag, vr, self.names.identifier(IdentifierKind.PATIENT, self.patient))
        if tag not in KINDS:
            return dummy(tag, vr)
        named = (identifier_in(element, value, issuer) for value in texts(element, sets))
        values = [self.names.identifier(one.kind, one.value) for one in named if one is not None]
        return string_element(tag, vr, *values) if values else dummy(tag, vr)
