"""The levels and roles of a bundle as Markdown tables, so that what the README says of them is never typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.model import Action, ElementAction, MaskingLevel, ProfileOption, RegionStyle
from server.policy.profile import rows
from server.policy.words import GOVERNANCE, PolicyBundle, Rule

ROWS = frozenset(rows(frozenset(), pseudonyms=True))
_OBJECTS = (Action.RETRIEVE_INSTANCE, Action.RETRIEVE_FRAMES, Action.RETRIEVE_BULKDATA)
_TRANSACTIONS = tuple(action for action in Action if action not in GOVERNANCE)


def levels_table(bundle: PolicyBundle) -> str:
    """One row for each level, least masked first as far as they can be compared."""
    names = sorted(bundle.levels, key=lambda name: (len(bundle.order.less_masked.get(name, ())), name))
    rows = [_level_row(bundle.levels[name]) for name in names]
    return _table(("Level", "What it shows", "Answers", "Identifiers", "Other attributes", "Pixels"), rows)


def roles_table(bundle: PolicyBundle) -> str:
    """One row for each role: its ladder, and every rule that permits it something or bars it from everything."""
    rows = []
    for role, ladder in bundle.ladders.items():
        rules = [rule for rule in bundle.book.rules.values() if rule.permits and rule.role == role]
        levels = " → ".join(f"`{name}`" for name in ladder) or "sees no film"
        rows.append((f"`{role}`", levels, " ".join(rule.note for rule in rules) or "—"))
    forbids = [rule for rule in bundle.book.rules.values() if not rule.permits]
    return _table(("Role", "Levels, most masked first", "When"), rows) + _always(forbids)


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


def _pixels(level: MaskingLevel) -> str:
    if level.whole_frame is not RegionStyle.KEEP:
        said = f"every frame wholly {level.whole_frame}"
    elif set(level.regions.values()) == {RegionStyle.KEEP}:
        said = "as stored"
    else:
        masked = [kind.value for kind, style in level.regions.items() if style is not RegionStyle.KEEP]
        said = f"masked: {', '.join(masked)}; unscreened frames wholly"
    return said if level.longest_side is None else f"{said}; at most {level.longest_side} pixels"


def _always(forbids: Sequence[Rule]) -> str:
    return "".join(f"\nAlways: {rule.note}\n" for rule in forbids)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
