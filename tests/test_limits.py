"""Who fails too often is not listened to, who asks too much has to wait, and nobody can lock out anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import request
from house import House
from werkzeug.test import TestResponse

from server.audit.show import read
from server.circumstances import placed
from server.errors import TooMany
from server.model import Ask
from server.settings import check
from server.web.app import create_app
from server.web.identify import identify
from server.web.limits import Limits

STUDIES = "/dicomweb/studies"


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("limits")) as made:
        settings = check(replace(made.settings, failures_per_minute=3, requests_per_minute=5, proxies=("10.0.0.1",)))
        made.services = replace(made.services, settings=settings)
        made.app = create_app(made.services)
        made.client = made.app.test_client()
        yield made


def ask(house: House, token: str, address: str, **headers: str) -> TestResponse:
    sent = {"Authorization": f"Bearer {token}", "Accept": "*/*", **{n.replace("_", "-"): v for n, v in headers.items()}}
    return house.client.get(STUDIES, headers=sent, environ_base={"REMOTE_ADDR": address})


def entries(house: House) -> int:
    return len(list(read(house.settings.journal, None)))


def test_wrong_credentials_lock_an_address_out_for_a_minute_and_no_other(house: House) -> None:
    good = house.token("clinician")
    assert [ask(house, "wrong", "192.0.2.1").status_code for _ in range(6)] == [401, 401, 401, 401, 429, 429]
    before = entries(house)
    locked = ask(house, good, "192.0.2.1")
    assert (locked.status_code, locked.headers["Retry-After"]) == (429, "61")
    assert entries(house) == before
    assert ask(house, good, "192.0.2.2").status_code in (200, 204)
    house.now += 60
    assert ask(house, good, "192.0.2.1").status_code in (200, 204)


def test_that_an_address_was_locked_out_is_recorded_once(house: House) -> None:
    for _ in range(10):
        ask(house, "wrong", "192.0.2.1")
    kinds = [entry.event.status for entry in read(house.settings.journal, None)]
    assert kinds.count(429) == 1
    assert kinds.count(401) == 4


def test_one_network_of_ipv6_is_one_address(house: House) -> None:
    for number in range(5):
        ask(house, "wrong", f"2001:db8::{number}")
    assert ask(house, "wrong", "2001:db8::99").status_code == 429
    assert ask(house, "wrong", "2001:db8:0:1::1").status_code == 401


def test_only_a_declared_proxy_says_for_whom_it_asks(house: House) -> None:
    good = house.token("clinician")
    for number in range(6):  # an address cannot give itself another, before or through the proxy
        ask(house, "wrong", "192.0.2.1", X_Forwarded_For=f"198.51.100.{number}")
        ask(house, "wrong", "10.0.0.1", X_Forwarded_For=f"203.0.113.{number}, 198.51.100.9")
    assert ask(house, good, "192.0.2.1", X_Forwarded_For="198.51.100.77").status_code == 429
    assert ask(house, good, "10.0.0.1", X_Forwarded_For="198.51.100.9").status_code == 429
    assert ask(house, good, "10.0.0.1", X_Forwarded_For="198.51.100.10").status_code in (200, 204)


def test_behind_a_proxy_that_is_not_declared_nobody_locks_out_the_house(house: House) -> None:
    for _ in range(10):
        assert ask(house, "wrong", "127.0.0.1").status_code == 401
    assert ask(house, house.token("clinician"), "127.0.0.1").status_code in (200, 204)


def test_no_token_at_all_is_no_failure(house: House) -> None:
    for _ in range(10):
        assert house.client.get(STUDIES, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401


def test_a_person_asks_so_much_in_a_minute_and_another_is_not_held_to_it(house: House) -> None:
    statuses = [house.get(STUDIES, "clinician").status_code for _ in range(7)]
    assert statuses[5:] == [429, 429]
    assert 429 not in statuses[:5]
    assert house.get(STUDIES, "front-desk").status_code != 429
    house.now += 60
    assert house.get(STUDIES, "clinician").status_code != 429


def test_what_is_counted_is_bounded_and_survives_a_clock_set_back() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.web.limits._MOST_KEPT", 2)
        limits = Limits(failures=1, requests=1)
        for name in ("a", "b", "c"):
            limits.asked(name, 1.0)
        limits.asked("a", 1.0)  # forgotten for room
        with pytest.raises(TooMany):
            limits.asked("c", 1.0)
        limits.asked("c", 0.0)


def test_https_outside_is_said_whatever_stands_in_front(house: House) -> None:
    assert "Strict-Transport-Security" not in house.client.get("/healthz").headers
    settings = replace(house.settings, public_url="https://films.example.org")
    app = create_app(replace(house.services, settings=settings))
    assert "max-age=63072000" in app.test_client().get("/healthz").headers["Strict-Transport-Security"]


def test_the_zone_is_that_of_the_client_and_not_of_a_declared_proxy(house: House) -> None:
    zones = {"hospital": ("10.0.0.0/24",), "outside": ("203.0.113.0/24",)}
    services = replace(house.services, settings=check(replace(house.services.settings, zones=zones)))
    token, told = house.token("clinician"), []
    for peer, forwarded in (("10.0.0.1", "203.0.113.9"), ("10.0.0.2", "203.0.113.9"), ("10.0.0.1", "")):
        sent = {"Authorization": f"Bearer {token}", "X-Forwarded-For": forwarded}
        with house.app.test_request_context("/", headers=sent, environ_base={"REMOTE_ADDR": peer}):
            told.append(identify(request, services).zone)
    assert told == ["outside", "hospital", "unknown"]


def test_how_a_person_signed_in_reaches_the_rules(house: House) -> None:
    caller = house.services.tokens.caller(
        house.services.tokens.verify(house.token("clinician"), house.now), house.services.policy.current.roles
    )
    told = [placed(house.services, Ask(caller=caller, request="", context=one), caller) for one in ("mfa", "")]
    assert [one.circumstances.acr for one in told] == ["mfa", None]
