"""Requests that are no store or no retrieve as PS3.18 has them: 400, 413 or 415, recorded, and nothing is stored."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from bad_objects import film
from builders import chest_film, part10_bytes
from house import House
from store_kit import Contents, assert_says_nothing, contents, journal, post, reconfigured

LIMIT = 100_000
MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'
PART = b"Content-Type: application/dicom\r\n\r\n"
FILM = film()
GOOD = chest_film()


def body(*parts: bytes, closing: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + closing


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("bad-requests")) as one:
        reconfigured(one, max_request_bytes=LIMIT)
        assert one.store(part10_bytes(GOOD)).status_code == 200
        # A project's key is made when it is first used.
        assert one.instances("researcher")
        yield one


@pytest.fixture
def held(house: House) -> Contents:
    return contents(house)


BODIES = {
    "an empty body": (b"", MULTIPART, 400),
    "no part": (b"--b--\r\n", MULTIPART, 400),
    "only a preamble": (b"MUSTER^MAXIMA\r\n", MULTIPART, 400),
    "another boundary": (body(PART + FILM), MULTIPART.replace("boundary=b", "boundary=other"), 400),
    "no boundary": (body(PART + FILM), 'multipart/related; type="application/dicom"', 400),
    "an empty boundary": (body(PART + FILM), MULTIPART.replace("boundary=b", 'boundary=""'), 400),
    "a boundary of 71 characters": (body(PART + FILM), MULTIPART + "b" * 70, 400),
    "a boundary with a line break": (body(PART + FILM), MULTIPART.replace("boundary=b", 'boundary="b\tc"'), 400),
    "two boundaries": (body(PART + FILM), f"{MULTIPART}; boundary=b", 400),
    "no closing delimiter": (body(PART + FILM, closing=b""), MULTIPART, 400),
    "a closing delimiter cut off": (body(PART + FILM, closing=b"--b-"), MULTIPART, 400),
    "a delimiter that runs on": (body(PART + FILM).replace(b"--b\r\n", b"--bb\r\n"), MULTIPART, 400),
    "a part without an empty line": (body(b"Content-Type: application/dicom\r\n"), MULTIPART, 400),
    "a part with two Content-Types": (body(b"Content-Type: text/plain\r\n" + PART + FILM), MULTIPART, 400),
    "a part with a header twice": (body(b"X-Muster: 1\r\nx-muster: 2\r\n" + PART + FILM), MULTIPART, 400),
    "a part with a header without a colon": (body(b"MUSTER\r\n" + PART + FILM), MULTIPART, 400),
    "a part with a header without a name": (body(b": MUSTER\r\n" + PART + FILM), MULTIPART, 400),
    "a part with an endless header": (body(b"X-Muster: " + b"a" * 9_000 + b"\r\n" + PART + FILM), MULTIPART, 400),
    "a part of another type": (body(PART + FILM, b"Content-Type: application/pdf\r\n\r\n%PDF"), MULTIPART, 415),
    "a part that is a multipart": (
        body(b"Content-Type: multipart/related; boundary=c\r\n\r\n--c\r\n" + PART + FILM + b"\r\n--c--"),
        MULTIPART,
        415,
    ),
    "DICOM JSON with bulk data elsewhere": (
        b'[{"7FE00010": {"vr": "OW", "BulkDataURI": "file:///etc/passwd"}}]', "application/dicom+json", 415,
    ),
    "multipart DICOM JSON": (body(PART + FILM), MULTIPART.replace("application/dicom", "application/dicom+json"), 415),
    "XML with an entity": (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///x">]><a>&b;</a>', "application/dicom+xml", 415),
    "no content type": (FILM, "", 415),
    "two content types": (body(PART + FILM), f"text/plain, {MULTIPART}", 415),
    "a content type without a value": (body(PART + FILM), "multipart/related; type", 400),
    "a form": (b"a=b", "application/x-www-form-urlencoded", 415),
    "a body above the limit": (body(PART + FILM + bytes(LIMIT)), MULTIPART, 413),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_S8_a_malformed_store_request_is_refused_whole(house: House, held: Contents, name: str) -> None:
    """A body that two readers could take apart differently is taken by none."""
    content, content_type, status = BODIES[name]
    response = post(house, content, content_type)
    assert response.status_code == status
    assert_says_nothing(response)
    assert contents(house) == held
    assert (journal(house)[-1].kind, journal(house)[-1].status) == ("refusal", status)
    assert house.get("/dicomweb/studies", "clinician", "application/dicom+json").status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x-gzip", "GZIP"])
def test_an_encoded_body_is_not_taken(house: House, held: Contents, coding: str) -> None:
    response = post(house, gzip.compress(body(PART + FILM)), MULTIPART, headers={"Content-Encoding": coding})
    assert response.status_code == 415
    assert contents(house) == held


@pytest.mark.parametrize("query", ["a=b", "PatientID=1", "accept=application/dicom%2Bjson", "a"])
def test_a_store_takes_no_query(house: House, held: Contents, query: str) -> None:
    assert post(house, body(PART + FILM), MULTIPART, f"/dicomweb/studies?{query}").status_code == 400
    assert contents(house) == held


def test_a_body_of_no_stated_length_stops_at_the_limit(house: House, held: Contents) -> None:
    endless = body(PART + FILM + bytes(LIMIT))

    class Stream:
        """What a server gives for a chunked request; it tells how much was taken."""

        taken = 0

        def read(self, size: int = -1) -> bytes:
            found = endless[self.taken : self.taken + size] if size >= 0 else endless[self.taken :]
            self.taken += len(found)
            return found

        def readinto(self, buffer: bytearray) -> int:
            found = self.read(len(buffer))
            buffer[: len(found)] = found
            return len(found)

    stream = Stream()
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "wsgi.input": stream}
    response = post(house, b"", MULTIPART, environ_overrides=chunked)
    assert response.status_code == 413
    assert stream.taken <= LIMIT + 65_536
    assert contents(house) == held
    assert journal(house)[-1].status == 413


NO_UIDS = (
    "1", "1.", ".1", "1..2", "01.2", "1.02", "1.2.3a", "1.2 ", "-1.2", "1.2\n", "1.\u0662", "\uff11.2", "1.2\0.3",
    "1.2" + ".1" * 31, "..", "%2e%2e", "..\\..\\x", "1.2,1.3", "*", "' OR 1=1 --", "A" * 5_000,
)  # fmt: skip


@pytest.mark.parametrize("uid", NO_UIDS)
def test_a_s1_what_is_no_uid_in_a_path_is_a_bad_request(house: House, held: Contents, uid: str) -> None:
    written = quote(uid, safe="")
    good = str(GOOD.StudyInstanceUID)
    for path in (
        f"/dicomweb/studies/{written}",
        f"/dicomweb/studies/{written}/metadata",
        f"/dicomweb/studies/{written}/series",
        f"/dicomweb/studies/{good}/series/{written}/metadata",
        f"/dicomweb/studies/{good}/series/{GOOD.SeriesInstanceUID}/instances/{written}/rendered",
        f"/dicomweb/studies?StudyInstanceUID={written}",
        f"/wado?requestType=WADO&studyUID={written}&seriesUID=1.2&objectUID=1.2",
    ):
        for user in ("clinician", "researcher"):
            response = house.get(path, user)
            # `..` and nothing at all are taken out of a path before there is a route: there is no such resource.
            expected = {308, 404} if uid in ("..", "%2e%2e") else {400}
            # In a search, a list of UIDs is what PS3.18 allows.
            expected |= {204} if "StudyInstanceUID=" in path and uid in ("1.2 ", "1.2,1.3") else set()
            assert response.status_code in {400, *expected}, path
            assert uid not in response.get_data(as_text=True)
            assert_says_nothing(response)
    response = post(house, body(PART + FILM), MULTIPART, f"/dicomweb/studies/{written}")
    assert response.status_code == 400 or uid in ("..", "%2e%2e")
    assert contents(house) == held


def test_a_s1_identifiers_that_are_paths_name_no_file(house: House) -> None:
    """Whatever a film calls itself, what lies on the disk has a random name."""
    for number, name in enumerate(("../../../../tmp/muster", "/etc/passwd", "C:\\x", "a" * 64, "\u202e\u0130")):
        ds = chest_film(patient=number + 20, study=number + 20, PatientID=name, AccessionNumber=name[:16], StudyID="..")
        assert post(house, part10_bytes(ds), "application/dicom").status_code == 200
    for path in house.settings.objects.rglob("*"):
        assert path.is_dir() or (len(path.name) == 32 and set(path.name) <= set("0123456789abcdef"))


@pytest.mark.parametrize("frames", ["0", "-1", "1.5", "a", "1,,2", "", "1e3", "\u0661", "9" * 10, "1;2"])
def test_what_is_no_frame_list_is_a_bad_request(house: House, frames: str) -> None:
    (path,) = [one for one in house.instances("clinician") if GOOD.SOPInstanceUID in one]
    response = house.get(f"{path}/frames/{quote(frames, safe=',')}", "clinician")
    assert response.status_code == (400 if frames else 404)


def test_a_frame_beyond_the_last_is_not_found(house: House) -> None:
    (path,) = [one for one in house.instances("clinician") if GOOD.SOPInstanceUID in one]
    assert house.get(f"{path}/frames/2", "clinician").status_code == 404
    assert house.get(f"{path}/frames/1,2", "clinician").status_code == 404
    assert house.get(f"{path}/frames/999999999/rendered", "clinician", "image/png").status_code == 404
    assert house.get(f"{path}/frames/{','.join(['1'] * 10_001)}", "clinician").status_code == 400
