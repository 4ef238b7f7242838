"""Coded terms as a masked level sends them: only out of vocabularies, with the vocabulary's own words.

A code item holds three texts that anybody may fill. What stays is a code that PS3.16's context groups know, with the
meaning that is printed there; any other item is not told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from server.metadata.elements import Element, Elements, first_text, string_element

CODE_VALUE, SCHEME, MEANING = 0x00080100, 0x00080102, 0x00080104
CODES = frozenset({CODE_VALUE, SCHEME, MEANING})
_MARKS_OF_A_CODE = CODES | {0x00080119, 0x00080120}  # LongCodeValue, URNCodeValue
# Units that UCUM expressions are made of here, with an exponent each; its annotations in braces are free text.
_UNITS = (
    "m|dm|cm|mm|um|nm|l|dl|ml|ul|kg|g|mg|ug|ng|mol|mmol|umol|nmol|h|min|s|ms|us|Hz|kHz|MHz|Bq|kBq|MBq|GBq|Gy|cGy|mGy"
    "|Sv|mSv|eV|keV|MeV|V|mV|uV|kV|A|mA|T|mT|Pa|kPa|J|W|mW|N|deg|rad|Cel|%|mm\\[Hg\\]|\\[hnsf'U\\]|1|10\\*-?[0-9]"
)
_UNIT = re.compile(rf"(100)?({_UNITS})(-?[1-4])?([./](100)?({_UNITS})(-?[1-4])?){{0,3}}", re.ASCII)
_RETIRED_SNOMED = frozenset({"SRT", "SNM3", "99SDM"})


def is_code(elements: Elements) -> bool:
    """Whether an item is a code sequence item (PS3.3 section 8.8)."""
    return not _MARKS_OF_A_CODE.isdisjoint(elements)


def known_code(elements: Elements, sets: tuple[str, ...]) -> Mapping[int, Element]:
    """Value, scheme and the printed meaning of a known code; nothing for any other item."""
    scheme, value = first_text(elements, SCHEME, sets), first_text(elements, CODE_VALUE, sets)
    found = meaning(scheme, value)
    if found is None:
        return {}
    return {
        CODE_VALUE: string_element(CODE_VALUE, "SH", value),
        SCHEME: string_element(SCHEME, "SH", scheme),
        MEANING: string_element(MEANING, "LO", found[:64].strip()),
    }


def meaning(scheme: str, value: str) -> str | None:
    """What a code means in PS3.16, and of a unit of measurement what it is; None where the code is not there."""
    if scheme == "UCUM" and len(value) <= 16 and _UNIT.fullmatch(value):
        return _meanings().get((scheme, value), value)
    return _meanings().get(current(scheme, value))


def current(scheme: str, value: str) -> tuple[str, str]:
    """Scheme and value as PS3.16 has them today: retired SNOMED RT codes become those of SNOMED CT."""
    if scheme in _RETIRED_SNOMED and value in mapping["SRT"]:
        return "SCT", mapping["SRT"][value]
    return scheme, value


@cache
def _meanings() -> Mapping[tuple[str, str], str]:
    return {
        (scheme, code): text
        for scheme, keywords in cast("dict[str, dict[str, Any]]", concepts).items()
        for codes in keywords.values()
        for code, (text, _) in codes.items()
    }
