"""The detector on films drawn here: what was drawn must be covered, whatever it looks like; the rest mostly not."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.demo.films import chest_picture
from server.model import Region, RegionKind
from server.screening import text as text_module
from server.screening.regions import whole_frame
from server.screening.text import TextDetector

Picture = NDArray[Any]


@cache
def chest() -> Picture:
    return np.round(chest_picture() * 4095).astype(np.uint16)


def corner() -> Picture:
    """A quarter of the film, for what needs no whole one."""
    return chest()[:440, :440]


def glyphs(text: str, height: int, turns: int = 0) -> Picture:
    font = ImageFont.load_default(height)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, fill=255, font=font)
    return np.rot90(np.asarray(image, np.float64) / 255, turns)


def burned(film: Picture, text: Picture, row: int, column: int, contrast: float) -> tuple[Picture, Picture]:
    """The film with the text added, and where its glyphs are."""
    picture, place = film.astype(np.float64), np.zeros(film.shape, bool)
    window = np.s_[row : row + text.shape[0], column : column + text.shape[1]]
    picture[window] += text * contrast * 4095
    place[window] = text > 0.5
    return np.clip(picture, 0, 4095).astype(film.dtype), place


def mask(regions: Sequence[Region], shape: tuple[int, ...]) -> Picture:
    covered = np.zeros(shape[:2], bool)
    for region in regions:
        rows = slice(region.top_row, region.top_row + region.row_count)
        covered[rows, region.left_column : region.left_column + region.column_count] = True
    return covered


def share(detector: TextDetector, film: Picture, place: Picture) -> float:
    """The part of the glyphs that the detector covers."""
    samples = film if film.ndim == 3 else film[:, :, None]
    return float(mask(detector.find(samples, frame_number=1), film.shape)[place].mean())


LINES = [
    # text, height, quarter turns, row, column, contrast
    ("MUSTER^MAXIMA", 28, 0, 20, 20, 0.6),
    ("EXAMPLE PATIENT", 16, 0, 40, 760, 0.4),
    ("DEMO-0001", 12, 0, 1180, 30, 0.5),
    ("12.04.1961", 20, 0, 600, 520, -0.4),
    ("ID 883726154", 24, 0, 380, 280, 0.2),
    ("Muster, Maxima", 30, 0, 700, 300, -0.3),
    ("SAFELIGHT HOSPITAL", 40, 0, 1100, 300, -0.5),
    ("1961-04-12 F", 14, 0, 300, 700, 0.5),
    ("Nobody, Nora", 22, 1, 400, 30, -0.5),
    ("Nobody, Nora", 22, 3, 400, 1090, -0.5),
    ("FICTION^FRIDA", 26, 2, 900, 700, -0.4),
    ("EXAMPLE^PATIENT", 20, 1, 200, 300, 0.3),
    ("DEMO-0042", 60, 0, 500, 400, -0.4),
    ("Specimen", 100, 0, 300, 300, 0.3),
    ("MUSTER", 200, 0, 500, 100, -0.5),
    ("NORA", 300, 0, 300, 150, -0.6),
    ("ACC 20240108-77", 18, 0, 800, 150, -0.2),
    ("Geb. 17.05.1987", 24, 0, 20, 500, -0.4),
    ("Dr. Placeholder", 18, 0, 1000, 800, -0.4),
    ("08:15:00 PM", 16, 0, 1190, 900, -0.5),
    ("MRN 00079241539", 20, 2, 30, 30, 0.4),
    ("Invented, Ivan (M)", 36, 3, 100, 600, -0.3),
]


# Lines of one sheet do not lie on one another.
SHEETS = [[0, 1, 2, 3, 4, 7, 8, 20], [5, 6, 9, 10, 17, 19], [11, 12, 16, 18, 21], [13], [14], [15]]


@pytest.mark.parametrize("lines", SHEETS, ids=str)
def test_burned_in_lines_are_covered(detector: TextDetector, lines: list[int]) -> None:
    film, places = chest(), []
    for text, height, turns, row, column, contrast in (LINES[index] for index in lines):
        film, place = burned(film, glyphs(text, height, turns), row, column, contrast)
        places.append(place)
    covered = mask(detector.find(film[:, :, None], frame_number=1), film.shape)
    assert [index for index, place in zip(lines, places, strict=True) if covered[place].mean() < 0.99] == []


def test_every_line_is_on_a_sheet() -> None:
    assert sorted(index for sheet in SHEETS for index in sheet) == list(range(len(LINES)))


@pytest.mark.parametrize(
    ("text", "height", "row", "column", "contrast"),
    [
        ("12.04.1961", 8, 320, 255, 0.07),
        ("EXAMPLE PATIENT", 7, 215, 132, 0.1),
        ("EXAMPLE PATIENT", 10, 295, 154, -0.07),
        ("12.04.1961", 10, 323, 140, 0.07),
    ],
)
def test_small_faint_lines_need_the_larger_look(
    detector: TextDetector, text: str, height: int, row: int, column: int, contrast: float
) -> None:
    film, place = burned(corner(), glyphs(text, height), row, column, contrast)
    assert share(detector, film, place) >= 0.95


def test_a_film_without_text_is_mostly_left_alone(detector: TextDetector) -> None:
    assert mask(detector.find(chest()[:, :, None], frame_number=1), chest().shape).mean() < 0.02


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_turned_or_inverted_film_hides_nothing(detector: TextDetector, turns: int, *, inverted: bool) -> None:
    film, place = burned(corner(), glyphs("MUSTER^MAXIMA", 24), 30, 30, 0.5)
    film = 4095 - film if inverted else film
    turned = np.ascontiguousarray(np.rot90(film, turns))
    assert share(detector, turned, np.rot90(place, turns)) >= 0.99


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", ">u2", "u4", "i4", "f4", "f8"])
def test_every_kind_of_sample_is_read(detector: TextDetector, dtype: str) -> None:
    film, place = burned(corner(), glyphs("MUSTER^MAXIMA", 24), 30, 30, 0.5)
    kind = np.dtype(dtype)
    if kind.itemsize == 1:
        film = film >> 4 if kind.kind == "u" else (film >> 4).astype(np.int16) - 128
    elif kind.kind == "i":
        film = film.astype(np.int32) - 2048
    assert share(detector, film.astype(kind), place) >= 0.99


def test_padding_does_not_drown_the_text(detector: TextDetector) -> None:
    film, place = burned(corner(), glyphs("MUSTER^MAXIMA", 24), 200, 150, 0.3)
    padded = film.astype(np.int32)
    padded[:, :100], padded[:, -100:] = -(2**31), 2**31 - 1
    assert share(detector, padded, place) >= 0.99


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_text_in_one_colour_channel_is_covered(detector: TextDetector, channel: int) -> None:
    frame = np.repeat((corner() >> 4).astype(np.uint8)[:, :, None], 3, axis=2)
    film, place = burned(corner(), glyphs("MUSTER^MAXIMA", 24), 30, 30, 0.4)
    frame[:, :, channel] = (film >> 4).astype(np.uint8)
    assert share(detector, frame, place) >= 0.99


def test_text_that_only_a_palette_shows_is_covered(detector: TextDetector) -> None:
    letters = glyphs("MUSTER^MAXIMA 12.04.1961", 24) > 0.5
    indices = np.random.default_rng(1).integers(0, 2, (256, 512, 1)).astype(np.uint8) * 200
    window = np.s_[100 : 100 + letters.shape[0], 50 : 50 + letters.shape[1], 0]
    indices[window][letters] += 1
    place = np.zeros(indices.shape[:2], bool)
    place[window[:2]] = letters
    palette = np.zeros((256, 3), np.uint8)
    palette[[1, 201]] = 255
    regions = detector.find(indices, frame_number=1, palette=palette)
    assert mask(regions, indices.shape)[place].mean() >= 0.99


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 500, 1), (500, 1, 3), (7, 9, 1), (31, 31, 3), (33, 65, 1)])
def test_the_smallest_frames_are_taken(detector: TextDetector, shape: tuple[int, int, int]) -> None:
    frame = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    for region in detector.find(frame, frame_number=1):
        assert region.top_row + region.row_count <= shape[0]
        assert region.left_column + region.column_count <= shape[1]


@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_constant_frame_has_no_regions(detector: TextDetector, value: int) -> None:
    assert detector.find(np.full((100, 100, 3), value, np.uint8), frame_number=1) == []


def test_regions_name_their_frame_and_stay_inside(detector: TextDetector) -> None:
    film, _ = burned(corner(), glyphs("MUSTER^MAXIMA", 28), 0, 0, 0.6)
    regions = detector.find(film[:, :, None], frame_number=17)
    assert regions
    for region in regions:
        assert region.kind is RegionKind.TEXT
        assert region.frames == frozenset({17})
        assert 0 <= region.confidence <= 1
        assert region.top_row >= 0
        assert region.left_column >= 0
        assert region.top_row + region.row_count <= film.shape[0]
        assert region.left_column + region.column_count <= film.shape[1]


def test_no_header_takes_part() -> None:
    parameters = inspect.signature(TextDetector.find).parameters
    assert list(parameters) == ["self", "samples", "frame_number", "palette", "palette_first"]


@pytest.mark.parametrize("entries", [1, 2, 256])
def test_a_false_palette_never_shrinks_the_mask(detector: TextDetector, entries: int) -> None:
    film, place = burned(corner(), glyphs("MUSTER^MAXIMA", 24), 30, 30, 0.5)
    frame = (film >> 4).astype(np.uint8)[:, :, None]
    plain = mask(detector.find(frame, frame_number=1), film.shape)
    false = detector.find(frame, frame_number=1, palette=np.zeros((entries, 3), np.uint8))
    assert np.all(mask(false, film.shape) >= plain)
    assert plain[place].all()


def test_the_same_samples_give_the_same_regions_and_stay_untouched(detector: TextDetector) -> None:
    film, _ = burned(corner(), glyphs("MUSTER^MAXIMA", 24), 30, 30, 0.5)
    frame = np.asfortranarray(film)[:, :, None]
    frame.setflags(write=False)
    assert detector.find(frame, frame_number=1) == detector.find(film[:, :, None].copy(), frame_number=1)


def test_a_frame_too_large_to_look_at_is_hidden_whole(detector: TextDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "LARGEST_FRAME", 99)
    assert detector.find(np.zeros((10, 10, 1), np.uint8), frame_number=4) == [whole_frame(10, 10, 4)]


@pytest.mark.parametrize("shape", [(10, 10), (0, 10, 1), (10, 0, 1), (1, 10, 10, 1)])
def test_another_shape_is_refused(detector: TextDetector, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rows, columns"):
        detector.find(np.zeros(shape, np.uint8), frame_number=1)


def test_text_across_a_tile_border_is_covered(detector: TextDetector) -> None:
    film = np.tile(np.round(np.linspace(300, 900, 2000)).astype(np.uint16), (1000, 1))
    text = glyphs("MUSTER^MAXIMA 12.04.1961", 28)
    burned_film, place = burned(film, text, 480, 1000 - text.shape[1] // 2, 0.1)
    assert share(detector, burned_film, place) >= 0.99
