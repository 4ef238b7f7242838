"""The server does what its published OpenAPI description says, for several roles, and says nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from openapi_kit import ROLES, explore, fill
from sweep_routes import unsynced

import server.openapi
import server.web.answer
from server.capabilities import TABLE
from server.negotiate import Offer
from server.openapi_forms import SCHEMAS, TOGETHER

# Each of these has something that the others have not; the long version asks for all of them.
FEW = ("clinician", "researcher", "technologist", "security-administrator", "security-auditor", "privacy-reviewer", "")
EXAMPLES = int(os.environ.get("SAFELIGHT_OPENAPI_EXAMPLES", "1"))


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("openapi")) as made:
        unsynced(patch)
        fill(made)
        yield made


def test_nothing_is_answered_that_is_not_described(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    found = explore(house, FEW if EXAMPLES == 1 else ROLES, examples=EXAMPLES)
    with capsys.disabled():
        print(f"\nopenapi: {found.total} requests of {len(found.operations)} operations: {found.statuses}")
    assert dict(found.complaints) == {}
    # What the description is read from is not asked again.
    assert found.operations == {f"{row.method} {row.template}" for row in TABLE} - {"GET /openapi.json"}
    assert {200, 204, 303, 400, 401, 403, 404} <= set(found.statuses)


FILM = part10_bytes(chest_film(PixelFormat(rows=16, columns=16), study=77))
# What is told of values that have to fit together, and a request in which they do not: (method, path, body, user).
SHARED = {"level": "original", "purpose": "TREAT", "recipient": {"subject": "somebody"}}
MISFITS: tuple[tuple[str, str, str, object, str, int], ...] = (
    ("Store Study Instances", "POST", "/dicomweb/studies/1.2.3", FILM, "technologist", 409),
    ("Retrieve Rendered Instance", "GET", "{instance}/rendered?window=1,2", None, "clinician", 400),
    ("Retrieve Rendered Frames", "GET", "{instance}/frames/1/rendered?viewport=8,8,0", None, "clinician", 400),
    ("Retrieve Instance Thumbnail", "GET", "{instance}/thumbnail?window=1,2,linear", None, "clinician", 400),
    ("Retrieve Study Thumbnail", "GET", "{study}/thumbnail?viewport=8,8,0,0,8,8", None, "clinician", 400),
    ("Retrieve by URI", "GET", "{wado}&windowCenter=1", None, "clinician", 400),
    ("Retrieve by URI", "GET", "{wado}&region=0,0,1,1&presentationUID=1.2&presentationSeriesUID=1.3", None, "clinician",
     400),
    ("Retrieve by URI", "GET", "{wado}&contentType=application/dicom&rows=8", None, "clinician", 400),
    ("Settle Film", "PUT", "/review/{uids}", {"verdict": "accept", "add": [], "lift": []}, "privacy-reviewer", 400),
    ("Review Glass", "POST", "/break-glass/1/review", {"finding": "justified", "text": "as it seems to me"},
     "security-auditor", 404),
    ("Share", "POST", "/shares", {}, "clinician", 400),
)  # fmt: skip


def test_what_has_to_fit_together_is_told_and_is_so(house: House) -> None:
    """V2.1.2 of ASVS."""
    paths = house.client.get("/openapi.json").get_json()["paths"]
    told = {
        one["summary"]: one["description"] for each in paths.values() for one in each.values() if "description" in one
    }
    assert set(told) == set(TOGETHER) <= {row.name for row in TABLE}
    assert {name for name, *_ in MISFITS} <= set(told)
    instance = house.instances("clinician")[0]
    study, series, one = instance.split("/")[3::2]
    places = {
        "instance": instance, "study": f"/dicomweb/studies/{study}", "uids": instance.removeprefix("/dicomweb/"),
        "wado": f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={one}",
    }  # fmt: skip
    for name, method, path, body, user, status in MISFITS:
        headers = {"If-Match": '"x"'} if method == "PUT" else {}
        said = SHARED | {"until": "2020-01-01T00:00:00Z", "study": study} if name == "Share" else body
        sent = {"data": said, "content_type": "application/dicom"} if isinstance(said, bytes) else {"json": said}
        asked = path.format(**places)
        answer = house.request(method, asked, user, headers=headers, **(sent if body is not None else {}))
        assert answer.status_code == status, (name, asked, answer.get_data())


# Broken on purpose: each kind of difference is seen.


def complaints(house: House, role: str, only: str) -> str:
    return "\n".join(explore(house, [role], examples=2, only=only).complaints)


def test_a_status_that_is_not_described_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tuple(replace(row, statuses=tuple({*row.statuses} - {403})) for row in TABLE)
    monkeypatch.setattr(server.openapi, "TABLE", table)
    assert "Undocumented status code" in complaints(house, "security-auditor", "GET /projects")


def test_a_body_of_another_shape_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {**SCHEMAS, "Error": {"type": "object", "required": ["problem"]}}
    monkeypatch.setattr(server.openapi, "SCHEMAS", odd)
    assert "violates schema" in complaints(house, "security-auditor", "GET /projects")


def test_a_content_type_that_is_not_described_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tuple(replace(row, offers=(Offer(media_type="text/css"),)) for row in TABLE)
    monkeypatch.setattr(server.openapi, "TABLE", table)
    assert "Undocumented Content-Type" in complaints(house, "system-administrator", "GET /metrics")


def test_a_missing_header_and_a_defect_are_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.web.answer, "challenges", lambda *_: ())
    assert "Missing required response headers" in complaints(house, "", "GET /projects")
    monkeypatch.setattr(house.services.catalog, "projects", lambda: 1 / 0)
    assert "as security-administrator: 500" in complaints(house, "security-administrator", "GET /projects")
