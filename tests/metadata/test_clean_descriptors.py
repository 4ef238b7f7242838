"""Clean Descriptors: what stays is vocabulary, what goes leaves no trace, and no name stays for being a word."""

from __future__ import annotations

import re

import pytest
from descriptor_films import LIBRARY, MUSTER, NAME, ZHANG, context

from server.metadata.cleaning import MOST, context_of
from server.metadata.descriptors import LONGEST, clean
from server.metadata.elements import Element, in_order, sequence_element, string_element, texts

KEPT = """
CHEST PA | chest pa | Chest PA and Lateral | CT BRAIN WO IVCON | US CHEST WALL | MRT oberes Abdomen
XR CHEST AP PORTABLE | MR BRAIN W/O CONTRAST | L-SPINE LATERAL | t1 vibe fs tra bh dyn | KNEE L | R SHOULDER
2 VIEWS KNEE | 3 PHASE CT ABDOMEN | T1 average 2 mm | 1.25 mm LUNG | CT 120 kV 50mAs | MR 1.5T 3D | 100ml | b1000 DWI
Röntgen Schädel seitlich | radiographie thoracique | tórax simple | 胸部 | 左膝 正位 | T1 加权
"""
CLEANED = {
    "CHEST PA Mr Smith": "CHEST PA",
    "CHEST PA MR SMITH": "CHEST PA",
    "CHEST PA mr smith": "CHEST PA",
    "THORAX SIDE SMITH JOHN 19600131": "THORAX SIDE",
    "CHEST PA^MUSTER^MAXIMA": "CHEST",
    "MUSTER^HAND CHEST": "CHEST",
    "MUSTER ^ HAND CHEST": "CHEST",
    "abdomen^liver": "abdomen liver",
    "Dr. Hand CHEST": "CHEST",
    "Frau Kopf CHEST": "CHEST",
    "Name: Foot CHEST": "CHEST",
    "CHEST, 12 HAND STREET": "CHEST",
    "CHEST hand@lung.example": "CHEST",
    "CHEST https://hand.example/lung": "CHEST",
    "CHEST www.hand.example": "CHEST",
    "CHEST hand.lung.com": "CHEST",
    "CHEST C:\\hand\\lung": "CHEST",
    "CT, HEAD/BRAIN": "CT HEAD BRAIN",
    "CHEST R. SMITH": "CHEST",
    "CHEST SMITH L KNEE": "CHEST KNEE",
    "KNEE 31 Jan 1960 PA": "KNEE PA",
    "KNEE 1960 01 3 VIEWS": "KNEE VIEWS",
    "KNEE 31.01.60 PA": "KNEE PA",
    "KNEE 1/31/60": "KNEE",
    "KNEE 31-5mm": "KNEE",
    "KNEE 110101196001310018": "KNEE",
    "KNEE 11010119600131001X": "KNEE",
    "KNEE 110101 19600131 0018": "KNEE",
    "KNEE MRN: 4711": "KNEE",
    "KNEE MRN#00-47-11": "KNEE",
    "KNEE +49 (0)30 1234-567": "KNEE",
    "KNEE 13800138000": "KNEE",
    "KNEE 100084": "KNEE",
    "KNEE 1.2.840.99999.1": "KNEE",
    "KNEE 065Y": "KNEE",
    "KNEE 14:30:00": "KNEE",
    "KNEE 12 S WEST": "KNEE",
    "KNEE 1960.01.3 VIEWS": "KNEE VIEWS",
    "KNEE 3-VIEW": "KNEE 3 VIEW",
    "31 MG BREAST": "MG BREAST",
    "KNEE 12:30 min": "KNEE",
    "KNEE 1960,5 mm": "KNEE",
    "KNEE 31/1/60 mm": "KNEE",
    "KNEE 1234mm": "KNEE",
    "KNEE 175 cm": "KNEE",
    "KNEE 5mmx": "KNEE",
    "KNEE 2 VIEWSX": "KNEE",
    "CHESTSMITH PA": "PA",
    "CHE\u200bST PA": "PA",
    "CHEST\u200e PA": "PA",
    "СHEST PA": "PA",
    "CHE\u0301ST PA": "PA",
    "ＣＨＥＳＴ ＰＡ １９６０": "CHEST PA",
    "胸部正位": "胸部 正位",
    "胸部正位 王五 2023年1月31日": "胸部 正位",
    "王五胸部正位": "胸部 正位",
    "李医生胸部，膝关节": "膝关节",
    "患者左膝": None,
    "CT胸部平扫": "CT 胸部 平扫",
    "电话 KNEE": "KNEE",
    "MUSTER MAXIMA": None,
    "19600131": None,
    "": None,
    "12": None,
}


@pytest.mark.parametrize("value", [part.strip() for part in KEPT.strip().replace("\n", "|").split("|")])
def test_vocabulary_stays_as_it_was_written(value: str) -> None:
    assert clean(value, "LO", MUSTER) == value


@pytest.mark.parametrize(("value", "expected"), CLEANED.items())
def test_everything_else_goes(value: str, expected: str | None) -> None:
    assert clean(value, "LT", MUSTER) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("XR CHEST AP PORTABLE for Maxima Muster", "XR CHEST AP PORTABLE for"),
        ("CHEST PA MRN-0815", "CHEST PA"),
        ("MG BREAST SCREENING, Dr. Muster, +1 555 0100", "MG BREAST SCREENING"),
        ("CT ABDOMEN W CONTRAST 01/31/1960", "CT ABDOMEN CONTRAST"),
        ("PET CT Muster,Maxima DOB 31JAN1960 WHOLE BODY", "PET CT WHOLE BODY"),
        ("Patient's SSN 123-45-6789 HEAD", "Patient HEAD"),
    ],
)
def test_sentences_like_those_of_public_benchmarks(value: str, expected: str) -> None:
    assert clean(value, "LO", MUSTER) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("HAND^LUNG", "HAND LUNG CHEST", "CHEST"),
        ("HAND^LUNG", "lung,hand CHEST HANDS Hand's", "CHEST"),
        ("CHEST^PA", "CHEST PA KNEE", "KNEE"),
        ("HANDLUNG^A", "HAND LUNG KNEE", "KNEE"),
        ("THOR^AX", "THORAX KNEE", "KNEE"),
        ("RAY^X", "X-RAY KNEE", "KNEE"),
        ("SPINE-HAND^A", "C-SPINE HAND KNEE", "KNEE"),
        ("Schaedel^A", "SCHÄDEL KNEE", "KNEE"),
        ("Schädel^A", "Schaedel SCHADEL KNEE", "KNEE"),
        ("Fuss^A", "Fuß KNEE", "KNEE"),
        ("MUSTER^A=左^膝=", "左膝 KNEE", "KNEE"),
        ("MUSTER^A=王^正位=", "胸部正位", "胸部"),
        ("MUSTER^A=王正位", "胸部正位", "胸部"),
        ("=左^肩=", "左肩 肩左 膝", "膝"),
        ("=左^王=", "左 膝 左膝", "膝 左膝"),
        ("MUSTER^A^^^PA", "CHEST PA", "CHEST PA"),
        ("MUSTER^L^R", "KNEE L", "KNEE L"),
        ("MUSTER^VIEWS", "KNEE 2 VIEWS CHEST", "KNEE CHEST"),
    ],
)
def test_a_name_that_is_a_word_is_no_word_here(name: str, text: str, expected: str) -> None:
    assert clean(text, "LO", context(name)) == expected


@pytest.mark.parametrize("tag", [0x00080090, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00102297, 0x00091001])
def test_names_of_staff_count_at_any_depth(tag: int) -> None:
    person = string_element(tag, "PN", "HAND^LUNG")
    nested = sequence_element(0x00400275, [in_order([sequence_element(0x0040A730, [in_order([person])])])])
    assert clean("HAND LUNG KNEE", "LO", context("MUSTER", "1", person)) == "KNEE"
    assert clean("HAND LUNG KNEE", "LO", context("MUSTER", "1", nested)) == "KNEE"


def test_a_person_identified_by_code_counts_too() -> None:
    item = in_order([string_element(0x00080104, "LO", "Lung Hand")])
    found = context("MUSTER", "1", sequence_element(0x00081072, [in_order([sequence_element(0x00401101, [item])])]))
    assert clean("HAND KNEE", "LO", found) == "KNEE"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Royal Chest Hospital CHEST PA", "CHEST PA"),
        ("CHEST PA ROYAL CHEST HOSPITAL", "CHEST PA"),
        ("12 Lung Row LUNG", "LUNG"),
        ("CT-2023-0042 HEAD", "HEAD"),
        ("CT 2023 0042 HEAD", "HEAD"),
        ("ct20230042 HEAD", "HEAD"),
        ("CT-20230042 HEAD", "HEAD"),
        ("CT HEAD", "CT HEAD"),
        ("120 kV HEAD", "HEAD"),
        ("110 kV HEAD", "110 kV HEAD"),
        ("T2 HEAD", "HEAD"),
        ("HAND-FOOT HEAD", "HEAD"),
        ("ABDOMEN HEAD", "HEAD"),
        ("HAND HEAD", "HAND HEAD"),
        ("HAND SMITH FOOT HEAD", "HEAD"),
        ("HAND HAND FOOT FOOT HEAD", "HEAD"),
        ("KNEE 2 VIEW SMITH HAND HEAD", "KNEE HEAD"),
    ],
)
def test_places_and_ids_of_several_words(text: str, expected: str) -> None:
    assert clean(text, "LO", LIBRARY) == expected


def test_a_chinese_place_goes_as_a_whole() -> None:
    place = context("MUSTER", "1", string_element(0x00080080, "LO", "北京胸部中心"))
    assert clean("北京胸部中心 膝关节", "LO", place) == "膝关节"


def spellings_of_zhang() -> list[str]:
    latin = [
        "Zhang San",
        "ZHANG^SAN",
        "San Zhang",
        "zhangsan",
        "ZhangSan",
        "zhang-san",
        "Zhāng Sān",
        "Zhang1 San1",
        "ZHANG,SAN",
    ]
    return [*latin, "张三", "张 三", "三张", "张^三", "张·三", "张三 Zhang San", "Zhang三", "张San", "Zhang^San=张^三="]


NAME_ALONE = [
    "MUSTER",
    "MAXIMA",
    "Muster^Maxima",
    "MAXIMA MUSTER",
    "maxima.muster",
    "MUSTER,MAXIMA",
    "ＭＵＳＴＥＲ",
    "M\u200bUSTER",
]


@pytest.mark.parametrize("spelling", NAME_ALONE)
@pytest.mark.parametrize("tag", [0x00081030, 0x0008103E, 0x00204000, 0x00104000, 0x00400007, 0x0040A160])
def test_a_M5_names_in_free_text(spelling: str, tag: int) -> None:
    vr = "UT" if tag == 0x0040A160 else "LO"
    element = string_element(tag, vr, f"CHEST {spelling} PA")
    assert [clean(value, vr, MUSTER) for value in texts(element, ("ISO_IR 192",))] == ["CHEST PA"]


@pytest.mark.parametrize("spelling", spellings_of_zhang())
def test_a_M5_pinyin_and_characters(spelling: str) -> None:
    assert clean(f"胸部 {spelling} 正位", "LO", ZHANG) == "胸部 正位"
    assert clean(f"CHEST {spelling}", "LO", ZHANG) == "CHEST"
    # Nothing of it stays either where the object names nobody.
    assert clean(f"CHEST {spelling}", "LO", context_of({})) == "CHEST"


def test_a_M5_split_over_two_attributes() -> None:
    split = context("HANDLUNG^THORAX")
    assert [clean(part, "LO", split) for part in ("KNEE HAND", "LUNG KNEE", "THOR", "RAX")] == [
        "KNEE",
        "KNEE",
        None,
        None,
    ]
    assert [clean(part, "LO", MUSTER) for part in ("KNEE MUS", "TER MAX", "IMA")] == ["KNEE", None, None]


ENCODED = [
    ("ISO_IR 192", "utf-8"),
    ("GB18030", "gb18030"),
    ("\\ISO 2022 IR 58", None),
    ("ISO_IR 100", "utf-8"),
    ("ISO_IR 192", "gb18030"),
    ("ISO_IR 13", "gb18030"),
]


@pytest.mark.parametrize(("declared", "codec"), ENCODED)
def test_a_M6_three_groups_in_any_character_set(declared: str, codec: str | None) -> None:
    def stored(text: str) -> bytes:
        if codec is not None:
            return text.encode(codec)
        return re.sub(
            "[\u3400-\u9fff]+", lambda han: "\x1b$)A" + han[0].encode("gb2312").decode("latin-1"), text
        ).encode("latin-1")

    name = Element(NAME, "PN", stored("Hand^Lung=张^三=Kopf^Fuss") + b"\xff\xfe")
    title = Element(0x00081030, "LO", stored("KNEE 张三 HAND kopf 三张 lung") + b"\xff")
    elements = in_order([string_element(0x00080005, "CS", *declared.split("\\")), name, title])
    read = texts(title, tuple(declared.split("\\")))
    assert {clean(value, "LO", context_of(elements)) for value in read} == {"KNEE"}


@pytest.mark.parametrize("vr", ["PN", "CS", "DA", "UI", "AE", "OB", "SQ", "UN", "UR", "XX"])
def test_only_texts_are_cleaned(vr: str) -> None:
    assert clean("CHEST", vr, MUSTER) is None


@pytest.mark.parametrize(("vr", "limit"), [("SH", 16), ("LO", 64), ("ST", 1024), ("LT", 10240)])
def test_an_answer_fits_its_vr(vr: str, limit: int) -> None:
    cleaned = clean("胸部正位" * 5000, vr, MUSTER)
    assert cleaned is not None
    assert limit - 3 <= len(cleaned) <= limit
    assert set(cleaned.split(" ")) == {"胸部", "正位"}


def test_a_number_is_not_cut_from_what_it_counts() -> None:
    assert clean("CHEST ABDOMEN 2 VIEWS", "SH", MUSTER) == "CHEST ABDOMEN"
    assert clean("KNEE 2 VIEWS", "SH", context("VIEWS^MAXIMA")) == "KNEE"


def test_too_much_is_removed() -> None:
    assert clean("CHEST " * (LONGEST // 6), "UT", MUSTER) is not None
    assert clean("CHEST " * (LONGEST // 6 + 1), "UT", MUSTER) is None
    assert clean("CHEST " + "\ufdfa" * (LONGEST // 10), "UT", MUSTER) is None
    # Shorter once its marks are composed, but not read at all.
    assert clean("CHEST " + "e\u0301 " * (LONGEST // 3), "UT", MUSTER) is None
    crowd = [string_element(0x00081070, "PN", *(f"A{number}^B" for number in range(MOST + 1)))]
    assert clean("CHEST", "LO", context("MUSTER", "1", *crowd)) is None
    assert clean("CHEST", "LO", context("M" * 10_241)) is None
