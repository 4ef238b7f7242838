"""Values packed in memory are found as by looking at each, whatever is sorted already and whatever came since."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalog import columns
from server.catalog.columns import Column, Packed
from server.catalog.lines import Near, Rows

TEXT = st.text(st.sampled_from("abäµ山𝕏 ^"), max_size=4)


def _keys(value: str) -> Sequence[str]:
    return [part.upper() for part in value.split("^")] if "^" in value else [value]


@given(
    added=st.lists(st.tuples(TEXT, st.integers(0, 30)), max_size=40, unique=True),
    asked=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5),
    waiting=st.integers(0, 6),
)
def test_what_is_found_is_what_looking_at_each_finds(
    added: list[tuple[str, int]], asked: list[tuple[str, str]], waiting: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_WAITING", waiting)
        column, seen = Column(_keys), list[tuple[str, int]]()
        for at, (value, number) in enumerate(added):
            column.add(value, number)
            seen.append((value, number))
            low, high = asked[at % len(asked)]
            inside = asked[at % len(asked) - 1][1][:2]

            def near(text: str) -> bool:
                return any(low <= key <= high for key in _keys(text))  # noqa: B023

            def held(text: str) -> bool:
                return any(low <= key <= high and inside in key for key in _keys(text))  # noqa: B023

            def even(text: str) -> bool:
                return near(text) and len(text) % 2 == 0

            there = [(low, high)] * (1 + at % 2)
            for test, said in (
                (near, Near(there)),
                (near, Near(there, sure=True)),
                (even, Near(there)),
                (held, Near(there, inside)),
                (held, Near(there, inside, sure=True)),
            ):
                expected = sorted(number for value, number in seen if test(value))
                assert sorted(map(int, column.find(said, test))) == expected
        assert sorted(map(int, column.numbers())) == sorted(number for _, number in added)


@given(texts=st.lists(TEXT))
def test_packed_texts_are_a_sequence(texts: list[str]) -> None:
    packed = Packed(texts)
    assert list(packed) == texts
    assert packed[1:3] == texts[1:3]
    assert len(packed) == len(texts)
    with pytest.raises(IndexError):
        packed[len(texts)]


def test_a_text_is_looked_for_within_each_and_not_across() -> None:
    packed = Packed(["ab", "ba", "", "bb", "abbabb", "b", "山", "b"])
    assert list(packed.holding("bb", 0, 8)) == [3, 4]
    assert list(packed.holding("bb", 4, 8)) == [4]
    assert list(packed.holding("bb", 0, 3)) == list(packed.holding("bb", 5, 2)) == []
    assert list(packed.holding("ab", 0, 8)) == [0, 4]
    assert list(packed.holding("山", 0, 8)) == [6]


def test_a_row_is_found_where_it_begins_and_nowhere_else() -> None:
    rows = Rows()
    first, second = b"A" * 16, b"AB" * 8
    rows.append(first, b"A" * 16)
    rows.append(second, first)
    rows.append(first, b"C" * 16)
    assert rows.find(first) == 2
    assert rows.find(second) == 1
    assert rows.find(b"C" * 16) is None
    assert rows[2] == (first, b"C" * 16)
    assert len(rows) == 3
