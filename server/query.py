"""A search as it is asked (PS3.18 section 8.3.4): parameters read and checked before anything is looked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

from server.errors import BadRequest
from server.metadata.match import DATE_TIME_PAIRS, How, Key, moment_key
from server.model import check_uid

MAX_RESULTS = 1000
_CONTROLS = {
    "limit",
    "offset",
    "fuzzymatching",
    "includefield",
    "emptyvaluematching",
    "multiplevaluematching",
    "accept",
    "charset",
}
_SWITCHES = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_TIMEZONE = (0x00080201,)
_ZONE = re.compile(r"[+-](0[0-9]|1[0-4])[0-5][0-9]", re.ASCII)
_WILD = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_SEVERAL = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})
_EMPTY = '""'
_DEEPEST = 8

Path = tuple[int, ...]


class SearchLevel(StrEnum):
    """What one row of the answer is."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, kw_only=True)
class Query:
    """A search as asked: all of `keys` have to match; of one with the value "" everything does."""

    level: SearchLevel
    keys: tuple[Key, ...]
    limit: int
    offset: int

    def value(self, tag: int) -> str:
        """The value that is literally asked for at the top level, "" without one."""
        return next((key.value for key in self.keys if key.path == (tag,) and key.how is How.PLAIN), "")


def parse_query(level: SearchLevel, items: Sequence[tuple[str, str]]) -> Query:
    """Read the parameters of a search (PS3.18 section 8.3.4). Raises `BadRequest` for what is unknown or repeated."""
    asked: dict[Path, str] = {}
    controls: dict[str, str] = {}
    fields: list[str] = []
    for name, value in items:
        if name == "includefield":
            fields += [field.strip() for field in value.split(",") if field.strip()]
        elif name in _CONTROLS:
            if name in controls and name not in {"accept", "charset"}:
                raise BadRequest("a query parameter is given twice")
            controls[name] = value
        else:
            path = _path(name)
            if path in asked:
                raise BadRequest("an attribute is given twice")
            asked[path] = value
    _check_fields(fields)
    switched = {}
    for name in _SWITCHES:
        if (written := controls.get(name, "false")) not in {"true", "false"}:
            raise BadRequest(f"{name} is true or false")
        switched[name] = written == "true"
    zone = _zone(asked.pop(_TIMEZONE, ""))
    keys = [key for path, value in asked.items() for key in _keys(path, value, switched)]
    return Query(
        level=level,
        keys=tuple(_combined(keys, zone)),
        limit=min(_whole(controls.get("limit", str(MAX_RESULTS))), MAX_RESULTS),
        offset=_whole(controls.get("offset", "0")),
    )


def _check_fields(fields: Sequence[str]) -> None:
    """Attributes to be returned. All of a level that are catalogued are, so here they need only be attributes."""
    if "all" in fields:
        if len(fields) > 1:
            raise BadRequest("includefield is all or a list of attributes")
        return
    for field in fields:
        for part in field.split("."):
            # A private attribute may be asked for, and is not known of any object.
            if tag_for_keyword(part) is None and _number(part) is None:
                raise BadRequest("includefield names what is not an attribute")


def _path(name: str) -> Path:
    parts = name.split(".")
    if len(parts) > _DEEPEST:
        raise BadRequest("a query parameter is not an attribute")
    path = tuple(_tag(part) for part in parts)
    try:
        vrs = [dictionary_VR(tag) for tag in path]
    except KeyError as error:
        raise BadRequest("a query parameter is not an attribute") from error
    if any(vr != "SQ" for vr in vrs[:-1]):
        raise BadRequest("a path of attributes leads through what is no sequence")
    return path


def _tag(name: str) -> int:
    tag = tag_for_keyword(name)
    if tag is None:
        tag = _number(name)
    if tag is None or (tag >> 16) % 2:
        raise BadRequest("a query parameter is not an attribute")
    return tag


def _number(name: str) -> int | None:
    is_tag = len(name) == 8 and all(character in "0123456789abcdefABCDEF" for character in name)
    return int(name, 16) if is_tag else None


def _keys(path: Path, value: str, switched: Mapping[str, bool]) -> list[Key]:
    """What one parameter asks for: several keys if it has several values that all have to be there."""
    if len(value) > 4096 or any(ord(character) < 32 for character in value):
        raise BadRequest("a value to match is too long or has control characters")
    vr = dictionary_VR(path[-1])
    if switched["emptyvaluematching"] and value == _EMPTY:
        return [Key(path, value, How.EMPTY)]
    if vr in _WILD and not value.strip("*"):
        # Wild card matching of "*" is universal matching (PS3.4 section C.2.2.2.4).
        value = ""
    if vr == "UI" and value:
        for uid in value.replace("\\", ",").split(","):
            check_uid(uid.strip())
    if switched["multiplevaluematching"] and "\\" in value and vr in _SEVERAL and dictionary_VM(path[-1]) != "1":
        if any(wild in value for wild in "*?"):
            raise BadRequest("several values to match have no wild cards")
        return [Key(path, one, How.PLAIN) for one in value.split("\\") if one]
    return [Key(path, value, How.FUZZY if vr == "PN" and switched["fuzzymatching"] else How.PLAIN)]


def _combined(keys: Sequence[Key], zone: str) -> list[Key]:
    """Ranges of date and time as one range (PS3.4 section C.2.2.2.5), and both as of an offset from UTC, if there is
    one: the moment has then to be known before either can be compared."""
    left = list(keys)
    for date_tag, time_tag in DATE_TIME_PAIRS:
        dates = next((key for key in left if key.path == (date_tag,) and key.how is How.PLAIN), None)
        times = next((key for key in left if key.path == (time_tag,) and key.how is How.PLAIN), None)
        date, time = dates.value if dates else "", times.value if times else ""
        if zone and (date or time):
            left = [key for key in left if key not in (dates, times)]
            left.append(moment_key(date_tag, time_tag, date, time, zone))
        elif _is_one_range(date, time):
            left = [key for key in left if key != times]
            left.append(moment_key(date_tag, time_tag, date, time, ""))
    return left


def _is_one_range(date: str, time: str) -> bool:
    """Whether both are ranges, and no end of the time lacks the day it is of."""
    (first, dash, last), (begin, hyphen, end) = date.partition("-"), time.partition("-")
    return bool(dash and hyphen) and bool(first or not begin) and bool(last or not end)


def _zone(written: str) -> str:
    """The offset from UTC; a plus sign that was not escaped has come as a space. Raises `BadRequest`."""
    zone = "+" + written[1:] if written.startswith(" ") else written
    if zone and not _ZONE.fullmatch(zone):
        raise BadRequest("an offset from UTC is a sign, two digits of hours and two of minutes")
    return zone


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadRequest("limit and offset are whole numbers")
    return int(text)
