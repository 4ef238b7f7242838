"""Where devices draw what identifies: the site's list, `devices.toml`. A rule can only ever add regions.

A rule that is gone from the list takes nothing away either: half of a list, or none, must not show what all of it hid.
What it hid stays hidden until the list says of it that it is withdrawn.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from server.errors import ConfigurationError
from server.model import Region, RegionKind
from server.screening.facts import Facts
from server.screening.regions import DEVICE

DEVICES_FILE = "devices.toml"
_WORDS = ("modality", "manufacturer", "model", "image_type", "series_description")
_SIZES = ("rows", "columns")
_KEYS = {*_WORDS, *_SIZES, "places", "withdrawn"}
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
    """Applies where every list of `words` has one that its fact holds, and every size is one of those listed.

    `withdrawn`: it hides nothing any more, and what it hid is no longer hidden for its sake.
    """

    words: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, tuple[int, ...]]
    places: tuple[Place, ...]
    withdrawn: bool = False

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
    return [*_regions((rule for rule in rules if not rule.withdrawn), facts, rows, columns)]


def withdrawn_regions(rules: Sequence[DeviceRule], facts: Facts, rows: int, columns: int) -> frozenset[Region]:
    """What rules that are withdrawn had hidden of such an image."""
    return frozenset(_regions((rule for rule in rules if rule.withdrawn), facts, rows, columns))


def fingerprint(rules: Sequence[DeviceRule]) -> str:
    """What the rules say, in 16 hexadecimal digits, in whatever order they and their words stand."""
    said = sorted(
        repr((
            [(name, sorted(set(words))) for name, words in sorted(rule.words.items())],
            [(name, sorted(set(sizes))) for name, sizes in sorted(rule.sizes.items())],
            sorted({(place.top, place.left, place.rows or 0, place.columns or 0) for place in rule.places}),
            rule.withdrawn,
        ))
        for rule in rules
    )  # fmt: skip
    return hashlib.sha256("\n".join(dict.fromkeys(said)).encode()).hexdigest()[:16]


def _regions(rules: Iterable[DeviceRule], facts: Facts, rows: int, columns: int) -> Iterator[Region]:
    for rule in rules:
        if rule.applies(facts, rows, columns):
            yield from (_region(place, rows, columns) for place in rule.places)


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
        detector=DEVICE,
    )


def _rule(number: int, rule: object) -> DeviceRule:
    if (
        not isinstance(rule, dict)
        or not set(rule) <= {*_WORDS, *_SIZES, "places", "withdrawn"}
        or not rule.get("places")
    ):
        raise _wrong(f"rule {number} has unknown keys or no `places`")
    if not set(rule) & {*_WORDS, *_SIZES}:
        raise _wrong(f"rule {number} does not say which images it is for")
    places = rule["places"]
    if not isinstance(places, list):
        raise _wrong(f"rule {number}: `places` is a list")
    if type(rule.get("withdrawn", False)) is not bool:
        raise _wrong(f"rule {number}: `withdrawn` is true or false")
    return DeviceRule(
        words={name: tuple(_words(number, rule[name])) for name in _WORDS if name in rule},
        sizes={name: tuple(_numbers(number, rule[name])) for name in _SIZES if name in rule},
        places=tuple(_place(number, place) for place in places),
        withdrawn=rule.get("withdrawn", False),
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
