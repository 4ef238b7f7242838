"""A frame like the one before costs nothing; a sample that changed is always looked at."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from test_screening_text import Picture, burned, corner, glyphs, mask

from server.model import Region, RegionKind
from server.screening.cine import AROUND, LONGEST, THOROUGH, Looked, next_frame
from server.screening.lines import Box
from server.screening.places import SIDES
from server.screening.text import TextDetector


class Eye:
    """Finds every sample above 99, as one rectangle, and notes what it was shown."""

    def __init__(self) -> None:
        self.looks: list[tuple[int, ...]] = []

    def __call__(self, samples: Picture, frame_number: int) -> list[Region]:
        self.looks.append(samples.shape)
        rows, columns = np.nonzero(samples[:, :, 0] > 99)
        if rows.size == 0:
            return []
        return [
            Region(
                kind=RegionKind.TEXT,
                top_row=int(rows.min()),
                left_column=int(columns.min()),
                row_count=int(np.ptp(rows)) + 1,
                column_count=int(np.ptp(columns)) + 1,
                frames=frozenset({frame_number}),
                content="marker",
            )
        ]


def frames(*spots: tuple[int, int] | None) -> list[Picture]:
    made = []
    for spot in spots:
        frame = np.zeros((1000, 1000, 1), np.uint8)
        frame[20:40, 20:200] = 200
        if spot is not None:
            frame[spot[0] : spot[0] + 10, spot[1] : spot[1] + 30] = 150
        made.append(frame)
    return made


def run(eye: Eye, made: list[Picture]) -> list[Looked]:
    done: list[Looked] = []
    for number, frame in enumerate(made, 1):
        done.append(next_frame(done[-1] if done else None, frame, number, eye))
    return done


def test_sixty_equal_frames_are_looked_at_once() -> None:
    eye = Eye()
    done = run(eye, frames(*[None] * 60))
    assert eye.looks == [(1000, 1000, 1)]
    assert [one.regions[0].frames for one in done] == [frozenset({number}) for number in range(1, 61)]


def test_what_appears_is_found_and_only_its_surroundings_are_looked_at() -> None:
    eye = Eye()
    made = frames(None, (700, 700), (700, 700), None)
    done = run(eye, made)
    side = next(one for one in SIDES if one >= 30 + 2 * AROUND)
    assert eye.looks[1:] == [(side, side, 1)] * 2
    for one, frame in zip(done, made, strict=True):
        assert mask(one.regions, frame.shape)[frame[:, :, 0] > 99].all()


def test_one_changed_sample_is_looked_at() -> None:
    eye = Eye()
    made = frames(None, None)
    made[1][999, 0] = 101
    done = run(eye, made)
    assert len(eye.looks) == 2
    assert mask(done[1].regions, made[1].shape)[999, 0]


def test_a_change_of_half_the_frame_is_a_look_at_the_whole() -> None:
    eye = Eye()
    made = frames(None, None)
    made[1][100:900, 100:900] += 1
    run(eye, made)
    assert eye.looks == [(1000, 1000, 1)] * 2


def test_another_shape_or_kind_of_sample_is_a_look_at_the_whole() -> None:
    eye = Eye()
    (first,) = frames(None)
    run(eye, [first, first[:500], first[:500].astype(np.uint16)])
    assert [look[0] for look in eye.looks] == [1000, 500, 500]


def test_what_changed_is_no_marker_for_certain() -> None:
    eye = Eye()
    made = frames(None, None)
    made[1][20:40, 20:200] = 50
    done = run(eye, made)
    assert {one.content for one in done[0].regions} == {"marker"}
    assert {one.content for one in done[1].regions} == {""}


def test_looks_at_parts_do_not_go_on_for_ever() -> None:
    eye = Eye()
    run(eye, frames(*[(500 + number % 2, 500) for number in range(LONGEST + 2)]))
    assert [look[0] for look in eye.looks].count(1000) == 2


def test_not_a_number_is_looked_at_every_time() -> None:
    eye = Eye()
    frame = np.full((1000, 1000, 1), np.nan, np.float32)
    run(eye, [frame, frame])
    assert len(eye.looks) == 2


def test_text_that_one_frame_shows_is_found(detector: TextDetector) -> None:
    banner, _ = burned(corner(), glyphs("MUSTER^MAXIMA", 24), 20, 20, 0.6)
    film, place = burned(banner, glyphs("NORA", 20), 370, 330, 0.5)
    done: Looked | None = None
    for number, frame in enumerate((banner, film, banner), 1):
        done = next_frame(done, frame[:, :, None], number, lambda part, of: detector.find(part, frame_number=of))
        if number == 2:
            assert mask(done.regions, film.shape)[place].mean() >= 0.99


def moving(count: int) -> list[Picture]:
    """A banner that stands still over a sector of speckle that moves with every frame."""
    chance = np.random.default_rng(11)
    speckle = cv2.GaussianBlur(np.tile(chance.normal(0, 6, (300, 300)), (3, 3)), (0, 0), 3)[300:600, 300:600]
    banner, _ = burned(np.zeros((440, 440), np.uint16), glyphs("MUSTER^MAXIMA", 24), 20, 20, 0.6)
    made = []
    for number in range(count):
        frame = banner.copy()
        frame[100:400, 70:370] = np.clip(1200 + 500 * np.roll(speckle, (number, 2 * number), (0, 1)), 0, 4095)
        made.append(frame)
    return made


def looked(detector: TextDetector, films: list[Picture]) -> tuple[list[Looked], list[int]]:
    looks: list[int] = []

    def find(part: Picture, of: int) -> list[Region]:
        looks.append(of)
        return detector.find(part, frame_number=of)

    done: list[Looked] = []
    for number, frame in enumerate(films, 1):
        done.append(next_frame(done[-1] if done else None, frame[:, :, None], number, find, detector.glance))
    return done, looks


def test_a_banner_over_what_moves_is_not_read_with_every_frame(detector: TextDetector) -> None:
    done, looks = looked(detector, moving(30))
    assert len(looks) <= 10
    _, place = burned(np.zeros((440, 440), np.uint16), glyphs("MUSTER^MAXIMA", 24), 20, 20, 0.6)
    assert all(mask(one.regions, place.shape)[place].all() for one in done)
    assert {number for one in done for region in one.regions for number in region.frames or ()} == set(range(1, 31))


@pytest.mark.parametrize(("row", "column"), [(250, 120), (410, 20)], ids=["where all moves", "where nothing does"])
def test_text_that_only_frame_37_shows_is_found(detector: TextDetector, row: int, column: int) -> None:
    films = moving(40)
    films[36], place = burned(films[36], glyphs("NOBODY NORA 1950", 20), row, column, 0.5)
    done, looks = looked(detector, films)
    assert 37 in looks
    assert mask(done[36].regions, place.shape)[place].mean() >= 0.99


def test_another_picture_is_looked_at_whole(detector: TextDetector) -> None:
    other = np.rot90(corner()).copy()
    _, looks = looked(detector, [*moving(3), other[:440, :440]])
    assert looks[-1] == 4


def test_a_glance_that_sees_what_was_doubted_more_surely_calls_the_detector() -> None:
    eye = Eye()
    made = [np.add(frame, index, dtype=np.uint8) for index, frame in enumerate(frames(*[None] * 4))]
    sure = iter((0.4, 0.45, 0.6, 0.6))

    def glance(samples: Picture, *, before: Picture | None = None) -> list[Box]:
        return [Box(top=500, left=500, bottom=540, right=700, confidence=next(sure))]

    done = None
    for number, frame in enumerate(made, 1):
        done = next_frame(done, frame, number, eye, glance)
    assert len(eye.looks) == 2


def test_what_fades_in_over_moving_speckle_is_found(detector: TextDetector) -> None:
    films = moving(12)
    place = np.zeros((440, 440), bool)
    for index in range(3, 12):
        films[index], place = burned(films[index], glyphs("NOBODY NORA 1950", 20), 250, 120, 0.06 * (index - 2))
    done, _ = looked(detector, films)
    assert all(mask(one.regions, place.shape)[place].mean() >= 0.99 for one in done[7:])


def test_what_scrolls_over_moving_speckle_is_found(detector: TextDetector) -> None:
    films = moving(12)
    for index in range(2, 12):
        films[index], place = burned(films[index], glyphs("NOBODY NORA", 20), 180 + 6 * index, 120, 0.5)
    done, _ = looked(detector, films)
    for index in range(2, 12):
        _, place = burned(moving(1)[0], glyphs("NOBODY NORA", 20), 180 + 6 * index, 120, 0.5)
        assert mask(done[index].regions, place.shape)[place].mean() >= 0.99


def test_everything_that_moves_is_glanced_at_now_and_then() -> None:
    made = [np.add(frame, index % 9, dtype=np.uint8) for index, frame in enumerate(frames(*[None] * 40))]
    told: list[bool] = []

    def glance(samples: Picture, *, before: Picture | None = None) -> list[Box]:
        told.append(before is None)
        return []

    done = None
    for number, frame in enumerate(made, 1):
        done = next_frame(done, frame, number, Eye(), glance)
    assert [index for index, thorough in enumerate(told) if thorough] == [0, *range(1 + THOROUGH, 40, 1 + THOROUGH)]
