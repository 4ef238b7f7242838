"""A colour film that is masked from edge to edge is grey, in whatever colour space it was stored."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from PIL import Image


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_a_film_that_waits_is_grey(photometric: str, tmp_path: Path) -> None:
    form = PixelFormat(rows=96, columns=128, bits_allocated=8, bits_stored=8, samples=3, photometric=photometric)
    with House(tmp_path) as house:
        assert house.store(part10_bytes(chest_film(form))).status_code == 200
        (path,) = house.instances("researcher")
        answer = house.get(f"{path}/frames/1/rendered", "researcher", "image/png")
        picture = np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGB"), np.int16)
        assert np.abs(picture - picture[:, :, :1]).max() <= 1
        assert len(np.unique(picture[:, :, 0] >> 4)) <= 6
