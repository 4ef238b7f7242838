"""Whether a value is what its VR says, and what takes its place: checks, dummies and shifted dates (PS3.5 section 6.2).

A masked level keeps only values that pass here, so that a name cannot travel in a number, a code or a padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from server.metadata.elements import Definition, Element, string_element

_CODE = re.compile(r"[A-Z0-9 _]{0,16}", re.ASCII)
_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{0,16}", re.ASCII)
_REFERENCE = re.compile(r"[\x21-\x7e]*", re.ASCII)
_AGE = re.compile(r"[0-9]{3}[DWMY]", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,11}", re.ASCII)
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?", re.ASCII)
_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_ZONE = r"([+-](0[0-9]|1[0-4])[0-5][0-9])?"
_MOMENT = re.compile(rf"(?P<day>[0-9]{{8}})(?P<time>({_TIME.pattern})?)(?P<zone>{_ZONE})", re.ASCII)
_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4])[0-5][0-9]", re.ASCII)
_ANY_MOMENT = re.compile(rf"[0-9]{{4}}([0-9]{{2}}([0-9]{{2}}({_TIME.pattern})?)?)?{_ZONE}", re.ASCII)
_WIDTHS = {"US": 2, "SS": 2, "AT": 4, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8, "OW": 2} | {
    "OF": 4,
    "OL": 4,
    "OD": 8,
    "OV": 8,
}
_LENGTHS = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240}
_OLDEST = 89
_DUMMY_STRINGS: Mapping[str, str] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED"),
    "AS": "000Y",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "TM": "000000",
    "UR": "urn:uuid:00000000-0000-0000-0000-000000000000",
}


def kept(vr: str, value: str) -> str | None:
    """One value of a string VR as a masked level may send it, None when it is not valid."""
    check = _CHECKS.get(vr)
    return value if check is None or not value else check(value)


def shifted(vr: str, value: str, days: int, zone: int | None = None) -> str | None:
    """A DA, DT or TM value moved by whole days; None when it is not valid or too coarse to move. TM stays.

    A DT with an offset from UTC is told in the object's own `zone` (minutes; None: in its own) and without the offset,
    which would tell winter from summer before the move.
    """
    if vr == "TM":
        return _matching(_TIME)(value)
    if vr == "DA":
        return _moved(value, days)
    moment = _MOMENT.fullmatch(value) if vr == "DT" else None
    if moment is None:
        return None
    day, time = moment["day"], moment["time"]
    if moment["zone"] and zone is not None and len(time) >= 4:
        minutes = int(time[:2]) * 60 + int(time[2:4]) + zone - _minutes(moment["zone"])
        days, time = days + minutes // 1440, f"{minutes % 1440 // 60:02d}{minutes % 60:02d}{time[4:]}"
    moved = _moved(day, days)
    return moved + time if moved else None


def offset(value: str) -> int | None:
    """The minutes from UTC that `+hhmm` or a DT ending in it say; None where there is none."""
    return _minutes(value[-5:]) if _OFFSET.fullmatch(value[-5:]) else None


def capped(value: str) -> str:
    """An age (VR AS) over 89 years as 90, since so few people are that old."""
    return f"{_OLDEST + 1:03d}Y" if value.endswith("Y") and int(value[:3]) > _OLDEST else value


def fits(vr: str, value: str) -> bool:
    """Whether a text is as short as its VR wants (PS3.5 table 6.2-1), value by value."""
    parts = [value] if vr in ("ST", "LT", "UT") else value.split("\\")
    return all(len(part) <= _LENGTHS.get(vr, len(part)) for part in parts)


def dummy(tag: int, vr: str) -> Element | None:
    """PS3.15's D for a value that identifies nothing: a constant by VR; None where there is no sensible one."""
    if vr in _DUMMY_STRINGS:
        return string_element(tag, vr, _DUMMY_STRINGS[vr])
    if vr in ("US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"):
        return Element(tag, vr, bytes(_WIDTHS[vr]))
    return Element(tag, vr, bytes(2)) if vr in ("OB", "UN") else None


def whole(element: Element) -> bool:
    """Whether a binary value is a whole number of its words."""
    return len(element.value) % _WIDTHS.get(element.vr, 1) == 0


def count(element: Element) -> int:
    """The number of values of a binary element; 1 for those whose VR has no multiplicity."""
    width = 0 if element.vr.startswith("O") else _WIDTHS.get(element.vr, 0)
    return len(element.value) // width if width else 1


def allowed_count(known: Definition, number: int) -> bool:
    """Whether PS3.6 allows this many values (`1`, `3`, `1-8`, `1-n`, `2-2n`, ...); an empty value always is."""
    if number == 0:
        return True
    lowest, _, highest = known.multiplicity.partition("-")
    if not highest:
        return number == int(lowest)
    if not highest.endswith("n"):
        return int(lowest) <= number <= int(highest)
    step = int(highest[:-1] or 1)
    return number >= int(lowest) and number % step == 0


def _minutes(zone: str) -> int:
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    return -minutes if zone[0] == "-" else minutes


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda value: value if pattern.fullmatch(value) else None


def _moved(value: str, days: int) -> str | None:
    match = _DAY.fullmatch(value)
    if match is None:
        return None
    try:
        moved = date(int(match[1]), int(match[2]), int(match[3])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"


def _decimal(value: str) -> str | None:
    """Writers exceed the 16 characters of VR DS with meaningless digits; rounding saves the geometry."""
    if len(value) > 64 or not _DECIMAL.fullmatch(value):
        return None
    return value if len(value) <= 16 else f"{float(value):.9g}"


def _integer(value: str) -> str | None:
    return value if _INTEGER.fullmatch(value) and -(2**31) <= int(value) < 2**31 else None


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "AE": _matching(_TITLE),
    "AS": _matching(_AGE),
    "CS": _matching(_CODE),
    "DA": lambda value: _moved(value, 0),
    "DS": _decimal,
    "DT": _matching(_ANY_MOMENT),
    "IS": _integer,
    "TM": _matching(_TIME),
    "UR": _matching(_REFERENCE),
}
