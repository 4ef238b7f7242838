"""The spelling of descriptions: their words, the numbers that may stay, and the marks of what names somebody.

No date, ID, telephone or postal number has a pattern here, because no number stays that is not bound to a unit or
counts views: a list of what may stay cannot be evaded by one more way to write a date.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from server.metadata.vocabulary import WORDS

LOST = " \ufffd "
"""Stands where something was cut out before words are told apart, so that its neighbours do not become neighbours."""

_HAN = "\u3400-\u9fff"
# Whatever is none of these belongs to a word, invisible characters and stray marks too: then it is in no vocabulary.
_BETWEEN = r"\s!\"#$&'()*+,\-./:;<=>?@\[\]\\^_`{|}~、。，；：？！（）【】《》「」“”‘’·…—–"
_LETTER = rf"[^{_BETWEEN}{_HAN}]"
# None of them is a word too, as ML, CC, MG and NM are (these only join their number): the last number of a date would
# take such a word with it.
_UNITS = "mm|ms|msec|sec|kvp?|mas?|mgy|cgy|gy|msv|usv|µsv|mbq|mci|hu|k?hz|mhz|fps|min|deg|um|µm|μm|°|%"
_COUNTED = (
    "views?|projections?|planes?|phases?|chambers?|vessels?|channels?|positions?|frames?|ebenen?|incidences?|vues?"
)
_TOKEN = re.compile(
    rf"(?P<measure>[0-9]{{1,3}}(?:[.,][0-9]{{1,2}})?[ ]?(?:{_UNITS})|[0-9]{{1,2}}(?:[.,][0-9]{{1,2}})?[ ]?cm"
    rf"|[0-9](?:[.][0-9])?t|[0-9]{{1,3}}(?:s|ml|cc|mg|nm))(?!{_LETTER})"
    rf"|(?P<count>[1-9])(?=[ -]?(?:{_COUNTED})(?!{_LETTER}))"
    rf"|(?P<han>[{_HAN}]+)"
    rf"|(?P<word>{_LETTER}+(?:[-/]{_LETTER}+)*)",
    re.IGNORECASE,
)
_JOINTS = re.compile("[-/]")
_OTHER = re.compile("[\x00-\x7f]?[^\x00-\x7f]+")
_PIECE = 64
_HOST = re.compile(
    r"\.(?:com|org|net|edu|gov|info|eu|de|at|ch|fr|es|it|nl|uk|ca|cn|hk|tw|jp)(?![0-9a-z.])", re.IGNORECASE
)
_HAN_RUN = re.compile(f"[{_HAN}]+")
_HAN_PERSON = re.compile(
    "医生|医师|主任|教授|先生|女士|小姐|护士|技师|大夫|姓名|患者|病人|电话|地址|住址|医院|省|市|路|号"
)

_TITLES = """
mrs miss mister prof professor doctor herr frau hr mme mlle monsieur madame señor señora sra srta dra doña don
name names surname lastname firstname nachname vorname nom prénom nombre apellido apellidos
rue calle avenida via
by dictated reported referring physician surgeon radiologist radiographer technologist technician tech nurse
operator consultant attending arzt ärztin befunder überweiser med
"""
_STREETS = "st street road rd avenue ave lane drive blvd boulevard strasse straße str weg platz gasse"
TITLES = frozenset(_TITLES.casefold().split())
"""The word after one of these is a name, whatever it means elsewhere."""
AMBIGUOUS_TITLES = frozenset({"dr", "mr"})
"""Digital radiography and magnetic resonance, unless written as a title or before a word that goes."""
STREETS = frozenset(_STREETS.casefold().split())
"""The word before one of these is the name of a street."""


def normalised(text: str) -> str:
    """`text` in NFKC, so that full-width letters and digits are what they look like."""
    return text if text.isascii() else _OTHER.sub(_folded, text)


def _folded(match: re.Match[str]) -> str:
    # Sorting a long run of combining marks takes time in the square of its length; no word has that many.
    run = match[0]
    pieces = (run[start : start + _PIECE] for start in range(0, len(run), _PIECE))
    return "".join(unicodedata.normalize("NFKC", piece) for piece in pieces)


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """The words of normalised text, each with its kind: `word`, `han`, `measure` (5 mm) or `count` (the 2 of 2 VIEWS).

    What is joined by hyphens or strokes is one word where the vocabulary holds it (C-SPINE), else several.
    """
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup or "word", match[0]
        if kind == "word" and ("-" in token or "/" in token) and token.casefold() not in WORDS:
            for part in _JOINTS.split(token):
                yield kind, part
        else:
            yield kind, token


def without_addresses(text: str) -> str:
    """Chunks that are a mail or network address or a path, and runs of Chinese that speak of a person, cut out."""
    if "@" in text or ":/" in text or "\\" in text or "ww" in text or "WW" in text or _HOST.search(text):
        text = " ".join(LOST if _is_address(chunk) else chunk for chunk in text.split())
    return text if text.isascii() else _HAN_RUN.sub(_impersonal, text)


def _is_address(chunk: str) -> bool:
    lowered = chunk.lower()
    return "@" in chunk or ":/" in chunk or "\\" in chunk or "www." in lowered or _HOST.search(chunk) is not None


def _impersonal(match: re.Match[str]) -> str:
    return LOST if _HAN_PERSON.search(match[0]) else match[0]
