"""Reading: refusals, bounds, offsets; and that pydicom reads the same things in the same bytes."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import pydicom
import pydicom.config
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_films import BIG, DEFLATED, EXPLICIT, IMPLICIT, WHEEL, film, part10, stored, wheel_files
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from server.errors import SafelightError, TooLarge, UnreadableObject
from server.metadata.elements import first_text
from server.metadata.parse import Limits
from server.metadata.part10 import read, reread

SYNTAXES = [EXPLICIT, IMPLICIT, BIG, DEFLATED]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_coding_reads_the_same(syntax: str) -> None:
    found = stored(film(WindowCenter="40", ReferencedStudySequence=[film()]), syntax)
    expected = stored(film(WindowCenter="40", ReferencedStudySequence=[film()]))
    assert found.elements == expected.elements
    assert found.transfer_syntax_uid == syntax


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_offsets_cut_the_body_around_the_pixel_data(syntax: str) -> None:
    made = film()
    made.add_new(0xFFFCFFFC, "OB", b"CANARY")
    found = read(part10(made, syntax))
    assert found.pixel_offset is not None
    assert found.pixel_end is not None
    assert found.body[: found.pixel_end].endswith(b"\x01\x02\x03\x04")
    tag = (0x7FE0, 0x0010)
    assert struct.unpack_from(">HH" if syntax == BIG else "<HH", found.body[found.pixel_offset :]) == tag
    head, tail = found.body[: found.pixel_offset], found.body[found.pixel_end :]
    assert reread(head, tail, syntax) == found.elements
    with_header = found.body[: found.pixel_end - 4]
    assert reread(with_header, tail, syntax) == found.elements


def test_encapsulated_tail_may_begin_with_the_delimiter() -> None:
    body = (WHEEL / "test_files" / "MR_small_RLE.dcm").read_bytes()
    found = read(body)
    assert found.encapsulated
    assert found.pixel_offset is not None
    assert found.pixel_end is not None
    assert body[found.pixel_end - 8 : found.pixel_end] == bytes.fromhex("feffdde000000000")
    assert reread(body[: found.pixel_offset], body[found.pixel_end - 8 :], found.transfer_syntax_uid) == found.elements


@pytest.mark.parametrize("cut", [0, 100, 131, 132, 140, 200, 300, 400, -1, -5, -9])
def test_truncated_is_refused(cut: int) -> None:
    with pytest.raises(UnreadableObject):
        read(part10(film())[:cut])


def test_every_truncation_is_refused_or_ends_between_elements() -> None:
    body = part10(film())
    whole = set(read(body).elements)
    for cut in range(len(body)):
        try:
            shorter = read(body[:cut])
        except UnreadableObject:
            continue
        assert set(shorter.elements) < whole or shorter.pixel_keyword is None


def test_raw_data_set_is_refused() -> None:
    body = part10(film())
    with pytest.raises(UnreadableObject):
        read(body[body.index(b"\x08\x00\x08\x00CS") :])


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", [None, "", "1.2.x", "1.02.3", "1." + "2" * 64])
def test_missing_or_invalid_uids_are_refused(keyword: str, value: str | None) -> None:
    made = film(**{keyword: None})
    if value is not None:
        made.add(DataElement(keyword, "UI", value, validation_mode=pydicom.config.IGNORE))
    with pytest.raises(UnreadableObject, match="a UID"):
        read(part10(made))


def test_the_data_set_names_the_object_whatever_stale_file_meta_says() -> None:
    body = part10(film())
    swapped = body.replace(b"1.2.3.4.1", b"1.2.3.4.9", 1)
    assert swapped != body
    assert read(swapped).path == read(body).path


def test_prefix_must_be_there() -> None:
    body = part10(film())
    with pytest.raises(UnreadableObject):
        read(body[:128] + b"CMID" + body[132:])


def test_pixel_data_must_have_the_form_of_its_syntax() -> None:
    with pytest.raises(UnreadableObject, match="form"):
        read(part10(film()).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.5\x00"))


def test_head_and_tail_must_not_say_the_same() -> None:
    found = stored(film())
    assert found.pixel_offset is not None
    tail = b"\x10\x00\x10\x00PN\x04\x00ABCD"
    with pytest.raises(UnreadableObject, match="before and behind"):
        reread(found.body[: found.pixel_offset], tail, EXPLICIT)


def test_unknown_transfer_syntax_is_refused() -> None:
    with pytest.raises(UnreadableObject):
        read(part10(film()).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.7\x00"))


@pytest.mark.parametrize(
    "element",
    [
        b"\x10\x00\x10\x00PN\x04\x00ABCD",
        b"\x02\x00\x16\x00AE\x04\x00ABCD",
        b"\x00\x00\x16\x00AE\x04\x00ABCD",
        b"\xfe\xff\x0d\xe0\x00\x00\x00\x00",
        b"\x11\x00\x10\x00ZZ\x04\x00ABCD",
        b"\x11\x00\x10\x00pn\x04\x00ABCD",
        b"\x11\x00\x10\x00LO\xff\x00ABCD",
        b"\x11\x00\x10\x10OB\x00\x00\xff\xff\xff\x7fABCD",
        b"\x11\x00\x10\x10LT\x00",
        b"\x11\x00\x10\x10UT\x00\x00\xff\xff\xff\xffABCD",
        b"\x40\x00\x75\x02SQ\x00\x00\x08\x00\x00\x00ABCDEFGH",
        b"\x40\x00\x75\x02SQ\x00\x00\x08\x00\x00\x00\xfe\xff\x00\xe0\xff\x00\x00\x00",
        b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff",
        b"\xe0\x7f\x10\x00OB\x00\x00\x02\x00\x00\x00AB" * 2,
    ],
)
def test_an_element_that_could_be_read_two_ways_is_refused(element: bytes) -> None:
    with pytest.raises(UnreadableObject):
        read(part10(film(), pixels=None) + element)


def _nested(depth: int) -> Dataset:
    made = Dataset()
    made.PatientName = "EXAMPLE^PATIENT"
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedStudySequence = Sequence([made])
        made = outer
    return made


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_nesting_is_bounded(syntax: str) -> None:
    made = film()
    made.update(_nested(32))
    assert read(part10(made, syntax)).elements
    made.update(_nested(33))
    with pytest.raises(UnreadableObject):
        read(part10(made, syntax))


def test_nesting_of_fifty_thousand_is_no_recursion_error() -> None:
    opening = b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(UnreadableObject):
        read(part10(film(), pixels=None) + opening * 50_000)


def test_number_of_elements_is_bounded() -> None:
    with pytest.raises(UnreadableObject):
        read(part10(film()), Limits(elements=20))


def test_deflate_bomb_is_too_large() -> None:
    plain = part10(film(), EXPLICIT)
    start = plain.index(b"\x08\x00\x08\x00CS")
    meta = plain[:start].replace(EXPLICIT.encode() + b"\x00", DEFLATED.encode())
    meta = meta.replace(b"UI\x14\x001.2.840.10008.1.2.1.99", b"UI\x16\x001.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(plain[start:] + bytes(50_000_000)) + packer.flush()
    with pytest.raises(TooLarge):
        read(meta + bomb, Limits(inflated=1_000_000))
    with pytest.raises(UnreadableObject):
        read(meta + bomb[:100])
    whole = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    small = whole.compress(plain[start:]) + whole.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(UnreadableObject, match="truncated"):
        read(meta + small)
    with pytest.raises(UnreadableObject):
        read(meta + b"\xff" * 100)


def test_unknown_vr_un_with_a_known_tag_is_what_the_dictionary_says() -> None:
    made = film(PatientName=None)
    made.add_new(0x00100010, "UN", b"MUSTER^MAXIMA ")
    assert first_text(stored(made).elements, 0x00100010) == "MUSTER^MAXIMA"


@pytest.mark.parametrize("path", wheel_files(), ids=lambda path: path.name)
def test_wheel_files_are_read_like_pydicom_or_refused(path: Path) -> None:
    try:
        found = read(path.read_bytes())
    except SafelightError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(path)
        tags = theirs.keys()
        expected = {int(tag) for tag in tags if tag not in (0x7FE00010, 0x7FE00008, 0x7FE00009)}
        assert set(found.elements) == expected
        assert (found.path.instance, found.path.study) == (theirs.SOPInstanceUID, theirs.StudyInstanceUID)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused_but_nothing_else(data: st.DataObject) -> None:
    syntax = data.draw(st.sampled_from(SYNTAXES))
    body = bytearray(part10(film(ReferencedStudySequence=[film()]), syntax))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(body))
    except SafelightError:
        return
    assert found.dataset is not None
