"""Matching of search keys against masked values (PS3.4 section C.2.2.2, PS3.18 section 8.3.4)."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple

from server.metadata.charset import DEFAULT
from server.metadata.elements import (
    BINARY_VRS,
    STRING_VRS,
    TEXT_VRS,
    Element,
    Elements,
    character_sets,
    first_text,
    texts,
)
from server.metadata.json_model import elements_to_json
from server.model.patterns import glob

DATE_TIME_PAIRS = ((0x00080020, 0x00080030), (0x00400244, 0x00400245))
"""Date and time of the study, of the performed procedure step: what can be asked for as one."""

_PAIRS = tuple(date << 32 | time for date, time in DATE_TIME_PAIRS)
_WILD_VRS = TEXT_VRS | {"AE", "CS", "UR"}
_RANGE_VRS = frozenset({"DA", "TM", "DT"})
_TIMEZONE = 0x00080201
_LAST = "\U0010ffff"
_BETWEEN = "\x1f"
_WILD_CARDS = re.compile(r"[*?]+")


class How(StrEnum):
    """The kinds of matching that a key can ask for."""

    PLAIN = "plain"
    EMPTY = "empty"
    FUZZY = "fuzzy"
    MOMENT = "moment"


class Key(NamedTuple):
    """One key of a search: a path of tags through sequences, what is asked for, and how it is compared.

    `PLAIN`: universal matching for "", a list for UIDs (`,` or `\\`), a range for dates and times (`a-b`, `a-`, `-b`),
    `*` and `?` for text, equality otherwise; names without regard to case, by the whole or by one of their three
    groups. An attribute that is not there, or is empty, matches nothing but "". `EMPTY`: it is just that (C.2.2.2.7).
    `FUZZY`: a name as if plain, or if each word of the key is a word of one of its groups, without regard to accents,
    order and punctuation. `MOMENT`: see `moment_key`.
    """

    path: tuple[int, ...]
    value: str
    how: How = How.PLAIN


def moment_key(date_tag: int, time_tag: int, date: str, time: str, zone: str) -> Key:
    """A key for a date and a time together, each a value, a range or "". With a `zone` (+HHMM) values are moved there
    from the zone of their own data set first, as far as that says one and the time is known."""
    return Key((date_tag << 32 | time_tag,), _BETWEEN.join((date, time, zone)), How.MOMENT)


def matches(elements: Elements, key: tuple[int, ...], value: str) -> bool:
    """Whether a (masked) data set matches one plain key."""
    return matches_all(elements, [Key(key, value)])


def matches_all(elements: Elements, keys: Sequence[Key]) -> bool:
    """Whether a (masked) data set matches all keys; those into one sequence have to match in one and the same item
    (PS3.4 section C.2.2.2.6)."""
    return _all(elements, keys, DEFAULT)


def searchable(elements: Elements) -> dict[int, tuple[str, list[str]]]:
    """VR and values of every (masked) attribute that a key at the top level can match; see `value_test`."""
    sets = character_sets(elements, DEFAULT)
    found = {tag: (element.vr, _values(element, sets)) for tag, element in elements.items() if element.items is None}
    found |= {pair: ("DT", moments) for pair in _PAIRS if (moments := _moments(elements, pair))}
    return {tag: (vr, values) for tag, (vr, values) in found.items() if values}


def value_test(vr: str, value: str, how: How = How.PLAIN) -> Callable[[str], bool]:
    """Whether one value of an attribute matches; `matches_all` is that any does. Not for `EMPTY`."""
    if how is How.MOMENT:
        return _moment_test(value)
    if how is How.FUZZY:
        literal, words = _test(vr, value), _words(value)
        return lambda found: literal(found) or any(_has_words(words, group) for group in found.split("="))
    return _test(vr, value)


def value_keys(vr: str, value: str) -> list[str]:
    """What a value is sorted by, so that `key_intervals` finds it."""
    return _names(value) if vr == "PN" else [value]


def key_intervals(vr: str, value: str, how: How = How.PLAIN) -> list[tuple[str, str]]:
    """Closed intervals in one of which every value that matches has a key; not every value there matches."""
    if how is How.FUZZY:
        return [("", _LAST)]
    if how is How.MOMENT:
        days, _, zone = value.split(_BETWEEN)
        return key_intervals("DA", days) if "-" in days and not zone else [("", _LAST)]
    if vr == "UI":
        return [(uid.strip(), uid.strip()) for uid in value.replace(",", "\\").split("\\")]
    if vr == "DA":
        low, dash, high = value.partition("-")
        return [(low, high + _LAST if high else _LAST)] if dash else [(value, value)]
    if vr == "PN" or vr in _WILD_VRS:
        pattern = value.casefold() if vr == "PN" else value
        prefix = pattern[: min((pattern.index(mark) for mark in "*?" if mark in pattern), default=len(pattern))]
        return [(prefix, prefix + _LAST)]
    return [("", _LAST)]


def key_inside(vr: str, value: str, how: How = How.PLAIN) -> tuple[str, bool]:
    """A text that a key in those intervals holds of every value that matches, and whether every value with such a key
    matches."""
    if how is not How.PLAIN:
        return "", False
    if vr in ("UI", "DA"):
        return "", True
    if vr != "PN" and vr not in _WILD_VRS:
        return "", False
    pattern = value.casefold() if vr == "PN" else value
    literal = max(_WILD_CARDS.split(pattern), key=len)
    if pattern == f"{literal}*":
        # The interval is that of all that begins so.
        return "", True
    return literal, bool(literal) and pattern == f"*{literal}*"


def _all(elements: Elements, keys: Sequence[Key], inherited: tuple[str, ...]) -> bool:
    sets = character_sets(elements, inherited)
    within: dict[int, list[Key]] = defaultdict(list)
    for key in keys:
        if len(key.path) > 1:
            within[key.path[0]].append(key._replace(path=key.path[1:]))
        elif not _one(elements, key, sets):
            return False
    return all(_in_an_item(elements.get(tag), inner, sets) for tag, inner in within.items())


def _in_an_item(element: Element | None, keys: Sequence[Key], sets: tuple[str, ...]) -> bool:
    items = element.items if element is not None else None
    if not items:
        return all(key.how is How.EMPTY or not key.value for key in keys)
    return any(_all(item, keys, sets) for item in items)


def _one(elements: Elements, key: Key, sets: tuple[str, ...]) -> bool:
    if not key.value:
        return True
    if key.how is How.MOMENT:
        return any(map(_moment_test(key.value), _moments(elements, key.path[0])))
    element = elements.get(key.path[0])
    if key.how is How.EMPTY:
        return element is None or not (element.items or _values(element, sets) or _is_binary(element))
    return element is not None and any(map(value_test(element.vr, key.value, key.how), _values(element, sets)))


def _is_binary(element: Element) -> bool:
    return element.vr in BINARY_VRS and not element.empty


def _values(element: Element, sets: tuple[str, ...]) -> list[str]:
    if element.vr in STRING_VRS:
        return [value for value in texts(element, sets) if value]
    found = elements_to_json({element.tag: element}).get(f"{element.tag:08X}", {}).get("Value")
    return [str(one) for one in found if isinstance(one, int | float | str)] if isinstance(found, list) else []


def _test(vr: str, value: str) -> Callable[[str], bool]:
    if vr == "UI":
        wanted = {uid.strip() for uid in value.replace(",", "\\").split("\\")}
        return lambda found: found in wanted
    if vr in _RANGE_VRS:
        return lambda found: _in_range(vr, found, value)
    if vr == "PN":
        folded = value.casefold()
        return lambda found: any(glob(folded, name) for name in _names(found))
    if vr in _WILD_VRS:
        return lambda found: glob(value, found)
    if vr in ("DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"):
        return lambda found: found == value.strip() or _same_number(found, value)
    return lambda found: found == value.strip()


def _names(found: str) -> list[str]:
    folded = found.casefold()
    groups = [group.strip() for group in folded.split("=")]
    # "A^B" and "A^B^^^" are the same name (PS3.5 section 6.2.1.1).
    return [folded, *groups, *(group.rstrip("^") for group in groups if group)]


def _same_number(found: str, value: str) -> bool:
    try:
        return float(found) == float(value)
    except ValueError:
        return False


def _in_range(vr: str, found: str, value: str) -> bool:
    """Both ends belong to the range, and an end without hours, say, means the whole day (C.2.2.2.5)."""
    low, dash, high = _ends(vr, value)
    if not dash:
        return found == value if vr == "DA" else found.startswith(value)
    return (not low or found >= low) and (not high or found[: len(high)] <= high)


def _ends(vr: str, value: str) -> tuple[str, str, str]:
    if vr != "DT":
        return value.partition("-")
    # In a DT the hyphen may be the sign of a UTC offset: four digits follow and then nothing or the range's hyphen.
    for at, letter in enumerate(value):
        rest = value[at + 1 :]
        is_offset = at > 0 and rest[:4].isdecimal() and len(rest[:4]) == 4 and rest[4:5] in ("", "-") and at > 8
        if letter == "-" and not is_offset:
            return value[:at], "-", rest
    return value, "", ""


def _moments(elements: Elements, pair: int) -> list[str]:
    """Date, time and offset from UTC with slashes between them, [] without a date."""
    date, time = first_text(elements, pair >> 32), first_text(elements, pair & 0xFFFFFFFF)
    return [f"{date}/{time}/{first_text(elements, _TIMEZONE)}"] if date else []


def _moment_test(asked: str) -> Callable[[str], bool]:
    dates, times, zone = asked.split(_BETWEEN)

    def test(found: str) -> bool:
        day, time, own = found.split("/", 2)
        if zone:
            day, time = _moved(day, time, own, zone)
        (first, dash, last), (begin, hyphen, end) = dates.partition("-"), times.partition("-")
        if not (dash and hyphen) or (begin and not first) or (end and not last):
            return all(not asked or _in_range(vr, had, asked) for vr, had, asked in parts(day, time))
        moment = day + time
        low, high = first + begin, last + end
        return (not low or moment >= low) and (not high or moment[: len(high)] <= high)

    def parts(day: str, time: str) -> tuple[tuple[str, str, str], ...]:
        return ("DA", day, dates), ("TM", time, times)

    return test


def _moved(day: str, time: str, own: str, zone: str) -> tuple[str, str]:
    """A day and a time in another zone; as they are where they, or their zone, are not known well enough."""
    whole, dot, fraction = time.partition(".")
    try:
        moment = datetime.strptime(day + whole.ljust(6, "0") + own, "%Y%m%d%H%M%S%z").astimezone(_zone(zone))
    except (ValueError, OverflowError):
        return day, time
    if not whole:
        return day, time
    return f"{moment:%Y%m%d}", f"{moment:%H%M%S}"[: len(whole)] + dot + fraction


def _zone(written: str) -> timezone:
    size = timedelta(hours=int(written[1:3]), minutes=int(written[3:5]))
    return timezone(size if written[0] == "+" else -size)


def _words(text: str) -> list[str]:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return "".join(one if one.isalnum() or one in "*?" else " " for one in plain).split()


def _has_words(words: Sequence[str], group: str) -> bool:
    """Whether every asked word is another word of a name."""
    left = _words(group)
    for word in words:
        found = next((one for one in left if glob(word, one)), None)
        if found is None:
            return False
        left.remove(found)
    return bool(words)
