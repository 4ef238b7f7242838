"""`python tests/benchmarks/bench_catalog_orthanc.py --orthanc ROOT [--at DIR]`: searches of a large archive beside
Debian's Orthanc, which neither masks nor seals nor records, every kind of question in turns.

    --instances N  how many instances both hold (100 000)
    --at DIR       keep both filled archives there, and take those that are there
    --user USER    who asks ours: clinician (the same values as the peer's) or researcher
    --clients N    at once (4)
    --only WORDS   kinds of question whose name holds these

Ours is a whole server of its own with an empty store behind a filled catalogue; the peer holds as many tiny films.
Requests a second and CPU of all the processes of a server, medians over the rounds.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1]), str(HERE.parent / "catalog")]

import bench_peer_servers as servers  # noqa: E402
import catalog_fill as made  # noqa: E402
from bench_catalog import questions, tables  # noqa: E402
from bench_orthanc import JSON, Line, Request, measured  # noqa: E402
from bench_peer_servers import Peer  # noqa: E402
from builders import PixelFormat, chest_film, part10_bytes  # noqa: E402
from pydicom import dcmread  # noqa: E402
from tqdm import tqdm  # noqa: E402

from server.demo.users import demo_users, mint_token  # noqa: E402
from server.services import SystemRandomness  # noqa: E402

_DIFFERENT = 24
"""So many questions of a kind; each is asked again and again."""
_STARTS = 400


class Asking:
    """Asks a server one question after the other, each over a connection of its own."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def ask(self, path: str) -> tuple[float, float, int, bytes]:
        wall, cpu = time.perf_counter(), self._peer.cpu()
        connection = http.client.HTTPConnection("127.0.0.1", self._peer.port, timeout=120)
        inside = path.removeprefix("/dicomweb/").removeprefix("/")
        connection.request("GET", f"{self._peer.prefix}/{inside}", headers={**self._peer.headers, "Accept": JSON})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return time.perf_counter() - wall, self._peer.cpu() - cpu, response.status, body


def films(studies: int) -> Iterator[bytes]:
    """The films behind the rows of `catalog_fill`, as small as films can be."""
    film = dcmread(io.BytesIO(part10_bytes(chest_film(PixelFormat(rows=16, columns=16), canaries=False))))
    for number in range(studies):
        film.PatientName, film.PatientID = made.name_of(number), made.patient_of(number).patient_id
        film.StudyDate, film.AccessionNumber = made.day_of(number), made.accession_of(number)
        film.StudyInstanceUID, film.StudyID = made.study_uid(number), f"S{number:07d}"
        film.Modality = made.modality_of(number)
        for place in range(made.SERIES):
            film.SeriesInstanceUID, film.SeriesNumber = made.series_uid(number, place), place + 1
            for within in range(made.INSTANCES // made.SERIES):
                film.SOPInstanceUID, film.InstanceNumber = made.film_uid(number, place, within), within + 1
                film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
                body = io.BytesIO()
                film.save_as(body)
                yield body.getvalue()


def fill_other(peer: Peer, studies: int) -> None:
    """Store what it does not have yet: the films come in one order."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=120)
    connection.request("GET", "/statistics")
    known = int(json.loads(connection.getresponse().read())["CountInstances"])
    whole = tqdm(films(studies), total=studies * made.INSTANCES, desc="storing into the peer", unit=" films")
    for body in islice(whole, known, None):
        try:
            status = _stored(connection, body)
        except (ConnectionError, http.client.HTTPException):
            # It closes a connection that nothing has come over for a second.
            connection.close()
            status = _stored(connection, body)
        if status != 200:
            raise RuntimeError(f"{peer.name} {status}")
    print(f"the peer was filled in {time.monotonic() - began:.0f} s", flush=True)


def _stored(connection: http.client.HTTPConnection, body: bytes) -> int:
    connection.request("POST", "/instances", body, {"Content-Type": "application/dicom"})
    response = connection.getresponse()
    response.read()
    return response.status


def token_of(data: Path, user: str) -> tuple[str, str]:
    """A token of this user in ours, and the address of its database."""
    services, key = servers.opened(data)
    settings = services.settings
    services.close()
    minted = mint_token(
        key, demo_users()[user], issuer=settings.issuer, audience=settings.audience,
        now=time.time(), randomness=SystemRandomness(),
    )  # fmt: skip
    return minted, settings.database


def fill_ours(data: Path, studies: int) -> None:
    services, _ = servers.opened(data)
    access, database = services.catalog._access, services.settings.database
    services.close()
    made.fill(access, tables(database), studies)


def prepare(ours: Peer) -> None:
    """Ask until every worker has its world at hand: then a page costs next to nothing."""
    asking, quick = Asking(ours), 0
    for _ in range(_STARTS):
        _, cpu, status, body = asking.ask("studies?limit=25")
        if status != 200:
            raise RuntimeError(f"ours {status} {body[:100]!r}")
        quick = quick + 1 if cpu < 0.03 else 0
        if quick == 8 * servers.WORKERS:
            return
    raise RuntimeError("ours does not get prepared")


def lines(ours: Peer, other: Peer, studies: int, clients: int) -> Iterator[Line]:
    asked = dict(questions(Asking(ours), studies))
    for (name, mine), theirs in zip(asked.items(), dict(questions(Asking(other), studies)).values(), strict=True):
        of_ours = [Request(path=f"/{mine(at)}", accept=JSON) for at in range(_DIFFERENT)]
        of_other = [Request(path=f"/{theirs(at)}", accept=JSON) for at in range(_DIFFERENT)]
        yield Line(name=name, ours=ours, other=other, of_ours=lambda of_ours=of_ours: of_ours,  # type: ignore[misc]
                   of_other=lambda of_other=of_other: of_other, clients=clients)  # type: ignore[misc]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orthanc", type=Path)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--at", type=Path)
    parser.add_argument("--user", default="clinician", choices=("clinician", "researcher"))
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--fill", action="store_true", help="fill both archives and ask nothing")
    told = parser.parse_args()
    program = servers.orthanc_program(told.orthanc)
    if program is None:
        raise SystemExit("there is no Orthanc here")
    studies = told.instances // made.INSTANCES
    with ExitStack() as stack:
        place = (told.at or Path(stack.enter_context(tempfile.TemporaryDirectory()))) / str(told.instances)
        place.mkdir(parents=True, exist_ok=True)
        other = stack.enter_context(servers.orthanc(*program, place, 18142))
        if not (place / "other-complete").exists():
            fill_other(other, studies)
            (place / "other-complete").touch()
        if not (place / "ours-complete").exists():
            fill_ours(place / "demo", studies)
            (place / "ours-complete").touch()
        if told.fill:
            return
        token, _ = token_of(place / "demo", told.user)
        ours = stack.enter_context(servers.ours(place / "demo", 18181, token, "whole"))
        prepare(ours)
        print(f"{told.instances} instances, {told.user}; medians of {told.rounds} rounds", end="; ")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
        print("| question | clients | rps | CPU ms | other rps | other CPU ms | rps ÷ other | other CPU ÷ ours |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
        for line in lines(ours, other, studies, told.clients):
            if told.only in line.name:
                print(measured(line, told.rounds, told.seconds).removesuffix("  |"), flush=True)


if __name__ == "__main__":
    main()
