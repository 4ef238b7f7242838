"""What no level may say, whoever wrote it: combinations of switches that would let out what the level hides."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, repeater_has_tag, tag_for_keyword

from server.model import Action, ElementAction, MaskingLevel, ObjectKind, ProfileOption, RegionKind, RegionStyle
from server.model.kinds import CLEANABLE

_STORED_OBJECTS = (Action.RETRIEVE_INSTANCE, Action.RETRIEVE_FRAMES, Action.RETRIEVE_BULKDATA)
_REQUIRED_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

_PIXEL_GROUP = 0x7FE0
_PIXEL_CARRIERS = frozenset(
    tag_for_keyword(keyword) or 0
    for keyword in (
        "IconImageSequence",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "SmallestPixelValueInSeries",
        "LargestPixelValueInSeries",
        "SmallestImagePixelValueInPlane",
        "LargestImagePixelValueInPlane",
        "PixelIntensityRelationshipLUTSequence",
        "HistogramSequence",
        "RedPaletteColorLookupTableData",
        "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
        "AlphaPaletteColorLookupTableData",
        "SegmentedRedPaletteColorLookupTableData",
        "SegmentedGreenPaletteColorLookupTableData",
        "SegmentedBluePaletteColorLookupTableData",
        "SegmentedAlphaPaletteColorLookupTableData",
        "EncapsulatedDocument",
        "GraphicData",
        "WaveformData",
        "SpectroscopyData",
    )
)


def unsafe(level: MaskingLevel) -> Iterator[str]:
    """One sentence for each thing that makes the level unsafe."""
    yield from _unsafe_objects(level)
    yield from _unsafe_pixels(level)
    yield from _unsafe_styles(level)
    yield from _unsafe_identifiers(level)
    yield from _unsafe_elements(level)
    yield from _unsafe_profile(level)


def _unsafe_objects(level: MaskingLevel) -> Iterator[str]:
    if ObjectKind.VIDEO in level.objects:
        yield "would send `video`, which nobody decodes here and so nobody can mask"
    if masks_pixels(level) or level.elements.default is not ElementAction.KEEP:
        for kind in sorted(level.objects - CLEANABLE - {ObjectKind.VIDEO}):
            yield f"masks, but would send objects of the kind `{kind}`, into which no masker looks"


def _unsafe_pixels(level: MaskingLevel) -> Iterator[str]:
    masked = masks_pixels(level)
    if level.alters_samples and not level.pseudonyms:
        for transaction in _STORED_OBJECTS:
            if transaction in level.transactions:
                yield f"alters samples but would send `{transaction}` under the original SOP Instance UID"
    if masked and RegionStyle.KEEP in (level.unscreened, *level.regions.values()):
        yield "masks some pixels, so every region kind and every unscreened frame has to be masked too"
    if masked and level.keep_unused_bits:
        yield "masks pixels but keeps unused bits, which may hold an overlay with the same text"
    if masked:
        for tag, action in level.elements.by_tag.items():
            # Cleaning keeps words at most, and of a group of curves or overlays never the bytes.
            cleaned = action is ElementAction.CLEAN and tag >> 24 in (0x50, 0x60)
            if action is not ElementAction.REMOVE and not cleaned and _carries_pixels(tag):
                yield f"masks pixels but does not remove {_called(tag)}, which may repeat or describe them"
        if level.elements.default is ElementAction.KEEP:
            yield "masks pixels but keeps elements that it does not list, where overlays and icons may be"


_SHOWN = frozenset(RegionKind) - {RegionKind.BACKGROUND}


def _unsafe_styles(level: MaskingLevel) -> Iterator[str]:
    hidden = (level.whole_frame, level.unscreened, *(level.regions[kind] for kind in _SHOWN))
    if RegionStyle.FLATTEN in hidden:
        yield "makes flat what is no background: only noise is hidden that way"
    if level.unscreened is RegionStyle.COARSE:
        yield "shows unscreened frames coarsely, which is not hidden"
    if RegionStyle.COARSE in (level.whole_frame, *level.regions.values()) and not level.coarse_blocks:
        yield "makes frames coarse but does not say of how many blocks"
    if level.tell_regions and Action.RETRIEVE_METADATA not in level.transactions:
        yield "tells regions but not the metadata that they belong to"


def masks_pixels(level: MaskingLevel) -> bool:
    """Whether the level hides anything in a picture."""
    return {*level.regions.values(), level.unscreened, level.whole_frame} != {RegionStyle.KEEP}


def _unsafe_identifiers(level: MaskingLevel) -> Iterator[str]:
    rules = level.elements
    wanted = {ElementAction.UID} if level.pseudonyms else {ElementAction.UID, ElementAction.KEEP}
    for keyword in _REQUIRED_UIDS:
        action = rules.by_tag.get(tag_for_keyword(keyword) or 0, rules.default)
        if action not in wanted:
            yield f"`{keyword}` has to be {' or '.join(sorted(wanted))} here, or no answer could be addressed"
    if level.shift_dates and not level.pseudonyms:
        yield "shifts dates, which is done per project, but has no pseudonyms"
    if level.pseudonyms and rules.default is ElementAction.KEEP:
        yield "has pseudonyms but keeps elements that it does not list"
    if level.pseudonyms:
        for tag, action in rules.by_tag.items():
            if action is ElementAction.KEEP and (why := _identifies(tag, shifted=level.shift_dates)):
                yield f"has pseudonyms but keeps {_called(tag)}: {why}"


def _unsafe_elements(level: MaskingLevel) -> Iterator[str]:
    rules = level.elements
    if rules.default not in (ElementAction.KEEP, ElementAction.REMOVE):
        yield "`default` is K or X: nothing else has a meaning for an element that nobody thought of"
    if rules.private not in (ElementAction.REMOVE, rules.default) and not _lists_private(level):
        yield "`private` is X, K where `default` is K, or C where the profile retains safe private attributes"
    for tag, action in rules.by_tag.items():
        vr = _vr(tag)
        if tag >> 16 == _PIXEL_GROUP:
            yield f"lists {_called(tag)}: pixels are governed by [pixels]"
        if action is ElementAction.UID and vr != "UI":
            yield f"U is for UIDs, and {_called(tag)} is none"
        row = rules.profile is not None and tag in rules.profile.choices
        if vr == "SQ" and not row and action not in (ElementAction.KEEP, ElementAction.REMOVE):
            yield f"{_called(tag)} is a sequence: K applies the level to its items, X removes it"


def _unsafe_profile(level: MaskingLevel) -> Iterator[str]:
    """Options that exclude one another, or that the rest of the level does not bear out."""
    profile = level.elements.profile
    if profile is None:
        return
    options, regions = profile.options, level.regions
    if level.elements.default is not ElementAction.REMOVE:
        yield "applies the Basic Profile, so `default` has to be X"
    if {ProfileOption.RETAIN_LONG_FULL_DATES, ProfileOption.RETAIN_LONG_MODIFIED_DATES} <= options:
        yield "retains full dates and modified dates, of which only one can be"
    if level.shift_dates is not (ProfileOption.RETAIN_LONG_MODIFIED_DATES in options):
        yield "`shift_dates` and `retain-long-modified-dates` have to say the same"
    if level.pseudonyms is (ProfileOption.RETAIN_UIDS in options):
        yield "applies the Basic Profile, so it has either pseudonyms or `retain-uids`"
    if (level.elements.private is ElementAction.CLEAN) is not (ProfileOption.RETAIN_SAFE_PRIVATE in options):
        yield "`private` is C exactly where the level has `retain-safe-private`"
    text = (level.unscreened, regions[RegionKind.TEXT], regions[RegionKind.BANNER], regions[RegionKind.MANUAL])
    if (RegionStyle.KEEP not in text) is not (ProfileOption.CLEAN_PIXEL_DATA in options):
        yield "`clean-pixel-data` says what [pixels] does to text, banners, manual regions and unscreened frames"
    faces = (level.unscreened, regions[RegionKind.FACE], regions[RegionKind.HEAD_SURFACE], regions[RegionKind.MANUAL])
    if RegionStyle.KEEP in faces and ProfileOption.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in options:
        yield "`clean-recognizable-visual-features` wants face, head-surface and manual regions masked"


def _lists_private(level: MaskingLevel) -> bool:
    return level.elements.private is ElementAction.CLEAN and level.elements.profile is not None


def _identifies(tag: int, *, shifted: bool) -> str:
    """Why an element may not be kept beside pseudonyms; empty if it may."""
    vr = _vr(tag)
    if not vr:
        return "it is not in the data dictionary, so nobody knows what it holds"
    if vr == "PN":
        return "it is a person's name"
    if vr == "UI" and not keyword_for_tag(tag).endswith("ClassUID"):
        return "it may hold the UID of something original"
    if shifted and vr in ("DA", "DT"):
        return "one unshifted date tells the shift of all others"
    return ""


def _carries_pixels(tag: int) -> bool:
    """Whether an element holds a picture, a part of one, or a statistic of one (curves and overlays included)."""
    return tag in _PIXEL_CARRIERS or tag >> 24 in (0x50, 0x60)


def _vr(tag: int) -> str:
    """The dictionary's value representation, "" if the tag is in no dictionary."""
    return dictionary_VR(tag) if dictionary_has_tag(tag) or repeater_has_tag(tag) else ""


def _called(tag: int) -> str:
    return f"`{keyword_for_tag(tag)}`" if keyword_for_tag(tag) else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
