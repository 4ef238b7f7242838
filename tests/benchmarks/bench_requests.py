"""`python tests/benchmarks/bench_requests.py [--profile ROW]`: what a request costs besides its pixels.

One thread asks a whole server in its own process. Printed for every sort of request: CPU milliseconds (the median of
seven rounds), and how many statements and transactions of the catalogue it takes.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, cast

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import orjson  # noqa: E402
from builders import PixelFormat, chest_film, part10_bytes  # noqa: E402
from house import House  # noqa: E402
from sqlalchemy import event  # noqa: E402

JSON, JPEG, OCTETS = "application/dicom+json", "image/jpeg", 'multipart/related; type="application/octet-stream"'
SERIES = 300
CT = PixelFormat(rows=512, columns=512)


class Counted:
    """Statements and transactions of an engine while it is open."""

    def __init__(self, house: House) -> None:
        self.statements = self.transactions = 0
        event.listen(house.services.engine, "before_cursor_execute", self._statement)
        event.listen(house.services.engine, "begin", self._begun)

    def _statement(self, *_: object) -> None:
        self.statements += 1

    def _begun(self, _connection: object) -> None:
        self.transactions += 1


def fill(house: House) -> None:
    """A large film, a CT slice and a long series, all screened."""
    assert house.store(part10_bytes(chest_film(CT))).status_code == 200
    house.screen()
    many = [
        part10_bytes(chest_film(PixelFormat(rows=32, columns=32), study=2, instance=number))
        for number in range(1, SERIES + 1)
    ]
    for start in range(0, SERIES, 50):
        assert house.store(*many[start : start + 50]).status_code == 200


def rows(house: House) -> Iterator[tuple[str, Callable[[int], object], int]]:
    """Each sort of request by its name, the request that is the n-th of its sort, and how many make a round."""
    tokens = {user: house.token(user) for user in ("clinician", "researcher", "technologist")}

    def ask(path: str, user: str, accept: str) -> Callable[[int], object]:
        def one(number: int) -> object:
            return call(house, path.format(number), tokens[user], accept)

        return one

    for user in ("clinician", "researcher"):
        slice_, long = (_first(house, user, count) for count in (1, SERIES))
        part = long.rpartition("/instances/")[0]
        yield f"rendered, again ({user})", ask(f"{slice_}/rendered", user, JPEG), 50
        yield (
            f"rendered slice, new ({user})",
            ask(f"{slice_}/rendered?window={{0}},400,linear", user, JPEG),
            20,
        )
        yield f"frame ({user})", ask(f"{slice_}/frames/1", user, OCTETS), 20
        yield f"metadata of one ({user})", ask(f"{slice_}/metadata", user, JSON), 50
        yield f"metadata of {SERIES}, again ({user})", ask(f"{part}/metadata", user, JSON), 10
    new = iter(part10_bytes(chest_film(CT, study=3, instance=number)) for number in range(1, 200))

    def stored(_: int) -> None:
        assert house.store(next(new), token=tokens["technologist"]).status_code == 200

    yield "STOW of a slice", stored, 8


def call(house: House, path: str, token: str, accept: str, *, held: str = "") -> bytes:
    """The body of an answer, by way of no client: what a client takes is not the server's.

    `held` is an entity tag of what the caller has, or "*": then nothing of it is sent.
    """
    path, _, query = path.partition("?")
    said: list[str] = []
    environ: dict[str, object] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8080",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "HTTP_ACCEPT": accept,
        **({"HTTP_IF_NONE_MATCH": held} if held else {}),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }

    def start(status: str, _headers: object, _info: object = None) -> Callable[[bytes], object]:
        said.append(status)
        return len

    with closing(cast(Any, house.app)(environ, start)) as answer:
        body = b"".join(answer)
    assert said[0].startswith("304" if held else "200"), body
    return body


def _first(house: House, user: str, count: int) -> str:
    """The first instance of the study with so many of them, in the user's world."""
    studies = orjson.loads(house.get("/dicomweb/studies", user, JSON).get_data())
    uid = next(one["0020000D"]["Value"][0] for one in studies if one["00201208"]["Value"] == [count])
    path = f"/dicomweb/studies/{uid}/instances"
    rows = orjson.loads(house.get(path, user, JSON, query_string={"limit": "1"}).get_data())
    row = {name: rows[0][name]["Value"][0] for name in ("0020000E", "00080018")}
    return f"/dicomweb/studies/{uid}/series/{row['0020000E']}/instances/{row['00080018']}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default="")
    parser.add_argument("--only", default="")
    wanted = parser.parse_args()
    import cv2

    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place, House(Path(place)) as house:
        fill(house)
        house.reopen()
        counted = Counted(house)
        print("| request | CPU ms | wall ms | statements | transactions |\n|---|---:|---:|---:|---:|")
        for name, ask, times in rows(house):
            if wanted.only and wanted.only not in name:
                continue
            numbers = iter(range(1, 100_000))
            ask(next(numbers))
            before = counted.statements, counted.transactions
            ask(next(numbers))
            statements, transactions = counted.statements - before[0], counted.transactions - before[1]
            costs, walls = [], []
            for _ in range(7):
                began, at = time.process_time(), time.perf_counter()
                for _ in range(times):
                    ask(next(numbers))
                costs.append((time.process_time() - began) / times)
                walls.append((time.perf_counter() - at) / times)
            print(
                f"| {name} | {median(costs) * 1000:.2f} | {median(walls) * 1000:.2f} | {statements} | {transactions} |",
                flush=True,
            )
            if wanted.profile and wanted.profile in name:
                with profiled():
                    for _ in range(times * 4):
                        ask(next(numbers))


@contextmanager
def profiled() -> Iterator[None]:
    profile = cProfile.Profile()
    profile.enable()
    yield
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(90)


if __name__ == "__main__":
    main()
