"""Clean Structured Content (PS3.15 section E.3.4): what happens to each content item of a structured report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from server.metadata.codes import current
from server.metadata.elements import Elements, first_text
from server.model import ElementAction, ProfileOption
from server.model.ps315_2026d import CONTENT_COLUMNS, CONTENT_ITEMS
from server.model.strictness import strictest

CONTENT = 0x0040A730
SEQUENCES = frozenset({CONTENT, 0x00400555, 0x00400612})
"""Sequences of content items: Content, Acquisition Context, Specimen Preparation Step Content Item."""

STEPS, STEP = 0x00400610, 0x00400612
"""Specimen Preparation Sequence, and the Type 1 sequence of content items in each of its items."""

CONCEPT_NAME = 0x0040A043
_VALUE_TYPE, _BY_REFERENCE, _NUMERIC, _UNITS = 0x0040A040, 0x0040DB73, 0x0040A30A, 0x004008EA
_MEASURED = 0x0040A300
_DATES = frozenset({"DATE", "TIME", "DATETIME"})
_VALUES: Mapping[str, int] = {
    "TEXT": 0x0040A160,
    "DATE": 0x0040A121,
    "TIME": 0x0040A122,
    "DATETIME": 0x0040A120,
    "PNAME": 0x0040A123,
    "UIDREF": 0x0040A124,
    "CODE": 0x0040A168,
    "NUM": _MEASURED,
    "IMAGE": 0x00081199,
    "COMPOSITE": 0x00081199,
    "WAVEFORM": 0x00081199,
    "SCOORD": 0x00700023,
    "SCOORD3D": 0x00700023,
    "TCOORD": 0x0040A130,
    "CONTAINER": 0x0040A050,
}
_REFERENCES = frozenset({"IMAGE", "COMPOSITE", "WAVEFORM"})
_BY_VALUE_TYPE = {
    **dict.fromkeys(("CODE", "NUM", "SCOORD", "SCOORD3D", "TCOORD", "CONTAINER", *_REFERENCES), ElementAction.KEEP),
    "TEXT": ElementAction.CLEAN,
    "PNAME": ElementAction.REMOVE,
    "UIDREF": ElementAction.UID,
}
_GRAPHIC_DATA, _SHAPE = 0x00700022, 0x00700023
_COORDINATES = {"SCOORD": 2, "SCOORD3D": 3}
_FIGURES = frozenset({"POINT", "CIRCLE", "ELLIPSE", "ELLIPSOID"})
_SUBJECT_AGE = ("121033", "DCM")


class Plan(NamedTuple):
    """What happens to one content item: the action on its value attribute, which has to be there afterwards, and the
    actions that win over the level's rules in it.
    """

    value: int
    action: ElementAction
    named: bool
    instead: Mapping[int, ElementAction]


def plan(item: Elements, sets: tuple[str, ...], options: frozenset[ProfileOption]) -> Plan | None:
    """The plan for a content item; None for one that goes, with all below it.

    Coordinates stay where they are those of a figure or enclose something: an open line can be somebody's hand.

    An item that Table E.3.4-1 does not list is treated by its value type: coded and measured values stay, texts are
    cleaned, names go. References by position go, since positions change.
    """
    value_type = first_text(item, _VALUE_TYPE, sets)
    value = _VALUES.get(value_type)
    if value is None or _BY_REFERENCE in item:
        return None
    code = _concept(item, sets)
    row = _rows(options).get((*code, value_type))
    action = _unlisted(value_type, options) if row is None else row
    if action is ElementAction.REMOVE or (code == _SUBJECT_AGE and not _below_90(item, sets)):
        return None
    if value_type in _COORDINATES:
        kept = ElementAction.KEEP
        instead = {value: action, _GRAPHIC_DATA: kept}
        return Plan(value, action, named=True, instead=instead) if _figure(item, value_type) else None
    if value_type in _REFERENCES and action is not ElementAction.CLEAN:
        action = ElementAction.KEEP  # the UIDs in it are replaced, which is the dummy
    return Plan(value, action, value_type != "CONTAINER", {value: action})


def _figure(item: Elements, value_type: str) -> bool:
    """Whether the coordinates are a point, a circle or an ellipse, or come back to where they began."""
    points = item.get(_GRAPHIC_DATA)
    width = 4 * _COORDINATES[value_type]
    if points is None or points.vr != "FL" or not points.value or len(points.value) % width:
        return False
    return first_text(item, _SHAPE) in _FIGURES or (
        len(points.value) > 3 * width and points.value[:width] == points.value[-width:]
    )


def _unlisted(value_type: str, options: frozenset[ProfileOption]) -> ElementAction:
    if value_type in _DATES:
        if ProfileOption.RETAIN_LONG_MODIFIED_DATES in options:
            return ElementAction.CLEAN
        full = ProfileOption.RETAIN_LONG_FULL_DATES in options
        return ElementAction.KEEP if full else ElementAction.REMOVE
    return _BY_VALUE_TYPE[value_type]


def _concept(item: Elements, sets: tuple[str, ...]) -> tuple[str, str]:
    names = item.get(CONCEPT_NAME)
    if names is None or not names.items:
        return "", ""
    scheme, code = current(first_text(names.items[0], 0x00080102, sets), first_text(names.items[0], 0x00080100, sets))
    return code, scheme


def _below_90(item: Elements, sets: tuple[str, ...]) -> bool:
    """Whether a measured age is given in a unit shorter than years, or tells no more than 89 years."""
    measured = item.get(_MEASURED)
    inside = measured.items[0] if measured is not None and measured.items else {}
    units = inside.get(_UNITS)
    unit = first_text(units.items[0], 0x00080100, sets) if units is not None and units.items else ""
    try:
        number = float(first_text(inside, _NUMERIC, sets))
    except ValueError:
        return False
    years = {"a": 1.0, "mo": 12.0, "wk": 52.18, "d": 365.25}.get(unit)
    return years is not None and 0 <= number / years < 90


@cache
def _rows(options: frozenset[ProfileOption]) -> Mapping[tuple[str, str, str], ElementAction]:
    found = {}
    for code, scheme, value_type, _, basic, columns in CONTENT_ITEMS:
        actions = [
            ElementAction(letter)
            for name, letter in zip(CONTENT_COLUMNS, columns, strict=True)
            if letter != "." and ProfileOption(name) in options
        ]
        found[code, scheme, value_type] = strictest(actions or [ElementAction(basic[0])])
    return found
