"""Checks of all routes of a server, which return what they complain about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

from builders import chest_film, part10_bytes
from flask import Flask
from house import POLICIES, House
from werkzeug.test import TestResponse

from server.model import Action
from server.policy.bundle import load
from server.web.app import action_of

# What anybody may call: the pages and their ways in and out, the health of the server, where tokens come from.
OPEN = frozenset(
    {
        ("GET", "/"),
        ("GET", "/films/<study>/<series>/<instance>"),
        ("GET", "/share"),
        ("GET", "/sign-in"),
        ("GET", "/callback"),
        ("POST", "/role"),
        ("GET", "/governance"),
        ("POST", "/governance/labels"),
        ("POST", "/governance/consents"),
        ("POST", "/governance/projects"),
        ("POST", "/governance/reviews"),
        ("POST", "/governance/shares"),
        ("POST", "/governance/ended-shares"),
        ("POST", "/sign-out"),
        ("POST", "/backchannel-logout"),
        ("GET", "/healthz"),
        ("GET", "/conformance"),
        ("GET", "/openapi.json"),
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/static/<filename>"),
    }
)
GOVERNED = {
    Action.STORE: {"technologist"},
    Action.LABEL: {"security-administrator"},
    Action.RECORD_CONSENT: {"front-desk"},
    Action.APPROVE_PROJECT: {"security-administrator"},
    Action.READ_AUDIT: {"security-auditor"},
    Action.READ_QUEUE: {"privacy-reviewer"},
    Action.SETTLE: {"privacy-reviewer"},
    Action.BREAK_GLASS: {"clinician"},
    Action.REVIEW_GLASS: {"security-auditor"},
    Action.READ_STATUS: {"privacy-reviewer", "system-administrator"},
    Action.SHARE: {"clinician"},
    Action.ACCEPT_SHARE: {"recipient"},
    Action.READ_SHARES: {"clinician", "recipient", "security-administrator"},
    Action.END_SHARE: {"clinician", "security-administrator"},
}
LABELS = {"departments": ["radiology"], "care_team": []}
SENT: dict[Action, object] = {
    Action.LABEL: LABELS,
    Action.RECORD_CONSENT: {"disclosure": "unsaid", "research": "unsaid"},
    Action.APPROVE_PROJECT: {"approved_until": "2099-12-31"},
    Action.BREAK_GLASS: {"reason": "emergency", "text": "unconscious on arrival"},
    Action.REVIEW_GLASS: {"finding": "justified", "text": "an emergency indeed"},
    Action.SETTLE: {"verdict": "mask-wholly"},
    Action.SHARE: {},
    Action.ACCEPT_SHARE: {"link": ""},
}
"""What a probe says, by its action."""


@dataclass(frozen=True)
class Probe:
    """One request by one route: `action` is what it has to be, for routes that serve two."""

    method: str
    rule: str
    action: Action
    path: str

    def send(self, house: House, user: str, **headers: str) -> TestResponse:
        body: dict[str, Any] = {}
        if self.action is Action.STORE:
            headers = {"Content-Type": "application/dicom", **headers}
            body = {"data": part10_bytes(chest_film())}
        elif self.action in SENT:
            body = {"json": SENT[self.action]}
        if user == "recipient":
            headers = {**headers, "Safelight-Role": user}
        return house.request(self.method, self.path, user, headers=headers, **body)


def rules_of(app: Flask) -> list[tuple[str, str]]:
    """(method, rule) of everything that the application routes, but HEAD and OPTIONS that come with GET."""
    return [
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def probes(house: House, app: Flask, user: str) -> list[Probe]:
    """One request per route and Action, for a film as `user` names it (as stored, for who sees none)."""
    film = chest_film()
    stored = (film.StudyInstanceUID, film.SeriesInstanceUID, film.SOPInstanceUID)
    seen = [re.findall(r"[0-9][0-9.]+[0-9]", path) for path in house.instances(user)]
    study, series, instance = seen[0] if seen else stored
    names = {
        "study": study,
        "series": series,
        "instance": instance,
        "project": "a-project",
        "frames": "1",
        "element": "7FE00010",
    }
    found = []
    for method, rule in rules_of(app):
        if (method, rule) in OPEN:
            continue
        action = action_of(method, rule) or Action.SEARCH
        path = re.sub(r"<(?:path:)?(\w+)>", lambda match: names.get(match[1], "1"), rule)
        if rule == "/wado":
            wado = f"{path}?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}&contentType="
            found.append(Probe(method, rule, Action.RETRIEVE_RENDERED, f"{wado}image/jpeg"))
            path = f"{wado}application/dicom"
        found.append(Probe(method, rule, action, path))
    return found


@cache
def roles_with(action: Action) -> frozenset[str]:
    """Who ever has an action, by the policy's files, which are read and checked once for each action."""
    bundle = load(POLICIES)
    ladders = bundle.ladders.items()
    seeing = {role for role, ladder in ladders if any(action in bundle.levels[name].transactions for name in ladder)}
    return frozenset(GOVERNED.get(action, seeing))


def without_action(app: Flask) -> list[str]:
    return [f"{method} {rule}" for method, rule in rules_of(app) if action_of(method, rule) is None]


def open_to_strangers(house: House, app: Flask) -> list[str]:
    """Routes that answer anything but the challenge of RFC 6750 and RFC 9728 to who shows nothing or rubbish."""
    found = []
    client = app.test_client()
    metadata = f"{house.settings.public_url}/.well-known/oauth-protected-resource"
    for probe in probes(house, app, "clinician"):
        for credentials in ({}, {"Authorization": "Bearer e30.e30.e30"}, {"Authorization": "Basic YTpi"}):
            response = client.open(probe.path, method=probe.method, headers=credentials)
            challenge = response.headers.get("WWW-Authenticate", "")
            if response.status_code != 401 or f'resource_metadata="{metadata}"' not in challenge or not plain(response):
                found.append(f"{probe.method} {probe.rule} {response.status_code}")
    return found


def plain(response: TestResponse) -> bool:
    """Whether an error body has the one shape: a JSON object with one sentence, that repeats nothing of the request."""
    body = response.get_data()
    try:
        error = json.loads(body)
    except ValueError:
        return False
    repeated = any(len(part) > 6 and part.encode() in body for part in re.split(r"[/?=&]", response.request.path))
    said = isinstance(error, dict) and set(error) == {"error"} and 0 < len(error["error"]) < 120
    return said and response.mimetype == "application/json" and not repeated and b"Traceback" not in body


def wrongly_let_in(house: House, roles: Iterable[str]) -> list[str]:
    """Every role at every route: 403, the same for what exists and what does not, exactly where it never has it."""
    found = []
    for role in roles:
        for probe in probes(house, house.app, role):
            never = role not in roles_with(probe.action)
            there = probe.send(house, role)
            absent = replace(probe, path=re.sub(r"2\.25\.\d+", "2.25.404", probe.path)).send(house, role)
            if never and not (there.status_code == absent.status_code == 403 and there.data == absent.data):
                found.append(f"{role} {probe.method} {probe.rule} {there.status_code} {absent.status_code}")
            if never and not plain(there):
                found.append(f"{role} {probe.rule} says {there.data!r}")
            if not never and there.status_code in (401, 403, 405, 500, 503):
                found.append(f"{role} {probe.method} {probe.rule} {there.status_code}")
    return found


SWITCHES = (
    "level=original", "role=clinician", "anonymize=no", "unmask=true", "mask=0", "screened=true", "annotations=patient",
    "access_token=x", "Safelight-Role=clinician", "Safelight-Level=original", "debug=1", "raw=1", "quality=9&quality=9",
)  # fmt: skip
SPOKEN = (
    "X-Role", "X-Roles", "Role", "Roles", "X-Safelight-Role", "Safelight-Level", "X-Level", "X-Forwarded-User",
    "X-Forwarded-Groups", "X-Remote-User", "X-Auth-Request-Groups", "X-Original-URL", "X-Rewrite-URL",
    "X-HTTP-Method-Override", "Purpose-Of-Use", "X-Purpose", "X-Project", "X-Debug", "Forwarded", "X-Forwarded-For",
    "X-Forwarded-Host", "Host", "Origin", "Range", "Expect", "Prefer", "If-Match", "TE",
)  # fmt: skip
VALUES = ("clinician", "original", "for=127.0.0.1;host=safelight", "bytes=0-1", "no")
MASKED_PATHS = ("", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata/7FE00010")


def visible(response: TestResponse) -> tuple[object, ...]:
    """What a caller learns from an answer, without the id of the request and the random boundary."""
    kept = {"ETag", "Safelight-Level", "Vary", "Cache-Control"}
    boundary = response.headers.get("Content-Type", "").partition("boundary=")[2].encode()
    body = response.get_data().replace(boundary, b"") if boundary else response.get_data()
    return response.status_code, {name: response.headers.get(name) for name in kept}, body


def lowered_by_a_header(house: House, user: str) -> list[str]:
    """A header that nobody asked for is refused or changes nothing at all."""
    found = []
    (base,) = house.instances(user)
    for path in ("/metadata", "/rendered", "/frames/1"):
        expected = visible(house.get(base + path, user))
        for name, value in product(SPOKEN, VALUES):
            response = house.get(base + path, user, headers={name: value})
            if response.status_code < 400 and visible(response) != expected:
                found.append(f"{name}: {value} at {path}")
    return found


def switched_by_a_parameter(house: House, user: str) -> list[str]:
    """A parameter that nobody knows is refused by pictures, and by the rest refused or without any effect."""
    found = []
    (base,) = house.instances(user)
    for path in MASKED_PATHS:
        expected = visible(house.get(base + path, user))
        for switch in SWITCHES:
            response = house.get(f"{base}{path}?{switch}", user)
            picture = path in ("/rendered", "/thumbnail")
            if response.status_code != 400 and (picture or visible(response) != expected):
                found.append(f"{switch} at {path}: {response.status_code}")
    return found


def head_differs(house: House) -> list[str]:
    """HEAD has the status and the fields of GET and no body (RFC 9110 section 9.3.2), and is recorded as well."""
    found = []
    for probe in (one for one in probes(house, house.app, "clinician") if one.method == "GET"):
        for user in ("clinician", "system-administrator"):
            got = probe.send(house, user)
            head = replace(probe, method="HEAD").send(house, user)
            if (head.status_code, fields(head)) != (got.status_code, fields(got)) or head.get_data():
                found.append(f"{user} {probe.rule}")
    return found


def fields(response: TestResponse) -> dict[str, str]:
    """The header without what is random for each answer."""
    found = {name: value for name, value in response.headers.items() if name != "Safelight-Request"}
    return {name: value.partition("boundary=")[0] for name, value in found.items()}
