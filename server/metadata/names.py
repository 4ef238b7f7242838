"""Which words of the vocabulary a person's name takes away, and which strings of Chinese characters.

A name is nearly always outside the vocabulary, and then it needs no entry here: it goes because nothing keeps it. What
is left are the names that are words too (a patient called Hand), alone, in the plural, run together or taken apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations

from server.metadata.patterns import normalised, tokens
from server.metadata.vocabulary import TERMS, WORDS

# Also the degrees behind names, among them PA, which is a projection everywhere else.
_HONORIFICS = frozenset(
    {"dr", "mr", "ms", "mrs", "prof", "med", "pa", "md", "do", "rn", "rt", "np", "phd", "jr", "sr", "iii"}
)
_PARTICLES = re.compile("(?:mc|mac|fitz|van|von|de|di|da|del|la|le|al|el|ben|abu|san|saint|st|o)(?=.{3})")
# Letters that Unicode does not take apart.
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})
_SEPARATORS = re.compile("[-/]")
_ENDINGS = ("s", "es", "n", "en", "e")
_LONGEST = max(map(len, WORDS))
_SHORTEST_PIECE = 2


def without_marks(word: str) -> str:
    """`word` case folded, without accents and the like: how two spellings of a name are compared."""
    folded = word.casefold()
    if folded.isascii():
        return folded
    plain = "".join(char for char in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(char))
    return plain.translate(_LETTERS)


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, frozenset[str]]:
    grouped: dict[str, set[str]] = {}
    for key, word in pairs:
        grouped.setdefault(key, set()).add(word)
    return {key: frozenset(words) for key, words in grouped.items()}


# A word by each way to spell it without marks, and a compound by each of its parts.
_SPELLED = _grouped(
    (without_marks(part), word) for word in WORDS for part in {word, *_SEPARATORS.split(word)} if len(part) > 1
)


def spelled(key: str) -> frozenset[str]:
    """The words of the vocabulary that are spelled like `key`, or have it as a part between hyphens."""
    return _SPELLED.get(key, frozenset())


def name_words(name: str) -> frozenset[str]:
    """The words that somebody's name (a PN value with all its groups, or a plain one) takes out of the vocabulary."""
    parts = [key for part in _latin_parts(name) for key in _spellings(part)]
    # A particle written together with the name in one place stands apart in another.
    parts += [key[end:] for key in parts for end in _particle(key)]
    taken: set[str] = set()
    for key in parts:
        taken |= spelled(key)
        if len(key) > _SHORTEST_PIECE:
            taken.update(*(spelled(key + ending) for ending in _ENDINGS))
    joined = ["".join(pair) for pair in permutations(parts[:6], 2)] + ["".join(parts)]
    for key in {*parts, *joined}:
        taken |= spelled(key)
        taken.update(*map(spelled, _pieces(key)))
    return frozenset(taken) | (han_strings(name) & TERMS)


def han_strings(name: str) -> frozenset[str]:
    """The ways to write a name in Chinese characters: in each order, and each part of two characters or more."""
    found: set[str] = set()
    for group in normalised(name).split("="):
        parts = ["".join(text for kind, text in tokens(part) if kind == "han") for part in re.split(r"[\^\s·]", group)]
        parts = [part for part in parts if part]
        found.update(parts)
        found.update("".join(order) for order in permutations(parts[:4]))
        for whole in parts:
            # Written without a mark between them, family name and given name divide behind one or two characters.
            found.update(rest for rest in (whole[1:], whole[2:]) if len(rest) > 1)
    return frozenset(found)


def _latin_parts(name: str) -> Iterator[str]:
    for group in normalised(name).split("="):
        for number, component in enumerate(group.split("^")):
            for kind, text in tokens(component):
                # Compounds of the vocabulary too: a name may be written like one.
                for piece in _SEPARATORS.split(text) if kind == "word" else ():
                    key = without_marks(piece)
                    if len(key) > 1 and not (number >= 3 and key in _HONORIFICS):
                        yield piece


def _particle(key: str) -> Iterator[int]:
    match = _PARTICLES.match(key)
    if match is not None:
        yield match.end()


def _spellings(part: str) -> frozenset[str]:
    """A name with and without marks, umlauts written both ways."""
    folded = part.casefold()
    written_out = folded.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
    contracted = folded.replace("ae", "a").replace("oe", "o").replace("ue", "u")
    return frozenset(map(without_marks, (folded, written_out, contracted)))


def _pieces(key: str) -> frozenset[str]:
    """The words that `key` can be put together from without a rest, itself apart."""
    ends = _reachable(key)
    if len(key) not in ends:
        return frozenset()
    backward: set[int] = {len(key)}
    used: set[str] = set()
    for end in sorted(ends, reverse=True):
        if end in backward:
            for start in ends[end]:
                backward.add(start)
                used.add(key[start:end])
    return frozenset(used - {key})


def _reachable(key: str) -> Mapping[int, Sequence[int]]:
    """For each place that words from the beginning lead to, where the last of them begins."""
    ends: dict[int, list[int]] = {}
    for start in range(len(key) - 1):
        if start == 0 or start in ends:
            for end in range(start + _SHORTEST_PIECE, min(start + _LONGEST, len(key)) + 1):
                if key[start:end] in _SPELLED:
                    ends.setdefault(end, []).append(start)
    return ends
