"""Viewers of other origins: those of the list and no other, with tokens of their own and never with cookies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from house import House

from server.audit.show import read
from server.errors import ConfigurationError
from server.settings import check
from server.web.app import create_app

VIEWER = "https://viewer.example.org"
PREFLIGHT = {
    "Origin": VIEWER,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization",
}
PATHS = ["/dicomweb/studies", "/dicomweb/studies/1.2/series/1.2/instances/1.2/frames/1", "/wado"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("origins")) as made:
        settings = check(replace(made.settings, viewer_origins=(VIEWER,)))
        made.services = replace(made.services, settings=settings)
        made.app = create_app(made.services)
        made.client = made.app.test_client()
        yield made


@pytest.mark.parametrize("path", PATHS)
def test_a_T9_a_preflight_of_a_listed_viewer_is_answered_without_a_token(house: House, path: str) -> None:
    before = len(list(read(house.settings.journal, None)))
    answer = house.client.options(path, headers=PREFLIGHT)
    assert (answer.status_code, answer.get_data()) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == VIEWER
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    assert len(list(read(house.settings.journal, None))) == before


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.org", "null", "*", "https://viewer.example.org.evil.net", "http://viewer.example.org",
     "https://viewer.example.org:444", "HTTPS://VIEWER.EXAMPLE.ORG", ""],
)  # fmt: skip
@pytest.mark.parametrize("path", [*PATHS, "/", "/nowhere"])
def test_a_T9_no_other_origin_may_read_anything(house: House, origin: str, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        answer = house.client.open(path, method=method, headers={**PREFLIGHT, "Origin": origin})
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-Allow")]


@pytest.mark.parametrize("path", ["/", "/audit/entries", "/labels/studies/1.2", "/review", "/sign-out", "/nowhere"])
def test_a_T9_a_listed_viewer_reads_films_and_nothing_else(house: House, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = house.client.open(path, method=method, headers=PREFLIGHT)
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_listed_viewer_reads_answers_and_refusals(house: House) -> None:
    told = house.get("/dicomweb/studies", "clinician", "application/dicom+json", headers={"Origin": VIEWER})
    assert told.status_code in (200, 204)
    refused = house.client.get("/dicomweb/studies", headers={"Origin": VIEWER})
    assert refused.status_code == 401
    for answer in (told, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == VIEWER
        assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_without_a_list_nobody_may(tmp_path: Path) -> None:
    with House(tmp_path) as plain:
        answer = plain.client.options("/dicomweb/studies", headers=PREFLIGHT)
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*.example.org", "http://viewer.example.org", "https://viewer.example.org/", "viewer", "null"],
)
def test_a_T9_only_whole_origins_can_be_listed(house: House, origin: str) -> None:
    with pytest.raises(ConfigurationError):
        check(replace(house.settings, viewer_origins=(origin,)))
