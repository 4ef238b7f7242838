"""Routes and negotiation: no neighbour, no switch and no media type gives more (a.C1 to a.C4, a.C8)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from builders import PixelFormat, canary, chest_film, part10_bytes
from house import House, parts
from pydicom import uid as uids
from route_checks import SWITCHES, VALUES, rules_of, visible
from sweep_routes import calls
from sweep_world import WRITTEN
from werkzeug.test import TestResponse

SECRET = canary("PatientName").encode()
JSON = "application/dicom+json"
FILM = chest_film(PixelFormat(frames=2))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("attacks")) as made:
        assert made.store(part10_bytes(FILM)).status_code == 200
        made.screen()
        yield made


def test_a_C1_no_route_is_left_out_of_the_sweep(house: House) -> None:
    """`test_no_canary_leaves` asks every rule of the router; here: it knows a request for each."""
    for rule in rules_of(house.app):
        if rule not in WRITTEN:
            assert list(calls(rule, (), ["/1.2/1.3/1.4"])), rule


@pytest.mark.parametrize("user", ["researcher", "front-desk"])
def test_a_C2_no_switch_of_a_client_lowers_the_mask(house: House, user: str) -> None:
    (base,) = house.instances(user)
    study, series, sop = re.findall(r"(?<=/)[0-9][0-9.]+", base)
    wado = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={sop}&contentType=application/dicom"
    forms = (
        "anonymize=no", "anonymize=", "anonymize=no&anonymize=yes", "anonymize[]=no", "Anonymize=no", "level=0",
        "pseudonym=", "original", *SWITCHES,
    )  # fmt: skip
    for path in (wado, f"{base}/rendered?x", f"{base}/metadata?x", f"{base}/frames/1?x"):
        for switch in forms:
            response = house.get(path.replace("?x", f"?{switch}") if "?x" in path else f"{path}&{switch}", user)
            shown = SECRET in response.get_data()
            assert response.status_code == 400 or visible(response) == visible(
                house.get(path.replace("?x", ""), user)
            ), switch
            assert user == "front-desk" or not shown


def test_a_C3_no_header_and_no_identifier_returns_the_original(house: House) -> None:
    (base,) = house.instances("researcher")
    expected = visible(house.get(f"{base}/metadata", "researcher"))
    for name in ("If-Range", "If-Match", "X-Original", "X-Unmask", "DICOMweb-Level", "Prefer", "Accept-Version", "Via"):
        for value in (*VALUES, '"x"', "return=original"):
            assert visible(house.get(f"{base}/metadata", "researcher", headers={name: value})) == expected
    for path in (f"{base}?original", f"{base}/original", f"{base};original", f"{base}/metadata/original", f"/v1{base}"):
        response = house.get(path, "researcher")
        assert response.status_code >= 400 or SECRET not in response.get_data()
    stored = house.instances("technologist")[0]
    assert house.get(f"{stored}/metadata", "researcher").status_code == 404


@pytest.mark.parametrize("user", ["researcher", "teacher", "front-desk"])
def test_a_C4_no_accept_returns_stored_bytes(house: House, user: str) -> None:
    """Every way to ask for a film as it is stored is masked or refused; never the stored bytes, whole or in part."""
    (base,) = house.instances(user)
    stored = part10_bytes(FILM)[132:]
    frame = FILM.PixelData[: len(FILM.PixelData) // 2]
    header = (
        "*/*", "application/dicom; transfer-syntax=*",
        'multipart/related; type="application/dicom"; transfer-syntax=*',
        f"application/dicom; transfer-syntax={uids.ExplicitVRLittleEndian}", "application/octet-stream",
        'multipart/related; type="*/*"; transfer-syntax=*', "application/dicom;q=0.1, image/jpeg",
        "text/css, */*;q=0", "application/dicom; transfer-syntax=1.2.840.10008.1.2",
        "APPLICATION/DICOM;TRANSFER-SYNTAX=*",
    )  # fmt: skip
    for suffix in ("", "/frames/1", "/bulkdata/7FE00010", "/rendered"):
        for accept in header:
            for query in ("", "?accept=application/dicom;transfer-syntax=*", "?accept=*/*&accept=application/dicom"):
                response = house.get(base + suffix + query, user, accept)
                body = response.get_data()
                assert response.status_code in (200, 400, 403, 404, 406), (suffix, accept)
                assert stored not in body
                assert frame not in body, (suffix, accept)
                assert user == "front-desk" or SECRET not in body


def test_a_C8_lengths_and_parts_are_those_of_the_masked_answer(house: House) -> None:
    for user in ("clinician", "researcher", "front-desk"):
        for base in house.instances(user):
            for suffix in ("", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/rendered", "/thumbnail"):
                accept = {"": "application/dicom", "/frames/1": "application/octet-stream"}.get(suffix, "*/*")
                whole = house.get(base + suffix, user, accept)
                head = house.request("HEAD", base + suffix, user, accept=accept)
                assert (head.status_code, head.headers.get("Content-Length")) == (
                    whole.status_code,
                    whole.headers.get("Content-Length"),
                )
                for asked in (
                    "bytes=0-99",
                    "bytes=-100",
                    "bytes=5-",
                    "bytes=0-0,5-9",
                    "bytes=99999999-",
                    "bytes=9-1",
                    "x=1",
                ):
                    part = house.get(base + suffix, user, accept, headers={"Range": asked})
                    if part.status_code == 206:
                        told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", part.headers["Content-Range"])
                        assert told
                        first, last, size = map(int, told.groups())
                        assert size == len(whole.get_data())
                        assert part.get_data() == whole.get_data()[first : last + 1]
                    elif part.status_code == 416:
                        assert part.headers["Content-Range"] == f"bytes */{len(whole.get_data())}"
                    else:
                        assert (part.status_code, without_boundary(part)) == (
                            whole.status_code,
                            without_boundary(whole),
                        )


def without_boundary(response: TestResponse) -> bytes | list[tuple[dict[str, str], bytes]]:
    return parts(response) if response.mimetype == "multipart/related" else response.get_data()
