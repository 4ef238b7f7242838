"""Malformed, truncated, huge and nested objects through STOW-RS: refused with a reason, in little memory, for good."""

from __future__ import annotations

import os
import struct
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from bad_objects import BAD, SMALL, STORE, WHEEL, before, deflate_bomb, element, film, without
from builders import PixelFormat, chest_film, decoded_frames, part10_bytes
from house import House
from pydicom.datadict import tag_for_keyword
from store_kit import assert_says_nothing, contents, failures, journal, reconfigured

from server.outcomes import FailureReason

MEBIBYTE = 1 << 20
OBJECT_LIMIT = 16 * MEBIBYTE
SHARED = os.environ.get("SAFELIGHT_SHARED_DATA", "")
MALFORMED = sorted((Path(SHARED) / "malformed").iterdir()) if SHARED else []
# Films that pydicom tries its own reader with. What is no Part 10 file, or lacks a UID, is refused, the rest is stored.
FILES = sorted(path for path in (*WHEEL.glob("*.dcm"), *STORE.glob("*.dcm")) if path.stat().st_size < 150_000)
BROKEN = {
    "ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm",
    "MR_truncated.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm", "SC_rgb_jpeg.dcm",
    "UN_sequence.dcm", "badVR.dcm", "empty_charset_LEI.dcm", "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm",
    "no_meta.dcm", "no_meta_group_length.dcm", "priv_SQ.dcm", "rtplan_truncated.dcm", "rtstruct.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one good film, so that there is something to be damaged."""
    with House(tmp_path_factory.mktemp("bad-input")) as one:
        reconfigured(one, max_object_bytes=OBJECT_LIMIT)
        assert one.store(part10_bytes(chest_film())).status_code == 200
        yield one


def good_path() -> str:
    ds = chest_film()
    return f"/dicomweb/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def assert_works(house: House) -> None:
    """The good film is still there and still itself."""
    frame = house.get(f"{good_path()}/frames/1", "clinician", "application/octet-stream")
    assert (frame.status_code, frame.data) == (200, decoded_frames(chest_film())[0].tobytes())


def peak_of(act: Callable[[], object]) -> int:
    """The most bytes that Python's own allocators held at once during `act`, beyond what they held before."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_object_is_refused_with_a_reason_and_leaves_nothing(house: House, name: str) -> None:
    held = contents(house)
    response = house.store(BAD[name]())
    assert response.status_code == 409
    (reason,) = failures(response)
    assert reason in (FailureReason.CANNOT_UNDERSTAND, FailureReason.TRANSFER_SYNTAX)
    assert "00081199" not in (response.json or {})
    assert_says_nothing(response)
    assert contents(house) == held
    last = journal(house)[-1]
    assert (last.kind, last.action, last.status) == ("store", "store", 409)
    assert last.reason.split(":")[0] == FailureReason(reason).name
    assert_works(house)


# How many bytes at once each may take beyond four times its own size (the request, its part, a parsed copy, a spare).
HUNGRY: Mapping[str, int] = {
    "nested 10 000 times, undefined length": MEBIBYTE,
    "nested 10 000 times, defined length": MEBIBYTE,
    "nested 100 000 times and never closed": MEBIBYTE,
    "2**31 frames": MEBIBYTE,
    "100 000 frames of one": MEBIBYTE,
    "65535 x 65535": MEBIBYTE,
    "65535 x 65535, compressed": MEBIBYTE,
    "an element beyond the end": MEBIBYTE,
    "an offset table beyond the end": MEBIBYTE,
}


@pytest.mark.parametrize("name", HUNGRY)
def test_a_S4_refusing_takes_little_memory(house: House, name: str) -> None:
    body = BAD[name]()
    assert peak_of(lambda: house.store(body)) < 4 * len(body) + HUNGRY[name]


def test_a_S4_a_deflate_bomb_stops_at_the_limit(house: House) -> None:
    """Some kilobytes that would become 256 MiB take no more than the limit and a spare block of the inflater."""
    bomb = deflate_bomb(256 * MEBIBYTE)
    assert len(bomb) < MEBIBYTE
    held = contents(house)
    answers = []
    assert peak_of(lambda: answers.append(house.store(bomb))) < 2 * OBJECT_LIMIT + 4 * MEBIBYTE
    (response,) = answers
    assert (response.status_code, failures(response)) == (409, [FailureReason.OUT_OF_RESOURCES])
    assert_says_nothing(response)
    assert contents(house) == held
    assert_works(house)


def test_an_inflated_object_within_the_limit_is_taken(house: House) -> None:
    assert house.store(film("1.2.840.10008.1.2.1.99")).status_code == 200


def test_an_object_above_the_limit_is_refused(house: House) -> None:
    large = film() + element(0xFFFCFFFC, "OB", bytes(OBJECT_LIMIT))
    response = house.store(large)
    assert (response.status_code, failures(response)) == (409, [FailureReason.OUT_OF_RESOURCES])


def test_one_bad_object_among_good_ones_is_the_only_one_refused(house: House) -> None:
    made = [chest_film(SMALL, study=950, instance=number) for number in (1, 2)]
    response = house.store(part10_bytes(made[0]), BAD["65535 x 65535"](), part10_bytes(made[1]))
    assert (response.status_code, failures(response)) == (202, [FailureReason.TRANSFER_SYNTAX])
    stored = [item["00081155"]["Value"][0] for item in (response.json or {})["00081199"]["Value"]]
    assert stored == [ds.SOPInstanceUID for ds in made]
    refused = (response.json or {})["00081198"]["Value"][0]
    assert refused["00081155"]["Value"] == [chest_film(SMALL, study=900).SOPInstanceUID]


@pytest.mark.filterwarnings("ignore")
def test_what_pydicom_tries_its_reader_with_is_stored_or_refused(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        refused = set()
        for path in FILES:
            held = contents(house)
            response = house.store(path.read_bytes())
            assert response.status_code in (200, 409), path.name
            if response.status_code == 409:
                assert contents(house) == held, path.name
                assert_says_nothing(response)
                if failures(response) != [FailureReason.DUPLICATE_INSTANCE]:
                    refused.add(path.name)
        assert refused == BROKEN
        # Whatever was taken does not spoil a search for anybody.
        for level in ("studies", "series", "instances"):
            for user in ("clinician", "researcher", "front-desk"):
                answer = house.get(f"/dicomweb/{level}", user, "application/dicom+json")
                assert answer.status_code == 200


def test_the_malformed_corpus_is_survived(house: House) -> None:
    """Further files, where a developer has them."""
    for path in MALFORMED:
        held = contents(house)
        response = house.store(path.read_bytes())
        assert response.status_code in (200, 409), path.name
        if response.status_code == 409:
            assert contents(house) == held, path.name
            assert_says_nothing(response)
        assert_works(house)


# Values under VRs that they cannot have, for the attributes that catalogue and display read.
CATALOGUED = (
    "SpecificCharacterSet", "ImageType", "StudyDate", "AccessionNumber", "PatientName", "PatientID",
    "IssuerOfPatientID", "InstanceNumber", "NumberOfFrames", "RequestAttributesSequence",
)  # fmt: skip
DISPLAYED = (
    "PixelAspectRatio", "PixelSpacing", "WindowCenter", "VOILUTFunction", "RescaleSlope", "ModalityLUTSequence",
    "VOILUTSequence", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "BitsStored",
)  # fmt: skip
ODD = (
    ("LO", b"9" * 5_000), ("DS", b"1e999 "), ("DS", b"nan "), ("DS", b"-0"), ("IS", b"9" * 4_000), ("US", b"\1"),
    ("US", b"\1\0\2\0"), ("SQ", b""), ("SQ", b"\xfe\xff\0\xe0\0\0\0\0"), ("OB", b"\xff" * 7), ("FD", b"\0\0\0"),
    ("FD", struct.pack("<d", float("nan"))), ("AT", b"\0\0\0"), ("PN", b"\x1b$B\xff\xff^=\x1b"), ("UI", b"1.2."),
)  # fmt: skip


def with_odd_values(keyword: str) -> list[bytes]:
    """A film, of its own patient and study, for each odd value of one attribute."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    made = []
    for number, (vr, value) in enumerate(ODD):
        ds = chest_film(PixelFormat(rows=8, columns=8), patient=number + 2, study=number, canaries=False)
        made.append(before(without(part10_bytes(ds), tag), tag, element(tag, vr, value)))
    return made


@pytest.mark.parametrize("keyword", CATALOGUED)
def test_no_film_makes_a_search_fail(tmp_path: Path, keyword: str) -> None:
    """One poisoned film among others must not end the lists of films for everybody."""
    with House(tmp_path) as house:
        assert house.store(*with_odd_values(keyword), part10_bytes(chest_film(SMALL))).status_code in (200, 202)
        for user in ("clinician", "researcher", "front-desk"):
            for level in ("studies", "series", "instances"):
                answer = house.get(f"/dicomweb/{level}", user, "application/dicom+json")
                assert answer.status_code == 200, (user, level)


@pytest.mark.parametrize("keyword", DISPLAYED)
def test_no_header_makes_a_picture_fail_unexpectedly(tmp_path: Path, keyword: str) -> None:
    with House(tmp_path) as house:
        stored = house.store(*with_odd_values(keyword), part10_bytes(chest_film(SMALL))).json or {}
        for item in stored["00081199"]["Value"]:
            path = item["00081190"]["Value"][0].removeprefix(house.settings.public_url)
            assert house.get(f"{path}/metadata", "clinician", "application/dicom+json").status_code == 200
            # 406: a lookup table that cannot be read.
            assert house.get(f"{path}/rendered", "clinician", "image/png").status_code in (200, 406)
