"""What a level does with each attribute and why: the row of PS3.15's table, the option, or the rule of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydicom.datadict import keyword_for_tag

from server.model import ElementAction, MaskingLevel
from server.model.ps315_2026d import EDITION
from server.policy.profile import Row, rows

_FIRST_OF_A_DATA_SET = 0x00080000


class Reason(NamedTuple):
    """An attribute, its action code at a level, and a sentence that says where that comes from."""

    tag: int
    keyword: str
    action: ElementAction
    why: str


def outline(level: MaskingLevel) -> Mapping[int, Reason]:
    """A reason for every attribute that a rule of the level names, ascending by tag."""
    return {reason.tag: reason for reason in sorted(_named(level))}


def reason(level: MaskingLevel, named: Mapping[int, Reason], tag: int) -> Reason:
    """The reason for any attribute; `named` is the level's `outline`."""
    keyword, rules = keyword_for_tag(tag), level.elements
    if tag >> 16 & 1:
        listed = "; PS3.15 Table E.3.10-1 and safe-private.toml list those that stay"
        safe = listed if rules.private is ElementAction.CLEAN else ""
        return Reason(tag, keyword, rules.private, f"private elements are {rules.private}{safe}")
    first = tag & 0xFF00FFFF if tag >> 24 in (0x50, 0x60) else tag
    found = named.get(tag) or named.get(first)
    if found is not None:
        return found._replace(tag=tag)
    return Reason(tag, keyword, rules.default, f"no rule names it: the file's default {rules.default}")


def remainder(level: MaskingLevel) -> tuple[str, str]:
    """What happens to all other public attributes and to private ones, one sentence each."""
    rules = level.elements
    return (
        f"all other attributes: {rules.default}, the file's default",
        f"private attributes: {rules.private}"
        + (f", {len(rules.profile.safe_private)} listed" if rules.profile else ""),
    )


def _named(level: MaskingLevel) -> Iterator[Reason]:
    profile = level.elements.profile
    table = {} if profile is None else rows(profile.options, pseudonyms=level.pseudonyms)
    for tag, action in level.elements.by_tag.items():
        if tag < _FIRST_OF_A_DATA_SET:
            yield Reason(tag, keyword_for_tag(tag), ElementAction.REMOVE, "never in a data set; files get a new one")
            continue
        row = table.get(tag)
        keyword = keyword_for_tag(tag) or (row.name if row else "")
        if row is None or profile is None:
            yield Reason(tag, keyword, action, f"the file lists it under {action}")
        elif tag in profile.choices:
            yield Reason(tag, keyword, action, _row(row))
        else:
            yield Reason(tag, keyword, action, f"the file lists it under {action}; {_row(row)}")


def _row(row: Row) -> str:
    said = f"PS3.15 {EDITION} Table E.1-1: {row.basic}"
    if row.options:
        said += f"; {', '.join(row.options)}: {row.action}"
    if "/" in row.basic and row.action is row.choices[0]:
        said += "; which one by the attribute's Type in the object"
    elif row.choices == (ElementAction.REMOVE,) and not row.basic.startswith("X"):
        said += "; cannot be replaced here"
    return said
