"""Matching of search keys against masked values (PS3.4 section C.2.2.2, PS3.18 section 8.3.4.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from server.metadata.charset import DEFAULT
from server.metadata.elements import STRING_VRS, TEXT_VRS, Element, Elements, character_sets, texts
from server.metadata.json_model import elements_to_json
from server.model.patterns import glob

_WILD_VRS = TEXT_VRS | {"AE", "CS", "UR"}
_RANGE_VRS = frozenset({"DA", "TM", "DT"})
_LAST = "\U0010ffff"


def matches(elements: Elements, key: tuple[int, ...], value: str) -> bool:
    """Whether a (masked) data set matches `value` at `key`, a path of tags through sequences.

    Universal matching for "", a list for UIDs (`,` or `\\`), a range for dates and times (`a-b`, `a-`, `-b`), `*` and
    `?` for text, equality otherwise; names without regard to case, by the whole or by one of their three groups. An
    attribute that is not there, or is empty, matches nothing but "".
    """
    if not value:
        return True
    return any(_matches(element, sets, value) for element, sets in _found(elements, key, DEFAULT))


def searchable(elements: Elements) -> dict[int, tuple[str, list[str]]]:
    """VR and values of every (masked) attribute that a key at the top level can match; see `value_test`."""
    sets = character_sets(elements, DEFAULT)
    found = {tag: (element.vr, _values(element, sets)) for tag, element in elements.items() if element.items is None}
    return {tag: (vr, values) for tag, (vr, values) in found.items() if values}


def value_test(vr: str, value: str) -> Callable[[str], bool]:
    """Whether one value of an attribute matches; `matches` is that any does."""
    return _test(vr, value)


def value_keys(vr: str, value: str) -> list[str]:
    """What a value is sorted by, so that `key_intervals` finds it."""
    return _names(value) if vr == "PN" else [value]


def key_intervals(vr: str, value: str) -> list[tuple[str, str]]:
    """Closed intervals in one of which every value that matches has a key; not every value there matches."""
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


def _found(
    elements: Elements, key: tuple[int, ...], inherited: tuple[str, ...]
) -> Iterator[tuple[Element, tuple[str, ...]]]:
    sets = character_sets(elements, inherited)
    element = elements.get(key[0])
    if element is None:
        return
    if len(key) == 1:
        yield element, sets
        return
    for item in element.items or ():
        yield from _found(item, key[1:], sets)


def _matches(element: Element, sets: tuple[str, ...], value: str) -> bool:
    return any(map(_test(element.vr, value), _values(element, sets)))


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
