"""Every route of the application as requests to send: the rules come from the application, not from a list here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import pytest
from house import NOW, ORIGIN, House
from werkzeug.test import TestResponse

from server.auth.issuers import Issuers
from server.auth.provider import Provider
from server.errors import DecodeFailed
from server.model import Caller, Region
from server.negotiate import LOSSLESS_SYNTAXES, NATIVE_SYNTAXES, Choice, Offer, choose
from server.screen import screen_next
from server.screening.detectors import Detectors
from server.screening.heads import HeadFinder
from server.screening.series import SeriesHeads
from server.screening.template import head_template
from server.web import dicomweb, session
from server.web.app import create_app

Rule = tuple[str, str]
FORM_TOKEN = "form-token"
COOKIE = "safelight-demo"
# What only ever takes a token, never a browser's session.
_BY_TOKEN = (
    "/dicomweb",
    "/wado",
    "/labels",
    "/consents",
    "/projects",
    "/shares",
    "/break-glass",
    "/audit",
    "/review",
    "/metrics",
)
# What a bulk data path may name: the pixels, and everything binary that the films hide something in.
ELEMENTS = ("7FE00010", "00111002", "60003000", "50003000", "00420011", "00282000", "FFFCFFFC", "00880200/0/7FE00010")
# What may be written into a picture or put beside it, and turned into other colours.
DRAWN = (
    "annotation=patient,technique",
    "annotation=patient,weather",
    *(f"iccprofile={one}" for one in ("yes", "srgb", "adobergb", "rommrgb", "displayp3")),
)
FILTERS = (
    *("", "includefield=all", "includefield=00100010&includefield=PatientComments", "fuzzymatching=true"),
    *(
        "limit=1",
        "limit=1&offset=1",
        "PatientName=CANARY*",
        "PatientName=*",
        "PatientName=C?NARY-P*&fuzzymatching=true",
    ),
    *("PatientBirthDate=19000101-19601231", "StudyDate=19000101-19501231", "StudyDescription=CANARY*"),
    *("ReferringPhysicianName=*CANARY*", "AccessionNumber=CANARY*", "00100020=CANARY-PatientID", "PatientSex=O"),
    "RequestAttributesSequence.RequestedProcedureID=CANARY*",
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request; `rule` is the route it is meant for."""

    rule: Rule
    path: str
    accept: str = "*/*"
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Client:
    """Somebody who asks: a bearer token (None: nobody), the role named in the header, a browser's cookie."""

    name: str
    token: str | None
    role: str | None = None
    cookie: str | None = None

    def send(self, house: House, call: Call, *, method: str | None = None) -> TestResponse:
        """Send one request and read the answer to its end."""
        headers = {"Accept": call.accept, **call.headers}
        house.client.delete_cookie(COOKIE)
        if self.cookie and not call.path.startswith(_BY_TOKEN):
            house.client.set_cookie(COOKIE, self.cookie)
            headers |= {"Sec-Fetch-Site": "same-origin"}
        elif self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
            headers |= {"Safelight-Role": self.role} if self.role else {}
        response = house.client.open(call.path, method=method or call.rule[0], headers=headers, data=call.data)
        response.get_data()
        response.close()
        house.client.delete_cookie(COOKIE)
        return response


def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power fails in these tests, so nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)


class FixedDetector:
    """Stands in for the text detector: the same regions whatever the samples, or a failure (None)."""

    def __init__(self, regions: Sequence[Region] | None) -> None:
        self._regions = regions

    def version(self) -> str:
        return "fixed"

    def find(self, samples: object, **_: object) -> list[Region]:
        if self._regions is None:
            raise DecodeFailed
        return list(self._regions)


class SilentDetector:
    """Stands in for the second look: it reads nothing."""

    def version(self) -> str:
        return "silent"

    def find(self, samples: object, **_: object) -> list[Region]:
        assert samples is not None
        return []


def screen(house: House, regions: Sequence[Region] | None) -> None:
    """Screen everything that waits with these regions for its outcome."""
    detector = Detectors(
        text=FixedDetector(regions),
        residual=SilentDetector(),
        faces=SilentDetector(),
        heads=SeriesHeads(HeadFinder(head_template())),
    )
    while screen_next(house.services, detector, "test"):
        pass


def client(house: House, name: str, token: str, role: str | None = None) -> Client:
    """A caller with a token and, for the page, a session of the same person in the same role."""
    claims = house.services.tokens.verify(token, house.now)
    caller: Caller = house.services.tokens.caller(claims, house.services.policy.current.roles)
    acting = role or (next(iter(caller.roles)) if len(caller.roles) == 1 else None)
    signed_in = session.Session(caller=caller, role=acting, form_token=FORM_TOKEN)
    return Client(name=name, token=token, role=role, cookie=session.start(house.services, signed_in, NOW + 3600))


def rules(house: House) -> set[Rule]:
    """Method and rule of every route of the application, the page's included."""
    found = set()
    for one in house.app.url_map.iter_rules():
        found |= {(method, one.rule) for method in (one.methods or set()) - {"HEAD", "OPTIONS"}}
    return found


def offers(house: House, monkeypatch: pytest.MonkeyPatch) -> dict[Rule, tuple[Offer, ...]]:
    """What each route of DICOMweb offers, as it tells the negotiation itself."""
    found: dict[Rule, tuple[Offer, ...]] = {}
    current: list[Rule] = []

    def noted(header: str | None, query: Sequence[str], offered: Sequence[Offer]) -> Choice:
        found[current[-1]] = tuple(offered)
        return choose(header, query, offered)

    with monkeypatch.context() as patch:
        patch.setattr(dicomweb, "choose", noted)
        # What was chosen before is not remembered here.
        patch.setattr(dicomweb, "_chosen", lambda header, offered: noted(header, (), offered))
        for rule in sorted(rules(house)):
            if rule[0] == "GET" and rule[1].startswith("/dicomweb"):
                current.append(rule)
                house.get(fill(rule[1], "/1.2/1.2/1.2"), "clinician")
    return found


def accepts(offered: Sequence[Offer]) -> Iterator[str]:
    """One Accept value for every representation of a resource."""
    for offer in offered:
        for syntax in offer.transfer_syntaxes or ("",):
            suffix = f"; transfer-syntax={syntax}" if syntax else ""
            yield (
                f'multipart/related; type="{offer.media_type}"{suffix}'
                if offer.multipart
                else offer.media_type + suffix
            )


def _no_post(url: str, form: object, authorization: str) -> tuple[int, bytes]:
    raise OSError


def without_network(house: House) -> None:
    """The application's provider without a network."""
    document = {
        "issuer": house.settings.issuer,
        "authorization_endpoint": f"{ORIGIN}/a",
        "token_endpoint": f"{ORIGIN}/t",
    }
    provider = Provider(
        house.settings.issuer, "safelight", fetch=lambda _: json.dumps(document).encode(), post=_no_post
    )
    (only,) = house.services.tokens.all.values()
    house.services = replace(house.services, tokens=Issuers((replace(only, provider=provider),)))
    house.app = create_app(house.services)
    house.client = house.app.test_client()


def fill(rule: str, instance: str, **values: str) -> str:
    """A rule's path for an instance given as `/study/series/instance`."""
    study, series, sop = instance.strip("/").split("/")
    values = {"study": study, "series": series, "instance": sop, "frames": "1", "path:element": "7FE00010", **values}
    for name, value in values.items():
        rule = rule.replace(f"<{name}>", value)
    return rule


def short(path: str) -> str:
    """`/study/series/instance` of a DICOMweb path."""
    return "/" + "/".join(path.split("/")[3::2])


def calls(
    rule: Rule, offered: Sequence[Offer], instances: Sequence[str], *, frames: Sequence[str] = ("1",),
    filters: Sequence[str] = FILTERS[:2], brief: bool = False,
) -> Iterator[Call]:  # fmt: skip
    """The requests for one rule: every resource of these instances in every media type (`brief`: the default one).

    Nothing for a rule that is not known here.
    """
    method, text = rule
    if method == "GET" and text.startswith("/dicomweb"):
        yield from _dicomweb(
            rule, ["*/*"] if brief else ["*/*", *accepts(offered)], _paths(text, instances, frames), filters
        )
    elif rule == ("GET", "/wado"):
        for one in instances:
            yield from list(_wado(rule, *one.strip("/").split("/")))[: 2 if brief else None]
    elif method == "GET" and text in _OF_ONE_FILM:
        yield from (Call(rule=rule, path=fill(text, one)) for one in instances)
    elif method == "GET" and text in _PLAIN:
        yield from (Call(rule=rule, path=path) for path in _PLAIN[text])


def _dicomweb(rule: Rule, wanted: Sequence[str], paths: Sequence[str], filters: Sequence[str]) -> Iterator[Call]:
    for path in paths:
        if rule[1].endswith(("/studies", "/series", "/instances")):
            yield from (Call(rule=rule, path=f"{path}?{one}") for one in filters)
        if path.endswith(ELEMENTS[1:]):
            yield Call(rule=rule, path=path)
            continue
        yield from (Call(rule=rule, path=path, accept=one) for one in wanted)
        yield from _in_other_forms(rule, path)
        if path == paths[0]:
            yield Call(rule=rule, path=f"{path}?accept={quote(wanted[-1], safe='')}", accept="text/plain")
        if rule[1].endswith("<instance>/rendered"):
            for query in ("viewport=32,32", "viewport=64,64,0,0,40,30", "window=100,50,sigmoid", "quality=30", *DRAWN):
                yield Call(rule=rule, path=f"{path}?{query}", accept="image/png")
            for media_type in ("image/jpeg", "image/jp2"):
                yield Call(rule=rule, path=f"{path}?iccprofile=yes&annotation=patient,technique", accept=media_type)


def _in_other_forms(rule: Rule, path: str) -> Iterator[Call]:
    """Compressed JSON, and parts of what is sent in one piece."""
    if rule[1].endswith("/metadata"):
        yield Call(rule=rule, path=path, accept="application/dicom+json", headers={"Accept-Encoding": "gzip"})
    single = "application/dicom" if rule[1].endswith("<instance>") else "application/octet-stream"
    if rule[1].endswith(("<instance>", "<frames>", "<path:element>", "/pixeldata")):
        for asked in ("bytes=200-2047", "bytes=-400", "bytes=99999999-"):
            yield Call(rule=rule, path=path, accept=single, headers={"Range": asked})


_OF_ONE_FILM = (
    "/films/<study>/<series>/<instance>",
    "/labels/studies/<study>",
    "/review/studies/<study>/series/<series>/instances/<instance>",
)
_PLAIN = {
    "/": ("/",),
    "/sign-in": ("/sign-in",),
    "/callback": ("/callback", "/callback?state=CANARY-STATE&code=CANARY-CODE"),
    "/healthz": ("/healthz",),
    "/metrics": ("/metrics",),
    "/projects": ("/projects",),
    "/break-glass": ("/break-glass",),
    "/governance": ("/governance", "/governance?study=1.2.3", "/governance?done=labels"),
    "/share": ("/share",),
    "/shares": ("/shares",),
    "/review": ("/review", "/review?limit=1", "/review?limit=CANARY"),
    "/conformance": ("/conformance", "/conformance?accept=application/json"),
    "/openapi.json": ("/openapi.json",),
    "/.well-known/oauth-protected-resource": ("/.well-known/oauth-protected-resource",),
    "/static/<filename>": ("/static/safelight.css", "/static/../app.py"),
    "/audit/entries": ("/audit/entries", "/audit/entries?limit=1000", "/audit/entries?after=5&limit=2"),
}


def _paths(text: str, instances: Sequence[str], frames: Sequence[str]) -> list[str]:
    found = (
        fill(text, one, **{"frames": numbers, "path:element": element})
        for one in instances
        for numbers in (frames if "<frames>" in text else ("1",))
        for element in (ELEMENTS if "<path:element>" in text else ELEMENTS[:1])
    )
    return list(dict.fromkeys(found))


def _wado(rule: Rule, study: str, series: str, instance: str) -> Iterator[Call]:
    base = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
    yield Call(rule=rule, path=base)
    for picture in ("image/jpeg", "image/png", "image/gif", "image/jp2", "text/html", "text/plain", "text/xml"):
        yield Call(rule=rule, path=f"{base}&contentType={picture}")
    for query in DRAWN:
        yield Call(rule=rule, path=f"{base}&contentType=image/png&{query}")
    yield Call(rule=rule, path=f"{base}&presentationSeriesUID={series}&presentationUID={instance}")
    for syntax in (*NATIVE_SYNTAXES, *LOSSLESS_SYNTAXES, "*"):
        yield Call(rule=rule, path=f"{base}&contentType=application/dicom&transferSyntax={syntax}")
    yield Call(rule=rule, path=f"{base}&frameNumber=2&rows=32&columns=32&windowCenter=100&windowWidth=50")
    yield Call(rule=rule, path=f"{base}&region=0.3,0.2,0.9,0.8&contentType=image/png")
    yield Call(rule=rule, path=f"{base}&contentType=application/dicom", headers={"Range": "bytes=300-3000"})
    for anonymize in ("no", "yes"):
        yield Call(rule=rule, path=f"{base}&contentType=application/dicom&anonymize={anonymize}")
