"""`python tests/benchmarks/bench_orthanc.py [--quick] [--orthanc ROOT]`: this server beside Debian's Orthanc.

Both run at once on the loopback address and are asked in turns; every figure is a median of five rounds or more. Ours
checks a token, decides, masks, opens what is sealed and records every answer durably; the peer does none of it. Where
there is no Orthanc, only ours is printed. `--orthanc` names a directory where its packages were unpacked.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import bench_peer_servers as servers  # noqa: E402
import orjson  # noqa: E402
from bench_peer_films import SYNTAXES, BenchFilm, films, series, settle, stores  # noqa: E402
from bench_peer_servers import Peer  # noqa: E402

from server.demo.users import demo_users, mint_token  # noqa: E402
from server.services import SystemRandomness  # noqa: E402

JSON, JPEG = "application/dicom+json", "image/jpeg"
OCTETS = 'multipart/related; type="application/octet-stream"'
_BOUNDARY = "bench"
_STORE = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'


@dataclass(frozen=True, kw_only=True)
class Request:
    path: str
    accept: str = JPEG
    body: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Round:
    """Requests a second, and CPU milliseconds a request of all of the server's processes."""

    rate: float
    cpu: float


def run(peer: Peer, requests: Sequence[Request], clients: int, seconds: float) -> Round:
    """Ask for so long, and at least `clients` requests. Raises `RuntimeError` for any answer that is no success."""
    coming, lock = cycle(requests), threading.Lock()
    once = iter(requests) if requests[0].body is not None else None
    until, done, failures = time.monotonic() + seconds, [0], list[str]()

    def following() -> Request | None:
        with lock:
            if once is not None:
                return next(once, None)
            return next(coming) if time.monotonic() < until else None

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=120)
        while (request := following()) is not None and not failures:
            headers = {**peer.headers, "Accept": request.accept}
            if request.body is not None:
                headers["Content-Type"] = _STORE
            method = "GET" if request.body is None else "POST"
            connection.request(method, peer.prefix + request.path, request.body, headers)
            response = connection.getresponse()
            response.read()
            with lock:
                done[0] += 1
                if response.status not in (200, 204):
                    failures.append(f"{peer.name} {response.status} {request.path}")
        connection.close()

    began, used = time.perf_counter(), peer.cpu()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failures:
        raise RuntimeError(failures[0])
    return Round(rate=done[0] / (time.perf_counter() - began), cpu=(peer.cpu() - used) / done[0] * 1000)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row: what is asked of ours and of the other, by how many clients, and the ratios that are wanted."""

    name: str
    ours: Peer
    other: Peer | None
    of_ours: Callable[[], Sequence[Request]]
    of_other: Callable[[], Sequence[Request]]
    clients: int = 4
    target: str = ""


def measured(line: Line, rounds: int, seconds: float) -> str:
    mine, others = list[Round](), list[Round]()
    for number in range(-1, rounds):
        for peer, found, asked in ((line.ours, mine, line.of_ours), (line.other, others, line.of_other)):
            if peer is None:
                continue
            result = run(peer, asked(), line.clients, seconds if number >= 0 else min(seconds, 0.5))
            if number >= 0:
                found.append(result)
    rate, cpu = _medians(mine)
    cells = [line.name, str(line.clients), f"{rate:.1f}", f"{cpu:.1f}", "", "", "", ""]
    if others:
        other_rate, other_cpu = _medians(others)
        cells[4:8] = [f"{other_rate:.1f}", f"{other_cpu:.1f}", f"{rate / other_rate:.1f}"]
        cells += [f"{other_cpu / cpu:.2f}" if cpu else "–"]
    return f"| {' | '.join([*cells, line.target])} |"


def _medians(found: Sequence[Round]) -> tuple[float, float]:
    return statistics.median(one.rate for one in found), statistics.median(one.cpu for one in found)


def send(peer: Peer, bodies: Sequence[bytes]) -> None:
    """Store these by one request each."""
    run(peer, [stored(body) for body in bodies], 1, 0)


def stored(body: bytes) -> Request:
    head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return Request(path="/studies", accept=JSON, body=head + body + f"\r\n--{_BOUNDARY}--\r\n".encode())


def masked_paths(peer: Peer) -> dict[int, str]:
    """Where each film lies in the world of the caller, by InstanceNumber."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=120)
    found: dict[int, str] = {}
    seen = 0
    while True:
        path = f"{peer.prefix}/instances?limit=200&offset={seen}"
        connection.request("GET", path, headers={**peer.headers, "Accept": JSON})
        response = connection.getresponse()
        rows = orjson.loads(response.read() or b"[]")
        if response.status not in (200, 204):
            raise RuntimeError(f"{peer.name} {response.status} {path}")
        for row in rows:
            found[int(row["00200013"]["Value"][0])] = row["00081190"]["Value"][0].partition(peer.prefix)[2]
        seen += len(rows)
        if not rows:
            return found


def further(chains: Mapping[str, Peer], other: Peer | None, every: Sequence[BenchFilm]) -> Iterator[Line]:
    """A role that nobody has asked in before: its pictures stand ready, or are drawn over the base rendition."""
    where = masked_paths(chains["further"])
    mix = [one for one in every if one.kind in SYNTAXES]
    raw = [one for one in mix if one.kind == "raw"]
    cases = (
        ("rendered, raw, another role", "further", raw),
        ("rendered, mix, another role", "further", mix),
        ("rendered, raw, another role, regions changed since", "drawn", raw),
    )
    for name, chain, of in cases:
        mine = [Request(path=where[one.number] + "/rendered") for one in of]
        theirs = [Request(path=one.path + "/rendered") for one in of]
        yield Line(name=name, ours=chains[chain], other=other, of_ours=lambda mine=mine: mine,  # type: ignore[misc]
                   of_other=lambda theirs=theirs: theirs, target="≥ 10, ≤ 5 ms")  # type: ignore[misc]  # fmt: skip


def lines(world: Peer, cold: Peer, other: Peer | None, every: Sequence[BenchFilm]) -> Iterator[Line]:
    where = masked_paths(world)
    mix = [one for one in every if one.kind not in ("slice", "cine", "series")]
    (cut,) = (one for one in every if one.kind == "slice")
    (cine,) = (one for one in every if one.kind == "cine")
    in_series = next(one for one in every if one.kind == "series")

    def pair(name: str, peer: Peer, of: Sequence[BenchFilm], suffix: str, accept: str = JPEG, **named: object) -> Line:
        mine = [Request(path=where[one.number] + suffix, accept=accept) for one in of]
        theirs = [Request(path=one.path + suffix, accept=accept) for one in of]
        return Line(name=name, ours=peer, other=other, of_ours=lambda: mine, of_other=lambda: theirs, **named)  # type: ignore[arg-type]

    raw = [one for one in mix if one.kind == "raw"]
    for clients in (4, 16):
        yield pair("rendered, mix, cold", cold, mix, "/rendered", clients=clients, target="≥ 8 / ≥ 9")
    yield pair("rendered, raw, cold", cold, raw, "/rendered", target="≥ 2.5")
    for name in ("jpeg-ls", "jpeg-2000", "jpeg-lossless"):
        yield pair(f"rendered, {name}, cold", cold, [one for one in mix if one.kind == name], "/rendered")
    yield pair("rendered, raw, the same role again", world, raw, "/rendered", target="≥ 75")
    yield pair("viewport=512,512, raw, cold", cold, raw, "/rendered?viewport=512,512", target="≥ 4 CPU")
    yield pair("viewport=512,512, mix, cold", cold, mix, "/rendered?viewport=512,512", target="≥ 15")
    yield pair("slice rendered, cold", cold, [cut], "/rendered", target="≥ 2.5")
    yield pair("cine, frame 30 rendered, cold", cold, [cine], "/frames/30/rendered", target="≥ 40")
    yield pair("cine, frame 30, uncompressed", cold, [cine], "/frames/30", accept=OCTETS, target="≥ 40")
    whole = where[in_series.number].rpartition("/instances/")[0] + "/metadata"
    theirs = [Request(path=in_series.path.rpartition("/instances/")[0] + "/metadata", accept=JSON)]
    for name, peer, target in (("again", world, "≥ 100, ≤ 2 ms"), ("first call of a role", cold, "≤ 15 ms")):
        mine = [Request(path=whole, accept=JSON)]
        yield Line(name=f"metadata of 300, {name}", ours=peer, other=other, of_ours=lambda mine=mine: mine,  # type: ignore[misc]
                   of_other=lambda: theirs, target=target)  # fmt: skip


def of_stores(storing: Peer, other: Peer | None, count: int) -> Iterator[Line]:
    """Every round stores films that neither has yet."""
    for kind, name in (("slice", "STOW, CT, 0.5 MB"), ("film", "STOW, JPEG-LS, 6 MB")):
        numbers = {"ours": 1000, "other": 1000}

        def fresh(whose: str, kind: str = kind, numbers: dict[str, int] = numbers) -> Sequence[Request]:
            numbers[whose] += count
            return [stored(body) for body in stores(kind, numbers[whose], count)]

        mine, theirs = (lambda fresh=fresh, whose=whose: fresh(whose) for whose in ("ours", "other"))
        yield Line(name=name, ours=storing, other=other, of_ours=mine, of_other=theirs, target="≥ 1")


def comparisons(cold: Peer, unmasked: Peer, unsealed: Peer, every: Sequence[BenchFilm]) -> Iterator[Line]:
    """Ours beside ours: CPU is what counts here, and the last ratio says how much the guard costs."""
    where = masked_paths(cold)
    of = {one.kind: Request(path=where[one.number] + "/rendered") for one in every if one.kind in ("raw", "slice")}
    small = Request(path=of["raw"].path + "?viewport=512,512")
    cases = (
        ("masking, raw", unmasked, of["raw"], "≥ 0.93"),
        ("masking, viewport", unmasked, small, "≥ 0.83"),
        ("masking, slice", unmasked, of["slice"], "≥ 0.91"),
        ("sealing, raw", unsealed, of["raw"], "≥ 0.89"),
    )
    for name, other, asked, target in cases:
        yield Line(name=name, ours=cold, other=other, of_ours=lambda asked=asked: [asked],  # type: ignore[misc]
                   of_other=lambda asked=asked: [asked], target=target)  # type: ignore[misc]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--orthanc", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="parts of rows' names, between semicolons; memory comes always")
    given = parser.parse_args()
    seconds = 1.0 if given.quick else 4.0
    program = servers.orthanc_program(given.orthanc)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        scratch = Path(directory)
        data = scratch / "demo"
        services, key = servers.opened(data)
        tokens = {
            name: mint_token(
                key, demo_users()[name], issuer=services.settings.issuer, audience=services.settings.audience,
                now=time.time(), randomness=SystemRandomness(),
            )
            for name in ("technologist", "researcher")
        }  # fmt: skip
        other = stack.enter_context(servers.orthanc(*program, scratch, 18042)) if program else None
        chains = {
            name: stack.enter_context(servers.ours(data, 18081 + place, tokens["researcher"], name))
            for place, name in enumerate(("whole", "cold", "unmasked", "unsealed", "further", "drawn"))
        }
        idle = chains["whole"].memory()
        storing = Peer(**{**vars(chains["whole"]), "headers": {"Authorization": f"Bearer {tokens['technologist']}"}})
        every = [*films(), *series()]
        for peer in filter(None, (storing, other)):
            send(peer, [one.body for one in every])
        settle(services)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {given.rounds} rounds"
              f"{'' if other else '; there is no Orthanc here'}\n")  # fmt: skip
        print("| what | clients | rps | CPU ms | other rps | other CPU ms | rps ÷ other | other CPU ÷ ours | target |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---|", flush=True)
        for line in (
            *lines(chains["whole"], chains["cold"], other, every),
            *further(chains, other, every),
            *comparisons(chains["cold"], chains["unmasked"], chains["unsealed"], every),
            *of_stores(storing, other, 8 if given.quick else 20),
        ):
            if any(one in line.name for one in given.only.split(";")):
                print(measured(line, given.rounds, seconds), flush=True)
        where = masked_paths(chains["whole"])
        varied = [Request(path=f"{where[one.number]}/rendered?quality={q}") for q in range(60, 90) for one in every[:8]]
        # One that has stored nothing: what a large store leaves behind is told apart.
        run(chains["cold"], varied, 16, 8.0)
        size = f"{servers.WORKERS} workers × {servers.THREADS} threads"
        load, filled = chains["cold"].memory(), chains["whole"].memory()
        beside = f"; Orthanc {other.memory():.0f} MB" if other else ""
        print(f"\nmemory (PSS), {size}: {idle:.0f} MB at rest, {load:.0f} MB after pictures for 16 clients,", end=" ")
        print(f"{filled:.0f} MB where all the films were stored{beside}")
        services.close()


if __name__ == "__main__":
    main()
