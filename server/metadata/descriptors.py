"""Clean Descriptors (PS3.15 E.3.6): what of a description may stay where everything identifying has to go.

An allow-list: a word stays when the vocabulary holds it and the object's own names and IDs do not take it, a number
only with its unit. The words that stay are joined by one space each, so that nothing tells what stood between them:
two texts that differ only in words that go come out equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from server.metadata.cleaning import CleaningContext, context_of
from server.metadata.patterns import (
    AMBIGUOUS_TITLES,
    LOST,
    STREETS,
    TITLES,
    normalised,
    tokens,
    without_addresses,
)
from server.metadata.vocabulary import TERMS, WORDS

__all__ = ["CleaningContext", "clean", "context_of"]

LONGEST = 65_536
_LIMITS: Mapping[str, int] = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "UC": LONGEST, "UT": LONGEST}
_DIGITS = re.compile("[0-9]+")
_INITIALS = frozenset({"l", "r"})
_COMPANIONS = TITLES | AMBIGUOUS_TITLES | STREETS


def _terms_by_first() -> Mapping[str, tuple[str, ...]]:
    by_first: dict[str, list[str]] = {}
    for term in sorted(TERMS, key=lambda term: (-len(term), term)):
        by_first.setdefault(term[0], []).append(term)
    return {first: tuple(those) for first, those in by_first.items()}


_TERMS_BY_FIRST = _terms_by_first()


class _Words(NamedTuple):
    """The words of a text as written and as compared, and for each whether it stays; three lists of one length."""

    texts: list[str]
    keys: list[str]
    kept: list[bool]


def clean(value: str, vr: str, context: CleaningContext) -> str | None:
    """One value of a text element (SH, LO, ST, LT, UC, UT), decoded, with the words that may stay; None to remove it.

    Linear in the length of the value; one longer than `LONGEST` characters, and any other VR, is removed.
    """
    limit = _LIMITS.get(vr)
    if limit is None or context.unclear or len(value) > LONGEST:
        return None
    text = normalised(value)
    if len(text) > LONGEST:
        # A single character may stand for eighteen.
        return None
    words = _words(_prepared(text, context), context.taken)
    if not _COMPANIONS.isdisjoint(words.keys):
        _lose_companions(words)
    if context.beginning:
        _lose_phrases(words, context)
    if not all(words.kept):
        _lose_dependents(words)
    stay = [place for place, stays in enumerate(words.kept) if stays]
    if context.ending:
        stay = _without_phrases(stay, words.keys, context)
    return _joined((words.texts[place] for place in stay), limit)


def _prepared(text: str, context: CleaningContext) -> str:
    text = without_addresses(text)
    if not text.isascii():
        for string in context.strings:
            text = text.replace(string, LOST)
    return _without_person_names(text) if "^" in text else text


def _without_person_names(text: str) -> str:
    """Without the chunks that are written like a person's name and hold a word that is none of the vocabulary."""
    chunks = " ".join(text.split()).replace(" ^", "^").replace("^ ", "^").split(" ")
    return " ".join(LOST if "^" in chunk and _names_somebody(chunk) else chunk for chunk in chunks)


def _names_somebody(chunk: str) -> bool:
    return any(kind == "word" and token.casefold() not in WORDS for kind, token in tokens(chunk))


def _words(text: str, taken: frozenset[str]) -> _Words:
    texts: list[str] = []
    kept: list[bool] = []
    keys: list[str] = []
    for kind, token in tokens(text):
        if kind == "han":
            for term, known in _terms(token):
                texts.append(term)
                keys.append(term)
                kept.append(known and term not in taken)
            continue
        key = token.casefold()
        texts.append(token)
        keys.append(key)
        known = key in WORDS and key not in taken
        free = taken.isdisjoint((key.replace(" ", ""), *_DIGITS.findall(key)))
        kept.append(known if kind == "word" else free)
    return _Words(texts, keys, kept)


def _terms(run: str) -> Iterator[tuple[str, bool]]:
    """A run of Chinese characters as terms, the longest first; a character that begins none is unknown."""
    place = 0
    while place < len(run):
        for term in _TERMS_BY_FIRST.get(run[place], ()):
            if run.startswith(term, place):
                yield term, True
                place += len(term)
                break
        else:
            yield run[place], False
            place += 1


def _lose_companions(words: _Words) -> None:
    """Titles take the word behind them with them, streets the one before, whatever these mean elsewhere."""
    for place, key in enumerate(words.keys):
        if key in TITLES or (key in AMBIGUOUS_TITLES and words.texts[place].istitle()):
            words.kept[place : place + 2] = [False] * len(words.kept[place : place + 2])
        elif key in STREETS and place:
            words.kept[place - 1] = False


def _lose_phrases(words: _Words, context: CleaningContext) -> None:
    """Places and IDs of several words, as they stand in the text."""
    for place, key in enumerate(words.keys):
        for length in context.beginning.get(key, ()):
            end = place + length
            if tuple(words.keys[place:end]) in context.phrases:
                words.kept[place:end] = [False] * (min(end, len(words.keys)) - place)
                break


def _lose_dependents(words: _Words) -> None:
    """The words that may be read as part of a neighbour that goes.

    That is a number behind it (the end of a date) or counting it, MR or DR before it (a title), L or R on either side
    (an initial).
    """
    keys, kept = words.keys, words.kept
    for place in range(1, len(kept)):
        if not kept[place - 1] and kept[place] and keys[place][0] in "0123456789" and keys[place] not in WORDS:
            kept[place] = False
    for place in range(len(kept) - 2, -1, -1):
        if not kept[place + 1] and (keys[place] in AMBIGUOUS_TITLES or keys[place].isdigit()):
            kept[place] = False
    beside = [True, *kept, True]
    for place, key in enumerate(keys):
        if key in _INITIALS and not (beside[place] and beside[place + 2]):
            kept[place] = False


def _without_phrases(stay: list[int], keys: list[str], context: CleaningContext) -> list[int]:
    """Less the places and IDs that stand together only because what was between them is gone."""
    left: list[int] = []
    for place in stay:
        left.append(place)
        for length in context.ending.get(keys[place], ()):
            if tuple(keys[other] for other in left[-length:]) in context.phrases:
                del left[-length:]
                while left and keys[left[-1]].isdigit():
                    left.pop()
                break
    return left


def _joined(texts: Iterable[str], limit: int) -> str | None:
    """The words that stay, as many as the VR has room for; None when there is none."""
    fitting: list[str] = []
    length = -1
    for text in texts:
        length += 1 + len(text)
        if length > limit:
            break
        fitting.append(text)
    while fitting and fitting[-1].isdigit():
        # What it counts is cut off.
        fitting.pop()
    return " ".join(fitting) or None
