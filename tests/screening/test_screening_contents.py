"""Certain words stay legible; whatever identifies, cannot be read, or lies beside something unread says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from test_screening_text import burned, corner, glyphs

from server.model import Region, RegionKind
from server.screening.contents import MARKER, TECHNIQUE, joined_markers, kind_of
from server.screening.reader import Reader
from server.screening.text import TextDetector

EDGE = 440


def found(detector: TextDetector, *lines: tuple[str, int, int, int]) -> list[Region]:
    film = corner().copy()
    film[:, EDGE - 300 :] = 200
    for text, height, row, column in lines:
        film, _ = burned(film, glyphs(text, height), row, column, 0.7)
    regions = detector.find(film[:, :, None], frame_number=1)
    return [one for one in regions if one.left_column + one.column_count > EDGE - 300]


def contents(detector: TextDetector, *lines: tuple[str, int, int, int]) -> list[str]:
    return [one.content for one in found(detector, *lines)]


@pytest.mark.parametrize(
    "text", ["L", "R", "AP", "PA", "LAT", "ERECT", "SUPINE", "Portable", "AP ERECT", "Semi-Upright"]
)
def test_a_marker_is_known(detector: TextDetector, text: str) -> None:
    assert contents(detector, (text, 40, 300, EDGE - 290)) == [MARKER]


@pytest.mark.parametrize(
    "text", ["Nora L", "PAL", "LAP", "MUSTER", "M", "01.04.1961", "ID 4711", "王伟", "PAUL", "A P", "RL 0815", "Lat: F"]
)
def test_what_may_identify_is_not_a_marker(text: str) -> None:
    assert kind_of(text) == ""


@pytest.mark.parametrize(
    "text", ["12.17 cm", "W: 254 L: 127", "36Hz", "C5-1", "TIS0.0 MI 0.6", "60%", "2D", "Dyn R 58"]
)
def test_technique_is_known(text: str) -> None:
    assert kind_of(text) == TECHNIQUE


def test_identity_beside_a_marker_keeps_it_hidden(detector: TextDetector) -> None:
    assert contents(detector, ("AP", 40, 300, EDGE - 250), ("NORA", 40, 300, EDGE - 180)) == [""]
    regions = found(detector, ("AP", 40, 300, EDGE - 240), ("NORA", 40, 345, EDGE - 240))
    # Two regions that touch: then a level that keeps markers hides both.
    bottom = max(one.top_row + one.row_count for one in regions if one.content == MARKER)
    assert min(one.top_row for one in regions if one.content != MARKER) <= bottom


def test_identity_is_never_called_anything_else(detector: TextDetector) -> None:
    lines = [
        ("MUSTER^MAXIMA", 20, 100, EDGE - 260),
        ("12.04.1961", 24, 300, EDGE - 240),
        ("ID 883726", 30, 400, EDGE - 250),
    ]
    assert set(contents(detector, *lines)) == {""}


def test_a_frame_of_several_planes_says_nothing(detector: TextDetector) -> None:
    film, _ = burned(corner(), glyphs("AP", 40), 30, 30, 0.7)
    frame = np.repeat((film >> 4).astype(np.uint8)[:, :, None], 3, axis=2)
    assert any(one.content == MARKER for one in detector.find(frame, frame_number=1))
    frame[:, :, 1] = 255 - frame[:, :, 1]
    frame[100:140, 300:400, 2] = 0
    assert all(one.content == "" for one in detector.find(frame, frame_number=1))


def region(top: int, left: int, content: str) -> Region:
    return Region(
        kind=RegionKind.TEXT, top_row=top, left_column=left, row_count=40, column_count=100,
        frames=frozenset({1}), content=content,
    )  # fmt: skip


def test_the_lines_of_a_marker_become_one() -> None:
    (joined,) = joined_markers([region(0, 0, MARKER), region(60, 20, MARKER)])
    assert (joined.top_row, joined.left_column, joined.row_count, joined.column_count) == (0, 0, 100, 120)
    assert joined.content == MARKER


def test_markers_far_apart_or_around_something_else_stay_apart() -> None:
    apart = [region(0, 0, MARKER), region(300, 0, MARKER)]
    assert joined_markers(apart) == apart
    around = [region(0, 0, MARKER), region(44, 90, ""), region(70, 0, MARKER)]
    assert joined_markers(around) == around


def test_a_line_is_read() -> None:
    line = np.clip(glyphs("SUPINE 4711", 36) * 200 + 20, 0, 255).astype(np.uint8)
    reading = Reader().read(line)
    assert (reading.text, reading.certainty > 0.5) == ("SUPINE 4711", True)


def test_a_blank_or_tiny_line_reads_as_nothing() -> None:
    reader = Reader()
    assert reader.read(np.full((30, 100), 128, np.uint8)).certainty == 0
    for shape in ((1, 1), (2, 300), (300, 2)):
        reader.read(np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8))
