"""A policy whose research level keeps machine text: the line of technique is the original's in every answer, and the
name beside it changes no byte of any; and text that is kept calls no person.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import POLICIES, House, detector, parts
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from review_kit import detectors, finds, screen_all

from server.model import Region, ScreeningState
from server.screening.regions import RESIDUAL
from server.second_look import LOOK

ROWS, COLUMNS = 320, 400
NAMES = ("NORA MUSTER", "IVAN NOBODY")
# The name stands as close to the lines as on the films of ultrasound scanners.
TECHNIQUE, NAME = ((("80 kV", 150), ("4.0 mm", 210))), 180
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
SAMPLES = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'


def glyphs(*lines: tuple[str, int]) -> NDArray[np.bool_]:
    image = Image.new("L", (COLUMNS, ROWS))
    for text, row in lines:
        ImageDraw.Draw(image).text((120, row), text, fill=255, font=ImageFont.load_default(20))
    return np.asarray(image) > 0


@cache
def picture(side: int) -> NDArray[np.uint16]:
    """A 12-bit film, dark beside the lines, as those of ultrasound scanners are, and noise in its right half."""
    samples = np.full((ROWS, COLUMNS), 320, np.uint16)
    samples[:, 300:] = np.random.default_rng(3).integers(300, 900, (ROWS, COLUMNS - 300))
    samples[glyphs(*TECHNIQUE, (NAMES[side], NAME))] = 3600
    return samples


def film(side: int) -> bytes:
    ds = chest_film(PixelFormat(rows=ROWS, columns=COLUMNS), WindowCenter=2000, WindowWidth=4000)
    ds.PixelData = picture(side).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return part10_bytes(ds)


@cache
def found() -> tuple[Region, ...]:
    """What the detector finds on the first side: where text is and what kind it is of is released by design."""
    return tuple(detector().text.find(picture(0)[:, :, None], frame_number=1))


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    file = copy / "levels" / "deidentified.toml"
    text = file.read_text("utf-8")
    assert text.count("keep_machine_text = false") == 1
    file.write_text(text.replace("keep_machine_text = false", "keep_machine_text = true "), "utf-8")
    return copy


def answers(root: Path, policies: Path, side: int, user: str) -> Iterator[tuple[str, bytes]]:
    with House(root, policies=policies) as house:
        assert house.store(film(side)).status_code == 200
        screen_all(house, detectors(finds(*found())))
        (path,) = house.instances(user)
        for suffix, accept in (
            ("", DICOM),
            ("/frames/1", SAMPLES),
            ("/rendered", "image/png"),
            ("/rendered", "image/jpeg"),
            ("/thumbnail", "image/png"),
            ("/metadata", "application/dicom+json"),
        ):
            response = house.get(f"{path}{suffix}", user, accept)
            assert response.status_code == 200, suffix
            body = response.get_data() if not accept.startswith("multipart") else parts(response)[0][1]
            yield f"{suffix} {accept}", body


def samples(bodies: Sequence[tuple[str, bytes]]) -> list[NDArray[Any]]:
    """The samples of an instance, of its frame, and of its rendered picture."""
    whole, frame, rendered = (body for _, body in bodies[:3])
    stored = pydicom.dcmread(io.BytesIO(whole)).pixel_array
    bare = np.frombuffer(frame, "<u2").reshape(ROWS, COLUMNS)
    return [stored, bare, np.asarray(Image.open(io.BytesIO(rendered)).convert("L"))]


def test_technique_is_the_originals_and_the_name_is_not(tmp_path: Path, policies: Path) -> None:
    masked = samples(list(answers(tmp_path / "masked", policies, 0, "researcher")))
    original = samples(list(answers(tmp_path / "original", policies, 0, "clinician")))
    technique, name = glyphs(*TECHNIQUE), glyphs((NAMES[0], NAME))
    for shown, stored in zip(masked, original, strict=True):
        assert np.array_equal(shown[technique], stored[technique])
        assert not (shown[name] == stored[name]).any()


def test_two_names_give_the_same_bytes(tmp_path: Path, policies: Path) -> None:
    assert not np.array_equal(picture(0), picture(1))
    one, other = (list(answers(tmp_path / str(side), policies, side, "researcher")) for side in (0, 1))
    assert [what for what, body in one] == [what for what, body in other]
    for (what, first), (_, second) in zip(one, other, strict=True):
        assert first == second, what


def test_the_level_as_shipped_hides_both(tmp_path: Path) -> None:
    shown = samples(list(answers(tmp_path, POLICIES, 0, "researcher")))[0]
    assert not (shown[glyphs(*TECHNIQUE)] == 3600).any()


@pytest.mark.parametrize("user", ["clinician", "researcher"])
def test_a_thumbnail_holds_no_text_that_is_kept_elsewhere(tmp_path: Path, policies: Path, user: str) -> None:
    """With the lines and without them: one thumbnail, at the level that keeps everything too."""
    seen = []
    for number, lines in enumerate((TECHNIQUE, ())):
        samples = picture(0).copy()
        samples[:, :300] = 320
        samples[glyphs(*lines)] = 3600
        ds = chest_film(PixelFormat(rows=ROWS, columns=COLUMNS), WindowCenter=2000, WindowWidth=4000)
        ds.PixelData = samples.astype("<u2").tobytes()
        ds["PixelData"].VR = "OW"
        with House(tmp_path / f"{user}{number}", policies=policies) as house:
            assert house.store(part10_bytes(ds)).status_code == 200
            screen_all(house, detectors(finds(*found())))
            (path,) = house.instances(user)
            seen.append((house.get(f"{path}/thumbnail", user).data, house.get(f"{path}/rendered", user).data))
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]


def test_kept_text_calls_nobody(tmp_path: Path, policies: Path) -> None:
    """The second look is at a picture in which what is kept is hidden, too, whatever the policy says."""
    assert not LOOK.keep_machine_text
    assert not LOOK.keep_markers
    with House(tmp_path / "house", policies=policies) as house:
        assert house.store(film(0)).status_code == 200
        house.screen()
        (record,) = house.services.catalog.instances_of(str(chest_film().StudyInstanceUID))
        assert record.screening is ScreeningState.SCREENED


def test_the_second_look_reads_nothing_where_all_is_hidden() -> None:
    """It would read the lines, if they were shown."""
    residual = detector().residual
    hidden = [
        (one.top_row, one.left_column, one.top_row + one.row_count, one.left_column + one.column_count)
        for one in found()
    ]
    frame = picture(0)[:, :, None]
    assert any(not one.content for one in residual.find(frame, hidden=[], frame_number=1))
    assert all(one.detector == RESIDUAL for one in residual.find(frame, hidden=[], frame_number=1))
    assert residual.find(frame, hidden=hidden, frame_number=1) == []
