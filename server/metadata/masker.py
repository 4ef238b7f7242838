"""What happens to each element of a data set at one level: the walk through the tree, and the actions of PS3.15.

K keeps a value that its VR and PS3.6 allow; U replaces a UID, never a registered one; D gives a pseudonym where the
value identifies, else a constant; Z empties; X removes; C moves dates and keeps times, keeps codes out of known
vocabularies, texts that the cleaner proves clean and what is clean inside a sequence; where nothing clean is left, the
row's action in the Basic Profile applies, else the element goes. Where the row offers several, its Type decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from server.metadata import content, graphics
from server.metadata.charset import DEFAULT
from server.metadata.code_strings import said_by_nobody
from server.metadata.codes import CODE_VALUE, CODES, is_code, known_code
from server.metadata.demanded import REQUIRED, demanded, equipment, without_rule
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
from server.metadata.place import Place
from server.metadata.private import safe_private
from server.metadata.pseudonyms import Names
from server.metadata.required import NEEDS_VALUE, chosen, need
from server.metadata.statistics import COMPRESSION_RATIO, STATISTICS, as_masked
from server.metadata.tables import LOOKUP_TABLES, is_curve
from server.metadata.values import allowed_count, count, dummy, fits, kept, whole
from server.model import ElementAction, IdentifierKind, MaskingLevel

_DATA_SET_TRAILING_PADDING = 0xFFFCFFFC
_PATIENT_NAME = 0x00100010
_PATIENT_ID = 0x00100020
# Smallest and largest pixel values and the histogram: numbers computed from samples that the level may hide.
_NOTHING: Mapping[int, ElementAction] = {}

TextCleaner = Callable[[str, str], str | None]
"""What may be said of one value of a text, given with its VR; None when nothing."""

Memory = dict[tuple[tuple[str, ...], str], dict[int, tuple[Element, Element | None]]]
"""By character sets and issuer in force, what became of an element; it goes by the object, which it therefore holds."""


@dataclass(frozen=True, kw_only=True)
class Masker:
    """One level, one object: its names, the value of its own patient identifier, its SOP class, its time zone.

    `zone` is the offset from UTC in minutes that the object's times are in, None where the object does not say.
    `memory` holds what was done with elements of objects that are alike in all this.
    """

    level: MaskingLevel
    names: Names
    patient: str
    sop_class: str
    zone: int | None
    cleaner: TextCleaner
    memory: Memory | None = None

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
        place = Place(sets, issuer_in(elements, sets, issuer), parent)
        known = self.memory.setdefault((sets, place.issuer), {}) if self.memory is not None and parent == 0 else None
        out: dict[int, Element] = {}
        for tag, element in elements.items():
            if known is not None and (before := known.get(id(element))) is not None:
                if before[1] is not None:
                    out[tag] = before[1]
                continue
            action = instead[tag] if tag in instead else self._action(tag, parent)
            done = self._done(elements, element, action, place)
            done = self._demanded(element, parent) if done is None else done
            if done is not None:
                out[tag] = done
            # Private elements and codes are judged by others beside them.
            if known is not None and tag not in CODES and not tag & 0x00010000:
                known[id(element)] = element, done
        if parent == 0 and graphics.ANNOTATIONS in out and graphics.cleans(self.level):
            out[graphics.LAYERS] = graphics.LAYER
        if FRAME_TYPE in out and self.level.alters_samples:
            out[FRAME_TYPE] = derived(out, FRAME_TYPE)
        if self.level.elements.profile is not None and (told := out.get(content.CONTENT)) is not None and told.empty:
            # Type 1C, for content items (PS3.3 section C.17.3); the other sequences of such items are Type 2.
            del out[content.CONTENT]
        return out

    def _done(self, elements: Elements, element: Element, action: ElementAction, place: Place) -> Element | None:
        """What becomes of one element of `elements` by its action."""
        if action is ElementAction.REMOVE or not self._possible(element):
            return None
        if element.tag & 0x00010000 and not self.faithful:
            return self._private(elements, element, place.sets)
        if element.tag in CODES and action is ElementAction.CLEAN:
            return known_code(elements, place.sets).get(element.tag)
        return self._apply(element, action, place)

    def completed(self, out: Mapping[int, Element]) -> dict[int, Element]:
        """`out` with the attributes that every object must have, as far as the level empties or replaces them."""
        hiding = {ElementAction.ZERO, ElementAction.DUMMY}
        missing = (Element(tag, vr, b"") for tag, vr in REQUIRED.items() if tag not in out)
        top = Place(DEFAULT, "", 0)
        added = (self._apply(one, action, top) for one in missing if (action := self._action(one.tag, 0)) in hiding)
        return {**out, **{one.tag: one for one in added if one is not None}}

    def equipped(self, elements: Elements, out: Mapping[int, Element]) -> dict[int, Element]:
        """`out`, of the whole object `elements`, with Type 2 attributes that the profile has no row for, empty."""
        if self.level.elements.profile is None:
            return dict(out)
        return {**equipment(elements, out, self.sop_class), **out}

    def _action(self, tag: int, parent: int) -> ElementAction:
        rules = self.level.elements
        group, number = tag >> 16, tag & 0xFFFF
        if number == 0 or group in (0x0000, 0x0002, 0x0004) or tag in ORIGINAL_EXCEPTIONS:
            return ElementAction.REMOVE
        if tag == SPECIFIC_CHARACTER_SET:
            return ElementAction.KEEP if self.faithful else ElementAction.REMOVE
        if tag == _DATA_SET_TRAILING_PADDING and not self.faithful:
            return ElementAction.REMOVE
        if self.level.alters_samples and (tag in PIXEL_KEYWORDS or self._computed(tag, parent)):
            return ElementAction.REMOVE
        if group % 2:
            return rules.private
        ruled = tag & 0xFF00FFFF if group >> 8 in (0x50, 0x60) and tag not in rules.by_tag else tag
        action = rules.by_tag.get(ruled, rules.default)
        choices = rules.profile.choices.get(ruled, ()) if rules.profile is not None else ()
        hanging = len(choices) > 1 and action is choices[0]
        return chosen(choices, need(self.sop_class, parent, tag)) if hanging else action

    def _computed(self, tag: int, parent: int) -> bool:
        """Whether it was computed of all samples; the compression ratio stays as a magnitude where it is demanded."""
        if tag == COMPRESSION_RATIO:
            return need(self.sop_class, parent, tag) != NEEDS_VALUE
        return tag in STATISTICS

    def _demanded(self, element: Element, parent: int) -> Element | None:
        """What the IOD demands in place of an element that went without a rule that removes it."""
        free = self._possible(element) and without_rule(self.level.elements, element.tag)
        return demanded(element, self.sop_class, parent) if free else None

    def _possible(self, element: Element) -> bool:
        """Whether PS3.6 knows the element with this VR; private ones are judged by their own rule."""
        if self.faithful or element.tag & 0x00010000:
            return True
        known = definition(element.tag)
        return known is not None and element.vr in known.vrs

    def _private(self, elements: Elements, element: Element, sets: tuple[str, ...]) -> Element | None:
        profile = self.level.elements.profile
        return None if profile is None else safe_private(elements, element, sets, profile.safe_private)

    def _apply(self, element: Element, action: ElementAction, place: Place) -> Element | None:
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

    def _cleaned(self, element: Element, items: tuple[Elements, ...] | None, place: Place) -> Element | None:
        if items is not None:
            return self._sequence(element.tag, items, place)
        if element.vr in ("DA", "DT", "TM"):
            return self._shifted(element, place.sets)
        if element.vr not in TEXT_VRS or element.vr == "PN":
            return None
        said = (self.cleaner(value, element.vr) for value in texts(element, place.sets))
        values = [value for value in said if value and fits(element.vr, value)]
        return string_element(element.tag, element.vr, *values) if values else None

    def _otherwise(self, element: Element, place: Place) -> Element | None:
        """What the Basic Profile does with an element of which an option would have kept what is clean."""
        profile = self.level.elements.profile
        tag = element.tag & 0xFF00FFFF if element.tag >> 24 in (0x50, 0x60) else element.tag
        choices = profile.choices.get(tag, ()) if profile is not None else ()
        action = chosen(choices, need(self.sop_class, place.parent, tag)) if choices else ElementAction.REMOVE
        return None if action in (ElementAction.REMOVE, ElementAction.KEEP) else self._apply(element, action, place)

    def _sequence(self, tag: int, items: tuple[Elements, ...], place: Place) -> Element | None:
        if self.level.elements.profile is not None and tag in content.SEQUENCES:
            return sequence_element(tag, self._content(tag, items, place))
        if self.level.alters_samples and tag in LOOKUP_TABLES:
            items = tuple(item for item in items if is_curve(item))
            if not items:
                return None
        if tag == graphics.ANNOTATIONS and graphics.cleans(self.level):
            ruled = partial(self.masked, issuer=place.issuer)
            return graphics.cleaned(items, place.sets, ruled) or dummy_sequence(tag)
        # Items stay even when nothing is left in them: the frames of functional groups are counted by them.
        done = [(item, self.masked(item, place.sets, place.issuer, tag)) for item in items]
        left = [in_order(out.values()) for item, out in done if not self._lost(tag, item, out)]
        return sequence_element(tag, left) if left or not items else None

    def _lost(self, tag: int, item: Elements, out: Elements) -> bool:
        """Whether nothing of an item is left: a code in no known vocabulary, a step of which nothing is said."""
        empty = content.STEP not in out or out[content.STEP].empty
        cleaned = self.level.elements.by_tag.get(CODE_VALUE) is ElementAction.CLEAN
        lost = (is_code(item) and CODE_VALUE not in out and cleaned) or (
            tag == content.STEPS and content.STEP in item and empty
        )
        return lost and not self.faithful

    def _content(self, tag: int, items: Iterable[Elements], place: Place) -> Iterator[Elements]:
        profile = self.level.elements.profile
        options = profile.options if profile is not None else frozenset()
        for item in items:
            planned = content.plan(item, character_sets(item, place.sets), options)
            if planned is None:
                continue
            out = self.masked(item, place.sets, place.issuer, tag, planned.instead)
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
        if self.level.alters_samples:
            checked = [as_masked(tag, value) for value in checked]
        if self.level.elements.profile is not None:
            checked = said_by_nobody(tag, vr, checked, self.cleaner)
        return string_element(tag, vr, *checked) if any(checked) or not values else None

    def _shifted(self, element: Element, sets: tuple[str, ...]) -> Element | None:
        if not self.level.shift_dates:
            return None
        values = texts(element, sets)
        moved = [day for value in values if (day := self.names.moved(element.vr, value, self.zone)) is not None]
        return string_element(element.tag, element.vr, *moved) if len(moved) == len(values) else None

    def _dummy(self, element: Element, place: Place) -> Element | None:
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
