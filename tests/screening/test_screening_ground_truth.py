"""Published films with burned-in identities, where somebody has them: a directory named by `SAFELIGHT_SHARED_DATA`
with `burned-in/ground_truth.json`. Without it this file holds no test.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGLosslessSV1

from server.screening.text import TextDetector

_SHARED = os.environ.get("SAFELIGHT_SHARED_DATA", "")
_FOLDER = Path(_SHARED) / "burned-in"
IMAGES: list[dict[str, Any]] = (
    json.loads((_FOLDER / "ground_truth.json").read_text(encoding="utf-8"))["images"] if _SHARED else []
)


def every_identifying_box_is_covered(detector: TextDetector) -> None:
    covered = total = 0
    for image in IMAGES:
        mask = _mask(detector, _FOLDER / image["file"])
        for box in image["boxes"]:
            if box["is_phi"]:
                left, top, right, bottom = box.get("value_bbox", box["bbox"])
                total += 1
                covered += bool(mask[top:bottom, left:right].mean() >= 0.95)
    print(f"{covered} of {total} identifying boxes covered")
    assert covered == total > 0


if IMAGES:
    # The published films contradict the standard here and there; that is not what is tested.
    test_every_identifying_box_is_covered = pytest.mark.filterwarnings("ignore")(every_identifying_box_is_covered)


def _mask(detector: TextDetector, path: Path) -> np.ndarray[Any, Any]:
    film = pydicom.dcmread(path)
    if film.file_meta.TransferSyntaxUID == JPEGLosslessSV1:
        frame = imagecodecs.ljpeg_decode(next(generate_frames(film.PixelData, number_of_frames=1)))
    else:
        frame = pixel_array(film, index=0)
    frame = frame[:, :, None] if frame.ndim == 2 else frame
    palette = None
    if film.PhotometricInterpretation == "PALETTE COLOR":
        tables = [film[f"{name}PaletteColorLookupTableData"].value for name in ("Red", "Green", "Blue")]
        palette = np.stack([np.frombuffer(table, "<u2") for table in tables], axis=1)
    covered = np.zeros(frame.shape[:2], bool)
    for region in detector.find(frame, frame_number=1, palette=palette):
        rows = slice(region.top_row, region.top_row + region.row_count)
        covered[rows, region.left_column : region.left_column + region.column_count] = True
    return covered
