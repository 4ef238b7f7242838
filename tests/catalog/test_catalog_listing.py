"""What a world in memory keeps of its answers is what it would work out anew, whatever came in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog import listing as listings
from server.catalog.lines import Line, Near, Search, Told, Who
from server.catalog.listing import Listing

_TAG = 0x00080060
_KINDS, _OWN, _VALUES = ("vip", "plain", "minor"), ("a", "b", "c"), ("CT", "DX", "MR")
CALLERS = [Who(role="reader", caller=name, own={"departments": [name]}) for name in _OWN]


def _line(number: int, drawn: tuple[int, int, int, int]) -> Line:
    kind, department, value, order = drawn
    return Line(
        row=number.to_bytes(16, "big"),
        revision=bytes(drawn).ljust(16),
        order=f"{order:02d}/{number}",
        values={_TAG: ("CS", [_VALUES[value]])},
        facts={"label": _KINDS[kind]},
        members={"departments": [_OWN[department]]},
        instances=min(order, 1),
    )


def _search(value: str) -> Search:
    def near(_vr: str) -> Near:
        return Near([(value, value)], sure=True)

    def test(_vr: str) -> Callable[[str], bool]:
        return partial(str.__eq__, value)

    return Search(tag=_TAG, value=value, near=near, test=test)


def _new() -> Listing:
    told = {"reader": Told(whole=frozenset({"label"}), own=frozenset({"departments"}))}
    return Listing(changes=0, told_apart=told, keys=lambda _vr, value: [value])


def _rows(listing: Listing, searches: Sequence[Search], who: Who) -> list[bytes]:
    return [listing.rows[int(number)][0] for number in listing.find(searches, who)]


_DRAWN = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 9))
_STEPS = st.one_of(
    st.tuples(st.just("line"), st.integers(0, 6), _DRAWN),
    st.tuples(st.just("decide"), st.integers(0, 2), st.lists(st.booleans(), min_size=9, max_size=9)),
    st.tuples(st.just("find"), st.integers(0, 2), st.integers(0, 3)),
)


@settings(max_examples=150)
@given(first=st.dictionaries(st.integers(0, 6), _DRAWN, max_size=6), steps=st.lists(_STEPS, max_size=25))
def test_what_is_kept_never_outlives_a_change(
    first: dict[int, tuple[int, int, int, int]], steps: list[tuple[str, int, Any]]
) -> None:
    """Beside each find stands a listing that is made for it alone, and looking at each study."""
    lines, decided = dict(first), dict[tuple[str, str, bool], str]()
    mine = _new()
    for number, drawn in lines.items():
        mine.load(_line(number, drawn))
    for what, at, more in steps:
        if what == "line":
            lines[at] = more
            mine.add(_line(at, more))
        elif what == "decide":
            said = iter(more)
            told = {kind: "permit" if next(said, False) else None for kind in mine.undecided(CALLERS[at])}
            for (kind, share), permit in told.items():
                decided[_OWN[at], _name(mine, kind), bool(share)] = permit or ""
            mine.decided(CALLERS[at], told)  # type: ignore[arg-type]
        else:
            searches = [_search(_VALUES[more])] if more < 3 else []
            shown = {
                number: drawn
                for number, drawn in lines.items()
                if decided.get((_OWN[at], _KINDS[drawn[0]], drawn[1] == at)) and drawn[3]
                if not searches or drawn[2] == more
            }
            ordered = sorted(shown, key=lambda number: f"{shown[number][3]:02d}/{number}")
            assert _rows(mine, searches, CALLERS[at]) == [number.to_bytes(16, "big") for number in ordered]
            numbers = [int(number) for number in mine.find(searches, CALLERS[at])]
            assert all(mine.permits(CALLERS[at], numbers))


def _name(listing: Listing, kind: int) -> str:
    facts: Any = next(facts for facts, number in listing._kinds["reader"].items() if number == kind)
    return str(facts[0])


def test_what_was_found_before_a_decision_is_found_anew_after_it() -> None:
    listing = _new()
    listing.load(_line(1, (0, 0, 0, 1)))
    decided: list[tuple[int, int]] = []
    for said in ("permit", None, "permit"):
        kinds = dict.fromkeys(listing.undecided(CALLERS[0]) or decided, said)
        for searches in ([], [_search("CT")]):
            before = _rows(listing, searches, CALLERS[0])
            assert before == ([] if said == "permit" else [(1).to_bytes(16, "big")])
        listing.decided(CALLERS[0], kinds)  # type: ignore[arg-type]
        decided = list(kinds)
    assert _rows(listing, [_search("CT")], CALLERS[0])


def test_many_are_put_in_order_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for few in (0, 1000):
        monkeypatch.setattr(listings, "_FEW", few)
        listing = _new()
        for number in range(200):
            listing.load(_line(number, (number % 3, number % 2, number % 3, number * 7 % 10)))
        kinds = dict.fromkeys(listing.undecided(CALLERS[0]), "permit")
        listing.decided(CALLERS[0], kinds)  # type: ignore[arg-type]
        found.append([_rows(listing, [_search(value)], CALLERS[0]) for value in _VALUES])
    assert found[0] == found[1]
    assert len(found[0][0]) > 50
