"""A foreign viewer in a real browser: OHIF's published files and the house, served from one origin, driven by Chromium.

The viewer's package comes once from its registry through npm, at one version and checked against one digest; what it is
given of its own is a page of settings with the bearer token, nothing of its code is changed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import numpy as np
from house import House
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright
from viewer_scripts import CURRENT, DRAWN, PICTURED, PICTURES, SHOWN
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from server.web.app import create_app

PACKAGE = "@ohif/app@3.13.2"
_SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
_KEPT = Path(__file__).resolve().parents[1] / ".viewer"
# Its codecs for JPEG 2000 and JPEG-LS are compiled at run time, hence 'unsafe-eval': uncompressed frames do without.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' {eval}; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; font-src 'self' data:; manifest-src 'self'; "
    "connect-src 'self' blob: data: {provider}; base-uri 'none'; frame-ancestors 'none'"
)
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
]


Samples = NDArray[np.uint8]


def distribution() -> dict[str, bytes]:
    """The viewer's files by path. Raises `AssertionError` if the package is not the one that is expected."""
    kept = _KEPT / "app.tgz"
    if not kept.exists():
        _KEPT.mkdir(exist_ok=True)
        npm = shutil.which("npm")
        assert npm is not None, "fetching the viewer needs npm (tests/needs.sh)"
        command = [npm, "pack", "--silent", "--pack-destination", str(_KEPT), PACKAGE]
        name = subprocess.run(command, check=True, capture_output=True, text=True, timeout=170).stdout.split()[-1]
        (_KEPT / name).replace(kept)
    packed = kept.read_bytes()
    if base64.b64encode(hashlib.sha512(packed).digest()).decode() != _SHA512:
        kept.unlink()
        raise AssertionError("the viewer's package is not the one that was published under its version")
    found: dict[str, bytes] = {}
    with tarfile.open(kept) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if member.isfile() and path.parts[:2] == ("package", "dist") and path.suffix != ".map":
                file = archive.extractfile(member)
                assert file is not None
                found["/" + "/".join(path.parts[2:])] = file.read()
    return found


def _config(asked: Mapping[str, object]) -> dict[str, object]:
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "dicomweb",
        "configuration": {
            "friendlyName": "house",
            "name": "house",
            "wadoUriRoot": "/wado",
            "qidoRoot": "/dicomweb",
            "wadoRoot": "/dicomweb",
            "qidoSupportsIncludeField": True,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "bulkDataURI": {"enabled": True},
            **asked,
        },
    }
    return {
        "routerBasename": None,
        "modes": [],
        "customizationService": {},
        "showStudyList": True,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [source],
    }


def _settings(token: str, asked: Mapping[str, object]) -> bytes:
    header = json.dumps({"Authorization": f"Bearer {token}"})
    return f"""
      window.config = {json.dumps(_config(asked))};
      window.config.extensions = [{{ id: 'bearer', preRegistration({{ servicesManager }}) {{
        servicesManager.services.userAuthenticationService.setServiceImplementation(
          {{ getAuthorizationHeader: () => ({header}) }});
      }} }}];
    """.encode()


def _signing_in(site: Site, asked: Mapping[str, object]) -> bytes:
    """The viewer's own way to sign people in, at the provider: a code with PKCE, as a client without a secret."""
    oidc = {
        "authority": site.provider,
        "client_id": "viewer",
        "redirect_uri": f"{site.origin}/callback",
        "post_logout_redirect_uri": f"{site.origin}/",
        "response_type": "code",
        "scope": "openid profile groups",
        "automaticSilentRenew": False,
    }
    return f"window.config = {json.dumps({**_config(asked), 'oidc': [oidc], 'extensions': []})};".encode()


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request to the house and what it answered, to the byte, as the house saw it."""

    target: str
    accept: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def media_type(self) -> str:
        return next((value for name, value in self.headers if name == "Content-Type"), "")


@dataclass(kw_only=True)
class Site:
    """The house and the viewer's files on one origin. `settings` is what the viewer reads at its start; `exchanges` is
    the log of everything that passed between browser and house. `provider` is where people sign in, "" for nowhere."""

    house: House
    files: Mapping[str, bytes]
    settings: bytes = b""
    evaluates: bool = False
    origin: str = ""
    provider: str = ""
    exchanges: list[Exchange] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(("/dicomweb", "/wado")):
            return [self._noted(environ, start)]
        if path == "/app-config.js":
            body, name = self.settings, path
        elif path == "/init-service-worker.js":
            body, name = b"", path
        else:
            # Addresses inside the viewer are its one page.
            name = path if path in self.files else "/index.html"
            body = self.files[name]
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        policy = _POLICY.format(eval="'unsafe-eval'" if self.evaluates else "", provider=self.provider)
        kept = "no-store" if name in ("/app-config.js", "/index.html") else "max-age=3600"
        start(
            "200 OK",
            [("Content-Type", media_type), ("Content-Security-Policy", policy), ("Cache-Control", kept),
             ("Content-Length", str(len(body)))],
        )  # fmt: skip
        return [body]

    def _noted(self, environ: WSGIEnvironment, start: StartResponse) -> bytes:
        answer = Response.from_app(self.house.app, environ, buffered=True)
        body: bytes = answer.get_data()
        self.exchanges.append(
            Exchange(
                target=f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}",
                accept=environ.get("HTTP_ACCEPT", ""),
                status=answer.status_code,
                headers=tuple(answer.headers.items()),
                body=body,
            )
        )
        start(answer.status, list(answer.headers.items()))
        return body


@contextmanager
def site(house: House) -> Iterator[Site]:
    """Serve both, under the origin that the house's absolute addresses then name."""
    made = Site(house=house, files=distribution())
    server = make_server("127.0.0.1", 0, made, threaded=True)
    made.origin = f"http://127.0.0.1:{server.server_port}"
    house.services = replace(house.services, settings=replace(house.settings, public_url=made.origin))
    house.app = create_app(house.services)
    house.client = house.app.test_client()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser, without a window."""
    path = shutil.which("chromium")
    assert path is not None, "the viewer's tests need chromium (tests/needs.sh)"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@dataclass(kw_only=True)
class Visit:
    """One person's visit: the page, what was asked for elsewhere (and refused), and what the page said."""

    site: Site
    page: Page
    strangers: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def study_list(self) -> str:
        """The text of the study list, once it has a row."""
        self.page.goto(f"{self.site.origin}/", wait_until="domcontentloaded")
        self.page.get_by_text(re.compile("^1-[0-9]+ of [0-9]+$")).first.wait_for(timeout=30_000)
        return self.page.locator("body").inner_text()

    def open(self, study: str, thumbnails: int) -> None:
        """Open a study and wait until its first film is drawn and there are so many pictures of series."""
        self.page.goto(f"{self.site.origin}/viewer?StudyInstanceUIDs={study}", wait_until="domcontentloaded")
        self.page.wait_for_function(PICTURED, arg=thumbnails, timeout=60_000)
        self.page.wait_for_function(SHOWN, arg="", timeout=30_000)

    def thumbnails(self) -> list[Samples]:
        """The pictures beside the names of the series, in the order of the series, each (rows, columns, 4)."""
        return [_picture(one) for one in self.page.evaluate(PICTURES)]

    def show(self, series: int, instance: str) -> None:
        """Bring the series of this number into the viewport by its picture, and wait until the instance is drawn."""
        self.page.locator(f"[data-cy='study-browser-thumbnail'][data-series='{series}']").dblclick()
        self.page.wait_for_function(SHOWN, arg=instance, timeout=30_000)

    def instance(self) -> str:
        """The SOP Instance UID of the film that is drawn."""
        return str(self.page.evaluate(f"({CURRENT})()")).split("/instances/")[1].split("/")[0]

    def drawn(self, rows: int, columns: int) -> Samples:
        """What of the canvas the film covers, brought to the film's own size: (rows, columns, 4), 8 bits."""
        return _picture(self.page.evaluate(DRAWN, [rows, columns]))


def _picture(answer: dict[str, Any]) -> Samples:
    flat = np.frombuffer(base64.b64decode(answer["data"]), np.uint8)
    return flat.reshape(answer["rows"], answer["columns"], 4)


@contextmanager
def visit(browser: Browser, site: Site, token: str, **asked: object) -> Iterator[Visit]:
    """A visit of whoever the token names, without one of whoever signs in; `asked` are settings of the viewer's source
    of data."""
    site.settings = _settings(token, asked) if token else _signing_in(site, asked)
    site.exchanges.clear()
    site.evaluates = "requestTransferSyntaxUID" in asked
    context: BrowserContext = browser.new_context(viewport={"width": 1100, "height": 800})
    page = context.new_page()
    made = Visit(site=site, page=page)

    def only_here(route: Route) -> None:
        if route.request.url.startswith((site.origin, site.provider or site.origin, "data:", "blob:")):
            route.continue_()
        else:
            made.strangers.append(route.request.url)
            route.abort()

    context.route("**/*", only_here)
    page.on("console", lambda one: made.said.append(one.text))
    page.add_init_script("localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))")
    yield made
    context.close()
