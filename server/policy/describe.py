"""The levels and roles of a bundle as Markdown tables, so that what the README says of them is never typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.model import Action, ElementAction, MaskingLevel, ObjectKind, ProfileOption, RegionStyle
from server.policy.profile import rows
from server.policy.safety import masks_pixels
from server.policy.words import GOVERNANCE, PolicyBundle, Rule

ROWS = frozenset(rows(frozenset(), pseudonyms=True))
_OBJECTS = (Action.RETRIEVE_INSTANCE, Action.RETRIEVE_FRAMES, Action.RETRIEVE_BULKDATA)
_KINDS = {
    ObjectKind.IMAGE: "images, RT images and doses and parametric maps included",
    ObjectKind.SEGMENTATION: "segmentations",
    ObjectKind.STRUCTURED_REPORT: "structured reports",
    ObjectKind.KEY_OBJECTS: "key object selections",
    ObjectKind.PRESENTATION_STATE: "presentation states",
    ObjectKind.DOCUMENT: "encapsulated PDF, CDA, STL, OBJ, MTL",
    ObjectKind.RADIOTHERAPY: "RT structure sets, plans, treatment records",
    ObjectKind.WAVEFORM: "waveforms: ECG, EEG, haemodynamics, voice",
    ObjectKind.SPATIAL: "registrations, fiducials, surfaces, real world value maps",
    ObjectKind.RAW_DATA: "raw data, spectroscopy",
    ObjectKind.VIDEO: "video, in whatever class",
    ObjectKind.OTHER: "all else: unknown, private and future classes",
}
_TRANSACTIONS = tuple(action for action in Action if action not in GOVERNANCE)


def levels_table(bundle: PolicyBundle) -> str:
    """One row for each level, least masked first as far as they can be compared."""
    rows = map(_level_row, _ordered(bundle))
    return _table(("Level", "What it shows", "Answers", "Identifiers", "Other attributes", "Pixels"), rows)


def in_words(level: MaskingLevel) -> tuple[str, ...]:
    """What a level does, one sentence for each group of its switches."""
    kinds = ", ".join(sorted(level.objects)) or "none"
    return (
        f"{level.name}: {level.description}",
        f"answers: {_answers(level)}",
        f"kinds of objects that leave: {kinds}; of all others only masked attributes are told",
        f"identifiers: {_identifiers(level)}",
        f"attributes: {_elements(level)}; private ones {_PRIVATE[level.elements.private]}",
        f"pixels: {_pixels(level)}",
        "the stored bits above the used ones " + ("stay" if level.keep_unused_bits else "are cleared"),
    )


_PRIVATE = {
    ElementAction.KEEP: "stay",
    ElementAction.CLEAN: "stay where they are listed as safe",
    ElementAction.REMOVE: "are removed",
}


def roles_table(bundle: PolicyBundle) -> str:
    """One row for each role: its ladder, and every rule that permits it something or bars it from everything."""
    rows = []
    for role, ladder in bundle.ladders.items():
        rules = [rule for rule in bundle.book.rules.values() if rule.permits and rule.role == role]
        levels = " → ".join(f"`{name}`" for name in ladder) or "sees no film"
        rows.append((f"`{role}`", levels, " ".join(rule.note for rule in rules) or "—"))
    forbids = [rule for rule in bundle.book.rules.values() if not rule.permits]
    return _table(("Role", "Levels, most masked first", "When"), rows) + _always(forbids)


def objects_table(bundle: PolicyBundle) -> str:
    """One row for each kind of object, one column for each level: what becomes of an object of that kind there."""
    levels = _ordered(bundle)
    rows = [(f"`{kind}`: {said}", *(_becomes(level, kind) for level in levels)) for kind, said in _KINDS.items()]
    return _table(("Kind of object", *(f"`{level.name}`" for level in levels)), rows)


def _becomes(level: MaskingLevel, kind: ObjectKind) -> str:
    if kind not in level.objects:
        return "refused"
    if not masks_pixels(level) and level.elements.default is ElementAction.KEEP:
        return "as stored"
    return "cleaned" if Action.RETRIEVE_INSTANCE in level.transactions else "cleaned, pictures only"


def _ordered(bundle: PolicyBundle) -> list[MaskingLevel]:
    names = sorted(bundle.levels, key=lambda name: (len(bundle.order.less_masked.get(name, ())), name))
    return [bundle.levels[name] for name in names]


def _level_row(level: MaskingLevel) -> tuple[str, ...]:
    return (
        f"`{level.name}`",
        level.description,
        _answers(level),
        _identifiers(level),
        _elements(level),
        _pixels(level),
    )


def _answers(level: MaskingLevel) -> str:
    if level.transactions == frozenset(_TRANSACTIONS):
        return "all"
    return ", ".join(action.value for action in _TRANSACTIONS if action in level.transactions)


def _identifiers(level: MaskingLevel) -> str:
    said = "pseudonyms per project" if level.pseudonyms else "as stored"
    return f"{said}, dates shifted" if level.shift_dates else said


def _elements(level: MaskingLevel) -> str:
    if level.elements.default is ElementAction.KEEP:
        removed = sum(action is not ElementAction.KEEP for action in level.elements.by_tag.values())
        return f"all but {removed}" if removed else "all"
    shown = sum(action is not ElementAction.REMOVE for action in level.elements.by_tag.values())
    profile = level.elements.profile
    if profile is None:
        return f"{shown} listed, all others removed"
    options = ", ".join(option.value for option in ProfileOption if option in profile.options)
    kept = sum(action is not ElementAction.REMOVE for tag, action in level.elements.by_tag.items() if tag not in ROWS)
    return f"PS3.15 Basic Profile with {options or 'no option'}; {kept} more attributes listed, all others removed"


def pixel_switches(level: MaskingLevel) -> tuple[str, ...]:
    """What a level does with pixels, a sentence for each switch of its section `[pixels]`, whether it is on or off.

    Switches that can have no effect, since every frame is shown or hidden as a whole, are told as that.
    """
    told = (
        ("outline_regions", level.outline_regions, "what was found is outlined in rendered pictures"),
        ("masked_notice", level.masked_notice, 'rendered pictures say "masked, not for primary diagnosis"'),
        ("tell_regions", level.tell_regions, "what was hidden where is told on request"),
    )
    kept = (
        ("keep_markers", level.keep_markers, "view and laterality markers"),
        ("keep_machine_text", level.keep_machine_text, "lines that are certain to be technique or scale text"),
        ("keep_unused_bits", level.keep_unused_bits, "bits above the stored ones"),
    )
    whole = not masks_pixels(level) or level.whole_frame is not RegionStyle.KEEP
    said = [f"pixels\t{_hidden(level)}"]
    for name, on, what in kept:
        becomes = "no effect here" if whole else f"{what} {'stay' if on else 'are masked'}"
        said.append(f"{name} = {str(on).lower()}\t{becomes}")
    said += [f"{name} = {str(on).lower()}\t{'' if on else 'not: '}{what}" for name, on, what in told]
    said.append(f"coarse_blocks = {level.coarse_blocks}\t{_coarse(level)}")
    return tuple(said)


def _coarse(level: MaskingLevel) -> str:
    return f"{level.coarse_blocks} blocks on the longer side" if level.coarse_blocks else "no frame is made coarse"


def _pixels(level: MaskingLevel) -> str:
    said = [_hidden(level)]
    if level.coarse_blocks:
        said.append(f"coarse: {level.coarse_blocks} blocks on the longer side")
    if masks_pixels(level) and level.whole_frame is RegionStyle.KEEP:
        markers = "stay" if level.keep_markers else "are masked"
        said.append(f"view and laterality markers {markers}")
        said += ["technique and scale text stays"] * level.keep_machine_text
        said += ["bits above the stored ones stay"] * level.keep_unused_bits
        said += ["what was hidden where is told on request"] * level.tell_regions
    said += ["what was found is outlined in rendered pictures"] * level.outline_regions
    said += ['"masked, not for primary diagnosis" in rendered pictures'] * level.masked_notice
    if level.longest_side is not None:
        said.append(f"at most {level.longest_side} pixels")
    return "; ".join(said)


def _hidden(level: MaskingLevel) -> str:
    if level.whole_frame is not RegionStyle.KEEP:
        return f"every frame wholly {level.whole_frame}"
    if not masks_pixels(level):
        return "as stored"
    by_style: dict[RegionStyle, list[str]] = {}
    for kind, style in level.regions.items():
        by_style.setdefault(style, []).append(kind.value)
    hidden = [f"{style}: {', '.join(kinds)}" for style, kinds in by_style.items() if style is not RegionStyle.KEEP]
    return "; ".join([*hidden, f"frames not screened, or in review, wholly {level.unscreened}"])


def _always(forbids: Sequence[Rule]) -> str:
    return "".join(f"\nAlways: {rule.note}\n" for rule in forbids)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
