"""A thousand mixed films through the screening queue, with the worker killed on the way: rate, memory, nothing lost.

`python -m tests.benchmarks queue [NUMBER]`
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from builders import GREY, RGB, BurnedText, chest_film, part10_bytes
from pydicom import uid as uids
from pydicom.data import get_testdata_file
from tqdm import tqdm

from server.audit.show import read
from server.commands.demo import prepare
from server.commands.opening import demo_settings
from server.importing import import_body
from server.incoming import Storer
from server.model import AuditEvent, ScreeningState
from server.services import Services, SystemRandomness, open_services

LINE = BurnedText(text="MUSTER MAXIMA 1950", top_row=24, left_column=24, height=20)
SLICE = replace(GREY, rows=128, columns=128)
SLICE_CLASS = uids.CTImageStorage, "CT"
RADIOGRAPH = uids.ComputedRadiographyImageStorage, "CR"
CINE = uids.UltrasoundMultiFrameImageStorage, "US"
CAPTURE = uids.SecondaryCaptureImageStorage, "OT"
# Slices, signed ones, radiographs with a line, colour cines of three frames, secondary captures with a line.
SHAPES = (
    (SLICE, SLICE_CLASS),
    (replace(SLICE, signed=True, bits_stored=16), SLICE_CLASS),
    (SLICE, SLICE_CLASS),
    (replace(GREY, rows=256, columns=224, burned=(LINE,)), RADIOGRAPH),
    (SLICE, SLICE_CLASS),
    (replace(RGB, rows=120, columns=160, frames=3), CINE),
    (SLICE, SLICE_CLASS),
    (replace(RGB, rows=240, columns=320, burned=(LINE,)), CAPTURE),
    (SLICE, SLICE_CLASS),
    (replace(GREY, rows=512, columns=448, burned=(LINE,)), RADIOGRAPH),
)
PACKAGED = ("CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "JPEG2000.dcm", "SC_rgb_rle_2frame.dcm")
STOP_AFTER = 0.4
# Films done, and the worker's resident memory in MB.
Sample = tuple[int, float]


def films(number: int) -> Iterator[bytes]:
    """So many different films, four of them a study."""
    for index, (form, kind) in enumerate(islice(cycle(SHAPES), number)):
        study = index // 4
        film = chest_film(form, patient=study, study=study, series=index % 4, instance=index)
        film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = kind[0]
        film.Modality = kind[1]
        yield part10_bytes(film)


def run(number: int) -> None:
    """Fill a server, screen, kill the worker, screen on; prints what was measured. Raises if a film is lost."""
    with tempfile.TemporaryDirectory() as directory:
        settings = demo_settings(Path(directory) / "data", 1)
        prepare(settings)
        services = open_services(settings, randomness=SystemRandomness(), clock=time.time)
        stored = _fill(services, number)
        began, memory = time.monotonic(), list[Sample]()
        print(f"- {stored} films stored; screening", flush=True)
        first = _screen(services, settings.data, memory, until=int(stored * (1 - STOP_AFTER)))
        between = services.catalog.pending()
        second = _screen(services, settings.data, memory, until=0)
        seconds = time.monotonic() - began
        counts = services.catalog.counts()
        said = [(one.event.request, one.event.reason) for one in read(settings.journal, None) if _screened(one.event)]
        services.close()
    print(f"- killed with {between} of {stored} waiting, after {first:.0f} s; the rest took {second:.0f} s")
    print(f"- {stored / seconds * 60:.0f} films a minute, {seconds / stored:.2f} s a film, one worker at a time")
    print(f"- the worker's memory, the most by films done: {_memory_told(memory, stored)}")
    told = ", ".join(f"{number} {state.value}" for state, number in counts.items())
    print(f"- {told}; {len(said)} entries of screening")
    # The last word on every film.
    outcomes = Counter(outcome(reason) for _, reason in dict(said).items())
    print(f"- {'; '.join(f'{number} {name}' for name, number in outcomes.most_common())}")
    lost = stored - sum(counts.values()) or counts[ScreeningState.PENDING]
    if lost:
        raise AssertionError(f"{lost} films are lost")


def _screened(event: AuditEvent) -> bool:
    return event.kind == "screening"


def outcome(said: str) -> str:
    """What a film's screening ended in, by what the journal says of it: without how many regions there were."""
    return said if said.startswith("failed") else said.partition(":")[0]


def _fill(services: Services, number: int) -> int:
    storer = Storer(subject="bench", department="radiology")
    packaged = (Path(str(get_testdata_file(name))).read_bytes() for name in PACKAGED)
    bodies = [*packaged, *films(number - len(PACKAGED))]
    for body in tqdm(bodies, desc="sealing", unit=" films"):
        import_body(services, storer, body)
    return services.catalog.pending()


def _memory_told(memory: list[Sample], stored: int) -> str:
    step = max(1, stored // 10)
    most: dict[int, float] = {}
    for done, size in memory:
        most[done // step * step] = max(size, most.get(done // step * step, 0.0))
    return ", ".join(f"{done}: {size:.0f} MB" for done, size in sorted(most.items()))


def _screen(services: Services, data: Path, memory: list[Sample], *, until: int) -> float:
    """Run the command until so many are waiting, then kill it and its worker at once; returns the seconds."""
    words = [sys.executable, "-m", "server", "screen", "--drain", "--data", str(data)]
    began, stored = time.monotonic(), sum(services.catalog.counts().values())
    with tqdm(desc="screening", unit=" films", total=services.catalog.pending() - until) as bar:
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(0.5)
            waiting = services.catalog.pending()
            bar.update(max(0, (bar.total or 0) + until - waiting - bar.n))
            below = _children(process.pid)
            memory += [(stored - waiting, size) for one in below if (size := _megabytes(one))]
            if until and waiting <= until:
                for one in (process.pid, *below):
                    os.kill(one, signal.SIGKILL)
                process.wait()
    return time.monotonic() - began


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = (tuple(map(int, line.split())) for line in listed.splitlines())
    return [child for child, parent in pairs if parent == pid]


def _megabytes(pid: int) -> float:
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(shown.strip() or 0) / 1024
