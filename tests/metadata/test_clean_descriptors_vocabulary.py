"""The vocabulary of cleaned descriptions: what its script makes, and nothing that is a name."""

from __future__ import annotations

import re

import vocabulary_source
from descriptor_films import MUSTER

from server.metadata.descriptors import clean
from server.metadata.patterns import AMBIGUOUS_TITLES, STREETS, TITLES
from server.metadata.vocabulary import KEPT_THOUGH_NAMES, TERMS, WORDS


def test_the_vocabulary_is_what_its_script_makes() -> None:
    assert vocabulary_source.TARGET.read_text(encoding="utf-8") == vocabulary_source.module()


def test_no_name_is_a_word_but_those_kept_by_decision() -> None:
    names = vocabulary_source.names()
    assert names & (WORDS | TERMS) <= KEPT_THOUGH_NAMES
    assert {vocabulary_source.without_marks(word) for word in WORDS - KEPT_THOUGH_NAMES}.isdisjoint(
        names - KEPT_THOUGH_NAMES
    )
    assert {"smith", "hope", "dixon", "waters", "li", "long", "oct", "may"}.isdisjoint(WORDS)


def test_what_speaks_of_a_person_is_no_word() -> None:
    assert (TITLES | STREETS).isdisjoint(WORDS)
    assert AMBIGUOUS_TITLES <= WORDS
    assert {word for word in WORDS if len(word) == 1} == {"l", "r"}
    assert (
        not {word for word in WORDS if re.search("[0-9]{2}", word)}
        - {"tc99m", "f18", "ga68", "12-lead"}
        - {word for word in WORDS if re.fullmatch("b[0-9]{2,4}|[tcls]1[0-2]", word)}
    )


def test_no_unit_is_a_word() -> None:
    """A number before a word stays only where it counts: with 31 MG a date would keep its end."""
    assert not {word for word in WORDS if word.isalpha() and clean(f"31 {word}", "LO", MUSTER) not in (word, None)}
