"""Every route of the server: it names its Action, asks who calls, refuses in one shape, and no switch lowers a mask.

The checks return what they complain about, so that each can be shown to complain about a server broken on purpose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import PixelFormat, canary, chest_film, part10_bytes
from flask import Flask, Request, request
from house import POLICIES, House
from route_checks import (
    OPEN,
    head_differs,
    lowered_by_a_header,
    open_to_strangers,
    plain,
    probes,
    rules_of,
    switched_by_a_parameter,
    without_action,
    wrongly_let_in,
)

import server.admit
import server.rendered
import server.web.answer
import server.web.render_parameters
from server.errors import SafelightError
from server.model import Ask
from server.policy.bundle import load
from server.services import Services
from server.web.app import create_app
from server.web.errors import STATUS, status_of
from server.web.identify import identify

SECRET = canary("PatientName").encode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("routes")) as made:
        assert made.store(part10_bytes(chest_film(PixelFormat(frames=2)))).status_code == 200
        made.screen()
        yield made


def test_every_route_names_its_action(house: House) -> None:
    assert set(rules_of(house.app)) >= OPEN
    assert set(without_action(house.app)) == {f"{method} {rule}" for method, rule in OPEN}


def test_strangers_are_challenged(house: House) -> None:
    assert open_to_strangers(house, house.app) == []


def test_the_challenge_leads_to_the_metadata(house: House) -> None:
    challenge = house.client.get("/dicomweb/studies").headers["WWW-Authenticate"]
    address = re.search(r'resource_metadata="([^"]+)"', challenge)
    assert address is not None
    told = house.client.get(address[1].removeprefix(house.settings.public_url)).get_json()
    assert told["resource"] == house.settings.audience
    assert told["authorization_servers"] == [house.settings.issuer]
    assert told["bearer_methods_supported"] == ["header"]


def test_a_token_in_the_address_is_no_token(house: House) -> None:
    assert house.client.get(f"/dicomweb/studies?access_token={house.token('clinician')}").status_code == 401


def test_other_methods_are_not_allowed(house: House) -> None:
    by_rule: dict[str, set[str]] = {}
    for method, rule in rules_of(house.app):
        by_rule.setdefault(rule, set()).update({method} | ({"HEAD"} if method == "GET" else set()))
    for one in house.app.url_map.iter_rules():
        by_rule.setdefault(one.rule, set()).update((one.methods or set()) & {"OPTIONS"})
    for probe in probes(house, house.app, "clinician"):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"} - by_rule[probe.rule]:
            response = replace(probe, method=method).send(house, "clinician")
            assert response.status_code == 405, (method, probe.rule)
            assert set(response.headers["Allow"].split(", ")) == by_rule[probe.rule]
            assert plain(response)


def test_roles_get_what_the_policy_gives(house: House) -> None:
    assert wrongly_let_in(house, load(POLICIES).ladders) == []


def test_no_header_lowers_the_mask(house: House) -> None:
    assert lowered_by_a_header(house, "researcher") == []


def test_no_parameter_switches_the_mask(house: House) -> None:
    for user in ("researcher", "clinician", "front-desk"):
        base = house.instances(user)[0]
        assert house.get(f"{base}/rendered", user).status_code == 200
    assert switched_by_a_parameter(house, "researcher") == []


def test_a_role_that_is_not_held_is_refused(house: House) -> None:
    (base,) = house.instances("researcher")
    for role in ("clinician", "original", "Researcher", "researcher,clinician", "", "*"):
        response = house.get(f"{base}/metadata", "researcher", headers={"Safelight-Role": role})
        assert response.status_code == 403, role
        assert SECRET not in response.get_data()


def test_head_agrees_with_get(house: House) -> None:
    assert head_differs(house) == []


def test_every_opening_is_closed(house: House) -> None:
    (base,) = house.instances("clinician")
    for method in ("GET", "HEAD"):
        assert house.request(method, base, "clinician").status_code == 200
    files = house.settings.journal.glob("*.jsonl")
    lines = [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]
    opened = [line["request"] for line in lines if line["kind"] == "opening"]
    assert opened
    assert opened == [line["request"] for line in lines if line["kind"] == "closing"]


@pytest.mark.parametrize("error", sorted(STATUS, key=str), ids=str)
def test_errors_have_one_shape(house: House, monkeypatch: pytest.MonkeyPatch, error: type[SafelightError]) -> None:
    failing = error() if error.__init__ is not SafelightError.__init__ else error("said to the operator only")

    def fail(*_: object, **__: object) -> None:
        raise failing

    monkeypatch.setattr(server.rendered, "_answer", fail)
    (base,) = house.instances("clinician")
    response = house.get(f"{base}/rendered", "clinician")
    assert response.status_code == status_of(failing)
    assert plain(response)
    assert b"operator" not in response.get_data()
    assert ("Retry-After" in response.headers) == (response.status_code in (429, 503))


def test_a_defect_has_the_same_shape(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError(SECRET.decode())

    monkeypatch.setattr(server.rendered, "_answer", fail)
    (base,) = house.instances("clinician")
    response = house.get(f"{base}/rendered", "clinician")
    assert response.status_code == 500
    assert plain(response)
    assert SECRET not in response.get_data()


def test_routing_errors_have_one_shape(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(house.app.config, "MAX_CONTENT_LENGTH", 1000)
    for status, response in (
        (404, house.get("/dicomweb/nothing-here", "clinician")),
        (404, house.get("/dicomweb/studies/", "clinician")),
        (400, house.get("/dicomweb/studies/not-a-uid/metadata", "clinician")),
        (406, house.get(f"{house.instances('clinician')[0]}/metadata", "clinician", "text/csv")),
        (413, house.store(part10_bytes(chest_film()))),
        (415, house.request("POST", "/dicomweb/studies", "technologist", headers={"Content-Type": "text/plain"})),
    ):
        assert response.status_code == status
        assert plain(response)


# Broken on purpose: each check complains about a server with the one defect that it is there for.


def sneaky(house: House) -> Flask:
    app = create_app(house.services)
    app.add_url_rule("/dicomweb/everything", view_func=lambda: "all films", methods=["GET"])
    return app


def test_a_route_without_action_is_seen(house: House) -> None:
    assert "GET /dicomweb/everything" in without_action(sneaky(house))


def test_an_open_route_is_seen(house: House) -> None:
    assert "GET /dicomweb/everything 200" in open_to_strangers(house, sneaky(house))


def test_a_missing_refusal_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.admit, "may_ever", lambda *_: None)
    complaints = wrongly_let_in(house, ["security-auditor"])
    assert any(complaint.startswith("security-auditor GET /dicomweb/studies") for complaint in complaints)


def test_a_header_that_is_believed_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(request: Request, services: Services) -> Ask:
        ask = identify(request, services)
        if request.headers.get("X-Role") != "clinician":
            return ask
        roles, departments = frozenset({"clinician"}), frozenset({"radiology"})
        caller = replace(ask.caller, roles=roles, departments=departments, purpose=None)
        return replace(ask, caller=caller)

    monkeypatch.setattr(server.web.answer, "identify", believing)
    # The clinician's world has other names, so the switch shows where a front desk asks by the original ones.
    assert any(complaint.startswith("X-Role: clinician") for complaint in lowered_by_a_header(house, "front-desk"))


def test_a_parameter_that_is_passed_over_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    known = server.web.render_parameters._KNOWN | {"level"}
    monkeypatch.setattr(server.web.render_parameters, "_KNOWN", known)
    assert "level=original at /rendered: 200" in switched_by_a_parameter(house, "researcher")


def test_a_differing_head_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    carried = server.web.answer._carried
    monkeypatch.setattr(server.web.answer, "_carried", lambda: {**carried(), "Vary": f"nothing at {request.method}"})
    assert "clinician /dicomweb/studies" in head_differs(house)


def test_an_identity_in_an_error_is_seen(house: House) -> None:
    response = house.get("/dicomweb/studies/not-a-uid/metadata", "clinician")
    assert plain(response)
    response.set_data(b'{"error":"not-a-uid is not a UID"}')
    assert not plain(response)
