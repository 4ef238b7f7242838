"""The server does what its published OpenAPI description says, for several roles, and says nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from house import House
from openapi_kit import ROLES, explore, fill
from sweep_routes import unsynced

import server.openapi
import server.web.answer
from server.capabilities import TABLE
from server.negotiate import Offer
from server.openapi_forms import SCHEMAS

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
