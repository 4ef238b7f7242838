"""How much of the drawn lines a detector covers: counts by kind, bounds of the true share, pictures of the misses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from text_films import Line, Places

from server.model import Region
from server.screening.text import TextDetector

# A line is found when so much of its visible glyphs is covered.
FOUND = 0.95
_TILE = (150, 300)


@dataclass(kw_only=True)
class Score:
    """What was drawn and what of it was found; `misses` as (samples, line, covered)."""

    drawn: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: int = 0
    covered: int = 0
    said: int = 0
    misses: list[tuple[NDArray[Any], Line, Places]] = field(default_factory=list)

    def add(self, film: NDArray[Any], lines: Sequence[Line], regions: Sequence[Region]) -> None:
        """Count one film."""
        place = covered(regions, film.shape)
        said = covered([region for region in regions if region.content], film.shape)
        for line in lines:
            share = float(place[line.window][line.place].mean())
            kinds = [("all", "all"), ("script", line.script), ("size", bin_of(line.size)), ("style", line.style)]
            kinds += [("turned", f"{90 * line.turns}°"), ("contrast", f"{100 * line.contrast:.3g} %")]
            for kind in kinds:
                self.drawn[kind] += 1
                self.found[kind] += share >= FOUND
            self.samples += int(line.place.sum())
            self.covered += int(place[line.window][line.place].sum())
            self.said += float(said[line.window][line.place].mean()) > 0.5
            if share < FOUND:
                self.misses.append((film, line, place))

    @property
    def lines(self) -> tuple[int, int]:
        """Found and drawn."""
        return self.found["all", "all"], self.drawn["all", "all"]

    def table(self, kind: str) -> str:
        """Found of drawn for every value of a kind, as a row of a table."""
        keys = sorted((key for key in self.drawn if key[0] == kind), key=lambda key: (len(key[1]), key[1]))
        return "; ".join(f"{name} {self.found[of, name]}/{self.drawn[of, name]}" for of, name in keys)


def bin_of(size: int) -> str:
    edges = (8, 10, 12, 16, 24, 40, 61)
    low, high = next((low, high) for low, high in pairwise(edges) if size < high)
    return f"{low}-{high - 1} px"


def covered(regions: Iterable[Region], shape: tuple[int, ...]) -> Places:
    place = np.zeros(shape[:2], bool)
    for region in regions:
        rows = slice(region.top_row, region.top_row + region.row_count)
        place[rows, region.left_column : region.left_column + region.column_count] = True
    return place


def lower_bound(found: int, drawn: int, certainty: float = 0.95) -> float:
    """The share that the true one exceeds with this certainty (Clopper and Pearson 1934), by bisection."""
    if found == 0:
        return 0.0
    low, high = 0.0, found / drawn
    for _ in range(60):
        middle = (low + high) / 2
        logs = [
            math.lgamma(drawn + 1) - math.lgamma(n + 1) - math.lgamma(drawn - n + 1)
            + n * math.log(middle) + (drawn - n) * math.log1p(-middle)
            for n in range(found, drawn)
        ]  # fmt: skip
        at_least = sum(map(math.exp, logs)) + math.exp(drawn * math.log(middle))
        low, high = (middle, high) if at_least < 1 - certainty else (low, middle)
    return low


def scored(detector: TextDetector, films: Iterable[tuple[str, NDArray[Any], list[Line]]]) -> Score:
    score = Score()
    for _, film, lines in films:
        score.add(film, lines, detector.find(film[:, :, None], frame_number=1))
    return score


def sheet(misses: Sequence[tuple[NDArray[Any], Line, Places]], across: int = 6) -> NDArray[np.uint8]:
    """The missed lines side by side, what was covered in red; at most 60."""
    tiles = [_tile(*miss) for miss in misses[:60]] or [np.zeros((*_TILE, 3), np.uint8)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    return np.vstack([np.hstack(tiles[first : first + across]) for first in range(0, len(tiles), across)])


def _tile(film: NDArray[Any], line: Line, place: Places) -> NDArray[np.uint8]:
    rows, columns = line.window
    near = np.s_[max(0, rows.start - 24) : rows.stop + 24, max(0, columns.start - 24) : columns.stop + 24]
    piece = cv2.normalize(film[near].astype(np.float32), np.empty(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    colour = np.repeat(piece[:, :, None], 3, axis=2)
    colour[:, :, 2][place[near]] |= 96
    scale = min(2.0, (_TILE[1] - 4) / colour.shape[1], (_TILE[0] - 20) / colour.shape[0])
    small = cv2.resize(colour, (max(1, int(colour.shape[1] * scale)), max(1, int(colour.shape[0] * scale))))
    tile = np.zeros((*_TILE, 3), np.uint8)
    tile[18 : 18 + small.shape[0], : small.shape[1]] = small
    title = f"{line.script.encode('ascii', 'replace').decode()} {line.size}px {100 * line.contrast:.1f}% {line.style}"
    cv2.putText(tile, title, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 255), 1)
    return tile
