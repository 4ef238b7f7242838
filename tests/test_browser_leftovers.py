"""What a real browser keeps on its disk of films that were looked at, and what strings of a film do in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, canary, chest_film, part10_bytes
from house import House
from playwright.sync_api import sync_playwright
from signing_in import Person, with_issuer
from werkzeug.serving import make_server

HOSTILE = "<img src=x onerror=document.title='run'>"
FILM = chest_film(PixelFormat(rows=64, columns=64), StudyDescription=f"<script>document.title='run'</script>{HOSTILE}")


class Kept:
    """A house on a port of its own; with `careless`, without what tells a browser to keep nothing and run nothing."""

    def __init__(self, house: House, *, careless: bool) -> None:
        self.house, self.careless = house, careless
        self.picture = b""
        self.server = make_server("127.0.0.1", 0, self, threaded=True)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if self.careless:
                dropped = ("cache-control", "vary", "content-security-policy", "clear-site-data")
                headers = [one for one in headers if one[0].lower() not in dropped]
                headers.append(("Cache-Control", "max-age=3600"))
            return start(status, headers, *more)

        answer: Any = self.house.app(environ, begin)
        with closing(answer) if hasattr(answer, "close") else nullcontext():
            body = b"".join(answer)
        if environ["PATH_INFO"].endswith("/rendered"):
            self.picture = body
        return [body]


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("kept")) as made:
        assert made.store(part10_bytes(FILM)).status_code == 200
        made.screen()
        with_issuer(made)
        yield made


def looked_at(house: House, profile: Path, *, careless: bool) -> tuple[bytes, str]:
    """Look at list and film in a browser of this profile, sign out, go back; returns the picture and the titles."""
    served = Kept(house, careless=careless)
    person = Person(house)
    person.sign_in("clinician")
    with sync_playwright() as driver:
        chromium = shutil.which("chromium")
        assert chromium is not None, "this needs chromium (tests/needs.sh)"
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        context.add_cookies([{"name": "safelight-demo", "value": person.cookie, "url": served.origin}])
        page = context.new_page()
        page.goto(f"{served.origin}/")
        titles = page.title()
        page.get_by_role("link", name="film").click()
        page.locator("figure img").evaluate("one => one.decode()")
        titles += page.title()
        page.get_by_role("button", name="sign out").click()
        page.wait_for_timeout(500)
        page.go_back()
        titles += page.title()
        context.close()
    served.server.shutdown()
    served.server.server_close()
    assert len(served.picture) > 200
    return served.picture, titles


def left(profile: Path, *texts: bytes) -> list[str]:
    """The files of a browser's profile that hold one of these."""
    files = [one for one in profile.rglob("*") if one.is_file()]
    assert len(files) > 10
    return [str(one) for one in files for content in [one.read_bytes()] if any(text in content for text in texts)]


def test_a_V2_nothing_of_a_film_is_left_on_the_browser_s_disk(house: House, tmp_path: Path) -> None:
    picture, titles = looked_at(house, tmp_path / "profile", careless=False)
    name = canary("PatientName").encode()
    middle = picture[len(picture) // 2 :][:64]
    assert left(tmp_path / "profile", name, middle) == []
    assert titles == "Safelight" * 3


def test_a_careless_server_leaves_films_on_the_browser_s_disk(house: House, tmp_path: Path) -> None:
    """The scan finds what is there: without our headers the picture is."""
    picture, _ = looked_at(house, tmp_path / "profile", careless=True)
    assert left(tmp_path / "profile", picture[len(picture) // 2 :][:64])
