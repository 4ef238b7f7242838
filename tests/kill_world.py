"""The world of the kill tests: a demo of real processes, clients that note what they sent and what they received."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

import numpy as np
from builders import GREY, BurnedText, chest_film, part10_bytes
from processes import Answer, alive, ask, begin, free_port, kill, processes_of, wait_ready
from pydicom import Dataset, dcmread
from pydicom import uid as uids

from server.admit import View
from server.audit.keys import read_public
from server.audit.verify import verify
from server.commands.opening import PROVIDER_KEY, demo_settings, keys_of, services_of
from server.demo.users import demo_users, mint_token
from server.metadata.pseudonyms import domain_key
from server.model import InstancePath, InstanceRecord, ScreeningState
from server.services import Services, SystemRandomness
from server.sweep import sweep

KINDS = ("both", "server", "worker", "web worker", "first process")
_ANEW = {"both", "server", "first process"}
_SYNTAXES = (
    uids.ExplicitVRLittleEndian,
    uids.RLELossless,
    uids.JPEG2000Lossless,
    uids.JPEGLSLossless,
    uids.ImplicitVRLittleEndian,
)
_LOOKED_AT = {ScreeningState.SCREENED, ScreeningState.IN_REVIEW}
_BROKEN = (OSError, http.client.HTTPException)
_BOUNDARY = "kill-test-boundary"


@dataclass(frozen=True, kw_only=True)
class Film:
    """One film as it was sent: where it lies, its bytes, and what must come back of it."""

    path: InstancePath
    body: bytes
    content: str

    @property
    def url(self) -> str:
        return _url(self.path.study, self.path.series, self.path.instance)


@dataclass(frozen=True, kw_only=True)
class Received:
    """An answer that some client has received in full."""

    method: str
    answer: Answer


def content_of(dataset: Dataset) -> str:
    """A digest of every element outside of group 2 and of the native pixel data, whatever VR holds it."""
    digest = hashlib.sha256()
    for element in dataset:
        if element.tag.group == 2:
            continue
        value = element.value if element.keyword == "PixelData" else f"{element.VR}{element.value}".encode()
        digest.update(b"%08x" % element.tag + len(value).to_bytes(8, "big") + value)
    return digest.hexdigest()


class World:
    """A demo without films, its clients and all that they know. Use it as a context manager."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        self._port = free_port()
        self._log = root / "log"
        self._number = itertools.count(1)
        self._lock = threading.Lock()
        self._sent: dict[InstancePath, Film] = {}
        self._stored: dict[InstancePath, Film] = {}
        self._round: set[InstancePath] = set()
        self._received: list[Received] = []
        self._failures: list[str] = []
        self._mosaic = b""
        self._entries: dict[str, list[dict[str, object]]] = {}
        self._read_to: dict[Path, int] = {}
        self._counts: Counter[str] = Counter()
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._process = self._begin()
        self._exit.callback(self._end)
        self._services: Services = self._exit.enter_context(services_of(self.data))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._exit.close()

    def _begin(self) -> subprocess.Popen[bytes]:
        process = begin(("demo", "--data", self.data, "--port", str(self._port), "--empty"), self._log)
        wait_ready(self._port, process, self._log)
        return process

    def _end(self) -> None:
        family = processes_of(self._process.pid)
        kill(family.main, *family.web, *family.screening)
        self._process.wait()

    # What happens

    def round(self, seed: int, kind: str) -> None:
        """Clients at work, then a kill at a random moment, then the server as it comes back."""
        random = Random(seed)
        self._round = set()
        stop = threading.Event()
        tokens = self._tokens()
        works: list[Callable[[Random], None]] = [
            lambda one: self._store(one, seed, tokens),
            lambda one: self._store(one, seed, tokens),
            lambda one: self._read_original(one, tokens),
            lambda one: self._read_masked(one, tokens),
        ]
        threads = [threading.Thread(target=self._client, args=(work, Random(random.random()), stop)) for work in works]
        for thread in threads:
            thread.start()
        try:
            time.sleep(random.uniform(0.1, 1.8))
            self._kill(kind)
            time.sleep(random.uniform(0.1, 0.4))
            if kind in _ANEW:
                self._process = self._begin()
            else:
                wait_ready(self._port, self._process, self._log)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not self._failures, self._failures[:3]
        self._store_again(tokens)

    def _kill(self, kind: str) -> None:
        family = processes_of(self._process.pid)
        # With no connection of ours left, the database is found by the next server just as the dead one left it.
        self._services.engine.dispose()
        server = (family.main, *family.web)
        kill(*{"both": (*server, *family.screening), "server": server, "first process": (family.main,)}.get(kind, ()))
        kill(*{"worker": family.screening, "web worker": family.web}.get(kind, ()))
        if kind in _ANEW:
            self._process.wait()
            self._wait_until_gone(family.web)
        self._counts[f"{kind} killed"] += 1

    def _wait_until_gone(self, pids: tuple[int, ...]) -> None:
        """Web workers and decoders whose first process is gone end by themselves, and give the port back."""
        until = time.monotonic() + 45
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < until, "processes outlive their server"
            time.sleep(0.05)

    def _client(self, work: Callable[[Random], None], random: Random, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                work(random)
            except ConnectionRefusedError:
                time.sleep(0.2)
            except _BROKEN:
                # The answer never came whole: nothing is known of this request.
                self._counts["requests broken off"] += 1
                time.sleep(0.05)
            except AssertionError as error:
                self._failures.append(str(error))
                return
            time.sleep(random.uniform(0, 0.08))

    def _store(self, random: Random, seed: int, tokens: dict[str, str]) -> None:
        """One film, or several in one request, more than are written together."""
        films = [self._film(random, seed) for _ in range(random.choice((1, 1, 1, 3, 12)))]
        paths = {film.path for film in films}
        with self._lock:
            self._sent |= {film.path: film for film in films}
            self._round |= paths
        try:
            answer = self._ask("POST", "/dicomweb/studies", tokens["technologist"], films=[film.body for film in films])
        except ConnectionRefusedError:
            with self._lock:
                self._round -= paths
                for path in paths:
                    del self._sent[path]
            raise
        # 202 is of those where a part could not be stored: which, is not looked at here.
        assert answer.status in {200, 202, 503}, f"a store was answered {answer.status}"
        if answer.status == 200:
            with self._lock:
                self._stored |= {film.path: film for film in films}
        self._counts["films in one request"] = max(self._counts["films in one request"], len(films))

    def _film(self, random: Random, seed: int) -> Film:
        """A small film unlike any other, of one of two studies of this round."""
        number = next(self._number)
        pixels = replace(
            GREY,
            frames=random.choice((1, 1, 3)),
            burned=(BurnedText(text=f"{number}", top_row=36, left_column=4, height=16),),
        )
        study = 2 * seed + random.randint(0, 1)
        dataset = chest_film(pixels, patient=study, study=study, series=random.randint(1, 2), instance=number)
        path = InstancePath(
            study=dataset.StudyInstanceUID, series=dataset.SeriesInstanceUID, instance=dataset.SOPInstanceUID
        )
        return Film(path=path, body=part10_bytes(dataset, random.choice(_SYNTAXES)), content=content_of(dataset))

    def _store_again(self, tokens: dict[str, str]) -> None:
        """What was sent without an answer is sent again, as a modality does: it is stored then, if not before."""
        for path in self._round - self._stored.keys():
            film = self._sent[path]
            answer = self._ask("POST", "/dicomweb/studies", tokens["technologist"], films=[film.body])
            assert answer.status == 200, f"storing again was answered {answer.status}: {answer.body!r}"
            self._counts["stored at the second attempt"] += 1
            self._stored[path] = film

    def _read_original(self, random: Random, tokens: dict[str, str]) -> None:
        film = self._any_film(random)
        if film is None:
            return
        wanted = random.choice(("", "/rendered", "/frames/1", "/metadata", "stranger", "front desk"))
        if wanted == "stranger":
            assert self._ask("GET", film.url, "").status == 401
        elif wanted == "front desk":
            assert self._ask("GET", f"{film.url}/frames/1", tokens["front-desk"]).status == 403
        else:
            answer = self._ask("GET", film.url + wanted, tokens["clinician"])
            assert answer.status in {200, 503}, f"{wanted} was answered {answer.status}"

    def _read_masked(self, random: Random, tokens: dict[str, str]) -> None:
        film = self._any_film(random)
        if film is None:
            return
        wanted = random.choice(("/frames/1", "/frames/1", "/rendered", "/metadata", "original"))
        if wanted == "original":
            answer = self._ask("GET", film.url, tokens["researcher"])
            assert answer.status == 404, f"the original path was answered {answer.status}"
            return
        answer = self._ask("GET", self._masked_url(self._record(film)) + wanted, tokens["researcher"])
        assert answer.status in {200, 503}, f"masked {wanted} was answered {answer.status}"
        # Still waiting after the answer, so it was waiting when the frame was masked.
        waits = self._record(film).screening is not ScreeningState.SCREENED
        if wanted == "/frames/1" and answer.status == 200 and waits:
            self._check_wholly_masked(answer)

    def _check_wholly_masked(self, answer: Answer) -> None:
        boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"').encode()
        samples = answer.body.split(b"--" + boundary)[1].partition(b"\r\n\r\n")[2][:-2]
        assert len(samples) == 2 * GREY.rows * GREY.columns
        # A mosaic of two tones that is the same for whatever lies under it.
        self._mosaic = self._mosaic or samples
        assert samples == self._mosaic, "an unscreened frame was shown to a researcher"
        assert np.unique(np.frombuffer(samples, "<u2")).size <= 2, "an unscreened frame is no mosaic"
        self._counts["frames seen masked before screening"] += 1

    # What must hold

    def fresh(self) -> list[Film]:
        """The acknowledged films of the last round."""
        return [self._stored[path] for path in self._round & self._stored.keys()]

    def fresh_studies(self) -> set[str]:
        return {path.study for path in self._round}

    def acknowledged(self) -> list[Film]:
        return list(self._stored.values())

    def studies(self) -> set[str]:
        return {path.study for path in self._sent}

    def check_films(self, films: Iterable[Film]) -> None:
        """Every acknowledged film comes back equal, element for element and sample for sample."""
        token = self._tokens()["clinician"]
        for film in films:
            self._check_film(film.path, token)

    def _check_film(self, path: InstancePath, token: str) -> None:
        answer = self._ask("GET", _url(path.study, path.series, path.instance), token, accept="application/dicom")
        assert answer.status == 200, f"a film that must be there is answered {answer.status}"
        got = content_of(dcmread(BytesIO(answer.body)))
        assert got == self._sent[path].content, "a film comes back as another than was sent"

    def check_visible(self, studies: Iterable[str]) -> None:
        """Everything that a search lists can be retrieved whole and equals what was sent."""
        token = self._tokens()["clinician"]
        for study in studies:
            answer = self._ask("GET", f"/dicomweb/studies/{study}/instances", token, accept="application/dicom+json")
            listed = set() if answer.status == 204 else {_listed(row) for row in json.loads(answer.body)}
            missing = {path for path in self._stored if path.study == study} - listed
            assert not missing, "acknowledged films are not listed"
            for path in listed:
                self._check_film(path, token)

    def check_not_forgotten(self, films: Sequence[Film]) -> None:
        """Whatever has been acknowledged is screened or in the queue, from which the worker takes it."""
        # Asked first: the worker goes on meanwhile, and takes films out of the queue but puts none in.
        waiting = self._services.catalog.pending()
        states = Counter(self._record(film).screening for film in films)
        assert states[ScreeningState.PENDING] <= waiting
        for film in films:
            record = self._record(film)
            assert (record.screening in _LOOKED_AT) == (record.regions is not None)

    def check_screened(self) -> None:
        """After draining the queue nothing waits, and every acknowledged film has an outcome."""
        assert self._services.catalog.pending() == 0
        states = Counter(self._record(film).screening for film in self.acknowledged())
        assert set(states) <= {*_LOOKED_AT, ScreeningState.FAILED}, states
        # Those of several frames are secondary captures, and wait for a person.
        assert set(states) >= _LOOKED_AT, states
        for state, count in states.items():
            self._counts[state.value] = count

    def check_entries(self) -> None:
        """Every answer that a client has received in full has its entry, with the digest of that very body."""
        self._read_journal()
        with self._lock:
            received, self._received = self._received, []
        for one in received:
            self._check_entry(one)

    def _check_entry(self, one: Received) -> None:
        answer = one.answer
        assert answer.request, f"an answer {answer.status} names no request"
        entries = self._entries.get(answer.request, [])
        kinds = {str(entry["kind"]): entry for entry in entries}
        self._counts["answers with their entry"] += 1
        if answer.status >= 400:
            told = kinds.get("refusal") or kinds.get("alarm")
            assert told, f"a refusal {answer.status} without its entry"
            assert told["status"] == answer.status, "an entry with another status"
        elif one.method == "POST":
            assert kinds.get("store", {}).get("status") == 200, "a store without its entry"
        else:
            told = kinds.get("closing") if "opening" in kinds else kinds.get("answer")
            assert told, "an answer without its entry"
            digest = hmac.new(self._services.digest_key, answer.body, hashlib.sha256).hexdigest()
            assert told["digest"] == digest, "an entry with the digest of another body"

    def check_journal(self) -> None:
        """The chain is whole."""
        directory = self._services.settings.journal
        result = verify(directory, read_public(directory))
        assert result.problem is None, result.problem
        self._counts["journal recoveries"] = result.recoveries

    def check_logs(self) -> None:
        assert "Traceback" not in self._log.read_text(), self._log.read_text()[-4000:]

    def sweep(self, *, later: float) -> None:
        """What kills left behind is removed once it is old, and nothing else is."""
        services = replace(self._services, clock=lambda: time.time() + later)
        swept = sweep(services)
        self._counts["orphans swept"] += swept
        names = set(services.catalog.object_names())
        # A screening or store that is under way has sealed something that is not catalogued yet.
        assert names <= set(services.objects.names()), "a sealed object is missing"

    def summary(self) -> str:
        self._counts["films"] = len(self._stored)
        return ", ".join(f"{name} {count}" for name, count in sorted(self._counts.items()))

    # Means

    def _tokens(self) -> dict[str, str]:
        settings = demo_settings(self.data, self._port)
        key = json.loads((keys_of(self.data) / PROVIDER_KEY).read_text("utf-8"))
        users = demo_users()
        return {
            name: mint_token(
                key,
                users[name],
                issuer=settings.issuer,
                audience=settings.audience,
                now=time.time(),
                randomness=SystemRandomness(),
            )
            for name in ("clinician", "researcher", "technologist", "front-desk")
        }

    def _ask(self, method: str, path: str, token: str, *, films: Sequence[bytes] = (), accept: str = "*/*") -> Answer:
        headers = {"Accept": accept}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = b""
        if films:
            headers["Content-Type"] = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
            head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            body = b"".join(head + film + b"\r\n" for film in films) + f"--{_BOUNDARY}--\r\n".encode()
        answer = ask(self._port, method, path, headers=headers, body=body)
        with self._lock:
            self._received.append(Received(method=method, answer=answer))
        return answer

    def _any_film(self, random: Random) -> Film | None:
        """An acknowledged film, mostly one of this round."""
        with self._lock:
            fresh = [path for path in self._round if path in self._stored]
            known = fresh if fresh and random.random() < 0.8 else list(self._stored)
            return self._stored[random.choice(known)] if known else None

    def _record(self, film: Film) -> InstanceRecord:
        record = self._services.catalog.find_instance(film.path)
        assert record is not None, "an acknowledged film is not catalogued"
        return record

    def _masked_url(self, record: InstanceRecord) -> str:
        """Where the researcher of the demo finds a film."""
        level = self._services.policy.current.levels["deidentified"]
        project = demo_users()["researcher"].project or ""
        view = View(level=level, domain=domain_key(self._services.project_key(project), level.name))
        names = view.names(record.study, {**record.series.row_keys, **record.row_keys})
        path = record.path
        return _url(names.uid(path.study), names.uid(path.series), names.uid(path.instance))

    def _read_journal(self) -> None:
        """The entries since the last look, by request."""
        for file in sorted(self._services.settings.journal.glob("journal-*.jsonl")):
            with file.open("rb") as lines:
                lines.seek(self._read_to.get(file, 0))
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    entry = json.loads(line)
                    self._entries.setdefault(entry["request"], []).append(entry)
                    self._read_to[file] = self._read_to.get(file, 0) + len(line)


def _url(study: str, series: str, instance: str) -> str:
    return f"/dicomweb/studies/{study}/series/{series}/instances/{instance}"


def _listed(row: dict[str, dict[str, list[str]]]) -> InstancePath:
    study, series, instance = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    return InstancePath(study=study, series=series, instance=instance)
