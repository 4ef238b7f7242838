"""Serving without a record (a.A3): no durable entry, no answer, on no route."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from builders import chest_film, part10_bytes
from house import House
from storage_world import FRAME, USERS, records, stored
from sweep_routes import Call, Rule, calls, client, offers, rules, screen, short
from werkzeug.test import TestResponse

from server.audit.show import read
from server.errors import AuditUnavailable
from server.model import ScreeningState
from server.negotiate import Offer


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with stored(tmp_path) as found:
        yield found


class Unwritable:
    """The journal's disk refuses from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        def fails(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("server.audit.disk.os.pwrite", fails)


def test_a_A3_without_a_journal_no_route_answers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = offers(house, monkeypatch)
    callers = {user: client(house, user, house.token(user)) for user in (*USERS, "teacher", "security-auditor")}
    paths = {user: [short(path) for path in house.instances(user)][:1] for user in callers}
    asked = 0
    with monkeypatch.context() as patch:
        Unwritable(patch, errno.ENOSPC)
        for user, who in callers.items():
            for call in _everything(house, offered, paths[user] or paths["clinician"]):
                response = who.send(house, call)
                _no_image(call, response)
                asked += 1
        for user in ("technologist", "security-administrator"):
            assert house.store(part10_bytes(chest_film(study=9)), user=user).status_code == 503
    assert asked > 300
    # And it goes on when the disk is fine again.
    assert house.get("/dicomweb/studies", "researcher").status_code == 200


def _everything(house: House, offered: Mapping[Rule, tuple[Offer, ...]], instances: Sequence[str]) -> Iterator[Call]:
    for rule in sorted(rules(house)):
        if rule[0] == "GET" and rule[1] not in UNRECORDED:
            yield from calls(rule, offered.get(rule, ()), instances, brief="<instance>" not in rule[1])


# They show nothing of anybody: a page to sign in with, a file of ours, what the server can do and whether it is alive.
UNRECORDED = {
    *("/healthz", "/.well-known/oauth-protected-resource", "/static/<filename>", "/sign-in", "/callback"),
    *("/conformance", "/openapi.json", "/share"),
}


def _no_image(call: Call, response: TestResponse) -> None:
    assert response.status_code == 503, (call.path, response.status_code)
    assert response.json == {"error": "the audit journal is not available"}
    assert response.headers["Retry-After"]


def test_a_A3_a_stream_has_its_entry_before_its_first_byte(house: House) -> None:
    """At every piece of a streamed body the opening entry is there; the closing one comes with its end."""
    path = house.instances("researcher")[0]
    headers = {"Authorization": f"Bearer {house.token('researcher')}", "Accept": "*/*"}
    before = len(_kinds(house))
    response = house.client.get(path, headers=headers, buffered=False)
    kinds: list[list[str]] = []
    with closing(response):
        for _ in response.iter_encoded():
            kinds.append(_kinds(house)[before:])
    assert len(kinds) > 2
    assert all("opening" in one for one in kinds)
    assert "closing" not in kinds[0]
    assert "closing" in _kinds(house)[before:]


def test_a_A3_no_stream_begins_without_its_entry(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    path = house.instances("researcher")[0]
    developed: list[str] = []

    def fails(_event: object) -> int:
        developed.append("asked")
        raise AuditUnavailable("full")

    monkeypatch.setattr(house.services.journal, "append", fails)
    response = house.get(path, "researcher")
    assert response.status_code == 503
    assert b"DICM" not in response.get_data()
    assert developed


def test_a_A3_a_journal_that_fails_between_opening_and_end_is_no_complete_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The opening entry stands; the closing one fails, so the transfer breaks off and does not look complete."""
    path = house.instances("researcher")[0]
    headers = {"Authorization": f"Bearer {house.token('researcher')}", "Accept": "*/*"}
    response = house.client.get(path, headers=headers, buffered=False)
    with monkeypatch.context() as patch, closing(response):
        Unwritable(patch, errno.ENOSPC)
        with pytest.raises(AuditUnavailable):
            list(response.iter_encoded())
    assert "opening" in _kinds(house)


def _kinds(house: House) -> list[str]:
    return [entry.event.kind for entry in read(house.settings.journal, None)]


def test_a_A3_screening_is_not_finished_without_its_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(tmp_path) as house:
        assert house.store(part10_bytes(chest_film(FRAME))).status_code == 200
        with monkeypatch.context() as patch:
            Unwritable(patch, errno.ENOSPC)
            with pytest.raises(AuditUnavailable):
                screen(house, [])
        assert records(house)[0].screening is ScreeningState.PENDING
