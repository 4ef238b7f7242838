"""Where devices draw what identifies: the site's list, `devices.toml`. A rule can only ever add regions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from server.errors import ConfigurationError
from server.model import Region, RegionKind
from server.screening.facts import Facts

DEVICES_FILE = "devices.toml"
_WORDS = ("modality", "manufacturer", "model", "image_type", "series_description")
_SIZES = ("rows", "columns")
_PLACE = {"top", "left", "rows", "columns"}
_LARGEST = 65_535


@dataclass(frozen=True, kw_only=True)
class Place:
    """A rectangle from its corner; None for a length goes on to the frame's edge."""

    top: int
    left: int
    rows: int | None
    columns: int | None


@dataclass(frozen=True, kw_only=True)
class DeviceRule:
    """Applies where every list of `words` has one that its fact holds, and every size is one of those listed."""

    words: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, tuple[int, ...]]
    places: tuple[Place, ...]

    def applies(self, facts: Facts, rows: int, columns: int) -> bool:
        """Whether the rule is for an image with these facts and of this size."""
        said = {
            "modality": facts.modality,
            "manufacturer": facts.manufacturer,
            "model": facts.model,
            "image_type": "\\".join(facts.image_type),
            "series_description": facts.series_description,
        }
        size = {"rows": rows, "columns": columns}
        return all(any(word in said[name] for word in words) for name, words in self.words.items()) and all(
            size[name] in wanted for name, wanted in self.sizes.items()
        )


def read_devices(content: bytes) -> tuple[DeviceRule, ...]:
    """The rules of the file. Raises `ConfigurationError` for anything unknown, missing or misshapen."""
    try:
        table = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        raise _wrong("not readable as UTF-8 TOML") from None
    rules = table.pop("rule", None)
    if table or not isinstance(rules, list):
        raise _wrong("holds tables called `rule` and nothing else")
    return tuple(_rule(number, rule) for number, rule in enumerate(rules, 1))


def device_regions(rules: Sequence[DeviceRule], facts: Facts, rows: int, columns: int) -> list[Region]:
    """The regions, on every frame, of all rules that apply; one that does not fit the frame is the whole frame."""
    return [
        _region(place, rows, columns) for rule in rules if rule.applies(facts, rows, columns) for place in rule.places
    ]


def _region(place: Place, rows: int, columns: int) -> Region:
    height = rows - place.top if place.rows is None else place.rows
    width = columns - place.left if place.columns is None else place.columns
    fits = height > 0 and width > 0 and place.top + height <= rows and place.left + width <= columns
    return Region(
        kind=RegionKind.BANNER,
        top_row=place.top if fits else 0,
        left_column=place.left if fits else 0,
        row_count=height if fits else rows,
        column_count=width if fits else columns,
    )


def _rule(number: int, rule: object) -> DeviceRule:
    if not isinstance(rule, dict) or not set(rule) <= {*_WORDS, *_SIZES, "places"} or not rule.get("places"):
        raise _wrong(f"rule {number} has unknown keys or no `places`")
    if len(rule) < 2:
        raise _wrong(f"rule {number} does not say which images it is for")
    places = rule["places"]
    if not isinstance(places, list):
        raise _wrong(f"rule {number}: `places` is a list")
    return DeviceRule(
        words={name: tuple(_words(number, rule[name])) for name in _WORDS if name in rule},
        sizes={name: tuple(_numbers(number, rule[name])) for name in _SIZES if name in rule},
        places=tuple(_place(number, place) for place in places),
    )


def _words(number: int, value: object) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        raise _wrong(f"rule {number}: words are a list that is not empty")
    for word in value:
        if not isinstance(word, str) or not word.strip():
            raise _wrong(f"rule {number}: a word is text")
        yield word.strip().upper()


def _numbers(number: int, value: object) -> Iterator[int]:
    if not isinstance(value, list) or not value:
        raise _wrong(f"rule {number}: sizes are a list that is not empty")
    for size in value:
        yield _whole(number, size, 1)


def _place(number: int, value: object) -> Place:
    if not isinstance(value, dict) or not set(value) <= _PLACE:
        raise _wrong(f"rule {number}: a place has unknown keys")
    return Place(
        top=_whole(number, value.get("top", 0), 0),
        left=_whole(number, value.get("left", 0), 0),
        rows=_whole(number, value["rows"], 1) if "rows" in value else None,
        columns=_whole(number, value["columns"], 1) if "columns" in value else None,
    )


def _whole(number: int, value: object, least: int) -> int:
    if type(value) is not int or not least <= value <= _LARGEST:
        raise _wrong(f"rule {number}: a length is a whole number from {least} to {_LARGEST}")
    return value


def _wrong(sentence: str) -> ConfigurationError:
    return ConfigurationError(f"{DEVICES_FILE}: {sentence}")
