"""What is no head and may be taken for one: which made-up trunks and limbs wait for a person, and the cost.

`PYTHONPATH=.:tests python tests/benchmarks/no_heads_table.py`. No volume of a trunk lies in any package, so these are
drawn: elliptic, with lungs, bowel gas, a spine, arms and a table, of every roundness, as CT and as MR have them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from server.screening.heads import HeadFinder, Verdict
from server.screening.template import head_template
from server.screening.volume import Slice, geometry, small_slice

SLICES, SIDE, STEP = 40, 160, 3.0
PARTS = ("chest", "abdomen", "pelvis", "thigh")
# Breadth over depth: slim, ordinary, round, a child's.
ROUNDNESS = (1.7, 1.45, 1.3, 1.2, 1.1, 1.0)


def main() -> None:
    finder = HeadFinder(head_template())
    print("| part | kind | " + " | ".join(f"{one:g}" for one in ROUNDNESS) + " |\n|---|---|" + "---|" * len(ROUNDNESS))
    review = count = 0
    began = time.process_time()
    for part in PARTS:
        for magnetic in (False, True):
            said = []
            for roundness in ROUNDNESS:
                verdicts = {one.verdict for one in finder.find(list(trunk(part, roundness, magnetic=magnetic)))}
                said.append("review" if verdicts != {Verdict.NO_HEAD} else "shown")
            review, count = review + said.count("review"), count + len(said)
            print(f"| {part} | {'MR' if magnetic else 'CT'} | " + " | ".join(said) + " |", flush=True)
    print(f"{review} of {count} wait for a person; {(time.process_time() - began) / count:.1f} s CPU a volume")


def trunk(part: str, roundness: float, *, magnetic: bool) -> Iterator[Slice]:
    """The slices of one part of a body that is no head, 40 of 3 mm with samples of 3 mm."""
    chance = np.random.default_rng([PARTS.index(part), int(100 * roundness), magnetic])
    for index in range(SLICES):
        where = geometry((-240.0, -240.0, 5.0 * index), (1, 0, 0, 0, 1, 0), (STEP, STEP), SIDE, SIDE)
        assert where is not None
        yield small_slice(_plane(part, roundness, index, chance, magnetic=magnetic)[:, :, None], where)


def _plane(
    part: str, roundness: float, index: int, chance: np.random.Generator, *, magnetic: bool
) -> NDArray[np.float32]:
    row, column = np.mgrid[-240 : 240 : SIDE * 1j, -240 : 240 : SIDE * 1j]
    air, fat, tissue, bone, lung = (10, 900, 500, 80, 40) if magnetic else (-1000, -100, 40, 700, -820)
    wave = 1 + 0.04 * np.sin(index / 6)
    breadth = {"chest": 175, "abdomen": 170, "pelvis": 180, "thigh": 85}[part] * wave
    depth = breadth / roundness
    middles = (-100, 100) if part == "thigh" else (0,)
    plane = np.full(row.shape, air, np.float64)
    for middle in middles:
        inner = ((column - middle) / breadth) ** 2 + (row / depth) ** 2
        plane[inner < 1] = fat
        plane[inner < 0.8] = tissue
        spine = np.hypot(column - middle, row - (0 if part == "thigh" else 0.6 * depth)) < 18
        plane[spine] = bone
    if part == "chest":
        for side in (-1, 1):
            plane[((column - side * 0.45 * breadth) / (0.33 * breadth)) ** 2 + (row / (0.62 * depth)) ** 2 < 1] = lung
        if not magnetic:
            plane[np.hypot(np.abs(column) - breadth - 45, row) < 38] = tissue
    if part == "abdomen":
        for _ in range(2):
            gas = chance.uniform(-0.4, 0.4, 2) * (breadth, depth)
            plane[np.hypot(column - gas[0], row - gas[1]) < 15] = air
    if not magnetic:
        plane[(row > depth + 12) & (row < depth + 22) & (np.abs(column) < 200)] = -300
    return np.asarray(plane + chance.normal(0, 25, plane.shape), np.float32)


if __name__ == "__main__":
    main()
