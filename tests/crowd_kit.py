"""A crowd: many people and programs of every role at once, each of whom knows, byte for byte, what is theirs.

What each may get is asked beforehand, alone and in one process; then a server of real processes is asked for all of it
by all of them together. Any answer that differs is one that crossed, or one that is wrong.
"""

from __future__ import annotations

import hashlib
import http.client
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders import PixelFormat, chest_film, made_up_uid, part10_bytes
from house import House
from house_process import serving
from states import report
from werkzeug.datastructures import Headers

from server.model import PatientIdentity
from server.web import session
from server.web.identify import identify

CANARY = b"CANARY"
"""Begins what the films hold of identities, every one its own."""
FILMS = 6
_SMALL = PixelFormat(rows=48, columns=48, frames=2)
_JSON, _OCTETS = "application/dicom+json", 'multipart/related; type="application/octet-stream"'
_OF_A_FILM = (
    ("", 'multipart/related; type="application/dicom"'), ("/metadata", _JSON), ("/frames/2,1", _OCTETS),
    ("/frames/1", 'multipart/related; type="image/jls"'), ("/rendered", "image/jpeg"),
    ("/rendered?viewport=24,24", "image/png"), ("/frames/1/rendered", "image/gif"), ("/thumbnail", "image/jpeg"),
    ("/bulkdata", _OCTETS), ("/bulkdata/7FE00010", "application/octet-stream"), ("/pixeldata", _OCTETS),
    ("/masked-regions", "application/json"), ("/metadata", 'multipart/related; type="application/dicom+xml"'),
)  # fmt: skip
_OF_ALL = (
    ("/dicomweb/studies?includefield=all", _JSON), ("/dicomweb/series", _JSON), ("/dicomweb/instances?limit=3", _JSON),
    ("/dicomweb/studies?PatientName=CANARY*", _JSON), ("/review", "*/*"), ("/metrics", "*/*"), ("/projects", "*/*"),
    ("/audit/entries?limit=20", "*/*"), ("/conformance", "application/json"), ("/openapi.json", "*/*"),
    ("/.well-known/oauth-protected-resource", "*/*"), ("/healthz", "*/*"), ("/static/safelight.css", "*/*"),
)  # fmt: skip
ROLES = (
    *("clinician", "patient", "researcher", "teacher", "front-desk", "technologist", "privacy-reviewer", "recipient"),
    *("system-administrator", "security-administrator", "security-auditor", ""),
)
HIDDEN_FROM = frozenset({"researcher", "teacher", "privacy-reviewer", *ROLES[-4:]})
"""Who never reads what identifies anybody, whatever they ask."""


@dataclass(frozen=True, kw_only=True)
class Question:
    method: str
    path: str
    accept: str = "*/*"
    body: bytes | None = None
    media_type: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of the crowd: a role, what proves it, and each question with the answer that is theirs."""

    role: str
    number: int
    headers: Mapping[str, str]
    known: Sequence[tuple[Question, str]]


@dataclass(kw_only=True)
class Seen:
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    crossed: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    again: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def roles(self) -> set[str]:
        return {role for role, _ in self.answers}


def gathered(house: House, count: int) -> list[Member]:
    """Films in the house, and so many members: of each role one with a session, one with a token, ….

    Leaves the house without prepared forms and kept answers, so that the crowd finds it cold.
    """
    films = [chest_film(_SMALL, patient=number, study=number) for number in range(1, FILMS + 1)]
    text = report(StudyInstanceUID=made_up_uid("study", 99), SeriesInstanceUID=made_up_uid("series", 99))
    assert house.store(*map(part10_bytes, films), part10_bytes(text)).status_code == 200
    house.screen()
    for role, question in _acts(str(films[0].StudyInstanceUID)):
        headers = {"Content-Type": question.media_type}
        done = house.request(question.method, question.path, role, headers=headers, data=question.body)
        assert done.status_code == 204
    assert {*ROLES} - {""} == set(house.services.policy.current.roles)
    everywhere = {role: house.instances(role)[:2] for role in ("clinician", "researcher", "front-desk")}
    foreign = [path for paths in everywhere.values() for path in paths]
    members = [_member(house, number, films, foreign) for number in range(count)]
    for name in ("answers", "cache"):
        shutil.rmtree(house.settings.data / name, ignore_errors=True)
    return members


def _member(house: House, number: int, films: Sequence[Any], foreign: Sequence[str]) -> Member:
    role = ROLES[number % len(ROLES)]
    choose = random.Random(number)
    if not role:
        headers: Mapping[str, str] = {}
        paths: list[str] = []
    else:
        film = films[number % FILMS]
        own = PatientIdentity(issuer=str(film.get("IssuerOfPatientID", "")), patient_id=str(film.PatientID))
        name = role if role == "technologist" and number % 2 else f"{role}-{number}"
        changes: dict[str, Any] = {"name": name, "roles": (role,), "departments": ("radiology",)}
        changes |= {"project": f"project-{number % 7}"} if role in ("researcher", "teacher", "privacy-reviewer") else {}
        changes |= {"patient": own} if role == "patient" else {}
        token = house.token(role, **changes)
        paths = house.instances(role, token=token)
        headers = {"Authorization": f"Bearer {token}"}
        if number // len(ROLES) % 2 == 0:
            headers = {"Cookie": f"safelight-demo={_cookie(house, token)}", "Sec-Fetch-Site": "same-origin"}
    asked = list(_questions(choose, role, [*paths[:3], *choose.sample(foreign, 2)], films, cookie="Cookie" in headers))
    return Member(
        role=role, number=number, headers=headers, known=[(one, _alone(house, headers, one)) for one in asked]
    )


def _cookie(house: House, token: str) -> str:
    """A session of whoever the token is of."""
    with house.app.test_request_context(headers={"Authorization": f"Bearer {token}"}) as context:
        caller = identify(context.request, house.services).caller
    fresh = session.Session(
        caller=caller, role=next(iter(caller.roles)), form_token=hashlib.sha256(token.encode()).hexdigest()[:32]
    )
    return session.start(house.services, fresh, house.now + 3600)


def _questions(
    choose: random.Random, role: str, paths: Sequence[str], films: Sequence[Any], *, cookie: bool
) -> Iterator[Question]:
    for path in paths:
        for suffix, accept in choose.sample(_OF_A_FILM, 4):
            yield Question(method="GET", path=path + suffix, accept=accept)
    for path, accept in _OF_ALL:
        yield Question(method="GET", path=path, accept=accept)
    yield Question(method="OPTIONS", path=choose.choice(paths), accept="application/json")
    study = films[0].StudyInstanceUID
    wado = f"/wado?requestType=WADO&studyUID={study}&seriesUID={films[0].SeriesInstanceUID}&objectUID="
    yield Question(method="GET", path=f"{wado}{films[0].SOPInstanceUID}&contentType=image/png")
    yield Question(method="GET", path="/dicomweb/studies/2.25.404/metadata", accept=_JSON)
    yield Question(method="POST", path="/dicomweb/studies", body=part10_bytes(films[1]), media_type="application/dicom")
    yield from (question for _, question in _acts(study))
    if cookie:
        yield Question(method="GET", path="/", accept="text/html")
        film = paths[0].replace("/dicomweb/studies", "/films").replace("/series", "").replace("/instances", "")
        yield Question(method="GET", path=film, accept="text/html")


def _acts(study: str) -> list[tuple[str, Question]]:
    """By who may: what is done once before anybody looks, so that doing it again changes nobody's answers."""
    consent, until = b'{"disclosure":"unsaid","research":"unsaid"}', b'{"approved_until":"2099-12-31"}'
    labels = b'{"departments":["radiology"],"care_team":[]}'
    return [
        ("front-desk", Question(method="PUT", path=f"/consents/studies/{study}", body=consent)),
        ("security-administrator", Question(method="PUT", path="/projects/another", body=until)),
        ("security-administrator", Question(method="PUT", path=f"/labels/studies/{study}", body=labels)),
    ]


def _alone(house: House, headers: Mapping[str, str], asked: Question) -> str:
    sent = {**headers, "Accept": asked.accept, "Accept-Encoding": "identity"}
    if asked.body is not None:
        sent["Content-Type"] = asked.media_type
    answer = house.app.test_client(use_cookies=False).open(
        asked.path, method=asked.method, headers=sent, data=asked.body
    )
    with answer:
        return told(answer.status_code, answer.headers, answer.get_data())


def told(status: int, headers: Mapping[str, str] | Headers, body: bytes) -> str:
    """What an answer says, without what is random in each: the boundary between parts."""
    kind = headers.get("Content-Type", "") or ""
    boundary = kind.partition("boundary=")[2].strip('"')
    level = headers.get("Safelight-Level", "")
    plain = body.replace(boundary.encode(), b"") if boundary else body
    return f"{status} {kind.partition(';')[0]} {level} {hashlib.sha256(plain).hexdigest()}"


def crowd(directory: Path, *, seconds: float, clients: int) -> Seen:
    """Let so many members ask for so long."""
    house = House(directory / "house")
    members = gathered(house, clients)
    house.close()
    seen = Seen()
    with serving(house, directory, workers=2, threads=4) as (port, _):
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(clients) as pool:
            for one in [pool.submit(_ask, port, member, until, seen) for member in members]:
                one.result()
    log = (directory / "serving.log").read_text()
    for word in ("unexpected", "Traceback", "WORKER TIMEOUT"):
        seen.failures[f"{word} in the log"] += log.count(word)
    seen.failures = +seen.failures
    return seen


def _ask(port: int, member: Member, until: float, seen: Seen) -> None:
    choose = random.Random(-member.number)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while time.monotonic() < until:
        asked, expected = choose.choice(member.known)
        headers = {**member.headers, "Accept": asked.accept, "Accept-Encoding": "identity"}
        if asked.body is not None:
            headers["Content-Type"] = asked.media_type
        began = time.monotonic()
        try:
            connection.request(asked.method, asked.path, asked.body, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            with seen.lock:
                # A kept connection may end while nothing is asked on it; only a fresh one has to hold.
                seen.again += 1
                seen.failures[f"{type(error).__name__} {asked.method}"] += not isinstance(
                    error, http.client.RemoteDisconnected
                )
            continue
        got = told(answer.status, dict(answer.getheaders()), body)
        _note(seen, member, asked, (answer.status, got, expected), body, time.monotonic() - began)
    connection.close()


def _note(
    seen: Seen, member: Member, asked: Question, answered: tuple[int, str, str], body: bytes, seconds: float
) -> None:
    status, got, expected = answered
    what = f"{member.role or 'nobody'} {member.number} {asked.method} {asked.path[:80]}"
    with seen.lock:
        seen.answers[member.role, status] += 1
        seen.waits.append(seconds)
        if status >= 500 or status == 429:
            seen.failures[f"{status} {body[:120]!r}"] += 1
        elif got != expected:
            seen.crossed.append(f"{what}: {got} and not {expected}")
        if member.role in HIDDEN_FROM and CANARY in body:
            seen.leaked.append(what)
