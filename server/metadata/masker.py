"""What happens to each element of a data set at one level: the walk through the tree, and the actions of PS3.15.

K keeps a value that its VR and PS3.6 allow; U replaces a UID, never a registered one; D gives a pseudonym where the
value identifies, else a constant; Z empties; X removes; C moves dates and keeps times, keeps codes out of known
vocabularies, texts that the cleaner proves clean and what is clean inside a sequence; where nothing clean is left, the
row's action in the Basic Profile applies, else the element goes. Where the row offers several, its Type decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from server.metadata import content
from server.metadata.charset import DEFAULT
from server.metadata.codes import CODE_VALUE, CODES, is_code, known_code
from server.metadata.dummies import REFERENCES, dummy_sequence
from server.metadata.elements import (
    PIXEL_KEYWORDS,
    SPECIFIC_CHARACTER_SET,
    STRING_VRS,
    TEXT_VRS,
    Element,
    Elements,
    character_sets,
    definition,
    in_order,
    sequence_element,
    string_element,
    texts,
)
from server.metadata.exceptions import ORIGINAL_EXCEPTIONS
from server.metadata.identifiers import KINDS, identifier_in, issuer_in, valid_uid, well_known
from server.metadata.marks import FRAME_TYPE, derived
from server.metadata.private import safe_private
from server.metadata.pseudonyms import Names
from server.metadata.required import chosen, need
from server.metadata.values import allowed_count, capped, count, dummy, fits, kept, shifted, whole
from server.model import ElementAction, IdentifierKind, MaskingLevel

_DATA_SET_TRAILING_PADDING = 0xFFFCFFFC
_PATIENT_NAME = 0x00100010
_PATIENT_ID = 0x00100020
# Smallest and largest pixel values and the histogram: numbers computed from samples that the level may hide.
_STATISTICS = frozenset({*range(0x00280104, 0x00280112), 0x00603000})
# Type 2 in every IOD (PS3.3 C.7.1.1 and C.7.2.1): there, so that their absence is not told, where a level hides them.
_REQUIRED = {0x00080090: "PN", _PATIENT_NAME: "PN", _PATIENT_ID: "LO", 0x00100030: "DA", 0x00100040: "CS"}
# Type 2 of modules that nearly every object has (PS3.3 C.7.5.1), or with a Frame of Reference UID (C.7.4.1).
_MANUFACTURER, _FRAME_OF_REFERENCE_UID, _POSITION_REFERENCE_INDICATOR = 0x00080070, 0x00200052, 0x00201040
_NOTHING: Mapping[int, ElementAction] = {}

TextCleaner = Callable[[str, str], str | None]
"""What may be said of one value of a text, given with its VR; None when nothing."""


@dataclass(frozen=True, kw_only=True)
class Masker:
    """One level, one object: its names, the value of its own patient identifier, its SOP class, its time zone.

    `zone` is the offset from UTC in minutes that the object's times are in, None where the object does not say.
    """

    level: MaskingLevel
    names: Names
    patient: str
    sop_class: str
    zone: int | None
    cleaner: TextCleaner

    @property
    def faithful(self) -> bool:
        """Whether what no rule names is kept: then values are repeated, not judged, and text keeps its encoding."""
        return self.level.elements.default is ElementAction.KEEP

    def masked(
        self,
        elements: Elements,
        inherited: tuple[str, ...],
        issuer: str,
        parent: int = 0,
        instead: Mapping[int, ElementAction] = _NOTHING,
    ) -> Mapping[int, Element]:
        """The elements of a data set (`parent` 0) or of an item of the sequence `parent`; `instead` wins over rules."""
        sets = character_sets(elements, inherited)
        place = _Place(sets, issuer_in(elements, sets, issuer), parent)
        out: dict[int, Element] = {}
        for tag, element in elements.items():
            action = instead[tag] if tag in instead else self._action(tag, parent)
            if action is ElementAction.REMOVE or not self._possible(element):
                continue
            if tag & 0x00010000 and not self.faithful:
                done = self._private(elements, element, sets)
            elif tag in CODES and action is ElementAction.CLEAN:
                done = known_code(elements, sets).get(tag)
            else:
                done = self._apply(element, action, place)
            if done is not None:
                out[tag] = done
        if FRAME_TYPE in out and self.level.alters_samples:
            out[FRAME_TYPE] = derived(out, FRAME_TYPE)
        return out

    def completed(self, out: Mapping[int, Element]) -> dict[int, Element]:
        """`out` with the attributes that every object must have, as far as the level empties or replaces them."""
        hiding = {ElementAction.ZERO, ElementAction.DUMMY}
        missing = (Element(tag, vr, b"") for tag, vr in _REQUIRED.items() if tag not in out)
        top = _Place(DEFAULT, "", 0)
        added = (self._apply(one, action, top) for one in missing if (action := self._action(one.tag, 0)) in hiding)
        return {**out, **{one.tag: one for one in added if one is not None}}

    def equipped(self, elements: Elements, out: Mapping[int, Element]) -> dict[int, Element]:
        """`out`, of the whole object `elements`, with Type 2 attributes that the profile has no row for, empty."""
        if self.level.elements.profile is None:
            return dict(out)
        framed = _FRAME_OF_REFERENCE_UID in out or _POSITION_REFERENCE_INDICATOR in elements
        wanted = {_MANUFACTURER} | ({_POSITION_REFERENCE_INDICATOR} if framed else set())
        return {**{tag: Element(tag, "LO", b"") for tag in wanted}, **out}

    def _action(self, tag: int, parent: int) -> ElementAction:
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
            return rules.private
        ruled = tag & 0xFF00FFFF if group >> 8 in (0x50, 0x60) and tag not in rules.by_tag else tag
        action = rules.by_tag.get(ruled, rules.default)
        choices = rules.profile.choices.get(ruled, ()) if rules.profile is not None else ()
        return self._chosen(tag, choices, parent) if len(choices) > 1 and action is choices[0] else action

    def _chosen(self, tag: int, choices: tuple[ElementAction, ...], parent: int) -> ElementAction:
        return chosen(choices, need(self.sop_class, parent, tag))

    def _possible(self, element: Element) -> bool:
        """Whether PS3.6 knows the element with this VR; private ones are judged by their own rule."""
        if self.faithful or element.tag & 0x00010000:
            return True
        known = definition(element.tag)
        return known is not None and element.vr in known.vrs

    def _private(self, elements: Elements, element: Element, sets: tuple[str, ...]) -> Element | None:
        profile = self.level.elements.profile
        return None if profile is None else safe_private(elements, element, sets, profile.safe_private)

    def _apply(self, element: Element, action: ElementAction, place: _Place) -> Element | None:
        tag, vr, _, items, _ = element
        if action is ElementAction.ZERO:
            return Element(tag, vr, b"", None if items is None else ())
        if action is ElementAction.CLEAN:
            cleaned = self._cleaned(element, items, place)
            return cleaned if cleaned is not None else self._otherwise(element, place)
        if vr == "UI" and self.names.replaces:
            # With pseudonyms a UID that is kept as a class or a syntax has to be a registered one; D means U here.
            return self._uids(element)
        if action is ElementAction.DUMMY and tag not in REFERENCES:
            return self._dummy(element, place) if items is None else dummy_sequence(tag)
        if items is not None:
            return self._sequence(tag, items, place)
        return element if self.faithful else self._kept(element, place.sets)

    def _cleaned(self, element: Element, items: tuple[Elements, ...] | None, place: _Place) -> Element | None:
        if items is not None:
            return self._sequence(element.tag, items, place)
        if element.vr in ("DA", "DT", "TM"):
            return self._shifted(element, place.sets)
        if element.vr not in TEXT_VRS or element.vr == "PN":
            return None
        said = (self.cleaner(value, element.vr) for value in texts(element, place.sets))
        values = [value for value in said if value and fits(element.vr, value)]
        return string_element(element.tag, element.vr, *values) if values else None

    def _otherwise(self, element: Element, place: _Place) -> Element | None:
        """What the Basic Profile does with an element of which an option would have kept what is clean."""
        profile = self.level.elements.profile
        tag = element.tag & 0xFF00FFFF if element.tag >> 24 in (0x50, 0x60) else element.tag
        choices = profile.choices.get(tag, ()) if profile is not None else ()
        action = self._chosen(tag, choices, place.parent) if choices else ElementAction.REMOVE
        return None if action in (ElementAction.REMOVE, ElementAction.KEEP) else self._apply(element, action, place)

    def _sequence(self, tag: int, items: tuple[Elements, ...], place: _Place) -> Element | None:
        if self.level.elements.profile is not None and tag in content.SEQUENCES:
            return sequence_element(tag, self._content(tag, items, place))
        # Items stay even when nothing is left in them: the frames of functional groups are counted by them.
        done = [(item, self.masked(item, place.sets, place.issuer, tag)) for item in items]
        left = [in_order(out.values()) for item, out in done if not self._lost_code(item, out)]
        return sequence_element(tag, left) if left or not items else None

    def _lost_code(self, item: Elements, out: Elements) -> bool:
        """Whether an item was a code that is in no known vocabulary: there is no part of it to keep."""
        return not self.faithful and is_code(item) and CODE_VALUE not in out and self._cleans_codes()

    def _cleans_codes(self) -> bool:
        return self.level.elements.by_tag.get(CODE_VALUE) is ElementAction.CLEAN

    def _content(self, tag: int, items: Iterable[Elements], place: _Place) -> Iterator[Elements]:
        profile = self.level.elements.profile
        options = profile.options if profile is not None else frozenset()
        for item in items:
            planned = content.plan(item, character_sets(item, place.sets), options)
            if planned is None:
                continue
            out = self.masked(item, place.sets, place.issuer, tag, {planned.value: planned.action})
            if not planned.named or {planned.value, content.CONCEPT_NAME} <= out.keys():
                yield in_order(out.values())

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
            allowed = known is None or not element.value or allowed_count(known, count(element))
            return element if allowed and whole(element) else None
        values = texts(element, sets)
        checked = [valid for value in values if (valid := kept(vr, value)) is not None]
        if len(checked) < len(values) or (vr == "UI" and not all(map(valid_uid, values))):
            return None
        if known is not None and not allowed_count(known, len(values)):
            return None
        if vr == "AS" and self.level.elements.profile is not None:
            checked = [capped(value) for value in checked]
        return string_element(tag, vr, *checked)

    def _shifted(self, element: Element, sets: tuple[str, ...]) -> Element | None:
        if not self.level.shift_dates:
            return None
        days, values = self.names.shift_days, texts(element, sets)
        moved = [day for value in values if (day := shifted(element.vr, value, days, self.zone)) is not None]
        return string_element(element.tag, element.vr, *moved) if len(moved) == len(values) else None

    def _dummy(self, element: Element, place: _Place) -> Element | None:
        tag, vr = element.tag, element.vr
        if not self.names.replaces or tag & 0x00010000:
            return dummy(tag, vr)
        if place.parent == 0 and tag in (_PATIENT_NAME, _PATIENT_ID):
            # An empty name or ID becomes a pseudonym too, so that emptiness is not told.
            return string_element(tag, vr, self.names.identifier(IdentifierKind.PATIENT, self.patient))
        if tag not in KINDS:
            return dummy(tag, vr)
        named = (identifier_in(element, value, place.issuer) for value in texts(element, place.sets))
        values = [self.names.identifier(one.kind, one.value) for one in named if one is not None]
        return string_element(tag, vr, *values) if values else dummy(tag, vr)


@dataclass(frozen=True)
class _Place:
    """Where an element stands: character sets and issuer of patient IDs in force, and the sequence it lies in."""

    sets: tuple[str, ...]
    issuer: str
    parent: int
