"""`python tests/benchmarks/text_report.py --into FOLDER`: the recall of the text detector, published with its misses.

About three minutes of one core. The seeds stand here and were used for nothing else: no threshold was chosen on them.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from text_films import WHITE, Wanted, backgrounds, films
from text_lines import Script, scripts
from text_score import Score, covered, lower_bound, scored, sheet
from tqdm import tqdm

from server.screening.text import TextDetector

_AMPLITUDES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=3200)
    parser.add_argument("--into", type=Path, default=None, help="folder for the contact sheets of missed lines")
    parser.add_argument("--part", choices=("lines", "faint", "small", "amplitudes", "films"), default=None)
    parser.add_argument("--seed", type=int, default=90210)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector, known = TextDetector(), scripts()
    print(f"{detector.version()}\n{len(backgrounds())} radiographs; scripts: {', '.join(one.name for one in known)}\n")
    seed, few = options.seed, max(60, options.lines // 4)
    parts = (
        ("lines", "contrast 10-80 %, 10-60 px", options.lines, Wanted(scripts=known)),
        ("faint", "contrast 5-10 %, 10-60 px", few, Wanted(scripts=known, contrasts=(0.05, 0.1))),
        ("small", "contrast 10-80 %, 8-9 px", few, Wanted(scripts=known, sizes=(8, 9))),
        ("small", "contrast 5-10 %, 8-9 px", few, Wanted(scripts=known, sizes=(8, 9), contrasts=(0.05, 0.1))),
    )
    for number, (part, name, count, wanted) in enumerate(parts):
        if options.part in {None, part}:
            score = scored(detector, tqdm(films(seed + number, wanted, count), unit=" films", desc=name))
            _print(name, score)
            if options.into:
                cv2.imwrite(str(options.into / f"missed-{number}.png"), sheet(score.misses))
    if options.part in {None, "amplitudes"}:
        _amplitudes(detector, known, seed + 100, max(40, options.lines // 30))
    if options.part in {None, "films"}:
        _clean(detector)
        _cost(detector)


def _print(name: str, score: Score) -> None:
    found, drawn = score.lines
    print(f"\n{name}: {found} of {drawn} lines = {100 * found / drawn:.2f} %", end="")
    print(f" (at least {100 * lower_bound(found, drawn):.2f} % with 95 % certainty),", end="")
    print(f" {100 * score.covered / score.samples:.2f} % of their samples; {score.said} taken for markers or technique")
    for kind in ("size", "script", "style", "turned"):
        print(f"  {kind}: {score.table(kind)}", flush=True)


def _amplitudes(detector: TextDetector, known: Sequence[Script], seed: int, count: int) -> None:
    print("\namplitude | lines found | samples covered\n---|---|---")
    for number, amplitude in enumerate(_AMPLITUDES):
        wanted = Wanted(scripts=known, contrasts=(amplitude, amplitude), styles=("plain",))
        score = scored(detector, films(seed + number, wanted, count))
        found, drawn = score.lines
        share = 100 * score.covered / score.samples
        print(f"{100 * amplitude:g} % | {found}/{drawn} = {100 * found / drawn:.0f} % | {share:.0f} %")


def _clean(detector: TextDetector) -> None:
    shares = []
    print("\nmasked outside text on whole clean radiographs:")
    for film in backgrounds():
        regions = detector.find(np.round(film.picture * WHITE).astype(np.uint16)[:, :, None], frame_number=1)
        place = covered(regions, film.picture.shape)
        for top, left, bottom, right in film.text:
            place[top:bottom, left:right] = False
        shares.append(100 * float(place.mean()))
        print(f"  {film.name}: {shares[-1]:.2f} %, markers: {sum(one.content == 'marker' for one in regions)}")
    print(f"  mean {np.mean(shares):.2f} %, worst {max(shares):.2f} %")


def _cost(detector: TextDetector) -> None:
    base = max(backgrounds(), key=lambda film: film.picture.size).picture
    film = np.round(cv2.resize(base, (2500, 3000)) * WHITE).astype(np.uint16)[:, :, None]
    detector.find(film, frame_number=1)
    began = time.process_time()
    detector.find(film, frame_number=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\none film of 2500x3000: {time.process_time() - began:.2f} s CPU, peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
