"""A search as it is asked (PS3.18 section 8.3.4): parameters read and checked before anything is looked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydicom.datadict import dictionary_VR, tag_for_keyword

from server.errors import BadRequest
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
}


class SearchLevel(StrEnum):
    """What one row of the answer is."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, kw_only=True)
class Query:
    """A search as asked: `keys` pairs a path of tags with the value to match, "" for universal matching."""

    level: SearchLevel
    keys: tuple[tuple[tuple[int, ...], str], ...]
    limit: int
    offset: int
    fuzzy: bool

    def value(self, tag: int) -> str:
        return next((value for path, value in self.keys if path == (tag,)), "")


def parse_query(level: SearchLevel, items: Sequence[tuple[str, str]]) -> Query:
    """Read the parameters of a search (PS3.18 section 8.3.4). Raises `BadRequest` for what is unknown or repeated."""
    keys: dict[tuple[int, ...], str] = {}
    controls: dict[str, str] = {}
    for name, value in items:
        if name in _CONTROLS:
            if name in controls and name not in {"includefield", "accept"}:
                raise BadRequest("a query parameter is given twice")
            controls[name] = value
            continue
        path = tuple(_tag(part) for part in name.split("."))
        if path in keys:
            raise BadRequest("an attribute is given twice")
        keys[path] = _checked(path, value)
    for name in ("fuzzymatching", "emptyvaluematching", "multiplevaluematching"):
        if controls.get(name, "false") not in {"true", "false"}:
            raise BadRequest(f"{name} is true or false")
    return Query(
        level=level,
        keys=tuple(keys.items()),
        limit=min(_whole(controls.get("limit", str(MAX_RESULTS))), MAX_RESULTS),
        offset=_whole(controls.get("offset", "0")),
        fuzzy=controls.get("fuzzymatching") == "true",
    )


def _tag(name: str) -> int:
    tag = tag_for_keyword(name)
    if tag is None and len(name) == 8 and all(character in "0123456789abcdefABCDEF" for character in name):
        tag = int(name, 16)
    if tag is None or (tag >> 16) % 2:
        raise BadRequest("a query parameter is not an attribute")
    return tag


def _checked(path: tuple[int, ...], value: str) -> str:
    if len(value) > 4096 or any(ord(character) < 32 for character in value):
        raise BadRequest("a value to match is too long or has control characters")
    try:
        vr = dictionary_VR(path[-1])
    except KeyError as error:
        raise BadRequest("a query parameter is not an attribute") from error
    if vr == "UI" and value:
        for uid in value.replace("\\", ",").split(","):
            check_uid(uid.strip())
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadRequest("limit and offset are whole numbers")
    return int(text)
