"""Every character set that DICOM defines (PS3.3 C.12.1.1.2), declared rightly, wrongly or not at all, over HTTP.

A masked answer is valid UTF-8 that says so and holds nothing of the name, in no encoding; where the name may be seen it
is the right one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House, parts
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sweep_routes import screen, unsynced

JSON = "application/dicom+json"
SMALL = PixelFormat(rows=16, columns=16)
KEYWORDS = ("PatientName", "ReferringPhysicianName", "StudyDescription", "PatientComments", "PatientAddress")


class Case(NamedTuple):
    """A declaration, the bytes of a name under it, and the name ("" where nobody can tell)."""

    declared: str
    raw: bytes
    name: str

    def __str__(self) -> str:
        return self.declared or "none"


def _single(term: str, codec: str, name: str) -> Iterator[Case]:
    """A set without code extensions, its twin with them, and the twin as the second of two."""
    raw = name.encode(codec)
    yield Case(term, raw, name)
    yield Case(term.replace("ISO_IR", "ISO 2022 IR"), raw, name)


def _cases() -> Iterator[Case]:
    yield Case("", b"Zuvexa^Quomi", "Zuvexa^Quomi")
    yield Case("ISO_IR 6", b"Zuvexa^Quomi", "Zuvexa^Quomi")
    yield Case("ISO 2022 IR 6", b"Zuvexa^Quomi", "Zuvexa^Quomi")
    for term, codec, name in (
        ("ISO_IR 100", "latin-1", "Zuvexä^Quömi"),
        ("ISO_IR 101", "iso8859-2", "Zuvěxa^Qłomi"),
        ("ISO_IR 109", "iso8859-3", "Ĉuvexa^Ĝomi"),
        ("ISO_IR 110", "iso8859-4", "Ķuvexa^Ģomi"),
        ("ISO_IR 144", "iso8859-5", "Зувекса^Квоми"),
        ("ISO_IR 127", "iso8859-6", "قباني^لنزار"),
        ("ISO_IR 126", "iso8859-7", "Διονυσιος^Ζω"),
        ("ISO_IR 138", "iso8859-8", "שרון^דבורה"),
        ("ISO_IR 148", "iso8859-9", "Çavuşoğlu^Ğ"),
        ("ISO_IR 203", "iso8859-15", "Zuvexaœ^Qužmi"),
        ("ISO_IR 166", "tis-620", "นามสกุล^ชื่อ"),
        ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ):
        yield from _single(term, codec, name)
    yield Case("ISO_IR 192", "Zuvexä^欧阳=王^小东=Ζω".encode(), "Zuvexä^欧阳=王^小东=Ζω")
    yield Case("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东")
    yield Case("GB18030", "Zuvexa^Quomi=\U00020000\u3400峊".encode("gb18030"), "Zuvexa^Quomi=\U00020000\u3400峊")
    yield Case("GBK", "Wang^XiaoDong=王^小东".encode("gbk"), "Wang^XiaoDong=王^小东")
    yamada = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
    yield Case("\\ISO 2022 IR 87", yamada, "Yamada^Tarou=山田^太郎=やまだ^たろう")
    yamada = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
    yield Case("ISO 2022 IR 13\\ISO 2022 IR 87", yamada, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎")
    yield Case("\\ISO 2022 IR 203", b"Zuvexa^Quomi=\x1b-bQu\xb8mi", "Zuvexa^Quomi=Qužmi")
    yield Case("\\ISO 2022 IR 159", b"Zuvexa^Quomi=\x1b$(D\x30\x21\x30\x22\x1b(B", "")
    hong = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
    yield Case("\\ISO 2022 IR 149", hong, "Hong^Gildong=洪^吉洞=홍^길동")
    zhang = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    yield Case("\\ISO 2022 IR 58", zhang, "Zhang^XiaoDong=张^小东")
    # Declared wrongly, unknown, contradicting, in the wrong case, or full of bytes that no set has.
    for declared in ("", "ISO_IR 6", "ISO_IR 192", "ISO_IR 999", "UNKNOWN", "utf-8", "iso_ir 100", "\\\\\\",
                     "ISO 2022 IR 6\\ISO_IR 192", "GB18030\\GBK", "\\ISO 2022 IR 87\\ISO 2022 IR 149"):  # fmt: skip
        for raw in ("Zuvexa^Quomi=王^小东".encode("gb18030"), "Zuvexä^Quömi=王^小东".encode(), yamada, hong,
                    b"Zuvexa^Quomi\xff\xfe\x80\x81\x1b\x1b$\x1b$)\x1b(Z=\xff\xff"):  # fmt: skip
            yield Case(declared, raw, "")


CASES = tuple(_cases())
# Letters that these answers have no other reason to hold.
WORDS = ("Zuvex", "Quomi", "Quömi", "Yamada", "Tarou", "Gildong", "XiaoDong")


def _body(case: Case, study: int) -> bytes:
    ds = chest_film(SMALL, patient=study, study=study, canaries=False)
    long = b"Y" * len(case.raw)
    item = Dataset()
    for keyword in KEYWORDS:
        setattr(ds, keyword, long.decode())
    item.PatientName = item.RequestedProcedureDescription = long.decode()
    ds.RequestAttributesSequence, ds.AnatomicRegionSequence = DicomSequence([item]), DicomSequence([item])
    padded = case.declared + " " * (len(case.declared) % 2)
    body = part10_bytes(ds).replace(long + b" " * (len(long) % 2), case.raw + b" " * (len(long) % 2))
    return body.replace(b"CS\x0a\x00ISO_IR 192", b"CS" + len(padded).to_bytes(2, "little") + padded.encode())


def _needles(case: Case) -> set[bytes]:
    """Every part of the name, as it is stored and in UTF-8, and in what JSON may write for it."""
    found = {word.encode() for word in WORDS}
    found |= {part for part in case.raw.replace(b"=", b"^").split(b"^") if len(part) > 3}
    for part in case.name.replace("=", "^").split("^"):
        if len(part) > 1:
            found |= {part.encode(), json.dumps(part).strip('"').encode()}
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("sets"), seed="sets") as house:
        unsynced(patch)
        bodies = [_body(case, number) for number, case in enumerate(CASES, start=300)]
        assert house.store(*bodies).status_code == 200
        screen(house, [])
        yield house


def _rows(house: House, user: str) -> list[dict[str, Any]]:
    query = "includefield=all"
    answer = house.get(f"/dicomweb/instances?{query}", user, JSON)
    assert answer.status_code == 200
    answer.get_data().decode("utf-8")
    return list(answer.json or [])


@pytest.mark.parametrize("user", ["researcher", "teacher"])
def test_nothing_of_a_name_in_any_encoding(house: House, user: str) -> None:
    needles = {needle for case in CASES for needle in _needles(case)}
    told = [json.dumps(row, ensure_ascii=False).encode() for row in _rows(house, user)]
    assert len(told) == len(CASES)
    for path in house.instances(user):
        answer = house.get(f"{path}/metadata", user, JSON)
        assert answer.status_code == 200
        assert (answer.json or [])[0]["00080005"]["Value"] == ["ISO_IR 192"]
        answer.get_data().decode("utf-8")
        told.append(answer.get_data())
        if user == "researcher":
            ((_, body),) = parts(house.get(path, user))
            ds = dcmread(io.BytesIO(body))
            assert ds.SpecificCharacterSet == "ISO_IR 192"
            assert str(ds.PatientName).isascii()
            told.append(body)
    everything = b"\n".join(told)
    assert not [needle for needle in needles if needle in everything]


def test_whoever_may_see_the_name_sees_the_right_one(house: House) -> None:
    """In JSON, whatever it was stored in; and never bytes of another encoding."""
    shown = {}
    for row in _rows(house, "front-desk"):
        name = row["00100010"]["Value"][0]
        groups = [name.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
        shown[row["0020000D"]["Value"][0]] = "=".join(groups).rstrip("=")
    for number, case in enumerate(CASES, start=300):
        study = str(chest_film(SMALL, patient=number, study=number, canaries=False).StudyInstanceUID)
        assert not case.name or shown[study] == case.name, case
        assert "\x1b" not in shown[study]


def test_a_name_is_searched_for_in_unicode(house: House) -> None:
    for name, user, found in (
        ("王^小东", "front-desk", 2),
        ("山田^太郎", "technologist", 2),
        ("王^小东", "researcher", 0),
    ):
        answer = house.get("/dicomweb/studies", user, JSON, query_string={"PatientName": name})
        assert len(answer.json or []) >= found
        assert found or answer.status_code == 204


def test_every_defined_term_is_there() -> None:
    terms = {term for case in CASES for term in case.declared.split("\\")}
    single = {f"{prefix} {number}" for prefix in ("ISO_IR", "ISO 2022 IR")
              for number in (6, 100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166)}  # fmt: skip
    multiple = {f"ISO 2022 IR {number}" for number in (87, 159, 149, 58)} | {"ISO_IR 192", "GB18030", "GBK"}
    assert single | multiple <= terms
    assert len(CASES) > 80
