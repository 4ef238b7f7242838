"""An attacker writes names, IDs, dates and addresses into descriptions in every way he can think of; nothing comes out.

Names that are words of the vocabulary are the hard part: everything else goes for not being in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from descriptor_films import NAME, UTF8, context
from metadata_films import film, names, stored
from ps315_kit import level_of

from server.metadata.cleaning import CleaningContext, context_of
from server.metadata.deidentify import deidentify
from server.metadata.descriptors import clean
from server.metadata.elements import Element, in_order, sequence_element, string_element, texts

SURROUNDED = (
    "{}",
    "CT ABDOMEN {}",
    "{} MRT Schädel",
    "XR ELBOW\n{}\nLATERAL",
    "ABDOMEN({})",
    "MR/{}/T1",
    "胸部 {} 正位",
)
DESCRIPTIONS = (0x00081030, 0x0008103E, 0x00181030, 0x00204000, 0x00321060, 0x00400007, 0x00400254)
HOMOGLYPHS = str.maketrans("AEOPCTXHKMB", "АЕОРСТХНКМВ")
TYPED = str.maketrans({"Ø": "O", "Ł": "L", "ä": "ae", "ü": "ue", "ß": "ss"})
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
BOLD = {code: 0x1D400 + code - 65 for code in range(65, 91)}


class Who(NamedTuple):
    """A patient, and every word that tells who it is."""

    name: str
    telling: tuple[str, ...]


PEOPLE = (
    Who("MUSTER^MAXIMA", ("muster", "maxima")),
    Who("CHEST^NECK", ("chest", "neck")),
    Who("Wall^Signed^Anna", ("wall", "signed", "anna")),
    Who("Patient^Knee", ("patient", "knee")),
    Who("HAND-LUNG^SPINE", ("hand", "lung", "spine")),
    Who("O'NECK^HIP^^Dr.", ("neck", "hip")),
    Who("MCHAND^FOOT", ("mchand", "hand", "foot")),
    Who("Kopf^Jürgen von", ("kopf", "jürgen", "juergen")),
    Who("KNØCHEN^ŁUNG", ("knøchen", "knochen", "łung", "lung")),
    Who("Schädel^Fuß", ("schädel", "schaedel", "schadel", "fuß", "fuss")),
    Who("Zhang^San=张^三=ちょう^さん", ("zhang", "san", "张三", "三张", "張三")),
    Who("ZUO^XI=左^膝=", ("zuo", "左膝", "膝左")),
    Who("OUYANG^NANA=欧阳^娜娜=", ("ouyang", "nana", "欧阳", "娜娜")),
)


def spellings(who: Who) -> Iterator[str]:
    """The name in other orders, cases, marks, widths and scripts, with everything that can stand between its parts."""
    for group in filter(None, who.name.split("=")):
        parts = [part for part in re.split(r"[\^ ]", group) if part and part not in ("Dr.", "von")]
        orders = [parts, parts[::-1]]
        for order in orders:
            for between in (" ", "^", ", ", ",", "-", "_", ".", "/", "", "\n", "\t", " \u00b7 ", "+", "|", "\u200b"):
                yield between.join(order)
        yield from parts
        plain = " ".join(parts)
        yield from (plain.lower(), plain.upper(), plain.title(), plain.swapcase(), plain[::-1])
        yield from (f"Mr {plain}", f"Dr. {plain}", f"Frau {plain}", f"Pat.: {plain}", f"[{plain}]", f'"{plain}"')
        yield from (f"{plain}'s", f"{parts[0]}s", f"{parts[0]}, {parts[-1][:1]}.", f"{parts[-1][:1]}. {parts[0]}")
        yield from (plain.translate(FULL_WIDTH), plain.upper().translate(HOMOGLYPHS), plain.upper().translate(BOLD))
        yield from ("\u200b".join(plain), "\u00ad".join(plain), " ".join(plain), "\u0301".join(plain), "-".join(plain))
        yield from (
            unicodedata.normalize("NFD", plain),
            f"\u202e{plain}\u202c",
            f"{plain}\x00",
            f"{parts[0]}-\n{parts[-1]}",
        )
        yield f"Dear {parts[-1]}, seen by {parts[0]}"
        yield plain.encode().hex()
        # As whoever types it writes it: without the letters that his keyboard lacks, and with particles apart.
        yield plain.translate(TYPED)
        yield from (re.sub("(?i)^mc|o'", "Mc ", plain), re.sub("(?i)^mc", "Mc-", plain))


def folded(text: str) -> str:
    marks = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in marks if not unicodedata.combining(char))


def leaks(cleaned: str | None, telling: tuple[str, ...]) -> list[str]:
    """The telling words that are words of what came out, or are spelled by its letters in a row."""
    text = folded(cleaned or "")
    tokens, joined = set(re.split(r"[^\w]+", text)), re.sub(r"[^\w]+", "", text)
    return [one for one in map(folded, telling) if one in tokens or (len(one) > 4 and one in joined)]


NAMED = [(who, spelling) for who in PEOPLE for spelling in dict.fromkeys(spellings(who))]


@pytest.mark.parametrize("who", PEOPLE, ids=lambda who: who.name)
def test_a_name_in_every_spelling(who: Who) -> None:
    known = context(who.name)
    for _, spelling in (one for one in NAMED if one[0] is who):
        for around in SURROUNDED:
            cleaned = clean(around.format(spelling), "UT", known)
            assert not leaks(cleaned, who.telling), (spelling, cleaned)


def test_there_are_enough_of_them() -> None:
    assert len(NAMED) > 600
    assert len(NUMBERS) > 60


def test_the_attacker_finds_what_is_there() -> None:
    """Without the names in the context the vocabulary keeps their words, or finding none would mean nothing."""
    nobody = context_of({})
    found = {who.name for who, spelling in NAMED if leaks(clean(spelling, "UT", nobody), who.telling)}
    assert {"CHEST^NECK", "Patient^Knee", "HAND-LUNG^SPINE", "Schädel^Fuß", "ZUO^XI=左^膝="} <= found


STAFF = (
    *(0x00080090, 0x0008009C, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00101001, 0x00101005, 0x00101060),
    *(0x00102297, 0x00321032, 0x00400006, 0x00401010, 0x00402008, 0x00700084, 0x0040A075, 0x0040A123),
)


@pytest.mark.parametrize("tag", STAFF)
@pytest.mark.parametrize("vr", ["PN", "LO", "UT", "UN", "SH"])
def test_names_of_others_whatever_the_vr_they_are_stored_in(tag: int, vr: str) -> None:
    raw = Element(tag, vr, b"BLUE^SHORT=\xe5\xb7\xa6^\xe8\x86\x9d= ")
    nested = sequence_element(0x00400275, [in_order([raw])])
    for holder in (raw, nested):
        known = context_of(in_order([UTF8, string_element(NAME, "PN", "MUSTER^MAXIMA"), holder]))
        for spelling in ("Short, Blue", "BLUE", "short^blue", "B. Short", "左膝", "SHORTBLUE"):
            cleaned = clean(f"KNEE {spelling} LATERAL", "LO", known)
            assert not leaks(cleaned, ("blue", "short", "左膝")), (spelling, cleaned)


NUMBERS = (
    *(
        "110101196001310018",
        "11010119600131001X",
        "110101 19600131 0018",
        "1101011960013100１８",
        "身份证号110101196001310018",
    ),
    *(
        "身份证：11010119600131001X",
        "13800138000",
        "+86 138 0013 8000",
        "138-0013-8000",
        "电话 13800138000",
        "☎ 030/1234567",
    ),
    *(
        "+49 (0)30 1234-567",
        "Tel. 0301234567",
        "tel:+15550100",
        "555-0100",
        "(555) 555-0100",
        "1-800-555-0100",
        "x4711",
    ),
    *("MRN 0815-4711", "MRN#08154711", "mrn:0815 4711", "ID=08154711", "0815/4711", "08 15 47 11", "#4711", "No. 4711"),
    *(
        "CHEST4711",
        "4711CHEST",
        "KNEE-4711",
        "T1-4711",
        "b4711",
        "4711T1",
        "CT4711",
        "0x4711",
        "４７１１",
        "٤٧١١",
        "④⑦①①",
    ),
    *(
        "19600131",
        "1960-01-31",
        "31.01.1960",
        "31.1.60",
        "1/31/60",
        "31JAN1960",
        "31 Jan 1960",
        "Jan 31, 1960",
        "60/1/31",
    ),
    *(
        "1960年1月31日",
        "一九六〇年一月",
        "昭和35年1月31日",
        "DOB 31.01.1960 2 VIEWS",
        "31 01 60 5 mm",
        "born 1960",
        "*1960",
    ),
    *(
        "31.01.1960 mm",
        "1960 ms",
        "03.1960",
        "1960-01",
        "1960W05",
        "19600131123000",
        "12:30:59",
        "-315619200",
        "Jan 60",
    ),
    *(
        "123-45-6789",
        "SSN 123 45 6789",
        "AB123456C",
        "DE89 3704 0044 0532 0130 00",
        "10115 Berlin",
        "SW1A 1AA",
        "90210",
    ),
    *(
        "maxima@muster.example",
        "maxima (at) muster.example",
        "https://muster.example/4711",
        "www.muster.example",
        "10.0.0.4711",
    ),
    *("192.168.47.11", "\\\\host\\4711", "C:\\4711\\muster", "file:///4711", "2.25.4711471147114711", "fe80::4711"),
    *(
        "Musterstraße 4711",
        "4711 Muster Street",
        "Muster St. 4711",
        "Postfach 4711",
        "北京市朝阳区4711号",
        "P.O. Box 4711",
    ),
)


@pytest.mark.parametrize("number", NUMBERS)
def test_ids_dates_phones_and_addresses(number: str) -> None:
    known = context("MUSTER^MAXIMA", "0815-4711")
    for around in SURROUNDED:
        cleaned = clean(around.format(number), "UT", known) or ""
        plain = unicodedata.normalize("NFKC", cleaned)
        assert not re.search(r"4711|0815|1960|[0-9]{4}|[0-9][./:-][0-9]{2}|@|://", plain), cleaned
        # What is left of digits is bound to a unit or counts views, or is of the words of the vocabulary.
        left = re.sub(r"(?i)\b(T[12]|MR|[1-9] VIEWS?)\b", "", cleaned)
        assert not re.search(r"\d", left), cleaned
        assert not leaks(cleaned, ("muster", "maxima", "berlin", "postfach"))


@pytest.mark.parametrize("number", ["3T", "5MM", "120KV", "T2", "B1000", "2D", "100ML", "7T", "1.5T", "30DEG"])
def test_ids_that_are_written_like_measures(number: str) -> None:
    known = context("MUSTER^MAXIMA", number)
    spaced = re.sub(r"(?<=[0-9])(?=[A-Z])", " ", number)
    for spelling in (number, number.lower(), spaced, spaced.lower(), f"MRN {number}", f"({number})"):
        cleaned = clean(f"KNEE {spelling} LATERAL", "LO", known) or ""
        assert number.casefold() not in cleaned.casefold().replace(" ", ""), (spelling, cleaned)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("12 Wall St. ELBOW", "wall"),
        ("ELBOW 12 Short Rd", "short"),
        ("Small Street 5, ELBOW", "small"),
        ("ELBOW Blue Avenue", "blue"),
        ("reported by Short ELBOW", "short"),
        ("Radiologist: Blue ELBOW", "blue"),
        ("tech Small ELBOW", "small"),
        ("Referring physician Short ELBOW", "short"),
        ("Dr Blue ELBOW", "blue"),
        ("Arzt: Kopf ELBOW", "kopf"),
        ("Hr. Hand ELBOW", "hand"),
        ("Nurse Short ELBOW", "short"),
        ("ELBOW cc: Dr. med. Short", "short"),
    ],
)
def test_words_that_are_somebodys_name_by_where_they_stand(text: str, hidden: str) -> None:
    """Of people whom no attribute names."""
    cleaned = clean(text, "LO", context()) or ""
    assert not leaks(cleaned, (hidden,)), cleaned
    assert "ELBOW" in cleaned


def test_a_name_split_over_attributes_and_values() -> None:
    """Through the masker: halves in two descriptions, in two values of one, and in the items of a sequence."""
    level = level_of("clean-descriptors", "clean-structured-content")
    for name, pieces in (
        ("CHESTLUNG^SHORT", ("CHEST", "LUNG", "SHORT")),
        ("WALL^NECK", ("WA", "LL", "NE", "CK")),
        ("HANDFOOT^KNEE", ("HAND", "FOOT", "KNEE")),
    ):
        made = film(PatientName=name, StudyDescription=pieces[0], SeriesDescription=pieces[1], ProtocolName=pieces[-1])
        elements = dict(stored(made).elements)
        items = [in_order([string_element(0x00400007, "LO", f"ELBOW {piece}")]) for piece in pieces]
        elements[0x00400275] = sequence_element(0x00400275, items)
        elements[0x00204000] = string_element(0x00204000, "LT", "\r\n".join((*pieces, "ELBOW")))
        elements[0x00181030] = string_element(0x00181030, "LO", *pieces)
        whole = in_order(elements.values())
        out = deidentify(whole, level, names(whole, level_name=level.name), pixels_masked=False).elements
        told = " ".join(value for tag in DESCRIPTIONS for value in _texts(out.get(tag)))
        inner = [value for item in out[0x00400275].items or () for value in _texts(item.get(0x00400007))]
        found = leaks(" ".join([told, *inner]), tuple(piece.lower() for piece in pieces if len(piece) > 2))
        assert not found, (told, inner)
        assert "ELBOW" in told


def _texts(element: Element | None) -> list[str]:
    return [] if element is None else texts(element, ("ISO_IR 192",))


def test_a_context_is_never_that_of_another() -> None:
    """The same text for two patients, one of whom it names."""
    known: dict[str, CleaningContext] = {name: context(name) for name in ("CHEST^NECK", "MUSTER^MAXIMA")}
    assert clean("CHEST NECK KNEE", "LO", known["CHEST^NECK"]) == "KNEE"
    assert clean("CHEST NECK KNEE", "LO", known["MUSTER^MAXIMA"]) == "CHEST NECK KNEE"
