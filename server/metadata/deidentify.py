"""The attribute masker: the one place where a stored data set becomes one that may leave.

An allow-list in the terms of PS3.15 annex E: what no rule of the level keeps is removed, at any depth. What the actions
do is told in `masker`; a level whose default is K is the exception: it repeats values byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

from server.errors import PolicyError
from server.metadata.charset import DEFAULT
from server.metadata.cleaning import CleaningContext, Identifying, context_from, identifying, part_of
from server.metadata.demanded import burned_in, title
from server.metadata.descriptors import clean
from server.metadata.elements import SPECIFIC_CHARACTER_SET, Element, Elements, first_text, in_order, string_element
from server.metadata.exceptions import ORIGINAL_EXCEPTIONS
from server.metadata.identifiers import patient_identifier
from server.metadata.marks import BURNED_IN_ANNOTATION, IMAGE_TYPE, MARKS, derived, marks
from server.metadata.masked import MaskedDataset, masked_dataset
from server.metadata.masker import Masker, Memory, TextCleaner
from server.metadata.pseudonyms import Names
from server.metadata.shown import shown_elements
from server.metadata.values import offset
from server.model import MaskingLevel, ProfileOption, RegionStyle

__all__ = ["ORIGINAL_EXCEPTIONS", "Shared", "deidentify", "displayed"]

_ROWS = 0x00280010
_SOP_CLASS_UID = 0x00080016
_TIMEZONE_OFFSET = 0x00080201
_UTF8 = string_element(SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192")


def _remembering() -> Callable[[Identifying], CleaningContext]:
    """Contexts from memory, and where an object names somebody else, what each of its names adds."""
    part = lru_cache(maxsize=512)(part_of)
    return lru_cache(maxsize=4)(lambda found: context_from(found, part))


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What the objects of one answer have in common, worked out once. It ends with the answer that it was made for.

    `context` goes by all that identifies in an object, so none is ever cleaned with the names of another. `elements`
    is given where objects share elements (as after `forms.unpack`) and are masked at one level with the same names:
    what becomes of one is worked out once for all objects that are alike in whatever else the masker looks at.
    """

    context: Callable[[Identifying], CleaningContext] = field(default_factory=_remembering)
    elements: dict[object, Memory] | None = None
    _identifying: dict[int, tuple[Element, Identifying]] = field(default_factory=dict)
    _marks: dict[tuple[str, bool, bool], tuple[Element, ...]] = field(default_factory=dict)

    def identifying(self, elements: Elements) -> Identifying:
        """`cleaning.identifying`, in objects that share elements."""
        return identifying(elements, self._identifying)

    def marks(self, level: MaskingLevel, *, text_hidden: bool, faces_hidden: bool) -> tuple[Element, ...]:
        """`marks.marks`, the same objects for all objects that are marked alike."""
        key = level.fingerprint, text_hidden, faces_hidden
        if key not in self._marks:
            self._marks[key] = tuple(marks(level, text_hidden=text_hidden, faces_hidden=faces_hidden))
        return self._marks[key]


def deidentify(
    elements: Elements,
    level: MaskingLevel,
    names: Names,
    *,
    pixels_masked: bool,
    faces_masked: bool = False,
    partial: bool = False,
    identifies: Identifying | None = None,
    shared: Shared | None = None,
) -> MaskedDataset:
    """`elements` (a stored object's, or attributes of a catalogue row) as they leave at `level`; a new tree.

    `pixels_masked`: every frame of this object leaves masked after its screening finished, or wholly masked;
    `faces_masked`: the same of recognizable visual features, for which the screening really looked; `partial`: these
    are not all attributes of an object: then `identifies` is what identifies in all of it, and without that nobody can
    tell which words of a text are names in it, and texts go. `shared` is one for all objects of an answer.
    Raises `PolicyError` when level and names do not belong together, `SealBroken` for an identifier without row key.
    """
    shared = shared or Shared()
    masker = _masker(elements, level, names, shared)
    if shared.elements is not None and not partial:
        found = shared.identifying(elements)
        memory = shared.elements.setdefault((masker.patient, masker.sop_class, masker.zone, found), {})
        masker = replace(masker, memory=memory, cleaner=_cleaner(level, lambda: found, shared))
    elif partial:
        masker = replace(masker, cleaner=_cleaner(level, lambda: identifies, shared))
    out = dict(masker.masked(elements, DEFAULT, ""))
    if not masker.faithful:
        out[SPECIFIC_CHARACTER_SET] = _UTF8
        # What the film says of an earlier masking is not true of this one.
        out = {tag: element for tag, element in out.items() if tag not in MARKS}
        out = masker.completed(out)
        out = out if partial else masker.equipped(elements, out)
        if not partial and level.elements.profile is not None and (named := title(elements, out)) is not None:
            out[named.tag] = named
    image = _ROWS in elements
    if level.alters_samples:
        # Only this answer can say whether text is left in it; the film's own NO was said of other samples.
        out.pop(BURNED_IN_ANNOTATION, None)
        if image and (IMAGE_TYPE in out or not masker.faithful):
            out[IMAGE_TYPE] = derived(out)
    if not masker.faithful:
        hidden = image and level.alters_samples
        said = shared.marks(level, text_hidden=pixels_masked and hidden, faces_hidden=faces_masked and hidden)
        out |= {mark.tag: mark for mark in said}
        if hidden and not partial and BURNED_IN_ANNOTATION not in out:
            # Before its screening nothing of the frame is shown, or all of it.
            left = pixels_masked or level.unscreened is RegionStyle.KEEP
            doubt = burned_in(masker.sop_class, left=left)
            out |= {} if doubt is None else {doubt.tag: doubt}
    return masked_dataset(in_order(out.values()), level)


def displayed(elements: Elements, level: MaskingLevel, names: Names) -> MaskedDataset:
    """Of `deidentify`'s data set of a whole object the attributes by which its pictures are shown, the very same.

    Raises as `deidentify`.
    """
    masker = _masker(elements, level, names, Shared())
    out = masker.masked(shown_elements(elements), DEFAULT, "")
    return masked_dataset(in_order(out.values()), level)


def _masker(elements: Elements, level: MaskingLevel, names: Names, shared: Shared) -> Masker:
    """The masker of a whole object. Raises `PolicyError` when level and names do not belong together."""
    if level.pseudonyms is not names.replaces or (level.shift_dates and not names.moves_dates):
        raise PolicyError("the level and the pseudonyms do not belong together")
    return Masker(
        level=level,
        names=names,
        patient=patient_identifier(elements).value,
        sop_class=first_text(elements, _SOP_CLASS_UID),
        zone=_zone(elements),
        cleaner=_cleaner(level, lambda: identifying(elements), shared),
    )


def _cleaner(level: MaskingLevel, find: Callable[[], Identifying | None], shared: Shared) -> TextCleaner:
    """The cleaner of texts in an object where what `find` finds identifies, if an option of the level asks for it."""
    profile = level.elements.profile
    if profile is None or ProfileOption.CLEAN_DESCRIPTORS not in profile.options:
        return _nothing

    @cache
    def context() -> CleaningContext | None:
        # Worked out when the first text comes: most questions of a search look at none.
        found = find()
        return None if found is None else shared.context(found)

    def cleaned(value: str, vr: str) -> str | None:
        known = context()
        return None if known is None else clean(value, vr, known)

    return cleaned


def _nothing(value: str, vr: str) -> str | None:  # noqa: ARG001
    return None


def _zone(elements: Elements) -> int | None:
    """The offset from UTC that the object's times are in: what it says, else that of its first DT that has one."""
    own = offset(first_text(elements, _TIMEZONE_OFFSET))
    if own is not None:
        return own
    said = (offset(first_text(elements, tag)) for tag, element in elements.items() if element.vr == "DT")
    return next((zone for zone in said if zone is not None), None)
