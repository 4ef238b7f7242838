"""What is shown of a certain line is its own ink and nothing of what stands beside it, however boxes have grown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.model import Region
from server.screening.company import Line, company
from server.screening.contents import text_regions
from server.screening.ink import APART, clear
from server.screening.lines import Box
from server.screening.picture import Grey, normalised
from server.screening.reader import Reader
from server.screening.readings import about
from server.screening.terms import MARKER, TECHNIQUE, WEAK, kind_of
from server.screening.windows import between, windows, without

SHAPE = (200, 320)
Ink = NDArray[np.bool_]


@cache
def reader() -> Reader:
    return Reader()


def ink(text: str, top: int, left: int = 40, size: int = 20) -> Ink:
    """The text with the first row of its ink at `top`."""
    font = ImageFont.load_default(size)
    image = Image.new("L", SHAPE[::-1])
    ImageDraw.Draw(image).text((left, top - font.getbbox(text)[1]), text, fill=255, font=font)
    return np.asarray(image) > 0


def box(where: Ink, grown: int = 9) -> Box:
    """A box around ink as the detector grows it: by half a line and more, over whatever is above and below."""
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    return Box(
        top=max(0, int(rows[0]) - grown), left=int(columns[0]) - grown - 8, bottom=int(rows[-1]) + 1 + grown,
        right=int(columns[-1]) + 1 + grown + 8, confidence=0.95,
    )  # fmt: skip


def pictures(*inks: Ink) -> list[Grey]:
    picture = normalised((np.any(inks, axis=0) * 3000 + 200).astype(np.uint16))
    assert picture is not None
    return [picture]


def hidden(regions: Sequence[Region]) -> Ink:
    place = np.zeros(SHAPE, bool)
    for one in regions:
        if not one.content:
            place[one.top_row : one.top_row + one.row_count, one.left_column : one.left_column + one.column_count] = (
                True
            )
    return place


def regions_of(*inks: Ink) -> list[Region]:
    boxes = [box(one) for one in inks]
    return text_regions(boxes, boxes, pictures(*inks), reader(), 1)


@pytest.mark.parametrize("gap", range(14))
@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("name", ["NORA MUSTER", "Frida Nobody", "12.04.1961"])
def test_no_ink_of_a_name_is_cut_off_by_a_line_close_to_it(name: str, above: bool, gap: int) -> None:
    line = ink("80 kV", 90)
    rows = np.flatnonzero(line.any(axis=1))
    height = int(np.flatnonzero(ink(name, 90).any(axis=1))[-1]) - 89
    other = ink(name, int(rows[0]) - gap - height if above else int(rows[-1]) + 1 + gap)
    assert hidden(regions_of(line, other))[other].all()


def test_a_line_close_to_a_name_is_shown_nonetheless() -> None:
    line, other = ink("80 kV", 90), ink("NORA MUSTER", 112)
    regions = regions_of(line, other)
    assert not hidden(regions)[line].any()
    assert any(one.content == TECHNIQUE for one in regions)


@pytest.mark.parametrize("size", [8, 10, 12])
def test_small_type_between_two_lines_stays_hidden(size: int) -> None:
    first, name = ink("80 kV", 60), ink("nora maxima", 80, size=size)
    second = ink("4.0 mm", int(np.flatnonzero(name.any(axis=1))[-1]) + 4)
    assert hidden(regions_of(first, name, second))[name].all()


def line_of(text: str, where: Ink, kind: str = TECHNIQUE) -> Line:
    around = box(where)
    return Line(
        box=around, top=around.top, left=around.left, bottom=around.bottom, right=around.right, text=text, kind=kind
    )


def shown(lines: Sequence[Line], planes: Sequence[Grey], by: Reader) -> list[Box]:
    found = list(windows(lines, planes, by).values())
    return [*found, *between(found)]


def test_a_window_is_hardly_larger_than_its_ink() -> None:
    where = ink("80 kV", 90)
    (window,) = shown([line_of("80 kV", where)], pictures(where), reader())
    tight = box(where, grown=0)
    assert 0 < tight.top - window.top <= 8
    assert 0 < window.bottom - tight.bottom <= 8
    assert 0 < tight.left + 8 - window.left <= 8
    assert 0 < window.right - tight.right + 8 <= 8


def test_what_does_not_stand_clear_or_says_something_else_has_no_window() -> None:
    where = ink("80 kV", 90)
    assert shown([line_of("90 kV", where)], pictures(where), reader()) == []
    assert shown([line_of("80 kV", where, MARKER)], pictures(where), reader()) == []
    assert shown([replace(line_of("80 kV", where), upright=False)], pictures(where), reader()) == []
    stroke = np.zeros(SHAPE, bool)
    stroke[40:150, 70:73] = True
    assert shown([line_of("80 kV", where)], pictures(where | stroke), reader()) == []


def test_every_plane_has_to_stand_clear_and_say_the_same() -> None:
    where = ink("80 kV", 90)
    other = pictures(where | ink("NORA", 90, left=100))
    assert shown([line_of("80 kV", where)], [*pictures(where), *pictures(where)], reader())
    assert shown([line_of("80 kV", where)], [*pictures(where), *other], reader()) == []


def test_a_line_drawn_under_a_heading_is_no_text() -> None:
    heading, below = ink("2D", 60), ink("60%", 83)
    bottom = int(np.flatnonzero(heading.any(axis=1))[-1]) + 1
    rule = np.zeros(SHAPE, bool)
    rule[bottom + 2 : bottom + 4, 40:70] = True
    lines = [line_of("2D", heading), line_of("60%", below)]
    first, second, *thin = shown(lines, pictures(heading, below, rule), reader())
    assert first.bottom == bottom + 2
    assert (second.top > bottom + 8) == (not thin)


def test_a_rectangle_without_others() -> None:
    region = replace(box(ink("80 kV", 90))).region(kind=regions_of(ink("NORA", 90))[0].kind, frame_number=1)
    hole = Box(top=region.top_row + 5, left=region.left_column - 3, bottom=region.top_row + 9, right=90, confidence=1)
    pieces = without(region, [hole])
    whole = hidden([region])
    whole[hole.top : hole.bottom, hole.left : hole.right] = False
    assert np.array_equal(hidden(pieces), whole)
    assert sum(one.row_count * one.column_count for one in pieces) == whole.sum()
    assert without(region, []) == [region]


def at(text: str, top: int, right: int) -> Line:
    around = Box(top=top, left=right - 80, bottom=top + 28, right=right, confidence=0.9)
    return Line(
        box=around, top=top, left=right - 80, bottom=top + 28, right=right, text=text, kind=kind_of(text)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "beside", "kept"),
    [
        (at("M3", 70, 300), at("TIS0.0 MI 0.6", 20, 302), True),
        (at("M3", 70, 300), at("TIS0.0 MI 0.6", 20, 360), False),
        (at("M3", 120, 300), at("TIS0.0 MI 0.6", 20, 302), False),
        (at("M3", 70, 300), at("80 kV", 20, 302), False),
        (at("PWR", 70, 300), at("TIS0.0 MI 0.6", 20, 302), False),
        (at("1.3 2.6", 50, 300), at("R", 20, 302), True),
        (at("1.3 2.6", 50, 300), at("L", 20, 302), False),
        (at("1.3 2.6", 50, 300), at("R", 20, 200), False),
    ],
)
def test_vocabulary_and_place_have_to_agree(line: Line, beside: Line, kept: bool) -> None:
    assert line.kind == WEAK
    assert (line in company([line, beside])) == kept
    assert company([line]) == []


@pytest.mark.parametrize("text", ["1.3 2.7", "1.2 1.3", "0.0 0.0", "12.3 24.6", "1.1 2.0", "3.4", "1.3.2.6"])
def test_two_numbers_are_frequencies_only_where_one_is_twice_the_other(text: str) -> None:
    assert kind_of(text) == ""
    assert kind_of("LYMPHNODE") == TECHNIQUE
    assert kind_of("KNEEMUSTER") == ""


@pytest.mark.parametrize("gap", [1, 2, 4])
def test_a_name_that_was_not_found_by_itself_is_not_shown_with_its_neighbours(gap: int) -> None:
    first = ink("30.3 mAs", 60, size=22)
    last = int(np.flatnonzero(first.any(axis=1))[-1])
    name = ink("LAT, MA", last + 1 + gap, size=9)
    second = ink("4.0 mm", int(np.flatnonzero(name.any(axis=1))[-1]) + 1 + gap)
    boxes = [box(first), box(second)]
    assert hidden(text_regions(boxes, boxes, pictures(first, name, second), reader(), 1))[name].all()


def test_a_box_of_small_type_beside_a_line_is_not_about_it() -> None:
    where = ink("80 kV", 90)
    line, small = line_of("80 kV", where), box(ink("nora", 107, size=9))
    assert not about(small, line, None)
    (window,) = windows([line], pictures(where, ink("nora", 107, size=9)), reader()).values()
    assert not about(small, line, window)
    assert about(box(where, grown=6), line, None)
    assert about(box(where | ink("nora", 107, size=9)), line, window)


def test_ink_that_goes_on_beyond_its_box_does_not_stand_clear() -> None:
    where = ink("80 kV", 90)
    stroke = np.zeros(SHAPE, bool)
    stroke[40:150, 70:73] = True
    assert clear(box(where), pictures(where), APART) is not None
    assert clear(box(where), pictures(where | stroke), APART) is None
