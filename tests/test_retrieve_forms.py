"""Forms in which retrieve answers beyond the usual: XML, deflated and JPEG lossless objects, pixel data alone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from xml.etree import ElementTree

import imagecodecs
import numpy as np
import pytest
from builders import PixelFormat, chest_film, decoded_frames, part10_bytes
from house import House, parts
from pydicom import dcmread
from pydicom import uid as uids

from server.errors import BadRequest, NotAcceptable
from server.metadata.xml_model import NAMESPACE
from server.negotiate import Choice, Offer, check_charset, choose

FORMAT = PixelFormat(rows=48, columns=64, frames=3)
FILMS = [
    chest_film(FORMAT, hiding_places=True, InstanceNumber=1),
    chest_film(FORMAT, instance=2, series=2, InstanceNumber=2),
]
XML = 'multipart/related; type="application/dicom+xml"'
OCTETS = 'multipart/related; type="application/octet-stream"'
USERS = ("clinician", "researcher")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("forms")) as one:
        report = chest_film(instance=3, series=3, hiding_places=True)
        for element in [*report.group_dataset(0x0028), report[0x7FE00010]]:
            del report[element.tag]
        report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = uids.BasicTextSRStorage
        assert one.store(*map(part10_bytes, [*FILMS, report])).status_code == 200
        one.screen()
        yield one


def place(house: House, user: str, number: int = 1) -> str:
    query = f"/dicomweb/instances?InstanceNumber={number}"
    (row,) = house.get(query, user, "application/dicom+json").json or []
    study, series, one = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    return f"/dicomweb/studies/{study}/series/{series}/instances/{one}"


def above(path: str) -> Iterator[str]:
    """An instance, its series and its study."""
    yield from (path, path.rpartition("/instances")[0], path.rpartition("/series")[0])


@pytest.mark.parametrize("user", USERS)
def test_metadata_in_xml_is_that_in_json(house: House, user: str) -> None:
    for at in above(place(house, user)):
        models = house.get(f"{at}/metadata", user, "application/dicom+json").json or []
        answer = house.get(f"{at}/metadata", user, XML)
        assert answer.headers["Content-Type"].startswith(f"{XML}; boundary=")
        documents = parts(answer)
        assert len(documents) == len(models) == (1 if "/instances/" in at else len(models))
        for (head, body), model in zip(documents, models, strict=True):
            assert head["content-type"] == "application/dicom+xml"
            names = [model[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
            assert head["content-location"] == (
                f"{house.settings.public_url}/dicomweb/studies/{names[0]}/series/{names[1]}/instances/{names[2]}/metadata"
            )
            root = ElementTree.fromstring(body)
            assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"
            told = {one.attrib["tag"]: one for one in root if "privateCreator" not in one.attrib}
            assert set(told) == {tag for tag in model if int(tag[:4], 16) % 2 == 0}
            for tag, one in told.items():
                assert one.attrib["vr"] == model[tag]["vr"]
                addresses = [value.attrib["uri"] for value in one if value.tag.endswith("}BulkData")]
                assert addresses == ([model[tag]["BulkDataURI"]] if "BulkDataURI" in model[tag] else [])
                for uri in addresses:
                    assert house.get(uri.removeprefix(house.settings.public_url), user).status_code == 200


def test_metadata_in_xml_is_asked_for_as_it_is_sent(house: House) -> None:
    path = f"{place(house, 'researcher')}/metadata"
    for accept in (
        XML,
        "multipart/related; type=application/dicom+xml",
        f"{XML}; q=0.9, application/dicom+json; q=0.5",
    ):
        assert len(parts(house.get(path, "researcher", accept))) == 1
    for accept in ("*/*", "application/json", f"{XML}; q=0.5, application/dicom+json"):
        assert isinstance(house.get(path, "researcher", accept).json, list)
    for accept in ("application/dicom+xml", "text/xml", "application/xml"):
        assert house.get(path, "researcher", accept).status_code == 406


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("number", [1, 2])
def test_a_deflated_object_holds_the_same(house: House, user: str, number: int) -> None:
    path = place(house, user, number)
    plain = dcmread(io.BytesIO(house.get(path, user, "application/dicom").data))
    answer = house.get(path, user, f"application/dicom; transfer-syntax={uids.DeflatedExplicitVRLittleEndian}")
    assert answer.headers["Content-Type"].endswith(uids.DeflatedExplicitVRLittleEndian)
    assert len(answer.data) % 2 == 0
    packed = dcmread(io.BytesIO(answer.data))
    assert packed.file_meta.TransferSyntaxUID == uids.DeflatedExplicitVRLittleEndian
    assert packed == plain
    assert packed.PixelData == plain.PixelData
    ((_, body),) = parts(
        house.get(
            path,
            user,
            f'multipart/related; type="application/dicom"; transfer-syntax={packed.file_meta.TransferSyntaxUID}',
        )
    )
    assert body == answer.data


@pytest.mark.parametrize("user", USERS)
def test_frames_in_jpeg_lossless(house: House, user: str) -> None:
    path = place(house, user)
    native = [body for _, body in parts(house.get(f"{path}/frames/3,1,3", user, OCTETS))]
    for accept in (
        f'multipart/related; type="image/jpeg"; transfer-syntax={uids.JPEGLosslessSV1}',
        'multipart/related; type="image/jpeg"; transfer-syntax=*',
        "multipart/related; type=image/jpeg",
    ):
        found = parts(house.get(f"{path}/frames/3,1,3", user, accept))
        assert {head["content-type"] for head, _ in found} == {f"image/jpeg; transfer-syntax={uids.JPEGLosslessSV1}"}
        assert [imagecodecs.jpegsof3_decode(body).tobytes() for _, body in found] == native
    ds = dcmread(io.BytesIO(house.get(path, user, f"application/dicom; transfer-syntax={uids.JPEGLosslessSV1}").data))
    assert ds.file_meta.TransferSyntaxUID == uids.JPEGLosslessSV1
    # A rendered media type and a DICOM one are only mixed where the picture has no transfer syntax.
    mixed = 'multipart/related; type="application/dicom", multipart/related; type="image/jpeg"'
    assert house.get(f"{path}/frames/1", user, mixed).status_code == 400
    syntax = f"; transfer-syntax={uids.JPEGLosslessSV1}"
    assert house.get(f"{path}/frames/1", user, mixed + syntax).status_code == 200


@pytest.mark.parametrize("user", USERS)
def test_pixel_data_alone_at_every_level(house: House, user: str) -> None:
    expected = {}
    for number in (1, 2):
        path = place(house, user, number)
        every = parts(house.get(f"{path}/frames/1,2,3", user, OCTETS))
        expected[f"{house.settings.public_url}{path}/bulkdata/7FE00010"] = b"".join(body for _, body in every)
        alone = house.get(f"{path}/pixeldata", user, "application/octet-stream")
        assert alone.data == next(reversed(expected.values()))
    for at in above(place(house, user)):
        found = {head["content-location"]: body for head, body in parts(house.get(f"{at}/pixeldata", user, OCTETS))}
        below = {uri: body for uri, body in expected.items() if uri.startswith(f"{house.settings.public_url}{at}/")}
        assert found == below
        everything = {head["content-location"] for head, _ in parts(house.get(f"{at}/bulkdata", user, OCTETS))}
        assert set(found) <= everything
    study = list(above(place(house, user)))[-1]
    assert house.get(f"{study}/pixeldata", user, "application/octet-stream").status_code == 406
    for accept in ("image/jpeg", "application/dicom", f'{OCTETS}; transfer-syntax="{uids.RLELossless}"'):
        assert house.get(f"{study}/pixeldata", user, accept).status_code == 406


@pytest.mark.parametrize("user", USERS)
def test_every_part_says_where_it_lies_in_this_world(house: House, user: str) -> None:
    path, origin = place(house, user), house.settings.public_url
    found = parts(house.get(f"{path}/frames/3,1", user, OCTETS))
    assert [head["content-location"] for head, _ in found] == [f"{origin}{path}/frames/{number}" for number in (3, 1)]
    study = list(above(path))[-1]
    files = parts(house.get(study, user, 'multipart/related; type="application/dicom"'))
    assert len(files) >= 2
    for head, body in files:
        at = head["content-location"].removeprefix(origin)
        assert at.endswith(dcmread(io.BytesIO(body)).SOPInstanceUID)
        assert house.get(at, user, "application/dicom").data == body
    # Browser viewers look for this field first, letter by letter.
    raw = house.get(f"{path}/frames/1", user, OCTETS).data
    assert raw.partition(b"\r\n")[2].startswith(b"Content-Type: application/octet-stream; transfer-syntax=")


def test_pixel_data_of_what_has_none(house: House) -> None:
    paths = [
        path
        for path in house.instances("clinician")
        if path.rpartition("/")[2] not in {str(ds.SOPInstanceUID) for ds in FILMS}
    ]
    assert len(paths) == 1
    assert house.get(f"{paths[0]}/pixeldata", "clinician", OCTETS).status_code == 404
    for user in ("teacher", "front-desk"):
        assert house.get(f"{house.instances(user)[0]}/pixeldata", user, OCTETS).status_code == 403
    assert (
        house.get(f"{paths[0].replace('/studies/', '/studies/2.25.')}/pixeldata", "clinician", OCTETS).status_code
        == 404
    )


@pytest.mark.parametrize(
    ("frames", "status"),
    [("1", 200), ("3,3", 200), ("03", 200), ("3,4", 404), ("4", 404), ("999999999", 404), ("0", 400), ("1,,2", 400),
     ("1,", 400), ("-1", 400), ("1.0", 400), ("a", 400), ("%D9%A1", 400), ("9999999999", 400), ("1;2", 400),
     (",".join(["1"] * 10_001), 400)],
)  # fmt: skip
def test_frame_lists(house: House, frames: str, status: int) -> None:
    answer = house.get(f"{place(house, 'researcher')}/frames/{frames}", "researcher", OCTETS)
    assert answer.status_code == status
    if status != 200:
        assert set(json.loads(answer.data)) == {"error"}


def test_stored_samples_come_back(house: House) -> None:
    found = parts(house.get(f"{place(house, 'clinician')}/frames/2", "clinician", OCTETS))
    assert found[0][1] == np.ascontiguousarray(decoded_frames(FILMS[0])[1]).tobytes()


A, B, C = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"
OFFERS = (
    Offer(media_type="image/jpeg"),
    Offer(media_type="image/png"),
    Offer(media_type="application/octet-stream", multipart=True, transfer_syntaxes=(A, B)),
    Offer(media_type="image/jls", multipart=True, transfer_syntaxes=(C,)),
)


@pytest.mark.parametrize(
    ("header", "query", "expected"),
    [
        ("*/*", [], "image/jpeg"),
        ("*/*, image/png", [], "image/jpeg"),
        ("image/png, */*", [], "image/png"),
        ("*/*, image/jpeg;q=0", [], "image/png"),
        ("image/*, image/jpeg;q=0.2", [], "image/png"),
        ("image/*;q=0.5, image/jpeg;q=0.9", [], "image/jpeg"),
        ("image/jpeg;q=0.5;q=0.9, image/png;q=0.1", [], "image/png"),
        ("image/jpeg;q=2, image/png;q=0.001", [], "image/png"),
        ("image/jpeg;q=nan, image/png;q=.5", [], None),
        ("image/jpeg;q=0", [], None),
        ("image/png;q=0.4, image/jpeg;q=0.40", [], "image/png"),
        ("multipart/*", [], A),
        ("multipart/related", [], A),
        (f"multipart/related, multipart/related; type=application/octet-stream; transfer-syntax={A}; q=0", [], B),
        ("multipart/related, multipart/related; type=application/octet-stream; q=0", [], C),
        ('multipart/related; type="image/*"', [], C),
        (f'multipart/related; type="*/*"; transfer-syntax={B}', [], B),
        (f"multipart/related; type=application/octet-stream; transfer-syntax={C}", [], None),
        ("image/jpeg", ["image/png"], "image/png"),
        ("image/jpeg", ["image/webp"], "image/jpeg"),
        ("image/jpeg", ["image/webp", "image/png;q=0.1"], "image/png"),
        ("image/jpeg", ["image/png;q=0"], "image/jpeg"),
        ("image/png", ["*/*"], "image/png"),
        ("image/png", ["image/*"], "image/png"),
        (None, ["*/*"], None),
        (None, ["image/gif,image/png"], "image/png"),
        (None, [], None),
        ("image/jpeg; q", ["; ;,,="], None),
        ("image/jpeg/x, text", [], None),
    ],
)
def test_who_is_chosen(header: str | None, query: list[str], expected: str | None) -> None:
    if expected is None:
        with pytest.raises(NotAcceptable):
            choose(header, query, OFFERS)
        return
    found: Choice = choose(header, query, OFFERS)
    assert expected in (found.media_type, found.transfer_syntax)


def test_only_utf_8_is_sent(house: House) -> None:
    for fine in ("utf-8", "UTF-8", "iso-8859-1,utf-8;q=0.5", '"ISO_IR 192"'):
        check_charset(fine)
    for other in ("iso-8859-1", "", "*", "utf-16,latin1", '"ISO_IR 100"'):
        with pytest.raises(BadRequest):
            check_charset(other)
    path = place(house, "researcher")
    for suffix in ("/metadata", "/rendered", ""):
        assert house.get(f"{path}{suffix}?charset=utf-8", "researcher").status_code == 200
        assert house.get(f"{path}{suffix}?charset=gb18030", "researcher").status_code == 400
