"""Stores of metadata with bulk data beside it (PS3.18 section 10.5.2), in JSON and XML, and what is refused of them."""

from __future__ import annotations

import base64
import errno
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from builders_pixels import encoded, frame_samples
from house import House
from pydicom import uid as uids
from pydicom.dataset import Dataset
from store_kit import assert_says_nothing, contents, failures, journal, post
from sweep_routes import unsynced

from server.errors import UnreadableObject
from server.metadata.read_model import elements_of, model_of_xml
from server.metadata.xml_model import from_json
from server.outcomes import FailureReason, WarningReason
from server.vault.objects import ObjectStore

TINY = PixelFormat(rows=16, columns=16)
JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"
PIXELS = "7FE00010"
HERE = "studies/bulk/1"
Part = tuple[Mapping[str, str], bytes]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("store-metadata")) as one:
        unsynced(patch)
        yield one


def film(number: int, **changes: Any) -> Dataset:
    return chest_film(TINY, canaries=False, study=number, **changes)


def model(made: Dataset, uri: str | None = HERE, **more: Any) -> dict[str, Any]:
    """The JSON model of a film whose pixels lie at `uri`; None: within it."""
    found: dict[str, Any] = json.loads(made.to_json(suppress_invalid_tags=True))
    if uri is not None:
        found[PIXELS] = {"vr": "OW", "BulkDataURI": uri}
    return found | more


def request(kind: str, *parts: Part) -> tuple[bytes, str]:
    body = b""
    for headers, content in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body += f"--b\r\n{lines}\r\n".encode() + content + b"\r\n"
    return body + b"--b--\r\n", f'multipart/related; type="{kind}"; boundary=b'


def document(kind: str, *models: dict[str, Any]) -> list[Part]:
    if kind == JSON:
        return [({"Content-Type": JSON}, json.dumps(models).encode())]
    return [({"Content-Type": XML}, from_json(one)) for one in models]


def bulk(value: bytes, media_type: str = OCTETS, where: str = HERE) -> Part:
    return {"Content-Type": media_type, "Content-Location": where}, value


@pytest.mark.parametrize("kind", [JSON, XML])
def test_metadata_and_its_bulk_data_are_one_film(house: House, kind: str) -> None:
    number = 10 + (kind == XML)
    made = film(number, PatientName="MÜLLER^ÉLISE=王^小东", SpecificCharacterSet="ISO_IR 192", PatientComments="A\nB")
    response = post(house, *request(kind, *document(kind, model(made)), bulk(made.PixelData)))
    assert response.status_code == 200, response.json
    url = f"/dicomweb/studies/{made.StudyInstanceUID}"
    assert (response.json or {})["00081190"]["Value"][0].endswith(url)
    (shown,) = house.get(f"{url}/metadata", "clinician", JSON).json or []
    for tag, expected in model(made, "").items():
        if tag not in {PIXELS, "00080005"} and "BulkDataURI" not in shown.get(tag, {}):
            assert shown.get(tag) == expected, tag
    frame = house.get(
        f"{shown['00081190']['Value'][0]}/frames/1" if "00081190" in shown else _frames(made), "clinician", OCTETS
    )
    assert frame.data == made.PixelData
    # Sent again it is the same; sent as a file, the same data set too.
    held = contents(house)
    assert post(house, *request(kind, *document(kind, model(made)), bulk(made.PixelData))).status_code == 200
    assert contents(house) == held


def _frames(made: Dataset) -> str:
    path = f"/dicomweb/studies/{made.StudyInstanceUID}/series/{made.SeriesInstanceUID}"
    return f"{path}/instances/{made.SOPInstanceUID}/frames/1"


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [
        ("image/jls", uids.JPEGLSLossless),
        ("image/jp2", uids.JPEG2000Lossless),
        ("image/jpeg", uids.JPEGLosslessSV1),
        (f"image/jp2; transfer-syntax={uids.JPEG2000Lossless}", uids.JPEG2000Lossless),
        (f"image/dicom-rle; transfer-syntax={uids.RLELossless}", uids.RLELossless),
    ],
)
def test_compressed_pixels_in_a_part_of_their_own(house: House, media_type: str, syntax: uids.UID) -> None:
    made = film(20 + len(media_type) + len(syntax))
    value = encoded(frame_samples(TINY, 1), made, syntax)
    response = post(house, *request(JSON, *document(JSON, model(made)), bulk(value, media_type)))
    assert response.status_code == 200, response.json
    assert house.get(_frames(made), "clinician", OCTETS).data == made.PixelData


def test_bulk_data_by_content_id_within_sequences_and_inline(house: House) -> None:
    made = film(12)
    icon = {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": "cid:a@b"}}]}
    pixels = {"vr": "OW", "InlineBinary": base64.b64encode(made.PixelData).decode()}
    more = {"00091001": {"vr": "LT", "BulkDataURI": "cid:a@b"}, "00090010": {"vr": "LO", "Value": ["MUSTER"]}}
    sent = model(made, None, **{"00081115": icon, PIXELS: pixels}, **more)
    part = {"Content-Type": OCTETS, "Content-ID": "<a@b>"}, b"ABCD"
    assert post(house, *request(JSON, *document(JSON, sent), part)).status_code == 200
    (shown,) = house.get(f"/dicomweb/studies/{made.StudyInstanceUID}/metadata", "clinician", JSON).json or []
    assert shown["00091001"]["Value"] == ["ABCD"]


@pytest.mark.parametrize(
    "uri",
    ["file:///etc/passwd", "http://127.0.0.1:9/x", "http://169.254.169.254/", "../1", "", "cid:x", "STUDIES/BULK/1"],
)
def test_a_s6_no_address_outside_of_the_request_is_opened(house: House, uri: str) -> None:
    """a.S6: the tests' sockets and files are real; nothing is asked for, and the film is refused."""
    held = contents(house)
    for kind in (JSON, XML):
        made = film(13)
        response = post(house, *request(kind, *document(kind, model(made, uri)), bulk(made.PixelData)))
        assert (response.status_code, failures(response)) == (409, [FailureReason.CANNOT_UNDERSTAND])
        (item,) = (response.json or {})["00081198"]["Value"]
        assert item["00081155"]["Value"] == [made.SOPInstanceUID]
        assert_says_nothing(response)
        assert (journal(house)[-1].kind, journal(house)[-1].status) == ("store", 409)
    assert contents(house) == held


def test_a_s7_a_document_type_is_refused(house: House) -> None:
    """a.S7: external and internal entities alike; there is no document in which either could be defined."""
    held = contents(house)
    good = from_json(model(film(14)))
    for prologue in (
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>',
        b"<!DOCTYPE NativeDicomModel>",
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
    ):
        head, _, rest = good.partition(b"?>")
        part = {"Content-Type": XML}, head + b"?>" + prologue + rest
        response = post(house, *request(XML, part))
        assert response.status_code == 400
        assert_says_nothing(response)
    assert contents(house) == held


UNNAMED: Part = {"Content-Type": OCTETS}, b"AB"
REQUESTS: Mapping[str, tuple[str, list[Part], int]] = {
    "no JSON": (JSON, [({"Content-Type": JSON}, b"{")], 400),
    "no object": (JSON, [({"Content-Type": JSON}, b"[1]")], 400),
    "no data set": (JSON, [({"Content-Type": JSON}, b"[]")], 400),
    "no XML": (XML, [({"Content-Type": XML}, b"<a>")], 400),
    "another document": (XML, [({"Content-Type": XML}, b"<a/>")], 400),
    "bulk data without a name": (JSON, [({"Content-Type": JSON}, b"[{}]"), UNNAMED], 400),
    "two of one name": (JSON, [({"Content-Type": JSON}, b"[{}]"), bulk(b"AB"), bulk(b"CD")], 400),
    "a file beside it": (JSON, [({"Content-Type": JSON}, b"[{}]"), ({"Content-Type": "application/dicom"}, b"")], 415),
    "a text beside metadata": (JSON, [({"Content-Type": JSON}, b"[{}]"), ({"Content-Type": "text/plain"}, b"")], 415),
    "bulk data first": (JSON, [bulk(b"AB"), ({"Content-Type": JSON}, b"[{}]")], 415),
    "XML for JSON": (JSON, [({"Content-Type": XML}, b"<a/>")], 415),
    "another type": ("text/html", [({"Content-Type": "text/html"}, b"<a/>")], 415),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_a_malformed_request_is_refused_whole(house: House, name: str) -> None:
    kind, parts, status = REQUESTS[name]
    held = contents(house)
    response = post(house, *request(kind, *parts))
    assert response.status_code == status
    assert_says_nothing(response)
    assert contents(house) == held


WRONG: tuple[dict[str, Any], ...] = (
    {"00100010": {"Value": []}}, {"00100010": {"vr": "XX"}}, {"0010001": {"vr": "PN"}}, {"00100010": []},
    {"00100010": 1},
    {"00100020": {"vr": "LO", "Value": ["A\\B"]}}, {"00100020": {"vr": "LO", "Value": "A"}}, {"001000Z0": {"vr": "LO"}},
    {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A=B"}]}}, {"00280010": {"vr": "US", "Value": [70000]}},
    {"00280010": {"vr": "US", "Value": ["x"]}}, {"00100020": {"vr": "LO", "Value": [1]}},
    {PIXELS: {"vr": "OW", "InlineBinary": "???"}}, {PIXELS: {"vr": "OW", "InlineBinary": "", "BulkDataURI": HERE}},
    {"00100020": {"vr": "LO", "InlineBinary": "QUJD"}}, {"00081115": {"vr": "SQ", "Value": ["A"]}},
    {"00080018": {"vr": "UI", "Value": ["x"]}}, {"0020000D": {"vr": "UI"}}, {"00100010": {"vr": "PN"}, "00100010 ": {}},
    {PIXELS: {"vr": "SQ", "BulkDataURI": HERE}},
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_metadata_that_is_no_data_set_is_refused_and_the_next_is_stored(house: House, number: int) -> None:
    bad, good = model(film(15)) | WRONG[number], film(100 + number)
    parts = (*document(JSON, bad, model(good)), bulk(good.PixelData))
    response = post(house, *request(JSON, *parts))
    assert (response.status_code, failures(response)) == (202, [FailureReason.CANNOT_UNDERSTAND])
    (item,) = (response.json or {})["00081199"]["Value"]
    assert item["00081155"]["Value"] == [good.SOPInstanceUID]
    assert_says_nothing(response)


def test_sequences_do_not_nest_without_end() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"00081115": {"vr": "SQ", "Value": [deep]}}
    with pytest.raises(UnreadableObject):
        elements_of(deep, lambda _: b"")
    with pytest.raises(UnreadableObject):
        model_of_xml(from_json(deep))


def test_elements_that_belong_to_no_data_set_are_left_out_and_told(house: House) -> None:
    made = film(16)
    sent = model(made, HERE, **{"00020016": {"vr": "AE", "Value": ["MUSTER"]}})
    response = post(house, *request(JSON, *document(JSON, sent), bulk(made.PixelData)))
    assert response.status_code == 202
    (item,) = (response.json or {})["00081199"]["Value"]
    assert item["00081196"]["Value"] == [WarningReason.ELEMENTS_DISCARDED]


@pytest.mark.parametrize(
    "media_type", ["video/mp4", "image/png", f"image/jls; transfer-syntax={uids.RLELossless}", "image/jpeg"]
)
def test_pixels_in_another_form_are_refused(house: House, media_type: str) -> None:
    made = film(17)
    response = post(house, *request(JSON, *document(JSON, model(made)), bulk(b"ABCD", media_type)))
    if media_type.startswith("video"):
        assert response.status_code == 415
    else:
        assert (response.status_code, failures(response)) == (409, [FailureReason.TRANSFER_SYNTAX])


def test_the_report_comes_as_xml_too_and_names_what_has_no_name(house: House) -> None:
    made = film(18)
    for accept, media_type in (("*/*", JSON), (JSON, JSON), (XML, XML)):
        headers = {"Content-Type": "multipart/related; boundary=b", "Accept": accept}
        body, _ = request("application/dicom", ({}, part10_bytes(made)), ({}, b"MUSTER"))
        answer = house.request("POST", "/dicomweb/studies", "technologist", accept=accept, headers=headers, data=body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (202, media_type)
        module = model_of_xml(answer.get_data()) if media_type == XML else answer.json or {}
        (other,) = module["0008119A"]["Value"]
        assert list(other) == ["00081197"]
        assert int(other["00081197"]["Value"][0]) == FailureReason.CANNOT_UNDERSTAND
        assert "00081198" not in module
    held = contents(house)
    headers = {"Content-Type": "application/dicom"}
    refused = house.request(
        "POST", "/dicomweb/studies", "technologist", accept="image/png", headers=headers, data=part10_bytes(film(19))
    )
    assert refused.status_code == 406
    assert contents(house) == held


@pytest.mark.parametrize(
    "syntax",
    [uids.ImplicitVRLittleEndian, uids.ExplicitVRBigEndian, uids.DeflatedExplicitVRLittleEndian, uids.RLELossless,
     uids.JPEGLSLossless, uids.JPEG2000Lossless, uids.JPEGLosslessSV1],
)  # fmt: skip
def test_the_same_data_set_in_another_transfer_syntax_is_no_conflict(house: House, syntax: uids.UID) -> None:
    made = film(30)
    assert house.store(part10_bytes(made)).status_code == 200
    held = contents(house)
    again = house.store(part10_bytes(film(30), syntax))
    assert again.status_code == 200, again.json
    changed = film(30)
    changed.PixelData = changed.PixelData[:-2] + b"\x07\x00"
    for other in (changed, film(30, PatientComments="X"), film(30, StationName="MUSTER")):
        response = house.store(part10_bytes(other, syntax))
        assert (response.status_code, failures(response)) == (409, [FailureReason.DUPLICATE_INSTANCE])
    assert contents(house) == held


def test_a_lossy_copy_is_another_object(house: House) -> None:
    fine = PixelFormat(rows=32, columns=32, bits_allocated=8, bits_stored=8)
    made = chest_film(fine, canaries=False, study=31)
    assert house.store(part10_bytes(made)).status_code == 200
    lossy = house.store(part10_bytes(chest_film(fine, canaries=False, study=31), uids.JPEGBaseline8Bit))
    assert failures(lossy) == [FailureReason.DUPLICATE_INSTANCE]


def test_a_disk_that_fills_up_between_the_objects_of_one_store(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored before stays stored and is told; nothing of the others is left; with nothing stored: 503."""
    made = [part10_bytes(film(40 + number)) for number in range(4)]
    write, room = ObjectStore.write, [2]

    def filling(self: ObjectStore, *arguments: Any, **named: Any) -> Any:
        if not room[0]:
            raise OSError(errno.ENOSPC, "no space")
        room[0] -= 1
        return write(self, *arguments, **named)

    monkeypatch.setattr(ObjectStore, "write", filling)
    response = house.store(*made)
    assert (response.status_code, failures(response)) == (202, [FailureReason.OUT_OF_RESOURCES] * 2)
    stored = [item["00081155"]["Value"][0] for item in (response.json or {})["00081199"]["Value"]]
    assert stored == [film(40).SOPInstanceUID, film(41).SOPInstanceUID]
    assert [entry.status for entry in journal(house)[-4:]] == [200, 200, 503, 503]
    held = contents(house)
    full = house.store(*made[2:])
    assert (full.status_code, full.headers["Retry-After"]) == (503, "5")
    # A mixture of ours and theirs is told object by object.
    mixed = house.store(made[2], b"MUSTER")
    assert (mixed.status_code, failures(mixed)) == (
        409,
        [FailureReason.OUT_OF_RESOURCES, FailureReason.CANNOT_UNDERSTAND],
    )
    assert contents(house).files == held.files
    monkeypatch.undo()
    assert house.store(*made).status_code == 200
