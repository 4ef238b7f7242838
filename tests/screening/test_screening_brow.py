"""The head that the template fits worst of eighty: what was left of its face was a stripe along the brow."""

from __future__ import annotations

import numpy as np
from builders_heads import brain_of, made_head
from test_screening_heads import masks

from server.screening.heads import HeadFinder
from server.screening.template import head_template


def test_a_stripe_along_the_brow_is_hidden_too_and_the_brain_behind_it_is_not() -> None:
    mean = head_template()
    finder, made = HeadFinder(mean), made_head(mean, brain_of(mean), 37, coarser=1.2)
    hidden = masks(finder, finder.find(made.slices)[0], made.places)
    left = sum(int((one & ~mask).sum()) for one, mask in zip(made.face, hidden, strict=True))
    hurt = sum(int((one & mask).sum()) for one, mask in zip(made.brain, hidden, strict=True))
    assert left <= 0.01 * sum(int(one.sum()) for one in made.face)
    assert hurt <= 0.0002 * sum(int(np.sum(one)) for one in made.brain)
