"""`python -m tests.benchmarks`: figures of this machine, as ratios to the raw floor measured in the same run."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

FIGURES = 31
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


def main() -> None:
    import cv2
    from bench_figures import of_a_film, of_a_series, of_parts, of_stores
    from bench_houses import fill_films, fill_studies, moved
    from bench_measure import Row, table
    from bench_memory import peaks
    from bench_search import of_a_search
    from tqdm import tqdm

    # As in a worker of the server: requests run side by side, not threads inside one.
    cv2.setNumThreads(1)
    began = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as directory, tqdm(total=FIGURES, unit=" figures") as bar:
        disk = Path(directory)

        def note(row: Row) -> None:
            rows.append(row)
            bar.set_description(row.name)
            bar.update()

        with moved("films", disk) as (house, mover):
            fill_films(house)
            mover.to_disk()
            for figures in (of_a_film(house, disk), of_a_series(house), of_stores(house, disk), of_parts(house, disk)):
                for row in figures:
                    note(row)
        with moved("archive", disk) as (house, mover):
            fill_studies(house)
            mover.to_disk()
            for row in of_a_search(house):
                note(row)
        bar.close()
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        print(f"\n{machine}; medians, one thread, on disk\n\n{table(rows)}\n", flush=True)
        for sentence in peaks(disk):
            print(f"- {sentence}")
    print(f"- the run took {time.monotonic() - began:.0f} s")


def queue() -> None:
    from bench_queue import run

    run(int(sys.argv[2]) if len(sys.argv) > 2 else 1000)


if __name__ == "__main__":
    {"queue": queue}.get("".join(sys.argv[1:2]), main)()
