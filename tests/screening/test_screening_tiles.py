from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.screening.tiles import LARGEST, spans, tiles


@given(st.integers(1, 70_000))
def test_the_pieces_cover_everything_and_overlap(length: int) -> None:
    pieces = spans(length)
    assert pieces[0][0] == 0
    assert pieces[-1][1] == length
    assert all(0 < stop - start <= LARGEST for start, stop in pieces)
    for (_, stop), (start, _) in pairwise(pieces):
        assert stop - start >= 100


def test_every_sample_is_in_some_tile() -> None:
    seen = np.zeros((2500, 3000), bool)
    for tile in tiles(*seen.shape):
        seen[tile] = True
    assert seen.all()
