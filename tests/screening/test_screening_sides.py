"""The letter of a side is shown beside the initials on its plate, and no sample of anybody's initials ever is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from server.model import Region, RegionKind
from server.pixels.areas import plan
from server.pixels.description import EXPLICIT_LITTLE, PixelDescription
from server.policy.bundle import load
from server.screening.contents import text_regions
from server.screening.lines import Box
from server.screening.picture import normalised
from server.screening.reader import Reader
from server.screening.regions import SIDE

SHAPE = (320, 480)
Ink = NDArray[np.bool_]
LEVEL = load(Path(__file__).resolve().parents[2] / "policies").levels["deidentified"]


@cache
def reader() -> Reader:
    return Reader()


def ink(text: str, top: int, left: int, size: int) -> Ink:
    """The text with its first row of ink at `top` and its first column at `left`."""
    font = ImageFont.load_default(size)
    x, y, _, _ = font.getbbox(text)
    image = Image.new("L", SHAPE[::-1])
    ImageDraw.Draw(image).text((left - x, top - y), text, fill=255, font=font)
    return np.asarray(image) > 0


def plate(*inks: Ink, grown: int = 8) -> Box:
    """One box around them all, as the detector finds it."""
    rows, columns = (np.flatnonzero(np.any(inks, axis=0).any(axis=axis)) for axis in (1, 0))
    return Box(
        top=int(rows[0]) - grown, left=int(columns[0]) - grown, bottom=int(rows[-1]) + 1 + grown,
        right=int(columns[-1]) + 1 + grown, confidence=0.95,
    )  # fmt: skip


def regions(*inks: Ink, boxes: Sequence[Box] = (), strength: int = 3000) -> list[Region]:
    picture = normalised((np.any(inks, axis=0) * strength + 200).astype(np.uint16))
    assert picture is not None
    found = boxes or [plate(*inks)]
    return text_regions(found, found, [picture], reader(), 1)


def shown(found: Sequence[Region], *, lossy: bool = False) -> Ink:
    """What the level for research shows."""
    described = PixelDescription(
        rows=SHAPE[0], columns=SHAPE[1], samples_per_pixel=1, bits_allocated=16, bits_stored=12, high_bit=11,
        signed=False, photometric_interpretation="MONOCHROME2", planar_configuration=0, number_of_frames=1,
        transfer_syntax_uid=EXPLICIT_LITTLE, data_kind="integer", lossy_history=lossy,
    )  # fmt: skip
    planned = plan(found, LEVEL, described, screened=True, frame_number=1)
    place = np.ones(SHAPE, bool)
    for top, left, bottom, right in planned.boxes:
        place[top:bottom, left:right] = False
    for top, left, bottom, right in planned.windows:
        place[top:bottom, left:right] = True
    return place


def turned(where: Ink, way: str) -> Ink:
    return {"": where, "from behind": where[:, ::-1], "upside down from behind": where[::-1]}[way]


@pytest.mark.parametrize("letter", ["L", "R"])
@pytest.mark.parametrize("way", ["", "from behind"])
@pytest.mark.parametrize("initials", ["HSA", "MS", "K.L."])
def test_a_letter_stays_and_the_initials_below_it_do_not(letter: str, way: str, initials: str) -> None:
    large, small = ink(letter, 60, 200, 84), ink(initials, 140, 190, 26)
    large, small = turned(large, way), turned(small, way)
    place = shown(regions(large, small))
    assert place[large].all()
    assert not place[small].any()


def test_an_l_upside_down_from_behind_is_one() -> None:
    large, small = (turned(one, "upside down from behind") for one in (ink("L", 60, 200, 84), ink("HSA", 140, 190, 26)))
    place = shown(regions(large, small))
    assert place[large].all()
    assert not place[small].any()


HIDDEN = {
    "a sign that nobody reads on its line": (ink("L", 60, 120, 40), ink("\u674e", 60, 165, 40)),
    "of one size": (ink("L", 60, 200, 60), ink("MS", 125, 190, 56)),
    "a name on its line": (ink("L", 60, 120, 84), ink("MUSTER", 80, 190, 26), ink("HSA", 140, 110, 26)),
    "a name far away on its line": (ink("R", 60, 60, 60), ink("MUSTER", 80, 330, 26), ink("HSA", 140, 60, 22)),
    "a name before it": (ink("MUSTER", 80, 60, 26), ink("L", 60, 220, 84), ink("HSA", 140, 200, 26)),
    "initials too near": (ink("L", 60, 200, 84), ink("HSA", 127, 190, 26)),
    "nothing else on the plate": (ink("L", 60, 200, 84),),
    "another letter": (ink("B", 60, 200, 84), ink("HSA", 140, 190, 26)),
    "a number": (ink("7", 60, 200, 84), ink("HSA", 140, 190, 26)),
    "two letters": (ink("LR", 60, 180, 84), ink("HSA", 140, 190, 26)),
    "a number before it": (ink("R 1", 60, 180, 84), ink("HSA", 140, 190, 26)),
    "lying": (np.rot90(ink("R", 100, 40, 84), 2), np.rot90(ink("HSA", 180, 30, 26), 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_what_may_be_a_name_stays_hidden(name: str) -> None:
    found = regions(*HIDDEN[name], boxes=[plate(*HIDDEN[name])])
    assert SIDE not in {one.content for one in found}
    if name != "nothing else on the plate":
        assert not shown(found)[np.any(HIDDEN[name], axis=0)].any()


def test_every_plane_has_to_say_it() -> None:
    large, small = ink("L", 60, 200, 84), ink("HSA", 140, 190, 26)
    box = plate(large, small)
    planes = []
    for inks in ((large, small), (large, small, ink("MUSTER", 80, 300, 26))):
        picture = normalised((np.any(inks, axis=0) * 3000 + 200).astype(np.uint16))
        assert picture is not None
        planes.append(picture)
    for one, said in ((planes[:1], True), (planes[::-1], False), (planes, False)):
        found = text_regions([box], [box], [*one], reader(), 1)
        assert (SIDE in {region.content for region in found}) is said


def test_a_faint_name_on_its_line_counts() -> None:
    large, small, name = ink("L", 60, 120, 84), ink("HSA", 140, 110, 26), ink("MUSTER", 80, 260, 26)
    noise = np.random.default_rng(1).normal(0, 20, SHAPE)
    picture = normalised((np.maximum((large | small) * 3000, name * 500) + 200 + noise).clip(0).astype(np.uint16))
    assert picture is not None
    box = plate(large, small)
    assert SIDE not in {one.content for one in text_regions([box], [box], [picture], reader(), 1)}


def found_plate() -> tuple[list[Region], Ink]:
    large, small = ink("L", 60, 200, 84), ink("HSA", 140, 190, 26)
    return regions(large, small), large


def test_where_masks_reach_further_the_letter_is_hidden_whole() -> None:
    found, large = found_plate()
    assert shown(found)[large].all()
    assert not shown(found, lossy=True)[large].any()


def test_what_else_lies_near_the_letter_hides_it_whole() -> None:
    found, large = found_plate()
    (letter,) = (one for one in found if one.content == SIDE)
    for down, across in ((-3, 0), (0, -3), (letter.row_count + 2, 0), (0, letter.column_count + 2)):
        other = Region(
            kind=RegionKind.FACE, top_row=letter.top_row + down, left_column=letter.left_column + across,
            row_count=2, column_count=2,
        )  # fmt: skip
        assert not shown([*found, other])[large].any()


def test_a_level_without_markers_hides_it_all() -> None:
    found, large = found_plate()
    place = np.ones(SHAPE, bool)
    for one in found:
        rows = slice(one.top_row - 4, one.top_row + one.row_count + 4)
        place[rows, one.left_column - 4 : one.left_column + one.column_count + 4] = False
    assert not place[large].any()
    box = plate(large, ink("HSA", 140, 190, 26))
    assert not place[box.top : box.bottom, box.left : box.right].any()
