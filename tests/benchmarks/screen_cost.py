"""`python tests/benchmarks/screen_cost.py`: what screening costs, in CPU seconds and memory.

One radiograph of 2500 x 3000, and a cine of 60 frames whose sector moves under a banner that stands still, by the
detectors alone: without opening, decoding and masking the film. Once with the precision that the processor is best at,
as the product does it, in a process with the worker's settings of memory; then the looks for text in 32 bits, in
another process.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from text_films import WHITE, backgrounds

from server.commands.supervise import MEMORY
from server.model import Region
from server.screening.cine import Looked, next_frame
from server.screening.detectors import Detectors, load
from server.screening.face_cines import FaceCine
from server.screening.faint import background
from server.screening.picture import normalised, residue
from server.screening.text import LOOKS, TextDetector
from server.second_look import frames_to_recheck

ROUNDS = 3
FRAMES = 60


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("film", "cine", "f32"), default=None)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.part is None:
        # As the supervisor begins a worker, each in a process of its own, so that each has its own peak.
        for part in ("film", "cine", "f32"):
            words = [sys.executable, __file__, "--part", part, "--threads", str(options.threads)]
            subprocess.run(words, env={**os.environ, **MEMORY}, check=True)
        return
    cv2.setNumThreads(1)
    print(f"load {os.getloadavg()[0]:.1f}")
    if options.part == "f32":
        _text(TextDetector(threads=options.threads, precision="f32"), _film())
    elif options.part == "film":
        _everything(options.threads)
    else:
        _cine(load(threads=options.threads))


def _text(text: TextDetector, film: NDArray[np.uint16]) -> float:
    """The looks for text at a film, one by one; returns what they and the reading cost together."""
    print(text.version())
    picture, rest = normalised(film[:, :, 0]), residue(film[:, :, 0])
    passes = 0.0
    assert picture is not None
    for look in LOOKS:
        shown = rest if look.residue else picture
        if shown is not None:
            cost = _cpu(partial(text.seen, shown, picture, look))
            passes += 0 if look.residue else cost
            print(f"- {look.eye.value} at {look.scale:g}{', turned' * look.turned}: {cost:.2f} s")
    print(f"- the two text passes: {passes:.2f} s")
    whole = _cpu(lambda: text.find(film, frame_number=1))
    print(f"- all looks for text, and reading: {whole:.2f} s", flush=True)
    return whole


def _everything(threads: int) -> None:
    film, detectors = _film(), load(threads=threads)
    assert isinstance(detectors.text, TextDetector)
    whole = _text(detectors.text, film)
    regions = detectors.text.find(film, frame_number=1)
    hidden = list(map(_place, regions))
    others = {
        "faces": lambda: detectors.faces.find(film, frame_number=1),
        "empty background": lambda: background(film, 1),
        "second look": lambda: detectors.residual.find(film, hidden=hidden, frame_number=1),
    }
    for name, call in others.items():
        cost = _cpu(call)
        whole += cost
        print(f"- {name}: {cost:.2f} s")
    print(f"- everything: {whole:.2f} s")
    print(f"- peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB", flush=True)


def _cpu(call: Callable[[], object]) -> float:
    """The median CPU seconds of some calls, after one that compiles what it needs."""
    call()
    costs = []
    for _ in range(ROUNDS):
        began = time.process_time()
        call()
        costs.append(time.process_time() - began)
    return statistics.median(costs)


def _film() -> NDArray[np.uint16]:
    base = max(backgrounds(), key=lambda film: film.picture.size).picture
    return np.round(cv2.resize(base, (2500, 3000)).clip(0, 1) * WHITE).astype(np.uint16)[:, :, None]


def _frames() -> list[NDArray[np.uint8]]:
    """768 x 1024: lines of text that stand still, and speckle that moves."""
    chance = np.random.default_rng(3)
    speckle = cv2.GaussianBlur(np.tile(chance.normal(0, 6, (500, 600)), (3, 3)), (0, 0), 3)[500:1000, 600:1200]
    banner = np.zeros((768, 1024), np.uint8)
    for row, line in enumerate(("MUSTER^MAXIMA 00079241539", "EXAMPLE HOSPITAL 12.04.1961", "TIS 0.4  MI 1.1")):
        cv2.putText(banner, line, (20, 40 + 36 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 220, 1, cv2.LINE_AA)
    frames = []
    for number in range(FRAMES):
        frame = banner.copy()
        moved = np.roll(speckle, (number, 2 * number), (0, 1))
        frame[200:700, 200:800] = np.clip(80 + 30 * moved, 0, 255)
        frames.append(frame[:, :, None])
    return frames


def _cine(detectors: Detectors) -> None:
    frames = _frames()
    one, cine = ([*_costs(detectors, shown)] for shown in (frames[:1], frames))
    for name, (first, _), (cost, told) in zip(("text", "faces", "background", "second looks"), one, cine, strict=True):
        print(f"- {name} on one frame of 768x1024 {first:.2f} s, on {FRAMES} whose sector moves {cost:.2f} s{told}")
    text = cine[0][0] / one[0][0]
    everything = sum(cost for cost, _ in cine) / sum(cost for cost, _ in one)
    print(f"- {FRAMES} frames cost {everything:.1f} times one, their text {text:.1f} times", flush=True)
    print(f"- peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB", flush=True)


def _costs(detectors: Detectors, frames: list[NDArray[np.uint8]]) -> Iterator[tuple[float, str]]:
    """What each finder costs on these frames of one film, as the worker asks it, once its networks are compiled."""
    looks: list[int] = []
    regions: list[Sequence[Region]] = []

    def find(part: NDArray[Any], number: int) -> list[Region]:
        looks.append(number)
        return detectors.text.find(part, frame_number=number)

    def text() -> None:
        looks.clear()
        regions.clear()
        done: Looked | None = None
        for number, frame in enumerate(frames, 1):
            done = next_frame(done, frame, number, find, detectors.glance)
            regions.append(done.regions)

    cost = _cpu(text)
    yield cost, f" ({len(looks)} looks)" if len(frames) > 1 else ""
    yield _cpu(partial(_faces, detectors, frames)), ""
    yield _cpu(lambda: [background(frame, number) for number, frame in enumerate(frames, 1)]), ""
    yield _cpu(partial(_second, detectors, frames, regions)), ""


def _faces(detectors: Detectors, frames: list[NDArray[np.uint8]]) -> None:
    cine = FaceCine(detectors.faces)
    for number, frame in enumerate(frames, 1):
        cine.add(frame, number)
    cine.found()


def _second(detectors: Detectors, frames: list[NDArray[np.uint8]], regions: list[Sequence[Region]]) -> None:
    for number in frames_to_recheck(len(frames)):
        hidden = [_place(one) for one in regions[number - 1]]
        detectors.residual.find(frames[number - 1], hidden=hidden, frame_number=number)


def _place(one: Region) -> tuple[int, int, int, int]:
    return one.top_row, one.left_column, one.top_row + one.row_count, one.left_column + one.column_count


if __name__ == "__main__":
    main()
