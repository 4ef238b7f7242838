"""The fetch function against a real server on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from server.auth.fetch import http_fetch, is_loopback


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/document")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", {"/broken": "100", "/large": "3000", "/slow": "1000"}.get(self.path, "8"))
        self.end_headers()
        if self.path == "/slow":
            for _ in range(1000):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        elif self.path == "/hung":
            time.sleep(2)
        else:
            self.wfile.write(b"x" * 3000 if self.path == "/large" else b"document")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


FETCH = http_fetch(clock=time.monotonic, timeout=0.5, deadline=0.5, limit=2000)


def test_a_document_is_fetched(address: str) -> None:
    assert FETCH(f"{address}/document") == b"document"


def test_a_proxy_of_the_environment_is_not_for_this_machine(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert FETCH(f"{address}/document") == b"document"


@pytest.mark.parametrize("path", ["moved", "missing", "broken", "large", "slow", "hung"])
def test_a_T2_every_incomplete_answer_is_an_error(address: str, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(OSError, match=r"."):
        FETCH(f"{address}/{path}")
    assert time.monotonic() - started < 1.5


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(OSError, match=r"."):
        FETCH("http://127.0.0.1:9/")


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.org/",
        "http://127.0.0.1.example.org/",
        "http://localhost.example.org/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://user:secret@issuer.example.org/",
        "https://user@issuer.example.org/",
        "https://issuer.example.org/#part",
        "https:///path",
        "https://[broken/",
        "//issuer.example.org/",
        "",
    ],
)
def test_a_T2_other_urls_are_not_fetched(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FETCH(url)


def test_loopback_is_known_by_its_address() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("localhost.", "0.0.0.0", "10.0.0.1", "127.0.0.1.nip.io", "127.1", "")))
