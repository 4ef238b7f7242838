"""Clean Descriptors for any patient and any text: nothing survives, nothing tells what went, and in linear time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

import pytest
from descriptor_films import LIBRARY, MUSTER, ZHANG, context
from hypothesis import given, settings
from hypothesis import strategies as st

from server.metadata.cleaning import CleaningContext
from server.metadata.descriptors import LONGEST, clean
from server.metadata.patterns import TITLES
from server.metadata.vocabulary import TERMS, WORDS

MEASURE = re.compile(r"(?<![^ ])[0-9]{1,3}([.,][0-9]{1,2})?[ -]?[a-zµμ°%]+(?![^ ])", re.IGNORECASE)
words = st.sampled_from(sorted(WORDS))
terms = st.sampled_from(sorted(TERMS))
measures = st.sampled_from(["5 mm", "1.25mm", "120 kV", "2 VIEWS", "3T", "30 deg", "3 phase"])
vocabulary_text = st.lists(words | terms | measures, min_size=1, max_size=8)
anything = st.text(st.characters(codec="utf-8"), max_size=60) | st.lists(
    words
    | terms
    | measures
    | st.sampled_from(["Mr", "DR", "MR", "L", "r", "SMITH", "19600131", "31", "2", "^", "@", "/", "王", "Street"]),
    max_size=12,
).flatmap(lambda parts: st.sampled_from([" ", "", "-", "^", "/", "\n", "，"]).map(lambda between: between.join(parts)))
GIVEN_CHARACTERS = sorted(
    set("王李张刘陈杨黄赵吴周徐孙马朱林郭罗高宋梁晓明伟芳娜秀英敏丽强磊洋艳勇军杰娟涛超霞") - set("".join(TERMS))
)
latin_part = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜÉ", min_size=3, max_size=10) | words.filter(
    lambda word: word.isalpha() and len(word) > 2 and word not in TITLES
)
chinese = st.tuples(
    st.sampled_from(GIVEN_CHARACTERS), st.text(st.sampled_from(GIVEN_CHARACTERS), min_size=1, max_size=2)
)


class Person:
    """A made-up patient: Latin and Chinese name, ID, birth date."""

    def __init__(self, family: str, first: str, han: tuple[str, str], number: str, day: tuple[int, int, int]) -> None:
        self.family, self.first, self.han, self.number = family, first, han, number
        year, month, date = day
        self.dates = [
            f"{year}{month:02}{date:02}",
            f"{year}-{month:02}-{date:02}",
            f"{date:02}.{month:02}.{year}",
            f"{date}.{month}.{year % 100:02}",
            f"{month}/{date}/{year % 100:02}",
            f"{date} Jan {year}",
            f"Jan {date}, {year}",
            f"{date:02}JAN{year}",
            f"{year}年{month}月{date}日",
            f"{year} {month} {date}",
        ]

    def context(self) -> CleaningContext:
        return context(f"{self.family}^{self.first}={'^'.join(self.han)}=", self.number)

    def spellings(self) -> list[str]:
        family, first, (surname, given_name) = self.family, self.first, self.han
        latin = [
            f"{one}{between}{two}"
            for between in (" ", "^", ",", ", ", "-", "_", ".", "")
            for one, two in ((family, first), (first, family))
        ]
        han = [f"{surname}{between}{given_name}" for between in ("", " ", "^", "·", "，")] + [given_name + surname]
        return [*latin, family, first, *han, f"{family} {given_name}", f"{surname} {first}", self.number,
                self.number.replace("-", " "), self.number.replace("-", ""), *self.dates]  # fmt: skip


days = st.tuples(st.integers(1920, 2023), st.integers(1, 12), st.integers(1, 28))
people = st.builds(
    Person, latin_part, latin_part, chinese, st.from_regex(r"[A-Z]{2,4}-[0-9]{4,8}", fullmatch=True), days
)


def tokens_of(cleaned: str | None) -> set[str]:
    return set((cleaned or "").casefold().split(" "))


@settings(max_examples=300, deadline=None)
@given(people, vocabulary_text, st.data())
def test_nothing_of_a_person_survives(person: Person, text: list[str], data: st.DataObject) -> None:
    found = person.context()
    spelling = data.draw(
        st.sampled_from(person.spellings()).flatmap(lambda s: st.sampled_from([s, s.lower(), s.upper(), s.title()]))
    )
    place = data.draw(st.integers(0, len(text)))
    around = data.draw(st.sampled_from([" ", ", ", "\n", "(", ";"]))

    def embedded(what: str) -> str | None:
        return clean(" ".join([*text[:place], around + what + around, *text[place:]]), "UT", found)

    cleaned = embedded(spelling)
    # As if some other word of no vocabulary had stood there: not even its length or kind is told.
    assert cleaned == embedded("Xqzv") == embedded("龘" * 20)
    forbidden = {person.family, person.first, *person.han, person.number, *person.dates}
    assert not {part.casefold() for part in forbidden} & tokens_of(cleaned)
    assert not re.search("[0-9]{4}", cleaned or "") or re.search("b1[0-9]{3}", cleaned or "", re.IGNORECASE)
    # Split over two attributes.
    half = len(spelling) // 2
    for part in (spelling[:half], spelling[half:]):
        assert not {person.family.casefold(), person.first.casefold()} & tokens_of(clean(part, "LO", found))


@settings(max_examples=300, deadline=None)
@given(anything)
def test_only_vocabulary_comes_out(text: str) -> None:
    cleaned = MEASURE.sub("", clean(text, "UT", MUSTER) or "")
    assert {part for part in cleaned.split(" ") if part.casefold() not in WORDS and part not in TERMS} <= {""}


@settings(max_examples=300, deadline=None)
@given(anything, st.sampled_from([MUSTER, ZHANG, LIBRARY]), st.sampled_from(["SH", "LO", "UT"]))
def test_cleaning_twice_changes_nothing(text: str, found: CleaningContext, vr: str) -> None:
    once = clean(text, vr, found)
    if once is not None:
        assert clean(once, vr, found) == once


lost = st.sampled_from(
    ["SMITH", "Jones", "19600131", "31.01.60", "x", "4711", "ОЛЬГА", "王五", "a@b", "\u200b", "12:30", "31.1.6", "Q^Q"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(words | terms | measures | st.none(), min_size=1, max_size=10),
    st.lists(lost, min_size=20, max_size=20),
    st.data(),
)
def test_answers_do_not_depend_on_what_goes(template: list[str | None], fill: list[str], data: st.DataObject) -> None:
    other = data.draw(st.permutations(fill))

    def filled(with_words: Iterable[str]) -> str:
        rest = iter(with_words)
        return " ".join(next(rest) if part is None else part for part in template)

    assert clean(filled(fill), "UT", MUSTER) == clean(filled(other), "UT", MUSTER)


@settings(max_examples=100, deadline=None)
@given(vocabulary_text, st.lists(st.text("BCDFGHJKLMNPQRSTVWXZ", min_size=6, max_size=30), min_size=2, max_size=2))
def test_answers_do_not_depend_on_a_name_that_is_no_word(text: list[str], names: list[str]) -> None:
    answers = {clean(" ".join([*text, name]), "UT", context(f"{name}^{name}X")) for name in names}
    assert len(answers) == 1


HOSTILE = [
    "a",
    "a-",
    "1 ",
    "1.1.",
    "胸",
    "王",
    "\u0301\u0316",
    "MR ",
    "Mr ",
    "^",
    "a^",
    " ^ ",
    " ",
    "w@ ",
    ".com",
    "1 mm",
    "１",
    "L ",
    "ﷺ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear_in_the_length(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        started = time.perf_counter()
        clean(text, "UT", LIBRARY)
        return time.perf_counter() - started

    short = min(seconds(LONGEST // 16) for _ in range(3))
    assert min(seconds(LONGEST) for _ in range(2)) < 16 * 5 * short + 0.05
