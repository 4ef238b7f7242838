"""Paths, errors and browsers: no spelling goes around the policy, no answer says too much (a.C9 to a.C16)."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from builders import PixelFormat, canary, chest_film, part10_bytes
from flask import Flask
from house import House
from route_checks import OPEN, plain, probes, visible
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Request

import server.rendered
import server.sharing
import server.web
from server.errors import StorageUnavailable

SECRET = canary("PatientName").encode()
JSON = "application/dicom+json"
FILM = chest_film(PixelFormat(frames=2))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("attacks")) as made:
        assert made.store(part10_bytes(FILM)).status_code == 200
        made.screen()
        yield made


# a.C9: paths

TRICKS = (
    "/", "//", "/./", "/../", "%2e", "%2e%2e", "%2F", "%2f..%2f", "%5c", "\\", ".", " ", "%20", "%00", "%0d%0a",
    "%0a", ";x=", ";x=1", ";jsessionid=1", "?", "#", "%3f", "%23", "%25", "%252e", "%252f", "%c0%ae", "%ff",
    "%ef%bc%91", "%d9%a1", "%e2%80%8b", "~", "*", "%7f", "..;", "%2e%2f", "@", ":", "|", "metadata", "METADATA",
    "studies", "Studies", "original", ".json", ".dcm", "+", "&", "=",
)  # fmt: skip
METHODS = (
    "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "PROPFIND", "get",
    "X",
)  # fmt: skip


def raw(app: Flask, method: str, target: str, headers: dict[str, str]) -> TestResponse:
    """One request whose path reaches the application as a server hands it on: percent-decoded once."""
    path, _, query = target.partition("?")
    environ = EnvironBuilder(method=method, path="/", headers=list(headers.items())).get_environ()
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    environ["RAW_URI"] = environ["REQUEST_URI"] = target
    environ["QUERY_STRING"] = query.encode("ascii", "ignore").decode()
    body, status, headers_sent = run_wsgi_app(app, environ)
    try:
        whole = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return TestResponse([whole], status, headers_sent, request=Request(environ))


def targets(house: House, count: int) -> Iterator[tuple[str, str]]:
    """Real addresses of the film, in the names of two worlds, each spoiled by one to three tricks."""
    chance = random.Random(9)
    names = [path for user in ("technologist", "researcher") for path in house.instances(user)]
    suffixes = ("", "/metadata", "/rendered", "/frames/1", "/bulkdata/7FE00010", "/thumbnail")
    real = [base + suffix for base in names for suffix in suffixes]
    real += [
        "/dicomweb/studies",
        "/dicomweb/instances",
        "/audit/entries",
        "/labels/studies/1.2.3",
        "/static/safelight.css",
    ]
    for _ in range(count):
        target = chance.choice(real)
        for _ in range(chance.randint(1, 3)):
            at = chance.choice([match.start() for match in re.finditer("/", target)] + [len(target), len(target)])
            target = target[:at] + chance.choice(TRICKS) + target[at + chance.randint(0, 1) :]
        yield chance.choice(METHODS), target


def test_a_C9_no_spelling_of_a_path_goes_around_the_policy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 000 spoiled addresses: whoever asks gets a refusal, or the answer of the very address that it decodes to."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
    known = {"", "/"} | {rule for _, rule in OPEN if "<" not in rule}
    tokens = {
        user: {"Authorization": f"Bearer {house.token(user)}", "Accept": "*/*"}
        for user in ("researcher", "security-auditor")
    }
    seen: set[int] = set()
    for number, (method, target) in enumerate(targets(house, 2000)):
        user = ("researcher", "security-auditor", "")[number % 3]
        response = raw(house.app, method, target, tokens.get(user, {}))
        seen.add(response.status_code)
        path = unquote_to_bytes(target.partition("?")[0]).decode("latin-1")
        assert response.status_code < 500, (method, target)
        assert SECRET not in response.get_data(), (user, method, target)
        if response.status_code < 400 and method != "OPTIONS":
            assert method.upper() in ("GET", "HEAD"), (method, target)
            # Only what is exactly a rule is answered: nothing is folded, stripped or led on to another path.
            assert house.app.url_map.bind("").test(path, "GET"), target
            assert "//" not in path
            assert user or path in known or path.startswith("/static/"), target
        if response.status_code >= 400 and method != "HEAD":
            assert plain(response) or len(response.get_data()) < 100, (method, target)
    assert {400, 401, 403, 404, 405} <= seen


def test_a_C9_an_odd_method_or_its_override_does_nothing(house: House) -> None:
    (base,) = house.instances("researcher")
    expected = visible(house.get(f"{base}/metadata", "researcher"))
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"):
        for method in ("DELETE", "PUT", "POST", "TRACE"):
            assert visible(house.get(f"{base}/metadata", "researcher", headers={name: method})) == expected
    for method in ("TRACE", "CONNECT", "DELETE", "MOVE"):
        response = raw(house.app, method, f"{base}/metadata", {"Authorization": f"Bearer {house.token('researcher')}"})
        assert response.status_code == 405, method
        assert "Authorization" not in response.get_data(as_text=True)


# a.C10: what errors say


def test_a_C10_no_error_says_what_was_asked_for(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    told = "CANARY-IN-THE-REQUEST"
    base = house.instances("clinician")[0]
    spoken = {"Referer": told, "User-Agent": told, "X-Request-ID": told, "Safelight-Request": told}
    asked = [
        (400, house.get(f"/dicomweb/studies/{told}/metadata", "clinician", headers=spoken)),
        (400, house.get(f"{base}/rendered?{told}={told}", "clinician", headers=spoken)),
        (400, house.get(f"/dicomweb/studies?{told}={told}", "clinician", headers=spoken)),
        (401, house.client.get(f"/dicomweb/studies?PatientName={told}", headers={"Authorization": f"Bearer {told}"})),
        (403, house.get(f"{base}/metadata", "system-administrator", headers=spoken)),
        (403, house.get(f"{base}/metadata", "clinician", headers={"Safelight-Role": told})),
        (404, house.get(f"/{told}", "clinician", headers=spoken)),
        (405, house.request("DELETE", f"/dicomweb/studies/{told}", "clinician", headers=spoken)),
        (406, house.get(f"{base}/metadata", "clinician", f"text/{told}")),
        (415, house.request("POST", "/dicomweb/studies", "technologist", headers={"Content-Type": f"text/{told}"})),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(server.rendered, "_answer", failing(told))
        asked.append((500, house.get(f"{base}/rendered", "clinician", headers=spoken)))
    with monkeypatch.context() as patch:
        patch.setattr(server.sharing, "decide", unavailable)
        asked.append((503, house.get(f"{base}/metadata", "clinician", headers=spoken)))
    for status, response in asked:
        assert response.status_code == status
        assert plain(response)
        text = response.get_data(as_text=True) + str(response.headers)
        assert told not in text
        assert SECRET.decode() not in text
        assert not {"Server-Timing", "X-Powered-By", "X-Debug", "Via"} & set(response.headers.keys())
    logged = "\n".join(
        f"{one.getMessage()} {one.__dict__}" for one in caplog.records if one.name.startswith("safelight")
    )
    assert logged
    assert told not in logged
    assert SECRET.decode() not in logged


def failing(text: str) -> object:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(text)

    return fail


def unavailable(*_: object, **__: object) -> None:
    raise StorageUnavailable


# a.C12: what lies beside the application


def test_a_C12_nothing_lies_beside_the_application(house: House) -> None:
    assert not house.app.debug
    assert not house.app.testing
    names = (
        "/console", "/debug", "/admin", "/status", "/server-status", "/.git/config", "/.env", "/config",
        "/data", "/objects", "/journal", "/root.key", "/catalog.sqlite", "/swagger", "/docs", "/graphql",
        "/instances", "/system", "/tools", "/static/", "/static", "/static/../app.py", "/static/..%2fapp.py",
        "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/../templates/base.html", "/static/....//app.py",
        "/static/safelight.css/", "/static/.hidden", "/favicon.ico",
    )  # fmt: skip
    for path in names:
        for user in ("clinician", "system-administrator", ""):
            headers = {"Authorization": f"Bearer {house.token(user)}"} if user else {}
            assert raw(house.app, "GET", path, headers).status_code == 404, path
    for credentials in ("Basic YWRtaW46YWRtaW4=", "Basic b3J0aGFuYzpvcnRoYW5j", "Bearer admin", "Bearer "):
        assert house.client.get("/dicomweb/studies", headers={"Authorization": credentials}).status_code == 401
    assert house.client.get("/healthz").get_data() == b"ok\n"
    package = Path(server.web.__file__).parent / "static"
    assert {path.name for path in package.iterdir()} == {"icon.svg", "one-film.jpg", "safelight.css", "safelight.js"}


# a.C14: existence


def test_a_C14_hidden_and_absent_are_answered_alike(house: House) -> None:
    """What exists and may not be seen, on every route, byte for byte as what does not exist; the tokens see nothing."""
    chance = random.Random(14)
    cardiology = house.token("clinician", departments=("cardiology",))
    others = {"clinician": cardiology, "researcher": house.token("researcher"), "patient": house.token("patient")}
    for user, token in others.items():
        for probe in probes(house, house.app, "technologist"):
            if probe.method != "GET" or not ("<study>" in probe.rule or probe.rule == "/wado"):
                continue
            hidden = told(house.get(probe.path, user, token=token))
            for _ in range(6):
                absent = re.sub(r"2\.25\.\d+", lambda _: f"2.25.{chance.getrandbits(127)}", probe.path)
                assert told(house.get(absent, user, token=token)) == hidden, (user, probe.path)
                # Of the review queue and of labels they have nothing, whatever the path.
                refusals = {403} if probe.rule.startswith(("/review", "/labels")) else {204, 404}
                assert hidden[0] in refusals, (user, probe.path)


def told(response: TestResponse) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in response.headers.items() if name != "Safelight-Request"}
    return response.status_code, headers, response.get_data()


# a.C16: what a browser makes of an answer


def test_a_C16_a_body_is_only_what_it_says(house: House) -> None:
    for user in ("clinician", "researcher", "system-administrator"):
        for probe in (one for one in probes(house, house.app, user) if one.method == "GET"):
            response = probe.send(house, user)
            headers = response.headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in headers["Content-Security-Policy"].split("; ")
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert not [name for name, _ in headers if name.startswith("Access-Control-")]
            files = {"application/dicom": "dcm", "application/octet-stream": "bin", "multipart/related": "mime"}
            kind = files.get(response.mimetype or "")
            expected = f'attachment; filename="safelight.{kind}"' if kind else None
            assert headers.get("Content-Disposition") == expected
    for path in ("/", "/conformance"):
        policy = house.client.get(path).headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


def test_a_C16_a_film_that_is_a_page_as_well_is_a_film(tmp_path: Path) -> None:
    script = "<script>alert(1)</script>"
    film = chest_film(canaries=False, PatientName=script, StudyDescription=script, PatientComments=f"%PDF-1.4 {script}")
    polyglot = part10_bytes(film)
    html = b"<!doctype html><html><script>alert(1)</script>%PDF-1.4"
    polyglot = html.ljust(128, b"\0") + polyglot[128:]
    with House(tmp_path) as own:
        assert own.store(polyglot).status_code == 200
        own.screen()
        (base,) = own.instances("clinician")
        whole = own.get(base, "clinician", "application/dicom")
        assert whole.get_data()[:132] == bytes(128) + b"DICM"
        for suffix in ("", "/metadata", "/rendered", "/frames/1"):
            response = own.get(base + suffix, "clinician")
            assert response.status_code == 200
            assert "html" not in response.headers["Content-Type"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert not response.get_data().lstrip().startswith((b"<", b"%PDF"))
