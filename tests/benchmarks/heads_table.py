"""What is left of made-up faces, what of the brain is hit, and the cost.

`PYTHONPATH=.:tests python tests/benchmarks/heads_table.py [--first 20] [--count 20] [--coarser 1] [--sheet x.png]`
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
from builders_heads import brain_of, made_head

from server.screening.heads import HeadFinder
from server.screening.shell import head_surface
from server.screening.template import head_template


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--coarser", type=float, default=1.0)
    parser.add_argument("--sheet")
    asked = parser.parse_args()
    template = head_template()
    finder, brain = HeadFinder(template), brain_of(template)
    tiles = []
    print("| head | verdict | likeness / turned | overlap | face left | brain hit | CPU s |")
    print("|---|---|---|---|---|---|---|")
    worst = [0.0, 0.0, 0.0]
    for seed in range(asked.first, asked.first + asked.count):
        made = made_head(template, brain, seed, coarser=asked.coarser)
        began = time.process_time()
        finding = finder.find(made.slices)[0]
        masks = []
        for where in made.places:
            mask = np.zeros((where.rows, where.columns), bool)
            if finding.to_template is not None:
                for one in head_surface(finding.to_template, finder.face, where, frame_number=1, confidence=1.0):
                    rows = slice(one.top_row, one.top_row + one.row_count)
                    mask[rows, one.left_column : one.left_column + one.column_count] = True
            masks.append(mask)
        spent = time.process_time() - began
        left, whole = (
            sum(int((one & ~mask if missed else one).sum()) for one, mask in zip(made.face, masks, strict=True))
            for missed in (True, False)
        )
        hit, inner = (
            sum(int((one & mask if under else one).sum()) for one, mask in zip(made.brain, masks, strict=True))
            for under in (True, False)
        )
        print(
            f"| {made.name} | {finding.verdict} | {finding.likeness:.2f} / {finding.turned_likeness:.2f} "
            f"| {finding.overlap:.3f} | {left / whole:.2%} | {hit / inner:.3%} | {spent:.1f} |",
            flush=True,
        )
        worst = [max(pair) for pair in zip(worst, (left / whole, hit / inner, spent), strict=True)]
        for index in (len(masks) // 2, max(range(len(masks)), key=lambda place: int(made.face[place].sum()))):
            picture = np.repeat(np.clip(made.pictures[index] / 4, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
            picture[masks[index], 2] = 160
            tiles.append(cv2.resize(picture, (160, 160)))
    print(f"worst: face left {worst[0]:.2%}, brain hit {worst[1]:.3%}, {worst[2]:.1f} s CPU")
    if asked.sheet:
        lines = [np.hstack(tiles[start : start + 10]) for start in range(0, len(tiles), 10)]
        cv2.imwrite(asked.sheet, np.vstack(lines))


if __name__ == "__main__":
    main()
