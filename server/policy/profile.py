"""The Basic Profile and its options (PS3.15 annex E) compiled to an action for every row of Table E.1-1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag

from server.model import ElementAction, ProfileOption
from server.model.ps315_2026d import ATTRIBUTES, COLUMNS
from server.model.strictness import strictest

PRIVATE = "PRIVATE"


class Row(NamedTuple):
    """One row of Table E.1-1 under some options: what happens, which options said so, the Basic Profile's choices."""

    tag: int
    name: str
    action: ElementAction
    options: tuple[ProfileOption, ...]
    choices: tuple[ElementAction, ...]
    basic: str


def rows(options: frozenset[ProfileOption], *, pseudonyms: bool) -> Mapping[int, Row]:
    """Every row but the one of private attributes, by tag; repeating groups by their first group.

    Where several options speak of an attribute, the strictest wins. Attributes that the data dictionary does not know
    are removed whatever an option says: nobody could tell a right value of theirs from a wrong one. Without pseudonyms
    a UID cannot be replaced, so it is removed.
    """
    return {row.tag: row for row in (_row(line, options, pseudonyms=pseudonyms) for line in ATTRIBUTES) if row.tag}


def _row(line: tuple[str, str, str, str], options: frozenset[ProfileOption], *, pseudonyms: bool) -> Row:
    word, name, basic, columns = line
    tag = 0 if word == PRIVATE else int(word.replace("xxxxxx", "003000").replace("xx", "00"), 16)
    said = {
        ProfileOption(option): ElementAction(letter)
        for option, letter in zip(COLUMNS, columns, strict=True)
        if letter != "." and ProfileOption(option) in options
    }
    choices = tuple(_choice(letter) for letter in basic.split("/"))
    action = strictest(said.values()) if said else choices[0]
    vr = dictionary_VR(tag) if dictionary_has_tag(tag) or repeater_has_tag(tag) else ""
    if not vr:
        action, choices = ElementAction.REMOVE, (ElementAction.REMOVE,)
    elif vr == "UI":
        action, choices = _uid(action, pseudonyms=pseudonyms), (_uid(choices[0], pseudonyms=pseudonyms),)
    return Row(tag, name, action, tuple(said), choices, basic)


def _choice(letter: str) -> ElementAction:
    """U* speaks of a sequence that stays, with the UIDs in it replaced: that is K on a sequence."""
    return ElementAction.KEEP if letter == "U*" else ElementAction(letter)


def _uid(action: ElementAction, *, pseudonyms: bool) -> ElementAction:
    if action is ElementAction.UID and not pseudonyms:
        return ElementAction.REMOVE
    if action is ElementAction.KEEP and pseudonyms:
        return ElementAction.UID
    return action
