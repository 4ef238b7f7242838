"""`PYTHONPATH=tests python tests/benchmarks/bench_wire.py [--beside TREE]`: what short requests cost over real sockets.

CPU milliseconds a request of all processes of a server of 2 x 4 threads, asked by 1, 4 and 16 clients; medians of
rounds. With `--beside` the server of another tree is asked in turns, from the same data directory, so that other work
on the machine falls on both alike. Clients are plain sockets that send one prepared request again and again.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import bench_peer_servers as servers  # noqa: E402
from bench_orthanc import JPEG, JSON, Round, masked_paths, send  # noqa: E402
from bench_peer_films import films, series, settle  # noqa: E402
from bench_peer_servers import Peer  # noqa: E402

from server.demo.users import demo_users, mint_token  # noqa: E402
from server.services import SystemRandomness  # noqa: E402

CLIENTS = (1, 4, 16)
_HEADER_END = b"\r\n\r\n"


def prepared(peer: Peer, path: str, accept: str) -> bytes:
    """One request as it goes over the wire."""
    fields = {"Host": f"127.0.0.1:{peer.port}", "Accept": accept, **peer.headers}
    told = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {path} HTTP/1.1\r\n{told}\r\n".encode()


def run(peer: Peer, request: bytes, clients: int, seconds: float) -> Round:
    """Ask for so long. Raises `RuntimeError` for any answer that is no success."""
    until, done, failures = time.monotonic() + seconds, [0] * clients, list[bytes]()

    def client(number: int) -> None:
        with socket.create_connection(("127.0.0.1", peer.port)) as wire:
            wire.settimeout(120)
            room = memoryview(bytearray(1 << 20))
            while time.monotonic() < until and not failures:
                wire.sendall(request)
                got = wire.recv_into(room)
                head = bytes(room[: min(got, 4096)])
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                while _HEADER_END not in head or not head.startswith(b"HTTP/1.1 200") or not length:
                    failures.append(head[:200])
                    return
                left = int(length) - (got - head.index(_HEADER_END) - 4)
                while left:
                    left -= wire.recv_into(room)
                done[number] += 1

    began, used = time.perf_counter(), peer.cpu()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failures:
        raise RuntimeError(f"{peer.name}: {failures[0]!r}")
    return Round(rate=sum(done) / (time.perf_counter() - began), cpu=(peer.cpu() - used) / sum(done) * 1000)


@contextmanager
def _of_tree(tree: Path, data: Path, port: int, token: str) -> Iterator[Peer]:
    """The server of a tree, by its own interpreter."""
    words = [str(tree / ".venv/bin/python"), str(tree / "tests/benchmarks/bench_peer_servers.py")]
    words += [str(data), str(port), "whole"]
    log = data.parent / f"{port}.log"
    with servers._running(words, f"http://127.0.0.1:{port}/healthz", log, {"PYTHONPATH": str(tree)}) as process:
        yield Peer(
            name=str(tree),
            port=port,
            process=process,
            prefix="/dicomweb",
            headers={"Authorization": f"Bearer {token}"},
        )


def rows(peer: Peer) -> list[tuple[str, str, str]]:
    """What is asked: name, path, Accept."""
    where = {number: f"{peer.prefix}{path}" for number, path in masked_paths(peer).items()}
    long = where[201].rpartition("/instances/")[0]
    return [
        ("health", "/healthz", "*/*"),
        ("rendered, the same role again", f"{where[1]}/rendered", JPEG),
        ("metadata of 300, again", f"{long}/metadata", JSON),
        ("metadata of one, again", f"{where[201]}/metadata", JSON),
        ("slice rendered, again", f"{where[101]}/rendered", JPEG),
        ("frame 30 of a cine, as bytes", f"{where[102]}/frames/30", "application/octet-stream"),
    ]


def compare(peers: Sequence[Peer], rounds: int, seconds: float, only: str) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {rounds} rounds of {seconds:g} s\n")
    print("| request | clients |" + " rps | CPU ms |" * len(peers) + "\n|---|---:|" + "---:|---:|" * len(peers))
    for name, path, accept in rows(peers[0]):
        if only not in name:
            continue
        for clients in CLIENTS:
            found: dict[str, list[Round]] = {peer.name: [] for peer in peers}
            for number in range(-1, rounds):
                for peer in peers:
                    result = run(peer, prepared(peer, path, accept), clients, seconds if number >= 0 else 0.3)
                    if number >= 0:
                        found[peer.name].append(result)
            cells = []
            for each in found.values():
                rate, cpu = (statistics.median(getattr(one, what) for one in each) for what in ("rate", "cpu"))
                cells.append(f" {rate:.0f} | {cpu:.2f} |")
            print(f"| {name} | {clients} |{''.join(cells)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--beside", type=Path, help="another tree with its own .venv")
    parser.add_argument("--data", type=Path, help="keep the films there, and take them from there the next time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        data = (given.data or Path(scratch)).resolve() / "demo"
        filled = data.exists()
        data.parent.mkdir(parents=True, exist_ok=True)
        services, key = servers.opened(data)
        tokens = {
            name: mint_token(
                key, demo_users()[name], issuer=services.settings.issuer, audience=services.settings.audience,
                now=time.time(), randomness=SystemRandomness(),
            )
            for name in ("technologist", "researcher")
        }  # fmt: skip
        trees = [HERE.parents[1], *([given.beside.resolve()] if given.beside else [])]
        peers = [
            stack.enter_context(_of_tree(tree, data, 18181 + place, tokens["researcher"]))
            for place, tree in enumerate(trees)
        ]
        if not filled:
            storing = Peer(**{**vars(peers[0]), "headers": {"Authorization": f"Bearer {tokens['technologist']}"}})
            send(storing, [one.body for one in films() if one.number in (1, 101, 102)])
            send(storing, [one.body for one in series()])
            settle(services)
        compare(peers, given.rounds, given.seconds, given.only)
        services.close()


if __name__ == "__main__":
    main()
