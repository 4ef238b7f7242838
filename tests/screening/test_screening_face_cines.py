"""Faces are looked for on some frames of a cine, and hidden on all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray

from server.errors import DetectorNonsense
from server.model import Region, RegionKind
from server.screening.face_cines import COLOUR, GREY, FaceCine
from server.screening.faces import FaceDetector

Frame = NDArray[np.uint8]
PICTURES: Any = skimage.data


class Eye:
    """Takes every sample of 255 for a face, and notes which frames it was shown."""

    def __init__(self) -> None:
        self.looks: list[int] = []

    def version(self) -> str:
        return "eye"

    def find(self, samples: Frame, *, frame_number: int, **_: object) -> list[Region]:
        self.looks.append(frame_number)
        rows, columns = np.nonzero(samples[:, :, 0] == 255)
        if rows.size == 0:
            return []
        return [
            Region(
                kind=RegionKind.FACE,
                top_row=int(rows.min()),
                left_column=int(columns.min()),
                row_count=int(np.ptp(rows)) + 1,
                column_count=int(np.ptp(columns)) + 1,
                frames=frozenset({frame_number}),
            )
        ]


def looked(eye: Any, frames: list[Frame]) -> list[Region]:
    cine = FaceCine(eye)
    for number, frame in enumerate(frames, 1):
        cine.add(frame, number)
    return cine.found()


def hidden(regions: list[Region], number: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    place = np.zeros(shape[:2], bool)
    for one in regions:
        if one.frames is None or number in one.frames:
            rows = slice(one.top_row, one.top_row + one.row_count)
            place[rows, one.left_column : one.left_column + one.column_count] = True
    return place


def noisy(count: int, channels: int = 1, seed: int = 1) -> list[Frame]:
    """Frames from dark to bright that differ by noise."""
    chance = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, 320)[None, :, None]
    return [(ramp + chance.uniform(-9, 9, (256, 320, channels))).astype(np.uint8) for _ in range(count)]


def with_face(frame: Frame, top: int, left: int, side: int = 24) -> Frame:
    shown = frame.copy()
    shown[top : top + side, left : left + side] = 255
    return shown


def test_one_frame_is_looked_at_as_it_is() -> None:
    frame = with_face(noisy(1)[0], 50, 60)
    assert looked(Eye(), [frame]) == Eye().find(frame, frame_number=1)


def test_equal_frames_are_looked_at_once() -> None:
    eye, frame = Eye(), with_face(noisy(1)[0], 50, 60)
    (region,) = looked(eye, [frame] * 70)
    assert eye.looks == [1]
    assert region.frames == frozenset(range(1, 71))
    assert (region.row_count, region.column_count) == (24, 24)


@pytest.mark.parametrize(("channels", "every"), [(1, GREY), (3, COLOUR)])
def test_frames_that_change_little_are_looked_at_now_and_then_and_at_the_end(channels: int, every: int) -> None:
    eye = Eye()
    looked(eye, noisy(70, channels))
    assert eye.looks == [*range(1, 71, every), *([] if 69 % every == 0 else [70])]


def test_three_equal_channels_are_grey() -> None:
    eye = Eye()
    looked(eye, [np.repeat(frame, 3, axis=2) for frame in noisy(20)])
    assert eye.looks == [1, 20]


def test_another_picture_is_looked_at_at_once() -> None:
    eye, frames = Eye(), noisy(12)
    frames[5] = with_face(frames[5], 100, 100, 64)
    regions = looked(eye, frames)
    assert {1, 6, 7, 12} <= set(eye.looks)
    assert hidden(regions, 6, (256, 320))[100:164, 100:164].all()


def test_a_face_that_moves_is_hidden_between_two_looks() -> None:
    frames = [with_face(frame, 100 + number // 4, 60 + number // 2) for number, frame in enumerate(noisy(GREY + 1))]
    eye = Eye()
    regions = looked(eye, frames)
    assert len(eye.looks) <= 4
    for number, frame in enumerate(frames, 1):
        assert hidden(regions, number, frame.shape)[frame[:, :, 0] == 255].all()


def test_a_face_seen_at_one_end_only_is_hidden_from_the_look_before() -> None:
    frames = noisy(GREY + 5)
    frames[GREY] = with_face(frames[GREY], 30, 40, 12)
    regions = looked(Eye(), frames)
    assert all(hidden(regions, number, (256, 320))[30:42, 40:52].all() for number in range(2, len(frames)))


def test_frames_of_another_shape_are_looked_at_anew() -> None:
    eye = Eye()
    looked(eye, [*noisy(3), noisy(1)[0][:128], noisy(1)[0][:128].astype(np.uint16)])
    assert eye.looks[:1] == [1]
    assert {4, 5} <= set(eye.looks)


def test_a_cine_of_photographs_is_covered_on_every_frame() -> None:
    picture = PICTURES.astronaut()[:320, 60:380]
    chance = np.random.default_rng(4)
    frames = []
    for number in range(10):
        frame = np.roll(picture, (number, 2 * number), (0, 1)).astype(np.int16) + chance.integers(-3, 4, picture.shape)
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    regions = looked(FaceDetector(), frames)
    for number in range(10):
        place = hidden(regions, number + 1, picture.shape)
        # The eyes and the mouth.
        for row, column in ((100, 145), (100, 190), (160, 165)):
            assert place[row + number, column + 2 * number]


@pytest.mark.parametrize("top", [-5, 250])
def test_a_face_that_cannot_be_is_not_made_one_that_can(top: int) -> None:
    class Nonsense(Eye):
        def find(self, samples: Frame, *, frame_number: int, **_: object) -> list[Region]:
            return [
                Region(
                    kind=RegionKind.FACE,
                    top_row=top,
                    left_column=0,
                    row_count=20,
                    column_count=20,
                    frames=frozenset({frame_number}),
                )
            ]

    with pytest.raises(DetectorNonsense):
        looked(Nonsense(), noisy(3))


def test_what_is_no_number_is_looked_at_every_time() -> None:
    eye = Eye()
    looked(eye, [np.full((64, 64, 1), value, np.float32) for value in (1.0, np.inf, np.nan, np.inf)])
    assert eye.looks == [1, 2, 3, 4]


def test_a_face_that_goes_and_comes_back_between_two_looks_is_hidden() -> None:
    places = [60, *[56] * 10, *[64] * 10, 60]
    frames = [with_face(frame, 100, left) for frame, left in zip(noisy(len(places)), places, strict=True)]
    eye = Eye()
    regions = looked(eye, frames)
    assert eye.looks == [1, len(places)]
    for number, frame in enumerate(frames, 1):
        assert hidden(regions, number, frame.shape)[frame[:, :, 0] == 255].all()
