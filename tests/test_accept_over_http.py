"""What a client may ask for and how it gets it: Accept as viewers and libraries write it (PS3.18 section 8.7)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import quote

import imagecodecs
import numpy as np
import pytest
from builders import PixelFormat, chest_film, decoded_frames, part10_bytes
from house import House, parts
from PIL import Image
from pydicom import uid as uids
from werkzeug.test import TestResponse

FORMAT = PixelFormat(rows=48, columns=64, frames=11)
FILM = chest_film(FORMAT)
FRAMES = [frame.tobytes() for frame in decoded_frames(FILM)]
PATH = f"/dicomweb/studies/{FILM.StudyInstanceUID}/series/{FILM.SeriesInstanceUID}/instances/{FILM.SOPInstanceUID}"
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("accept")) as one:
        assert one.store(part10_bytes(FILM, uids.RLELossless)).status_code == 200
        one.screen()
        yield one


def get(house: House, suffix: str, accept: str) -> TestResponse:
    return house.get(PATH + suffix, "clinician", accept)


OCTET_RANGES = (
    'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
    "multipart/related; type=application/octet-stream; transfer-syntax=*",
    'multipart/related;type="application/octet-stream";transfer-syntax=1.2.840.10008.1.2.1',
    'multipart/related; type="*/*"',
    "multipart/related; type=*/*; transfer-syntax=*",
    'MULTIPART/RELATED; TYPE="application/octet-stream"',
    "multipart/related",
    "*/*",
    'image/webp, multipart/related; type="application/octet-stream"; q=0.9, multipart/related; type="image/jls"; q=0.1',
    'multipart/related; type="image/jxl"; transfer-syntax="1.2.840.10008.1.2.4.110", multipart/related; type="*/*"',
)


@pytest.mark.parametrize("accept", OCTET_RANGES)
def test_frames_in_one_part_each(house: House, accept: str) -> None:
    answer = get(house, "/frames/2,1", accept)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith('multipart/related; type="application/octet-stream"; boundary=')
    found = parts(answer)
    assert [body for _, body in found] == [FRAMES[1], FRAMES[0]]
    assert {head["content-type"] for head, _ in found} == {f"application/octet-stream; transfer-syntax={EXPLICIT}"}


@pytest.mark.parametrize(
    "accept", ["application/octet-stream", f"application/octet-stream; transfer-syntax={EXPLICIT}"]
)
def test_one_frame_as_a_single_part(house: House, accept: str) -> None:
    answer = get(house, "/frames/5", accept)
    assert (answer.status_code, answer.data) == (200, FRAMES[4])
    assert answer.headers["Content-Type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert get(house, "/frames/5,6", accept).status_code == 406


@pytest.mark.parametrize("order", [(1,), (11, 1), (3, 2, 1), (2, 2, 2), tuple(range(11, 0, -1))])
def test_frames_come_in_the_asked_order(house: House, order: tuple[int, ...]) -> None:
    for syntax in ("", "; transfer-syntax=*"):
        answer = get(house, f"/frames/{','.join(map(str, order))}", f'multipart/related; type="*/*"{syntax}')
        assert [body for _, body in parts(answer)] == [FRAMES[number - 1] for number in order]


def test_every_frame_shows_its_own_number(house: House) -> None:
    """Rendered frame by frame and as an animation, at both levels: no two alike, each the one that was asked for."""
    assert len(set(FRAMES)) == len(FRAMES)
    (masked,) = house.instances("researcher")
    for user, path in (("clinician", PATH), ("researcher", masked)):
        alone = [house.get(f"{path}/frames/{n}/rendered", user, "image/png").data for n in range(1, 12)]
        several = house.get(f"{path}/frames/11,3/rendered", user, 'multipart/related; type="image/png"')
        assert [body for _, body in parts(several)] == [alone[10], alone[2]]
        assert house.get(f"{path}/rendered", user, "image/png").data == alone[0]
        if user == "clinician":
            assert len(set(alone)) == len(alone)
            animation = Image.open(io.BytesIO(house.get(f"{path}/rendered", user, "image/gif").data))
            assert getattr(animation, "n_frames", 1) == len(FRAMES)


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [
        ("image/dicom-rle", uids.RLELossless),
        ("image/jls", uids.JPEGLSLossless),
        ("image/jp2", uids.JPEG2000Lossless),
        ("image/jphc", uids.HTJ2KLossless),
    ],
)
def test_frames_as_lossless_codestreams(house: House, media_type: str, syntax: uids.UID) -> None:
    decoders = {
        uids.RLELossless: lambda body: np.frombuffer(imagecodecs.dicomrle_decode(body, "<u2"), "<u2"),
        uids.JPEGLSLossless: imagecodecs.jpegls_decode,
        uids.JPEG2000Lossless: imagecodecs.jpeg2k_decode,
        uids.HTJ2KLossless: imagecodecs.htj2k_decode,
    }
    for accept in (
        f'multipart/related; type="{media_type}"; transfer-syntax={syntax}',
        f"multipart/related; type={media_type}",
    ):
        found = parts(get(house, "/frames/7,4", accept))
        assert {head["content-type"] for head, _ in found} == {f"{media_type}; transfer-syntax={syntax}"}
        assert [decoders[syntax](body).tobytes() for _, body in found] == [FRAMES[6], FRAMES[3]]


@pytest.mark.parametrize(
    ("suffix", "accept"),
    [
        ("/frames/1", "text/html"),
        ("/frames/1", "image/png"),
        ("/frames/1", 'multipart/related; type="application/dicom"'),
        ("/frames/1", f'multipart/related; type="application/octet-stream"; transfer-syntax={uids.JPEG2000Lossless}'),
        ("/frames/1", f'multipart/related; type="image/jpeg"; transfer-syntax={uids.JPEGBaseline8Bit}'),
        (
            "/frames/1",
            f'multipart/related; type="application/octet-stream"; transfer-syntax={uids.ExplicitVRBigEndian}',
        ),
        ("", f"application/dicom; transfer-syntax={uids.ImplicitVRLittleEndian}"),
        ("", f"application/dicom; transfer-syntax={uids.JPEG2000}"),
        ("", "application/dicom; transfer-syntax=1.2.3"),
        ("", "application/octet-stream"),
        ("/metadata", "application/dicom+xml"),
        ("/metadata", "multipart/related; type=application/dicom+json"),
        ("/rendered", "image/webp"),
        ("/rendered", "application/dicom"),
        ("/bulkdata/7FE00010", "image/jp2"),
        ("/frames/1", "*/*; q=0"),
        ("/frames/1", "MUSTER"),
        ("/frames/1", ""),
    ],
)
def test_what_cannot_be_given_is_not_acceptable(house: House, suffix: str, accept: str) -> None:
    assert get(house, suffix, accept).status_code == 406


@pytest.mark.parametrize("suffix", ["", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata/7FE00010"])
def test_a_request_says_what_it_accepts(house: House, suffix: str) -> None:
    """PS3.18 section 8.7.5: there is no default for a request without Accept and without the query parameter."""
    headers = {"Authorization": f"Bearer {house.token('clinician')}"}
    assert house.client.get(PATH + suffix, headers=headers).status_code == 406


@pytest.mark.parametrize("suffix", ["", "/rendered", "/frames/1", "/metadata"])
def test_dicom_and_rendered_media_types_do_not_mix(house: House, suffix: str) -> None:
    for accept in (
        "application/dicom, image/jpeg",
        "image/png, application/dicom+json",
        'multipart/related; type="application/dicom", image/gif',
    ):
        assert get(house, suffix, accept).status_code == 400


def test_the_query_parameter_comes_first(house: House) -> None:
    for asked, header, expected in (
        ("image/png", "image/jpeg", "image/png"),
        ("image/jpeg", "*/*", "image/jpeg"),
        ("image/gif", "image/webp", "image/gif"),
    ):
        answer = get(house, f"/rendered?accept={quote(asked)}", header)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, expected)
    octets = quote('multipart/related; type="application/octet-stream"; transfer-syntax=*')
    assert [body for _, body in parts(get(house, f"/frames/2?accept={octets}", "text/html"))] == [FRAMES[1]]
    headers = {"Authorization": f"Bearer {house.token('clinician')}"}
    assert house.client.get(f"{PATH}/rendered?accept=image/png", headers=headers).status_code == 200


def test_an_instance_comes_alone_and_in_parts(house: House) -> None:
    alone = get(house, "", "application/dicom")
    assert alone.headers["Content-Type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    for accept in (
        'multipart/related; type="application/dicom"',
        'multipart/related; type="application/dicom"; transfer-syntax=*',
    ):
        ((head, body),) = parts(get(house, "", accept))
        assert (head["content-type"], body) == (f"application/dicom; transfer-syntax={EXPLICIT}", alone.data)
        study = house.get(f"/dicomweb/studies/{FILM.StudyInstanceUID}", "clinician", accept)
        assert [body for _, body in parts(study)] == [alone.data]
