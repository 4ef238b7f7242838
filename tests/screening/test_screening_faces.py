from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import skimage
from pydicom.pixels.processing import apply_color_lut

from server.demo.films import chest_picture
from server.errors import ConfigurationError
from server.model import Region, RegionKind
from server.screening import packaged
from server.screening.faces import LARGEST_FRAME, FaceDetector
from server.screening.packaged import Packaged

PICTURES: Any = skimage.data


@pytest.fixture(scope="module")
def faces() -> FaceDetector:
    return FaceDetector()


def covers(region: Region, row: int, column: int) -> bool:
    down, across = row - region.top_row, column - region.left_column
    return 0 <= down < region.row_count and 0 <= across < region.column_count


@pytest.mark.parametrize("part", range(4))
def test_every_small_portrait_is_found(faces: FaceDetector, part: int) -> None:
    portraits = PICTURES.lfw_subset()[:48][part::4]
    found = [faces.find((one * 255).astype(np.uint8)[:, :, None], frame_number=1) for one in portraits]
    assert all(regions for regions in found)
    assert all(max(one.row_count * one.column_count for one in regions) >= 0.8 * 25 * 25 for regions in found)


@pytest.mark.parametrize("turns", range(4))
def test_a_portrait_is_found_however_it_lies(faces: FaceDetector, turns: int) -> None:
    picture = np.rot90(PICTURES.astronaut(), turns)
    found = faces.find(picture, frame_number=3)
    # The eyes and the mouth, in the picture as it was, turned along.
    for row, column in ((100, 205), (100, 250), (160, 225)):
        mark = np.zeros((512, 512), bool)
        mark[row, column] = True
        at_row, at_column = np.argwhere(np.rot90(mark, turns))[0]
        assert any(covers(one, int(at_row), int(at_column)) for one in found)
    assert {(one.kind, one.frames) for one in found} == {(RegionKind.FACE, frozenset({3}))}


@pytest.mark.parametrize("turns", range(4))
def test_the_box_lies_where_the_face_does(faces: FaceDetector, turns: int) -> None:
    for portrait in PICTURES.lfw_subset()[:100:10]:
        picture, middle = np.full((160, 200), 90, np.uint8), np.zeros((160, 200), bool)
        picture[60:135, 110:185] = np.kron(portrait * 255, np.ones((3, 3)))
        middle[80:120, 130:165] = True
        hidden = np.zeros((160, 200), bool) if turns % 2 == 0 else np.zeros((200, 160), bool)
        for one in faces.find(np.rot90(picture, turns)[:, :, None], frame_number=1):
            place = np.s_[
                one.top_row : one.top_row + one.row_count, one.left_column : one.left_column + one.column_count
            ]
            hidden[place] = True
        assert hidden[np.rot90(middle, turns)].mean() > 0.9
        assert hidden.mean() < 0.7


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.float64])
def test_a_portrait_is_found_in_every_kind_of_sample(faces: FaceDetector, dtype: type) -> None:
    grey = PICTURES.astronaut().mean(axis=2)[::2, ::2, None]
    scale = 1e300 if dtype is np.float64 else 100
    found = faces.find((grey * scale - 10).astype(dtype), frame_number=1)
    assert any(covers(one, 55, 112) for one in found)


def test_a_portrait_of_palette_indices(faces: FaceDetector) -> None:
    grey = PICTURES.astronaut()[::2, ::2, 1]
    shuffled = np.random.default_rng(1).permutation(256)
    palette = np.zeros((256, 3), np.uint8)
    palette[shuffled] = np.arange(256, dtype=np.uint8)[:, None]
    indices = shuffled[grey].astype(np.uint8)[:, :, None]
    assert any(covers(one, 55, 112) for one in faces.find(indices, frame_number=1, palette=palette))


def test_a_radiograph_has_no_face(faces: FaceDetector) -> None:
    film = (np.clip(chest_picture(), 0, 1) * 4095).astype(np.uint16)
    assert faces.find(film[:, :, None], frame_number=1) == []


def test_a_frame_too_large_is_hidden_whole(faces: FaceDetector) -> None:
    rows = LARGEST_FRAME // 100 + 1
    (region,) = faces.find(np.zeros((rows, 100, 1), np.uint8), frame_number=1)
    assert (region.row_count, region.column_count, region.kind) == (rows, 100, RegionKind.FACE)


@pytest.mark.parametrize("shape", [(5, 5), (0, 5, 1), (5, 5, 0)])
def test_another_shape_is_refused(faces: FaceDetector, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        faces.find(np.zeros(shape, np.uint8), frame_number=1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 900, 3), (900, 2, 1), (7, 5, 4)])
def test_frames_of_odd_shapes_are_looked_at(faces: FaceDetector, shape: tuple[int, ...]) -> None:
    assert faces.find(np.zeros(shape, np.uint8), frame_number=1) == []


@pytest.mark.parametrize("wanted", [packaged.FACES, packaged.HEAD, packaged.HEAD_FACE], ids=lambda one: one.file)
def test_only_the_pinned_files_are_used(wanted: Packaged, tmp_path: Path) -> None:
    content = packaged.content(wanted)
    assert hashlib.sha256(content).hexdigest() == wanted.sha256
    altered = tmp_path / "altered"
    altered.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for place in (altered, tmp_path / "absent"):
        with pytest.raises(ConfigurationError):
            packaged.content(wanted, lambda _, place=place: place)  # type: ignore[misc]
    with pytest.raises(ConfigurationError):
        packaged.installed(Packaged(package="no-such-package-is-installed", file="x", sha256=""))


_SHARED = Path(os.environ.get("SAFELIGHT_SHARED_DATA", ""))
if _SHARED.name:

    def test_shared_radiographs_have_no_face_and_the_portrait_has(faces: FaceDetector) -> None:
        films = sorted(_SHARED.glob("chest/*.dcm"))
        assert films
        for path in films:
            samples = pydicom.dcmread(path).pixel_array
            assert faces.find(samples[:, :, None], frame_number=1) == [], path.name
        portrait = pydicom.dcmread(_SHARED / "faces" / "pydicom_OT-PAL-8-face_storable.dcm")
        assert faces.find(apply_color_lut(portrait.pixel_array, portrait), frame_number=1)
