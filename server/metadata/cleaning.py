"""What identifies in one object: the context that its texts are cleaned with (PS3.15 E.3.6, Clean Descriptors)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary

from server.metadata.charset import DEFAULT
from server.metadata.elements import BINARY_VRS, STRING_VRS, TEXT_VRS, Element, Elements, character_sets, texts
from server.metadata.identifiers import KINDS
from server.metadata.names import han_strings, name_words, spelled, without_marks
from server.metadata.patterns import normalised, tokens
from server.metadata.vocabulary import WORDS

MOST = 2_000
"""Names, places and IDs that one object may hold; with more of them its texts are not cleaned but removed."""
LONGEST = 10_240
"""Characters of one of them, as many as the longest text of a bounded VR; with a longer one likewise."""
MOST_IN_A_ROW = 65_536
"""Characters of all of them together that a row of the catalogue keeps."""

_PERSON_IDENTIFICATION = 0x00401101
# Names by PS3.6, whatever VR a film gives them.
_NAMES = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "PN")
# IDs that people hold: one that is a word or a number takes that out of every text, and not only where it stands.
_PERSONAL_IDS = frozenset(
    {0x00080050, 0x00100020, 0x00101000, 0x00101090, 0x00120040, 0x00120042, 0x00380010, 0x00380060}
)
_PLACES = frozenset(
    {
        0x00080080,  # InstitutionName
        0x00080081,  # InstitutionAddress
        0x00080092,  # ReferringPhysicianAddress
        0x00081010,  # StationName
        0x00081040,  # InstitutionalDepartmentName
        0x00100021,  # IssuerOfPatientID
        0x00101040,  # PatientAddress
        0x00101080,  # MilitaryRank
        0x00101081,  # BranchOfService
        0x00102150,  # CountryOfResidence
        0x00102152,  # RegionOfResidence
        0x00102180,  # Occupation
        0x001021F0,  # PatientReligiousPreference
        0x00102299,  # ResponsibleOrganization
        0x00120010,  # ClinicalTrialSponsorName
        0x00120031,  # ClinicalTrialSiteName
        0x00181008,  # GantryID
        0x00321033,  # RequestingService
        0x00380300,  # CurrentPatientLocation
        0x00380400,  # PatientInstitutionResidence
        0x00400010,  # ScheduledStationName
        0x00400011,  # ScheduledProcedureStepLocation
        0x00400242,  # PerformedStationName
        0x00400243,  # PerformedLocation
        0x00401102,  # PersonAddress
        0x0040A027,  # VerifyingOrganization
    }
)
_LINES = re.compile(r"[,;^=\r\n]+")
_LETTERS_OR_DIGITS = re.compile("[0-9]+|[^0-9]+")
_LONGEST_PHRASE = 16
_READABLE = STRING_VRS | BINARY_VRS

Identifying = frozenset[tuple[str, str]]
"""The values of one object that name somebody (`name`) or somewhere (`place`), or are an ID (`id`)."""


@dataclass(frozen=True, kw_only=True)
class CleaningContext:
    """What must not stay although the vocabulary knows it.

    `taken`: words of the vocabulary that are names or IDs here, case folded. `phrases`: places and IDs of several
    words; `beginning` and `ending`: by their first and by their last word, how many words they have, longest first.
    `strings`: names and places in Chinese characters, longest first. `unclear`: too much to go by, so no text stays.

    Dates, telephone numbers and UIDs are not in it: no number of theirs is ever kept.
    """

    taken: frozenset[str]
    phrases: frozenset[tuple[str, ...]]
    beginning: Mapping[str, tuple[int, ...]]
    ending: Mapping[str, tuple[int, ...]]
    strings: tuple[str, ...]
    unclear: bool


def identifying(elements: Elements, known: dict[int, tuple[Element, Identifying]] | None = None) -> Identifying:
    """What identifies in a data set, found in its own attributes at any depth, private ones with VR PN included.

    `known` remembers what was found in an element, by the object: for data sets that share elements and, of the text in
    them, the character sets.
    """
    sets = character_sets(elements, DEFAULT)
    if known is None:
        return frozenset(_identifying(elements, sets, person=False))
    found: set[tuple[str, str]] = set()
    for tag, element in elements.items():
        if element.items is None and _kind(tag, element.vr, person=False) is None:
            continue
        before = known.get(id(element))
        if before is None:
            before = known[id(element)] = element, frozenset(_identifying({tag: element}, sets, person=False))
        found |= before[1]
    return frozenset(found)


def worth_keeping(found: Identifying) -> Identifying | None:
    """What a row of the catalogue keeps of it; None when that would be too much, and then its texts go unsaid."""
    return found if len(found) <= MOST and sum(len(value) for _, value in found) <= MOST_IN_A_ROW else None


def context_of(elements: Elements) -> CleaningContext:
    """The context of one whole object."""
    return context_from(identifying(elements))


class Part(NamedTuple):
    """What one value adds to a context: fields as of `CleaningContext`."""

    taken: frozenset[str]
    phrases: frozenset[tuple[str, ...]]
    strings: frozenset[str]


def part_of(kind: str, value: str) -> Part:
    """What a name, place or ID of at most `LONGEST` characters takes out of texts."""
    if kind == "name":
        return Part(name_words(value), frozenset(), _longer(han_strings(value)))
    taken: set[str] = set()
    strings: set[str] = set()
    phrases: set[tuple[str, ...]] = set()
    for line in {value, *_LINES.split(value)}:
        words = keys(line)
        phrases.add(words[:_LONGEST_PHRASE])
        if kind == "id":
            taken |= _words_of_id(words)
            # Written with a separator where letters meet digits, or with none of its own.
            phrases.add(tuple(_LETTERS_OR_DIGITS.findall("".join(words)))[:_LONGEST_PHRASE])
        strings.update(run for script, run in tokens(normalised(line)) if script == "han")
    # A phrase without a word of the vocabulary goes by itself.
    useful = (phrase for phrase in phrases if len(phrase) > 1 and not WORDS.isdisjoint(phrase))
    return Part(frozenset(taken), frozenset(useful), _longer(strings))


def _longer(strings: Iterable[str]) -> frozenset[str]:
    """Without single characters, which are no more than part of a term."""
    return frozenset(string for string in strings if len(string) > 1)


def context_from(found: Identifying, part: Callable[[str, str], Part] = part_of) -> CleaningContext:
    """The context that these values make; `part` is `part_of`, or gives the same from memory."""
    unclear = len(found) > MOST or any(len(value) > LONGEST for _, value in found)
    parts = [part(kind, value) for kind, value in found] if not unclear else []
    phrases = frozenset(phrase for one in parts for phrase in one.phrases)
    strings = sorted({string for one in parts for string in one.strings}, key=lambda string: (-len(string), string))
    return CleaningContext(
        taken=frozenset(word for one in parts for word in one.taken),
        phrases=phrases,
        beginning=_lengths((phrase[0], len(phrase)) for phrase in phrases),
        ending=_lengths((phrase[-1], len(phrase)) for phrase in phrases if WORDS.issuperset(phrase)),
        strings=tuple(strings[:MOST]),
        unclear=unclear or len(strings) > MOST,
    )


def keys(text: str) -> tuple[str, ...]:
    """The words of a text as a context compares them, but those in Chinese characters."""
    return tuple(token.casefold() for kind, token in tokens(normalised(text)) if kind != "han")


def _words_of_id(words: tuple[str, ...]) -> set[str]:
    """An ID of one word, or whose words make one when written together."""
    whole = without_marks("".join(words))
    return {whole, *(words if len(words) == 1 else ())} | spelled(whole)


def _lengths(pairs: Iterable[tuple[str, int]]) -> Mapping[str, tuple[int, ...]]:
    grouped: dict[str, set[int]] = {}
    for word, length in pairs:
        grouped.setdefault(word, set()).add(length)
    return {word: tuple(sorted(lengths, reverse=True)) for word, lengths in grouped.items()}


def _identifying(elements: Elements, inherited: tuple[str, ...], *, person: bool) -> Iterator[tuple[str, str]]:
    """Every value that names somebody (`name`) or somewhere (`place`), or is an ID (`id`, or `place` if a thing's)."""
    sets = character_sets(elements, inherited)
    for tag, element in elements.items():
        for item in element.items or ():
            yield from _identifying(item, sets, person=person or tag == _PERSON_IDENTIFICATION)
        kind = _kind(tag, element.vr, person=person)
        if kind is not None and element.items is None:
            read = element if element.vr in TEXT_VRS else element._replace(vr="LO")
            yield from ((kind, value) for value in texts(read, sets) if value)


def _kind(tag: int, vr: str, *, person: bool) -> str | None:
    if vr not in _READABLE:
        return None
    if vr == "PN" or tag in _NAMES or (person and vr in TEXT_VRS):
        return "name"
    if tag in _PERSONAL_IDS:
        return "id"
    return "place" if tag in _PLACES or tag in KINDS else None
