"""Certain words stay legible; whatever identifies, cannot be read, or lies beside something unread says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from test_screening_text import burned, corner, glyphs, mask

from server.model import Region, RegionKind
from server.screening.contents import joined_markers
from server.screening.reader import Reader
from server.screening.terms import MARKER, TECHNIQUE, WEAK, kind_of
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
    "text",
    [
        "Nora L",
        "PAL",
        "LAP",
        "MUSTER",
        "M",
        "01.04.1961",
        "ID 4711",
        "王伟",
        "PAUL",
        "A P",
        "RL 0815",
        "Lat: F",
        "MA KV",
        "L LI",
        "R. PA",
        "R PA",
        "L AP",
        "AP NG",
        "P. Low",
        "AP 12.03.1951",
        "PA 4711",
        "MI 1.1.2020",
        "MI 12.3",
        "12.03.1951",
        "12.3.",
        "1951",
        "78",
        "78 Y",
        "M 36",
        "12:03",
        "+2:09:04",
        "172 cm",
        "72 kg",
        "W 1951",
        "IM 0815",
        "L12-5678",
        "C1-5",
        "12-5",
        "Muster 80 kV",
        "80 kV Muster",
        "2D Muster",
        "Chest Muster",
        "Fr. 12.3.",
        "OB",
        "3/3/4",
        "12 MA",
        "5 MS",
        "L/MS",
        "Dr. 12",
        "Asc Ao",
        "ERECT Muster",
        "",
    ],
)
def test_what_may_identify_is_not_a_marker(text: str) -> None:
    assert kind_of(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "12.17 cm",
        "W: 254 L: 127",
        "36Hz",
        "C5-1",
        "TIS0.0 MI 0.6",
        "60%",
        "2D",
        "Dyn R 58",
        "80 kV 2.5 mAs",
        "kVp: 120",
        "Se: 3/2",
        "Chest",
        "+ Asc Ao Diam 3.3 cm",
        "TR: 500 ms",
        "4.0cm-",
        "Gen OB",
    ],
)
def test_technique_is_known(text: str) -> None:
    assert kind_of(text) == TECHNIQUE


@pytest.mark.parametrize("text", ["RS", "Res", "C 61", "M3", "P Low", "PWR"])
def test_what_could_be_initials_or_a_room_needs_company(text: str) -> None:
    assert kind_of(text) == WEAK


def test_lines_of_technique_are_regions_of_their_own(detector: TextDetector) -> None:
    lines = [("80 kV", 22, 200, EDGE - 250), ("NORA MUSTER", 22, 260, EDGE - 250), ("4.0 mm", 22, 320, EDGE - 250)]
    assert contents(detector, *lines).count(TECHNIQUE) == 2
    name = np.zeros((440, 440), bool)
    name[262:280, EDGE - 245 : EDGE - 130] = True
    hidden = [one for one in found(detector, *lines) if not one.content]
    assert mask(hidden, name.shape)[name].all()


def test_identity_in_the_row_of_technique_hides_all_of_it(detector: TextDetector) -> None:
    assert set(contents(detector, ("80 kV", 24, 300, EDGE - 280), ("NORA", 24, 300, EDGE - 180))) == {""}
    assert set(contents(detector, ("80 kV NORA", 24, 300, EDGE - 280))) == {""}


def test_weak_terms_stand_only_in_a_column_of_technique(detector: TextDetector) -> None:
    assert contents(detector, ("RS", 24, 300, EDGE - 250)) == [""]
    column = [("36Hz", 24, 240, EDGE - 250), ("RS", 24, 275, EDGE - 250), ("60%", 24, 310, EDGE - 250)]
    assert set(contents(detector, *column)) == {TECHNIQUE}


def test_a_letter_of_a_side_is_known_from_behind(detector: TextDetector) -> None:
    film = corner().copy()
    film[:, EDGE - 300 :] = 200
    film, _ = burned(film, np.ascontiguousarray(glyphs("R", 60)[:, ::-1]), 250, EDGE - 200, 0.7)
    regions = detector.find(film[:, :, None], frame_number=1)
    assert [one.content for one in regions if one.left_column > EDGE - 320] == [MARKER]


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


def test_every_plane_of_a_frame_has_to_say_the_same(detector: TextDetector) -> None:
    film, _ = burned(corner(), glyphs("AP", 40), 30, 30, 0.7)
    frame = np.repeat((film >> 4).astype(np.uint8)[:, :, None], 3, axis=2)
    assert any(one.content == MARKER for one in detector.find(frame, frame_number=1))
    frame[:, :, 1] = 255 - frame[:, :, 1]
    assert any(one.content == MARKER for one in detector.find(frame, frame_number=1))
    for text, column in (("NORA", 95), ("LO", 30)):
        other, _ = burned(corner() if column == 30 else film, glyphs(text, 40), 30, column, 0.7)
        frame[:, :, 2] = (other >> 4).astype(np.uint8)
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
