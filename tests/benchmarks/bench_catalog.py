"""`python tests/benchmarks/bench_catalog.py [INSTANCES…]`: searches over large catalogues, by role and question.

    --at DIR      keep the filled catalogues there, and take those that are there
    --postgres    in PostgreSQL, in a server of its own, instead of in SQLite
    --only USER   one role

Four instances a study. Every request goes through the whole application in one thread: token, policy, mask, seal, and
a durable entry in the journal; the client is not in the figures. Each kind of question is asked with other values every
time; wall is the median of its requests, CPU the mean over them.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1]), str(HERE.parent / "catalog")]

import catalog_fill as made  # noqa: E402
import house as houses  # noqa: E402
import orjson  # noqa: E402
from catalog_world import postgresql_binaries, postgresql_server  # noqa: E402
from house import House  # noqa: E402
from pg8000.dbapi import connect  # noqa: E402
from sqlalchemy import make_url  # noqa: E402
from werkzeug.test import EnvironBuilder  # noqa: E402

from server.catalog.database import open_engine  # noqa: E402
from server.catalog.migrate import migrate  # noqa: E402

JSON = "application/dicom+json"
USERS = ("clinician", "researcher", "front-desk", "patient")
TIMES = 60
_WARM = 3
_MOST_PREPARING = 2_000


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Of one kind of question to one role: median wall and mean CPU of a request (ms), rows and bytes of an answer."""

    name: str
    wall: float
    cpu: float
    rows: float
    size: float
    status: str


class Asks(Protocol):
    """Whoever can be asked for a path: seconds of wall and CPU, the status and the body."""

    def ask(self, path: str) -> tuple[float, float, int, bytes]: ...


class Client:
    """One user of one house, without anything of a client in the time that is taken."""

    def __init__(self, house: House, user: str) -> None:
        self._house = house
        patient = {"patient": made.patient_of(0)} if user == "patient" else {}
        self._headers = {"Authorization": f"Bearer {house.token(user, **patient)}", "Accept": JSON}

    def ask(self, path: str) -> tuple[float, float, int, bytes]:
        """Seconds of wall and CPU, the status and the body."""
        place, _, query = path.partition("?")
        environ = EnvironBuilder(path=place, query_string=query, headers=list(self._headers.items()))
        request, status = environ.get_environ(), list[str]()

        def start(line: str, _headers: object, _info: object = None) -> Callable[[bytes], object]:
            status.append(line)
            return _unwritten

        wall, cpu = time.perf_counter(), time.process_time()
        found = self._house.app(request, start)
        body = b"".join(found)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found.close()  # type: ignore[attr-defined]
        return wall, cpu, int(status[0][:3]), body


def _unwritten(_: bytes) -> None:
    raise AssertionError


def measured(client: Client, name: str, paths: Iterator[str]) -> Figure:
    walls, cpus, rows, sizes, statuses = list[float](), list[float](), list[int](), list[int](), set[int]()
    for number in range(-_WARM, TIMES):
        wall, cpu, status, body = client.ask(next(paths))
        assert status in (200, 204), (name, status, body[:200])
        if number >= 0:
            walls.append(wall)
            cpus.append(cpu)
            rows.append(len(orjson.loads(body)) if body else 0)
            sizes.append(len(body))
            statuses.add(status)
    return Figure(
        name=name,
        wall=statistics.median(walls) * 1000,
        cpu=statistics.mean(cpus) * 1000,
        rows=statistics.mean(rows),
        size=statistics.mean(sizes),
        status="/".join(map(str, sorted(statuses))),
    )


def questions(client: Asks, studies: int) -> Iterator[tuple[str, Callable[[int], str]]]:
    """Each kind, with the path of its n-th question; values are those that the role is shown."""
    seen = orjson.loads(client.ask("/dicomweb/studies?limit=100&offset=20")[3] or b"[]")
    seen = seen or orjson.loads(client.ask("/dicomweb/studies?limit=100")[3])
    of_studies = (client.ask(f"/dicomweb/studies/{_value(row, '0020000D')}/series")[3] for row in seen[:40])
    series = [orjson.loads(found)[0] for found in of_studies]
    deep = max(0, min(10_000, studies - 1_000))

    def of(tag: str, at: int) -> str:
        return _value(seen[at % len(seen)], tag) or "X"

    def days(at: int) -> str:
        month = f"{2001 + at % 25}{1 + at % 12:02d}"
        return f"{month}01-{month}28"

    def some(at: int) -> str:
        return ",".join(of("0020000D", at + more) for more in range(20))

    def within(at: int) -> str:
        number = at % len(series)
        return f"{of('0020000D', number)}/series/{_value(series[number], '0020000E')}"

    letter, kinds, page = "ABCDEFGH", ("DX", "CR", "CT", "MR", "US", "MG"), "studies?limit=25"
    kinds_of = {
        "all studies, 25": lambda at: f"{page}&offset={at % 40}",
        "all studies, 100": lambda at: f"studies?limit=100&offset={at % 40}",
        f"all studies, 25 from {deep}": lambda at: f"{page}&offset={deep + at % 40}",
        "all studies, 25 of the last": lambda at: f"{page}&offset={studies - 100 + at % 40}",
        "a month of dates": lambda at: f"{page}&StudyDate={days(at)}",
        "a year of dates": lambda at: f"{page}&StudyDate={2001 + at % 25}0101-{2001 + at % 25}1231",
        "a day": lambda at: f"{page}&StudyDate={of('00080020', at)}",
        "a modality": lambda at: f"{page}&ModalitiesInStudy={kinds[at % 6]}",
        "a name's beginning": lambda at: f"{page}&PatientName={made.name_of(7 * at)[:9]}*",
        "a common beginning": lambda at: f"{page}&PatientName=MUSTER{letter[at % 8]}*",
        "a patient ID": lambda at: f"{page}&PatientID={of('00100020', at)}",
        "an accession number": lambda at: f"{page}&AccessionNumber={of('00080050', at)}",
        "twenty study UIDs": lambda at: f"{page}&StudyInstanceUID={some(at)}",
        "date, modality and name": lambda at: (
            f"{page}&StudyDate={2001 + at % 25}0101-&ModalitiesInStudy=DX&PatientName=MUSTER{letter[at % 8]}*"
        ),
        "series of a study": lambda at: f"studies/{of('0020000D', at)}/series",
        "instances of a study": lambda at: f"studies/{of('0020000D', at)}/instances",
        "instances of a series": lambda at: f"studies/{within(at)}/instances",
        "all series, 25": lambda at: f"series?limit=25&offset={at % 40}",
        "all instances, 25": lambda at: f"instances?limit=25&offset={at % 40}",
        f"all instances, 25 from {deep}": lambda at: f"instances?limit=25&offset={deep + at % 40}",
        "a leading wildcard": lambda at: f"{page}&PatientName=*{made.name_of(7 * at)[5:9]}*",
    }
    yield from kinds_of.items()


def _value(row: dict[str, dict[str, list[str]]], tag: str) -> str:
    return str(row.get(tag, {}).get("Value", [""])[0])


def prepare(house: House, client: Client) -> str:
    """Ask until a role's studies are prepared and read; what that took."""
    listings, complete = house.services.catalog.listings, house.services.catalog.listings.complete
    began, used, slowest, asked = time.perf_counter(), time.process_time(), 0.0, 0
    while listings.complete == complete and asked < _MOST_PREPARING:
        slowest = max(slowest, client.ask("/dicomweb/studies?limit=25")[0])
        asked += 1
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    state = "" if listings.complete > complete else ", NOT complete"
    return f"{wall:.1f} s wall, {cpu:.1f} s CPU, {asked} searches, the slowest {slowest:.2f} s{state}"


def run(house: House, studies: int, only: str | None) -> None:
    for user in USERS:
        if only not in (None, user):
            continue
        house.reopen()
        client = Client(house, user)
        resident = _resident()
        print(f"\n### {studies * made.INSTANCES} instances in {studies} studies, {user}\n", flush=True)
        print(f"Preparing: {prepare(house, client)}; a world of {(_resident() - resident) / 1e6:.0f} MB more.")
        house.reopen()
        print(f"Again after a start: {prepare(house, Client(house, user))}.\n")
        print("| question | wall p50 ms | CPU ms | rows | bytes | status |\n|---|---:|---:|---:|---:|---|")
        for name, path in questions(client, studies):
            one = measured(client, name, (f"/dicomweb/{path(number)}" for number in range(_WARM + TIMES)))
            print(
                f"| {one.name} | {one.wall:.2f} | {one.cpu:.2f} | {one.rows:.0f} | {one.size:.0f} | {one.status} |",
                flush=True,
            )
    print(f"\nPeak of memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB.")


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@contextmanager
def filled(place: Path, studies: int, database: str | None) -> Iterator[House]:
    """A house with so many studies; the one that is there already, if it is complete."""
    with ExitStack() as stack:
        known = (place / "complete").exists()
        if known:
            stack.enter_context(patch.object(houses, "initialise", lambda *_: None))
        house = stack.enter_context(House(place, seed=str(studies)))
        if database is not None:
            house.settings = replace(house.settings, database=database)
            engine = open_engine(database)
            migrate(engine)
            engine.dispose()
            house.reopen()
        if not known:
            began = time.perf_counter()
            house.close()
            made.fill(house.services.catalog._access, tables(house.settings.database), studies)
            print(f"filled with {studies} studies in {time.perf_counter() - began:.0f} s", flush=True)
            house.reopen()
            (place / "complete").touch()
        if database is None:
            size = (place / "data" / "catalog.sqlite").stat().st_size
            print(f"the database takes {size / 1e9:.2f} GB", flush=True)
        yield house


def tables(database: str) -> made.Tables:
    address = make_url(database)
    if address.drivername.startswith("sqlite"):
        return made.SqliteTables(str(address.database))
    return made.PostgresTables(
        connect(user=str(address.username), host=address.host, port=address.port, database=address.database)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instances", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--at", type=Path)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--only")
    told = parser.parse_args()
    if told.postgres and told.at:
        parser.error("the server is gone afterwards, and what was filled with it")
    with ExitStack() as stack:
        place = told.at or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for count in told.instances:
            studies = count // made.INSTANCES
            here = place / f"{'postgres-' if told.postgres else ''}{count}"
            here.mkdir(parents=True, exist_ok=True)
            with ExitStack() as inner:
                database = None
                if told.postgres:
                    binaries = postgresql_binaries()
                    if binaries is None:
                        raise SystemExit("there is no PostgreSQL server on this machine")
                    database = inner.enter_context(postgresql_server(binaries))
                house = inner.enter_context(filled(here, studies, database))
                run(house, studies, told.only)


if __name__ == "__main__":
    main()
