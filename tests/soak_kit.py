"""A soak: clients that ask a server of real processes for everything it has, in every way, and what they found.

Films of every syntax, multi-frame ones, damaged ones, malformed objects to be refused, searches, all for several roles.
Which request comes next follows from a client's number alone.
"""

from __future__ import annotations

import http.client
import math
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import review_kit
from bad_objects import BAD
from builders import PixelFormat, chest_film, part10_bytes
from codec_table import films
from house import House
from house_process import children, memory, serving, workers
from numpy.typing import NDArray
from test_corrupt_films import DAMAGE, damaged

from server.model import Region

USERS = ("clinician", "researcher", "front-desk")
_DEFECTS = ("unexpected", "WORKER TIMEOUT", "Traceback")
STATED = frozenset({"503 Retry-After", '500 {"error":"the pixel data could not be decoded"}\n'})
"""What may fail: what cannot be given for now, and a film whose pixels are damaged."""
_TINY = PixelFormat(rows=32, columns=32)
_DAMAGED = 500
_OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON = "application/dicom+json"
_OF_A_FILM = (
    ("", _DICOM), ("", "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80"), ("/metadata", _JSON),
    ("/frames/1", _OCTETS), ("/frames/2,1", _OCTETS), ("/frames/1", 'multipart/related; type="image/jp2"'),
    ("/rendered", "image/jpeg"), ("/rendered?viewport=32,32", "image/png"), ("/frames/1/rendered", "image/gif"),
    ("/thumbnail", "image/jpeg"), ("/bulkdata", _OCTETS), ("/pixeldata", _OCTETS), ("/rendered?window=1", "image/png"),
    ("/frames/99999", _OCTETS), ("/metadata", 'multipart/related; type="application/dicom+xml"'),
)  # fmt: skip
_SEARCHES = (
    "/dicomweb/studies?limit=25", "/dicomweb/series?limit=50&offset=20", "/dicomweb/instances?limit=50",
    "/dicomweb/studies?PatientName=CANARY*", "/dicomweb/studies?Modality=DX", "/dicomweb/studies?limit=-1",
    "/dicomweb/studies?PatientID=*1*&fuzzymatching=true", "/dicomweb/instances?InstanceNumber=3&includefield=all",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    user: str
    accept: str = _JSON
    body: bytes | None = None


@dataclass(kw_only=True)
class Seen:
    """What a soak saw: answers by status, those above 499 with the route and our own words, memory by the second."""

    answers: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    died: bool = False

    def between(self, start: float, stop: float) -> int:
        """The largest memory, in bytes, within two shares of the time."""
        end = self.memory[-1][0]
        return max((size for at, size in self.memory if start * end <= at <= stop * end), default=0)


def _place(samples: NDArray[Any], frame_number: int) -> list[Region]:
    """A region as far as the frame has room for it: one that reaches further is nonsense, and some films are tiny."""
    rows, columns = samples.shape[:2]
    whole = review_kit.PLACE
    top, left = min(whole.top_row, rows - 1), min(whole.left_column, columns - 1)
    fits = replace(
        whole, top_row=top, left_column=left, row_count=min(whole.row_count, rows - top),
        column_count=min(whole.column_count, columns - left), frames=frozenset({frame_number}),
    )  # fmt: skip
    return [fits]


def filled(directory: Path) -> tuple[House, dict[str, list[str]], dict[str, str]]:
    """A closed house with all films, screened; the paths that each user knows, and everybody's token."""
    house = House(directory)
    bodies = [film.body for film in films()]
    bodies += [damaged(_DAMAGED + at, *row) for at, row in enumerate(DAMAGE.values())]
    assert house.store(*bodies).status_code in (200, 202)
    review_kit.screen_all(house, review_kit.detectors(_place))
    paths = {user: house.instances(user) for user in USERS}
    tokens = {user: house.token(user) for user in (*USERS, "technologist")}
    house.close()
    return house, paths, tokens


def requests(client: int, paths: dict[str, list[str]]) -> Iterator[Request]:
    """One client's requests, without an end."""
    choose = random.Random(client)
    bad = [make() for name, make in BAD.items() if "10 000" not in name]
    number = 0
    while True:
        what, user = choose.random(), choose.choice(USERS)
        path = choose.choice(paths[user])
        if what < 0.70:
            suffix, accept = choose.choice(_OF_A_FILM)
            yield Request(method="GET", path=path + suffix, user=user, accept=accept)
        elif what < 0.82:
            yield Request(method="GET", path=choose.choice(_SEARCHES), user=user)
        elif what < 0.86:
            yield Request(method="GET", path=path.partition("/series/")[0] + "/metadata", user=user)
        elif what < 0.90:
            # Another role's name for it.
            yield Request(method="GET", path=path, user=choose.choice(USERS), accept=_DICOM)
        elif what < 0.97:
            yield Request(method="POST", path="/dicomweb/studies", user="technologist", body=choose.choice(bad))
        else:
            number += 1
            film = chest_film(_TINY, patient=client, study=10_000 + client, instance=number % 500)
            yield Request(method="POST", path="/dicomweb/studies", user="technologist", body=part10_bytes(film))


def soak(directory: Path, *, seconds: float, clients: int, enough: float = math.inf) -> Seen:
    """Fill, serve with two workers of four threads, and let so many clients ask for so long, or until there are enough
    answers."""
    house, paths, tokens = filled(directory)
    seen = Seen()
    with serving(house, directory, workers=2, threads=4) as (port, main):
        born = children(main)
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            running = [
                pool.submit(_client, port, requests(number, paths), tokens, began + seconds, enough, seen)
                for number in range(clients)
            ]
            while not all(one.done() for one in running):
                size = sum(memory(pid, "VmRSS") for pid in workers(main))
                seen.memory.append((time.monotonic() - began, size))
                time.sleep(min(2.0, seconds / 20))
            for one in running:
                one.result()
        # Decoders come and go; the web workers are those that there were.
        seen.died = children(main) != born
    lines = (directory / "serving.log").read_text().splitlines()
    seen.unexpected = [line for line in lines if any(word in line for word in _DEFECTS)]
    return seen


def _client(
    port: int, asked: Iterator[Request], tokens: dict[str, str], until: float, enough: float, seen: Seen
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for request in asked:
        if time.monotonic() > until or seen.answers.total() >= enough:
            break
        headers = {"Authorization": f"Bearer {tokens[request.user]}", "Accept": request.accept}
        if request.body is not None:
            headers["Content-Type"] = "application/dicom"
        try:
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            # A kept connection may be closed while nothing is asked on it; what a fresh one does not answer counts.
            seen.broken[f"{type(error).__name__}: {request.method}"] += 1
            connection.close()
            continue
        seen.answers[answer.status] += 1
        if answer.status >= 500:
            told = "Retry-After" if answer.getheader("Retry-After") else body[:160].decode("utf-8", "replace")
            seen.failures[f"{answer.status} {told}"] += 1
    connection.close()
