"""`python tests/benchmarks/cine_recall.py`: of text that one frame of a moving cine shows, how much is found.

Lines are drawn on one frame of a cine whose every sample moves, and looked at as the screening does, knowing the frames
before it; beside it what the whole detector finds of the same frame.
"""

from __future__ import annotations

import argparse
import sys

import cv2
import numpy as np
from numpy.typing import NDArray
from text_films import WHITE, Line, Wanted, drawn_film
from text_lines import scripts
from text_score import FOUND, covered
from tqdm import tqdm

from server.model import Region
from server.screening.cine import Looked, next_frame
from server.screening.text import TextDetector

_FRAMES = 5
_SIDE = 512


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=400)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector, known = TextDetector(), scripts()
    looks = [0]

    def find(part: NDArray[np.uint16], number: int) -> list[Region]:
        looks[0] += 1
        return detector.find(part, frame_number=number)

    for blurred in (0.0, 0.7, 1.0):
        for name, contrasts in (("10-80 %", (0.1, 0.8)), ("5-10 %", (0.05, 0.1))):
            wanted = Wanted(scripts=known, contrasts=contrasts)
            chance = np.random.default_rng([77, int(100 * contrasts[0])])
            speckle = _speckle(chance)
            before: Looked | None = None
            for number in range(1, _FRAMES):
                before = next_frame(before, _stored(_frame(speckle, number)), number, find, detector.glance)
            drawn = cine = whole = 0
            looks[0] = 0
            for _ in tqdm(range(options.lines // 2), desc=name, file=sys.stderr):
                film, lines = drawn_film(chance, _frame(speckle, _FRAMES), wanted, 2)
                shown = (cv2.GaussianBlur(film, (0, 0), blurred) if blurred else film)[:, :, None]
                done = next_frame(before, shown, _FRAMES, find, detector.glance)
                drawn += len(lines)
                cine += _found(lines, done.regions, film)
                whole += _found(lines, detector.find(shown, frame_number=_FRAMES), film)
            told = f"{cine} of {drawn} in the cine, {whole} by a look at the whole; {looks[0]} looks"
            print(f"- {name}, blurred by {blurred:g}: {told}", flush=True)


def _speckle(chance: np.random.Generator) -> NDArray[np.float64]:
    speckle = cv2.GaussianBlur(np.tile(chance.normal(0, 6, (_SIDE, _SIDE)), (3, 3)), (0, 0), 3)
    return np.asarray(speckle[_SIDE : 2 * _SIDE, _SIDE : 2 * _SIDE])


def _frame(speckle: NDArray[np.float64], number: int) -> NDArray[np.float32]:
    moved = np.roll(speckle, (number, 2 * number), (0, 1))
    return np.asarray(np.clip(0.35 + 0.12 * moved, 0, 1), np.float32)


def _stored(picture: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.round(picture * WHITE).astype(np.uint16)[:, :, None]


def _found(lines: list[Line], regions: object, film: NDArray[np.uint16]) -> int:
    place = covered(regions, film.shape)  # type: ignore[arg-type]
    return sum(float(place[line.window][line.place].mean()) >= FOUND for line in lines)


if __name__ == "__main__":
    main()
