"""`python tests/benchmarks/screen_cost.py [--precision f32]`: what screening costs, in CPU seconds and memory.

One radiograph of 2500 x 3000, and a cine of 60 frames whose sector moves under a banner that stands still, by the
detectors alone: without opening, decoding and masking the film.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from text_films import WHITE, backgrounds

from server.screening.cine import Looked, next_frame
from server.screening.detectors import load
from server.screening.faint import background
from server.screening.picture import normalised, residue
from server.screening.text import LOOKS, TextDetector

ROUNDS = 3
FRAMES = 60


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--precision", choices=("bf16", "f32"), default="")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    film = _film()
    text = TextDetector(threads=options.threads, precision=options.precision)
    print(f"{text.version()}; load {os.getloadavg()[0]:.1f}")
    picture, rest = normalised(film[:, :, 0]), residue(film[:, :, 0])
    passes = 0.0
    for look in LOOKS:
        shown = rest if look.residue else picture
        if shown is not None:
            cost = _cpu(partial(text.seen, shown, look))
            passes += 0 if look.residue else cost
            print(f"- {look.eye.value} at {look.scale:g}{', turned' * look.turned}: {cost:.2f} s")
    print(f"- the two text passes: {passes:.2f} s")
    whole = _cpu(lambda: text.find(film, frame_number=1))
    print(f"- all looks for text, and reading: {whole:.2f} s")
    if not options.precision:
        detectors = load(threads=options.threads)
        regions = text.find(film, frame_number=1)
        hidden = [(o.top_row, o.left_column, o.top_row + o.row_count, o.left_column + o.column_count) for o in regions]
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"- peak of this process: {peak:.2f} GB")
    _cine(text)


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


def _cine(text: Any) -> None:
    frames = _frames()
    looks = 0

    def find(part: NDArray[Any], number: int) -> Any:
        nonlocal looks
        looks += 1
        return text.find(part, frame_number=number)

    one = _cpu(lambda: text.find(frames[0], frame_number=1))
    done: Looked | None = None
    began = time.process_time()
    for number, frame in enumerate(frames, 1):
        done = next_frame(done, frame, number, find, text.glance)
    cost = time.process_time() - began
    told = f"{cost:.2f} s, one {one:.2f} s: {cost / one:.1f} times; {looks} looks"
    print(f"- text on {FRAMES} frames of 768x1024 whose sector moves: {told}")


if __name__ == "__main__":
    main()
