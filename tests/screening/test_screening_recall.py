"""The published recall in small: a few lines of every kind that installed packages can draw. All of it:
`python tests/benchmarks/text_report.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from text_films import Wanted, backgrounds, drawn_film, films
from text_lines import scripts
from text_score import lower_bound, scored

from server.demo.films import drawn_thorax
from server.screening.text import TextDetector

OWN = scripts(own=True)


def test_lines_of_ten_per_cent_are_found_and_never_called_anything(detector: TextDetector) -> None:
    score = scored(detector, films(4, Wanted(scripts=OWN), 48, side=768))
    assert score.lines == (48, 48), score.table("size")
    assert score.covered >= 0.998 * score.samples
    assert score.said == 0


def test_most_lines_of_five_per_cent_are_found(detector: TextDetector) -> None:
    found, drawn = scored(detector, films(5, Wanted(scripts=OWN, contrasts=(0.05, 0.1)), 24, side=768)).lines
    assert found >= 0.9 * drawn


def test_equal_seeds_draw_equal_films() -> None:
    one, two = (list(films(6, Wanted(scripts=OWN), 12, side=512, per_film=12)) for _ in range(2))
    assert [line.text for _, _, lines in one for line in lines] == [line.text for _, _, lines in two for line in lines]
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(one, two, strict=True))


def test_what_is_drawn_is_visible_where_it_is_said_to_be() -> None:
    assert len(backgrounds()) >= 2
    base = drawn_thorax(600, 600).astype(np.float32)
    film, lines = drawn_film(np.random.default_rng(1), base, Wanted(scripts=OWN, styles=("plain",)), 8)
    changed = np.abs(film / 4095 - np.clip(base, 0, 1))
    for line in lines:
        assert changed[line.window][line.place].min() >= 0.35 * line.contrast
    assert len(lines) == 8


@pytest.mark.parametrize(("found", "drawn", "expected"), [(3000, 3000, 0.9990), (2995, 3000, 0.9965), (0, 10, 0)])
def test_the_bound_is_the_exact_one(found: int, drawn: int, expected: float) -> None:
    assert lower_bound(found, drawn) == pytest.approx(expected, abs=1e-4)
