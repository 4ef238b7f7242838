"""The headers that harden browsers, on every route of the router, answers and refusals, over TLS and on loopback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from flask import Flask, Response
from house import House
from route_checks import rules_of
from signing_in import with_issuer
from werkzeug.test import TestResponse

from server.web import session
from server.web.app import create_app

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
FILM = chest_film(PixelFormat(rows=16, columns=16))
# Directives that stand in every policy of both kinds.
CLOSED = ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'")
# Told to anybody, the same for everybody.
PUBLIC = frozenset({"/static/<filename>", "/healthz", "/.well-known/oauth-protected-resource"})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("headers")) as made:
        with_issuer(made)
        assert made.store(part10_bytes(FILM)).status_code == 200
        yield made


def served(house: House, *, tls: bool) -> Flask:
    if not tls:
        return create_app(house.services)
    settings = replace(house.settings, public_url="https://films.example.org")
    return create_app(replace(house.services, settings=settings))


_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def complaints(response: TestResponse, rule: str, *, tls: bool) -> list[str]:
    """What a scanner would say of one answer."""
    return [*_of_pages(response), *_of_transport(response, rule, tls=tls), *_of_content(response)]


def _of_pages(response: TestResponse) -> Iterator[str]:
    headers = response.headers
    for name, value in _FIXED.items():
        if headers.getlist(name) != [value]:
            yield f"{name}: {headers.getlist(name)}"
    policy = headers.get("Content-Security-Policy", "")
    if not all(one in policy for one in CLOSED) or re.search(r"unsafe|[*]|http:", policy):
        yield f"Content-Security-Policy: {policy}"
    if not re.search(r"script-src 'self'(;|$)" if "script-src" in policy else "sandbox", policy):
        yield f"Content-Security-Policy of scripts: {policy}"
    if "Access-Control-Allow-Origin" in headers or "Access-Control-Allow-Credentials" in headers:
        yield "Access-Control-Allow-Origin for nobody in particular"


def _of_transport(response: TestResponse, rule: str, *, tls: bool) -> Iterator[str]:
    headers = response.headers
    strict = headers.get("Strict-Transport-Security", "")
    age = re.match(r"max-age=(\d+); includeSubDomains$", strict)
    if tls != bool(age and int(age[1]) >= 31_536_000) or (not tls and strict):
        yield f"Strict-Transport-Security: {strict!r}"
    if rule not in PUBLIC and headers.get("Cache-Control") != "private, no-store":
        yield f"Cache-Control: {headers.get('Cache-Control')}"
    for cookie in headers.getlist("Set-Cookie"):
        if not all(part in cookie for part in ("HttpOnly", "SameSite=Lax")) or (tls and "Secure" not in cookie):
            yield f"Set-Cookie: {cookie.partition('=')[0]}"


def _of_content(response: TestResponse) -> Iterator[str]:
    headers = response.headers
    told = " ".join(headers.getlist("Server") + headers.getlist("X-Powered-By"))
    if re.search(r"werkzeug|gunicorn|flask|python", told, re.IGNORECASE):
        yield f"Server: {told}"
    kind = headers.get("Content-Type", "")
    if response.get_data() and not kind:
        yield "no Content-Type"
    if kind.startswith("text/") and "charset=utf-8" not in kind.lower():
        yield f"Content-Type: {kind}"


def answers(house: House, app: Flask) -> Iterator[tuple[str, str, TestResponse]]:
    """Every rule by every method, as nobody, as somebody with a token, and with a token that is wrong."""
    names = {
        "study": str(FILM.StudyInstanceUID), "series": str(FILM.SeriesInstanceUID), "frames": "1", "entry": "1",
        "instance": str(FILM.SOPInstanceUID), "element": "7FE00010", "filename": "safelight.css", "project": "p",
        "share": "0" * 32,
    }  # fmt: skip
    client = app.test_client(use_cookies=False)
    tokens = [None, "wrong", *(house.token(user) for user in ("clinician", "security-auditor"))]
    rules = dict.fromkeys(rule for _, rule in rules_of(app))
    for rule in (*rules, "/nowhere/at/all", "/dicomweb/studies/"):
        path = re.sub(r"<(?:path:)?(\w+)>", lambda match: names[match[1]], rule)
        for method in METHODS:
            for token in tokens:
                headers = {"Authorization": f"Bearer {token}", "Accept": "*/*"} if token else {"Accept": "*/*"}
                response = client.open(path, method=method, headers=headers)
                yield method, rule, response
                response.close()


@pytest.mark.parametrize("tls", [False, True], ids=["loopback", "tls"])
def test_every_answer_of_every_route_is_hardened(house: House, tls: bool) -> None:
    app = served(house, tls=tls)
    wrong = set()
    seen: set[int] = set()
    for method, rule, response in answers(house, app):
        seen.add(response.status_code)
        wrong |= {f"{method} {rule} {response.status_code}: {one}" for one in complaints(response, rule, tls=tls)}
        if method == "TRACE":
            assert response.status_code in (404, 405)
    assert sorted(wrong) == []
    assert {200, 303, 400, 401, 403, 404, 405} <= seen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Content-Type-Options", ""), ("Content-Security-Policy", "default-src *"), ("Cache-Control", "public"),
        ("Strict-Transport-Security", "max-age=60"), ("Referrer-Policy", "unsafe-url"), ("Server", "gunicorn/27"),
        ("Cross-Origin-Opener-Policy", "unsafe-none"), ("Access-Control-Allow-Origin", "*"),
        ("Set-Cookie", "a=b; Path=/"), ("Content-Type", "text/html"),
    ],
)  # fmt: skip
def test_each_header_that_is_missing_or_weak_is_seen(house: House, name: str, value: str) -> None:
    app = served(house, tls=True)

    def weaken(response: Response) -> Response:
        response.headers[name] = value
        return response

    # What is registered first runs last.
    app.after_request_funcs[None].insert(0, weaken)
    response = app.test_client().get("/dicomweb/studies")
    assert any(one.startswith(name) for one in complaints(response, "/dicomweb/studies", tls=True))


def test_every_cookie_is_of_this_host_alone(house: House) -> None:
    """Over TLS each name begins with __Host-, which browsers keep only with Secure, Path=/ and without a Domain."""
    app = served(house, tls=True)
    kept = app.test_client().get("/sign-in").headers.getlist("Set-Cookie")
    with app.test_request_context():
        answer = Response()
        session.set_cookie(answer, app.extensions["safelight"], "x", 60)
        kept += answer.headers.getlist("Set-Cookie")
    assert [one.partition("=")[0] for one in kept] == ["__Host-safelight-sign-in", "__Host-safelight"]
    assert all("Path=/;" in f"{one};" and "Secure" in one and "Domain" not in one for one in kept)
