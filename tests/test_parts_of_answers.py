"""Parts of an answer, answers the caller holds already, compressed answers: always of the masked view alone.

Range and If-Range (RFC 9110 section 14), If-None-Match (section 13.1.2), Accept-Encoding (section 12.5.3); a.C3, a.C8.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House, parts
from werkzeug.test import TestResponse

from server.audit.show import read
from server.errors import RangeNotSatisfiable
from server.ranges import content_range, selected

FILM = chest_film(PixelFormat(rows=48, columns=64, frames=2), hiding_places=True)
SINGLE = {
    "": "application/dicom",
    "/frames/2": "application/octet-stream",
    "/bulkdata/7FE00010": "application/octet-stream",
    "/pixeldata": "application/octet-stream",
}
SHOWN = {"clinician": "original", "researcher": "deidentified"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("parts")) as one:
        assert one.store(part10_bytes(FILM)).status_code == 200
        one.screen()
        yield one


def get(house: House, user: str, suffix: str, method: str = "GET", **headers: str) -> TestResponse:
    (path,) = house.instances(user)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.request(method, path + suffix, user, accept=SINGLE.get(suffix, "*/*"), headers=fields)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=2-5", range(2, 6)),
        ("bytes=2-", range(2, 10)),
        ("bytes=2-99", range(2, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("BYTES=9-9", range(9, 10)),
        (" bytes= 1-1 ", range(1, 2)),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=15-12", None),
        ("bytes=0-1,4-5", None),
        ("bytes=0-1, bytes=4-5", None),
        ("bytes=a-b", None),
        ("bytes=0--1", None),
        ("bytes=1-2-3", None),
        ("items=0-1", None),
        ("0-1", None),
        ("bytes=\u0661-\u0662", None),
        (f"bytes={'9' * 41}-", None),
    ],
)
def test_one_range_or_the_whole(asked: str, expected: range | None) -> None:
    assert selected(asked, 10) == expected


@pytest.mark.parametrize(
    ("asked", "length"), [("bytes=10-", 10), ("bytes=10-11", 10), (f"bytes={'9' * 40}-", 10), ("bytes=-0", 10),
                          ("bytes=0-", 0), ("bytes=0-0", 0), ("bytes=-5", 0)],
)  # fmt: skip
def test_no_byte_in_the_range(asked: str, length: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        selected(asked, length)
    assert caught.value.length == length
    assert content_range(range(3, 9), 10) == "bytes 3-8/10"


@pytest.mark.parametrize("user", SHOWN)
@pytest.mark.parametrize("suffix", SINGLE)
def test_the_parts_make_the_whole_of_the_masked_view(house: House, user: str, suffix: str) -> None:
    whole = get(house, user, suffix)
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")
    length = len(whole.data)
    step, joined = length // 3, b""
    for start in range(0, length, step):
        answer = get(house, user, suffix, Range=f"bytes={start}-{start + step - 1}")
        last = min(start + step, length) - 1
        assert (answer.status_code, answer.headers["Content-Range"]) == (206, f"bytes {start}-{last}/{length}")
        assert answer.headers["Content-Length"] == str(len(answer.data))
        same = ("ETag", "Content-Type", "Vary", "Cache-Control")
        assert [answer.headers[name] for name in same] == [whole.headers[name] for name in same]
        joined += answer.data
    assert joined == whole.data
    assert get(house, user, suffix, Range="bytes=-7").data == whole.data[-7:]
    entry = [entry.event for entry in read(house.settings.journal, None) if entry.event.kind == "answer"][-1]
    assert (entry.status, entry.level) == (206, SHOWN[user])


@pytest.mark.parametrize("suffix", SINGLE)
def test_the_whole_is_sent_where_no_part_can_be(house: House, suffix: str) -> None:
    whole = get(house, "researcher", suffix)
    for asked in ("bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "nonsense"):
        answer = get(house, "researcher", suffix, Range=asked)
        assert (answer.status_code, answer.data) == (200, whole.data)
    head = get(house, "researcher", suffix, "HEAD", Range="bytes=0-1")
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole.data)))
    assert head.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("suffix", SINGLE)
def test_a_range_beyond_the_end_tells_the_masked_length(house: House, suffix: str) -> None:
    for user in SHOWN:
        length = len(get(house, user, suffix).data)
        answer = get(house, user, suffix, Range=f"bytes={length}-")
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{length}")
        assert set(json.loads(answer.data)) == {"error"}


@pytest.mark.parametrize("suffix", ["/metadata", "/rendered", "/thumbnail", "/frames/1/rendered"])
def test_other_answers_have_no_parts(house: House, suffix: str) -> None:
    whole, asked = get(house, "researcher", suffix), get(house, "researcher", suffix, Range="bytes=0-1")
    assert "Accept-Ranges" not in whole.headers
    assert (asked.status_code, asked.data) == (200, whole.data)
    many = house.get(house.instances("researcher")[0] + "/frames/1", "researcher", headers={"Range": "bytes=0-1"})
    assert many.status_code == 200
    assert len(parts(many)) == 1


def test_a_part_is_only_sent_of_the_view_that_is_meant(house: House) -> None:
    """a.C3, a.C6: another role's tag, a weak one and a date never lead to a part."""
    tag = get(house, "researcher", "/frames/2").headers["ETag"]
    other = get(house, "clinician", "/frames/2").headers["ETag"]
    assert tag != other
    assert get(house, "researcher", "/frames/2", Range="bytes=0-3", If_Range=tag).status_code == 206
    for held in (other, f"W/{tag}", '"x"', "*", "Sun, 06 Nov 1994 08:49:37 GMT", f"{tag}, {tag}"):
        answer = get(house, "researcher", "/frames/2", Range="bytes=0-3", If_Range=held)
        assert (answer.status_code, len(answer.data)) == (200, 48 * 64 * 2), held
    # If-None-Match is looked at before Range (RFC 9110 section 13.2.2).
    assert get(house, "researcher", "/frames/2", Range="bytes=0-3", If_None_Match=tag).status_code == 304


@pytest.mark.parametrize("suffix", [*SINGLE, "/metadata", "/rendered", "/bulkdata", "/thumbnail"])
def test_what_is_held_is_not_sent_again(house: House, suffix: str) -> None:
    whole = get(house, "researcher", suffix)
    tag, other = whole.headers["ETag"], get(house, "clinician", suffix).headers["ETag"]
    for held in (tag, f'"a", {tag}', f'"a,b" , W/{tag},"c"', "*"):
        for method in ("GET", "HEAD"):
            answer = get(house, "researcher", suffix, method, If_None_Match=held)
            assert (answer.status_code, answer.data) == (304, b""), held
            names = ("ETag", "Vary", "Cache-Control")
            assert [answer.headers[name] for name in names] == [whole.headers[name] for name in names]
    for held in (other, tag.strip('"'), tag[:-2] + '"', '"*"', f'{tag[:-1]}x"', "W/*", ""):
        assert get(house, "researcher", suffix, If_None_Match=held).status_code == 200, held


def test_a_star_tells_strangers_nothing(house: House) -> None:
    (path,) = house.instances("clinician")
    for absent in (path, path.replace(str(FILM.SOPInstanceUID), "2.25.404")):
        # The researcher's world has no such names.
        assert house.get(f"{absent}/rendered", "researcher", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("user", SHOWN)
def test_json_is_compressed_where_that_is_asked_for(house: House, user: str) -> None:
    (path,) = house.instances(user)
    for at in (f"{path}/metadata", "/dicomweb/studies"):
        plain = house.get(at, user, "application/dicom+json")
        assert "Content-Encoding" not in plain.headers
        assert "Accept-Encoding" in plain.headers["Vary"]
        for asked in ("gzip", "br, gzip;q=0.1", "*"):
            answer = house.get(at, user, "application/dicom+json", headers={"Accept-Encoding": asked})
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.data) == plain.data
            head = house.request("HEAD", at, user, accept="application/dicom+json", headers={"Accept-Encoding": asked})
            assert head.headers["Content-Length"] == str(len(answer.data))
        for asked in ("gzip;q=0", "identity", "br", "*;q=0", ""):
            answer = house.get(at, user, "application/dicom+json", headers={"Accept-Encoding": asked})
            assert answer.data == plain.data
    both = [
        house.get(f"{path}/metadata", user, "application/dicom+json", headers={"Accept-Encoding": one})
        for one in ("gzip", "identity")
    ]
    tags = [one.headers["ETag"] for one in both]
    assert tags[0] != tags[1]
    # Either form of the view is proof that the view is held; the tag is that of the form that is asked for.
    for asked, expected in (("gzip", tags[0]), ("identity", tags[1])):
        for held in tags:
            fields = {"Accept-Encoding": asked, "If-None-Match": held}
            again = house.get(f"{path}/metadata", user, "application/dicom+json", headers=fields)
            assert (again.status_code, again.headers["ETag"]) == (304, expected)


def test_nothing_but_json_is_compressed(house: House) -> None:
    for suffix in ("", "/frames/2", "/pixeldata", "/rendered"):
        answer = get(house, "researcher", suffix, Accept_Encoding="gzip")
        assert "Content-Encoding" not in answer.headers
        assert answer.data == get(house, "researcher", suffix).data
