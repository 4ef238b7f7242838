"""OHIF signs people in by itself, at canaille, in Chromium: the role of each decides what the viewer is sent.

The interpreter that has canaille installed is named by INTEROP_PYTHON. Not part of the usual run, by its name.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import review_kit
from builders import BurnedText, PixelFormat, all_canaries, chest_film, part10_bytes
from house import House
from interop_waiting import wait_for
from playwright.sync_api import Browser
from sweep_search import Finder, unfolded
from viewer_kit import Site, Visit, chromium, site, visit

from server.audit.show import read
from server.auth.fetch import http_fetch, http_post
from server.auth.issuers import Issuers, open_issuer
from server.auth.keys import DiscoveredKeys
from server.auth.provider import Provider
from server.model import Introspection, IssuerSettings, Region, RegionKind
from server.web.app import create_app

HERE = Path(__file__).parent
PYTHON = os.environ["INTEROP_PYTHON"]
GZIP = b"\x1f\x8b"
SECRET, PASSWORD = "only-for-the-test", "correct horse battery"
ROWS, COLUMNS = 160, 200
NAME = BurnedText(text="MUSTER^MAXIMA 4711", top_row=20, left_column=12, height=20, contrast=0.6)
FILM = chest_film(PixelFormat(rows=ROWS, columns=COLUMNS, burned=(NAME,)))
PLACE = Region(kind=RegionKind.TEXT, top_row=16, left_column=4, row_count=32, column_count=COLUMNS - 8)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The viewer and a house whose issuers are the demo's, for comparison, and canaille."""
    root = tmp_path_factory.mktemp("viewer")
    with House(root) as house, socket.socket() as free:
        assert house.store(part10_bytes(FILM)).status_code == 200
        review_kit.screen_all(house, review_kit.detectors(lambda *_: [PLACE]))
        house.services.catalog.set_labels(str(FILM.StudyInstanceUID), departments=(), care_team=("maxima",))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with site(house) as made:
            made.provider = f"http://127.0.0.1:{port}"
            command = [PYTHON, str(HERE / "run_canaille.py"), str(port), f"{made.origin}/callback", f"{made.origin}/"]
            with (root / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
                try:
                    wait_for(f"{made.provider}/.well-known/openid-configuration", process)
                    _trust(house, made.provider)
                    yield made
                finally:
                    process.terminate()


def _trust(house: House, provider: str) -> None:
    settings = IssuerSettings(
        issuer=provider, audience="safelight", token_types=("JWT",), algorithms=("RS256",),
        claims={"roles": "groups", "project": "website"}, client_id="safelight", client_claim="", token_id_claim="",
        introspection=Introspection.ALWAYS, longest_token_seconds=11 * 86400.0,
    )  # fmt: skip
    fetch, post = http_fetch(clock=time.monotonic), http_post(clock=time.monotonic)
    issuer = open_issuer(
        settings,
        keys=DiscoveredKeys(provider, fetch=fetch, clock=time.monotonic),
        provider=Provider(provider, "safelight", fetch=fetch, post=post, secret=SECRET),
        clock=time.time,
        cache_seconds=1.0,
    )
    former = tuple(house.services.tokens.all.values())
    house.services = replace(house.services, tokens=Issuers((*former, issuer)), clock=time.time)
    house.app = create_app(house.services)
    house.client = house.app.test_client()
    house.now = time.time()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def sign_in(seen: Visit, user: str) -> None:
    """From the viewer's first page through the provider's forms, as a person fills them in, to the list of studies."""
    page = seen.page
    page.goto(f"{seen.site.origin}/", wait_until="domcontentloaded")
    page.wait_for_url(f"{seen.site.provider}/**", timeout=30_000)
    page.locator("input[name=login]").fill(user)
    page.locator("input[name=login]").press("Enter")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    # By way of /callback, which must not be left before the viewer has exchanged its code.
    page.wait_for_url(f"{seen.site.origin}/", timeout=60_000)


def listed(seen: Visit) -> str:
    """The study that the viewer was told of, as it was told."""
    found = (one.body for one in seen.site.exchanges if one.target.startswith("/dicomweb/studies?"))
    told = [json.loads(gzip.decompress(body) if body.startswith(GZIP) else body) for body in found]
    (study,) = {str(row["0020000D"]["Value"][0]) for rows in told for row in rows}
    return study


def levels(site: Site, user: str) -> set[str]:
    """At which levels somebody of that provider was answered, by the journal."""
    entries = read(site.house.settings.journal, site.house.services.journal_seal_key)
    return {one.event.level for one in entries if one.event.subject == f"{site.provider}#{user}" and one.event.level}


def test_who_is_a_clinician_there_sees_the_original(served: Site, browser: Browser) -> None:
    with visit(browser, served, "") as seen:
        sign_in(seen, "maxima")
        assert "CANARY-PatientName" in seen.study_list()
        assert listed(seen) == FILM.StudyInstanceUID
        seen.open(listed(seen), 1)
        assert letters(seen) > 60
        assert levels(served, "maxima") == {"original"}
        assert not seen.strangers


def letters(seen: Visit) -> int:
    """The contrast of what is drawn where the name is burned in."""
    return int(np.ptp(seen.drawn(ROWS, COLUMNS)[24:40, 12:64, :3]))


def test_who_is_a_researcher_there_sees_it_de_identified_and_nothing_else_is_sent(
    served: Site, browser: Browser
) -> None:
    hidden = Finder({text for text in all_canaries(FILM).values() if len(text) > 8 and "." not in text[:7]}, stem=True)
    with visit(browser, served, "") as seen:
        sign_in(seen, "rita")
        assert not hidden.found([seen.study_list().encode()])
        assert listed(seen) != FILM.StudyInstanceUID
        seen.open(listed(seen), 1)
        assert letters(seen) < 30
        assert levels(served, "rita") == {"deidentified"}
        assert {one.target.split("/")[-1].partition("?")[0] for one in served.exchanges} >= {"studies", "series"}
        for one in served.exchanges:
            assert one.status < 400, one.target
            headers = "\n".join(f"{name}: {value}" for name, value in one.headers)
            assert not hidden.found([one.target.encode(), headers.encode(), *unfolded(one.body, one.media_type)])
        assert not hidden.found([seen.page.content().encode(), "\n".join(seen.said).encode()])
        assert not seen.strangers
