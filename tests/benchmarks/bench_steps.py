"""`python tests/benchmarks/bench_steps.py [--only ROW] [--rounds N] [--faults]`: where a picture's time goes.

One thread asks a whole server in its own process for the pictures that the comparison with a peer asks for. Printed for
every sort of request are milliseconds of CPU: all of it, what each step takes by itself, and beside it the floor: what
the same libraries take for the same answer, measured in the same round, and what the same request takes where the
answer is held already (304). `faults` are pages that the system had to give.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import bench_floors as floors  # noqa: E402
from bench_peer_films import COLUMNS, ROWS, SYNTAXES, BenchFilm, films, radiograph, settle  # noqa: E402
from bench_peer_servers import _draw, _NoBases, _Nothing  # noqa: E402
from bench_requests import call, profiled  # noqa: E402
from house import House  # noqa: E402
from pydicom import dcmread  # noqa: E402

from server import bases, develop, rendered  # noqa: E402
from server.audit.journal import Journal  # noqa: E402
from server.catalog.catalog import Catalog  # noqa: E402
from server.pixels import base, render  # noqa: E402
from server.vault import bases as vault_bases  # noqa: E402
from server.vault.copies import SealedCopies  # noqa: E402
from server.vault.objects import ObjectStore  # noqa: E402
from server.web.serving import one_arena  # noqa: E402

JPEG, OCTETS = "image/jpeg", 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
# Where each step is: the name under which its callers know it.
STEPS: tuple[tuple[str, object, str], ...] = (
    ("unseal", ObjectStore, "open_segment"),
    ("unseal", ObjectStore, "open_segments"),
    ("unseal", ObjectStore, "open_large_segment"),
    ("unseal", SealedCopies, "get"),
    ("unseal", vault_bases.OpenBase, "part"),
    ("header", develop, "reread"),
    ("header", develop, "description_of"),
    ("header", develop, "decode_regions"),
    ("attributes", rendered, "displayed_dataset"),
    ("attributes", rendered, "display_of"),
    ("decode", develop, "decode"),
    ("decode", develop, "unpack"),
    ("decode", base, "unshuffle"),
    ("mask", develop, "redact"),
    ("mask", base, "redact_rows"),
    ("window", render, "_grey"),
    ("window", render, "looked_up_grey"),
    ("window", render, "table_of"),
    ("window", base, "looked_up_grey"),
    ("resize", render, "sized"),
    ("notice", render, "with_notice"),
    ("encode", rendered, "encode_jpeg"),
    ("encode", base, "encoded_segments"),
    ("encode", base, "spliced"),
    ("journal", Journal, "append"),
    ("use", Catalog, "note_use"),
)


class Clock:
    """CPU seconds of each step by itself: while one runs inside another, the other's clock stands still."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def around(self, step: str, what: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            began = time.thread_time()
            try:
                return what(*given, **named)
            finally:
                took = time.thread_time() - began
                self.taken[step] += took - self._inside.pop()
                if self._inside:
                    self._inside[-1] += took

        return timed


@contextmanager
def clocked() -> Iterator[Clock]:
    """Every step with a clock around it."""
    clock = Clock()
    before = [(place, name, getattr(place, name)) for _, place, name in STEPS if hasattr(place, name)]
    for step, place, name in STEPS:
        if hasattr(place, name):
            setattr(place, name, clock.around(step, getattr(place, name)))
    try:
        yield clock
    finally:
        for place, name, what in before:
            setattr(place, name, what)


@dataclass(frozen=True, kw_only=True)
class Sort:
    """A sort of request: in which chain, the paths that are asked for by turns, and the floor of its picture."""

    name: str
    chain: str
    paths: tuple[str, ...]
    accept: str
    floor: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `call` asks."""

    app: Any


def chains(house: House) -> dict[str, Asked]:
    """The product, and the chains of `bench_peer_servers` that keep no answer, or use no base either."""
    from server.web.app import create_app

    nothing: Any = _Nothing()
    none: Any = _NoBases()
    further = replace(house.services, answers=nothing)
    cold = replace(further, bases=none)
    return {name: Asked(app=create_app(one)) for name, one in (("further", further), ("cold", cold))}


def sorts(house: House, scratch: Path) -> Iterator[Sort]:
    """Fill the house, and tell what to ask of it."""
    every = list(films())
    for one in every:
        assert house.store(one.body).status_code == 200
    settle(house.services)
    rows = house.get("/dicomweb/instances", "researcher", "application/dicom+json").json or []
    names = ("0020000D", "0020000E", "00080018")
    where: dict[str, list[str]] = defaultdict(list)
    kinds = {one.number: one.kind for one in every}
    for row in rows:
        study, series, instance = (row[name]["Value"][0] for name in names)
        path = f"/dicomweb/studies/{study}/series/{series}/instances/{instance}"
        where[kinds[row["00200013"]["Value"][0]]].append(path)
    samples = radiograph()
    film = floors.sealed(scratch / "film", samples.tobytes())
    packed = floors.sealed(scratch / "packed", floors.packed(samples.tobytes()))
    cut, cine = (floors.sealed(scratch / one, _samples(every, one)) for one in ("slice", "cine"))
    small = "/rendered?viewport=512,512"

    def sort(name: str, chain: str, kind: str, suffix: str, floor: Callable[[], object], accept: str = JPEG) -> Sort:
        paths = tuple(path + suffix for one in kind.split() for path in where[one])
        return Sort(name=name, chain=chain, paths=paths, accept=accept, floor=floor)

    mix = " ".join(SYNTAXES)
    yield sort("raw", "cold", "raw", "/rendered", lambda: floors.picture(film, ROWS, COLUMNS))
    yield sort("raw, viewport", "cold", "raw", small, lambda: floors.viewport(film, ROWS, COLUMNS, 512))
    slow = " ".join(kind for kind in SYNTAXES if kind != "raw")
    yield sort("copies", "cold", slow, "/rendered", lambda: floors.picture(packed, ROWS, COLUMNS, floors.unpacked))
    yield sort(
        "copies, viewport", "cold", slow, small, lambda: floors.viewport(packed, ROWS, COLUMNS, 512, floors.unpacked)
    )
    yield sort("slice", "cold", "slice", "/rendered", lambda: floors.picture(cut, 512, 512))
    yield sort("cine, frame 30", "cold", "cine", "/frames/30/rendered", lambda: floors.colour(cine, 480, 640))
    yield sort("cine, frame 30, bytes", "cold", "cine", "/frames/30", lambda: floors.frame(cine), OCTETS)
    yield sort("another role", "further", mix, "/rendered", lambda: None)
    yield sort("regions changed", "drawn", "raw", "/rendered", lambda: None)


def _samples(every: Sequence[BenchFilm], kind: str) -> bytes:
    """The samples of the first frame of the film that is measured for this."""
    (one,) = (one for one in every if one.kind == kind)
    film = dcmread(io.BytesIO(one.body))
    size = film.Rows * film.Columns * film.SamplesPerPixel * film.BitsAllocated // 8
    return bytes(film.PixelData[:size])


def measured(asked: Asked, one: Sort, token: str, rounds: int, clock: Clock) -> tuple[float, dict[str, float], float]:
    """Median milliseconds of a request, of each of its steps, and the pages it was given."""

    def ask(number: int) -> None:
        call(asked, one.paths[number % len(one.paths)], token, one.accept)  # type: ignore[arg-type]

    times = max(len(one.paths), 6)
    wholes, faults, steps = [], [], defaultdict[str, list[float]](list)
    for turn in range(-1, rounds):
        clock.taken.clear()
        pages, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
        for number in range(times):
            ask(number)
        whole = (time.process_time() - began) / times * 1000
        if turn < 0:
            continue
        wholes.append(whole)
        faults.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages) / times)
        for step, _, _ in STEPS:
            steps[step].append(clock.taken[step] / times * 1000)
    return (
        statistics.median(wholes),
        {step: statistics.median(found) for step, found in steps.items()},
        statistics.median(faults),
    )


def floor_of(one: Sort, rounds: int) -> float:
    found = []
    for turn in range(-1, rounds):
        began = time.process_time()
        for _ in range(6):
            one.floor()
        if turn >= 0:
            found.append((time.process_time() - began) / 6 * 1000)
    return statistics.median(found)


def held(asked: Asked, one: Sort, token: str, rounds: int) -> float:
    """The same request where its answer is held already."""
    found = []
    for turn in range(-1, rounds):
        began = time.process_time()
        for number in range(20):
            call(asked, one.paths[number % len(one.paths)], token, one.accept, held="*")  # type: ignore[arg-type]
        if turn >= 0:
            found.append((time.process_time() - began) / 20 * 1000)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="print where Python's own time goes, too")
    given = parser.parse_args()
    import cv2

    cv2.setNumThreads(1)
    one_arena()
    steps = list(dict.fromkeys(step for step, _, _ in STEPS))
    with tempfile.TemporaryDirectory() as directory, House(Path(directory)) as house:
        every = list(sorts(house, Path(directory)))
        asked, token = chains(house), house.token("researcher")
        print(f"load {os.getloadavg()[0]:.1f}; CPU ms, medians of {given.rounds} rounds")
        print(f"| picture | all | {' | '.join(steps)} | rest | faults | held | floor |")
        print(f"|---|{'---:|' * (len(steps) + 5)}", flush=True)
        for one in every:
            if given.only not in one.name:
                continue
            regions = bases._regions_of
            if one.chain == "drawn":
                _draw()
            app = asked["further" if one.chain == "drawn" else one.chain]
            with clocked() as clock:
                whole, parts, faults = measured(app, one, token, given.rounds, clock)
            bases._regions_of = regions
            numbers = [whole, *(parts[step] for step in steps), whole - sum(parts.values())]
            cells = [f"{number:.2f}" for number in numbers]
            cells += [
                f"{faults:.0f}",
                f"{held(app, one, token, given.rounds):.2f}",
                f"{floor_of(one, given.rounds):.2f}",
            ]
            print(f"| {one.name} | {' | '.join(cells)} |", flush=True)
            if given.profile:
                with profiled():
                    for path in one.paths * 30:
                        call(app, path, token, one.accept)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
