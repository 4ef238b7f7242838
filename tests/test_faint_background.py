"""Text of a few grey levels beside the anatomy: whatever the window, nothing of it leaves a masked level (a.X4)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from numpy.typing import NDArray

FORM = PixelFormat(rows=512, columns=640)
OCTETS = "application/octet-stream"


def film(amplitude: int) -> bytes:
    """Air with a detector's noise around a body, and in the air a name so many levels of 4096 above it."""
    chance = np.random.default_rng(5)
    samples = np.clip(chance.normal(40, 5, (FORM.rows, FORM.columns)), 0, 4095)
    samples[224:, 192:480] = cv2.resize(chance.uniform(400, 3900, (36, 36)), (288, 288))
    ink = np.zeros(samples.shape, np.uint8)
    cv2.putText(ink, "MUSTER MAXIMA", (40, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 1, 3)
    ds = chest_film(FORM, canaries=False)
    ds.PixelData = (samples + ink * amplitude).astype("<u2").tobytes()
    return part10_bytes(ds)


def shown(root: Path, amplitude: int, user: str) -> tuple[NDArray[np.uint16], list[bytes]]:
    with House(root / f"{amplitude}-{user}") as house:
        assert house.store(film(amplitude)).status_code == 200
        house.screen()
        (path,) = house.instances(user)
        frame = house.get(f"{path}/frames/1", user, OCTETS)
        windows = [f"{centre},{width},linear" for centre, width in ((40, 2), (44, 8), (48, 16), (60, 60), (2048, 4096))]
        pictures = [house.get(f"{path}/rendered?window={window}", user, "image/png").data for window in windows]
        return np.frombuffer(frame.data, "<u2").reshape(FORM.rows, FORM.columns), pictures


@pytest.mark.parametrize("amplitude", [2, 8])
def test_a_X4_faint_text_beside_the_anatomy_is_in_no_window(tmp_path: Path, amplitude: int) -> None:
    none, no_pictures = shown(tmp_path, 0, "researcher")
    faint, pictures = shown(tmp_path, amplitude, "researcher")
    assert np.array_equal(faint, none)
    assert pictures == no_pictures
    assert len(np.unique(none[:192])) <= 2
    # The body is as it was, and whoever may see the film sees what is written there.
    open_none, _ = shown(tmp_path, 0, "clinician")
    open_faint, _ = shown(tmp_path, amplitude, "clinician")
    assert not np.array_equal(open_faint, open_none)
    assert np.array_equal(none[256:, 224:448], open_none[256:, 224:448])
