from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import DTypeLike

from server.screening import picture
from server.screening.picture import halved, logarithm, normalised, planes, residue, value_range

RAMP = np.linspace(0, 1000, 200 * 300).reshape(200, 300)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", ">u2", "?"])
def test_a_constant_frame_has_nothing_to_see(dtype: str) -> None:
    assert normalised(np.zeros((64, 64), dtype)) is None


def test_nothing_but_not_a_number_has_nothing_to_see() -> None:
    assert normalised(np.full((64, 64), np.nan)) is None


@pytest.mark.parametrize("padding", [-32768, -1, 32767])
def test_padding_does_not_stretch_the_range(padding: int) -> None:
    frame = RAMP.astype(np.int16)
    frame[:, :100] = padding
    low, high = value_range(frame)
    assert low >= 0
    assert high <= 1000


def test_padding_on_both_sides_is_left_out() -> None:
    frame = RAMP.astype(np.int32)
    frame[:, :50], frame[:, 250:] = -(2**31), 2**31 - 1
    low, high = value_range(frame)
    assert 0 <= low < high <= 1000


def test_a_frame_of_two_values_keeps_both() -> None:
    frame = np.zeros((64, 64), np.uint16)
    frame[10:20, 10:30] = 7
    picture = normalised(frame)
    assert picture is not None
    assert picture[15, 20] > picture[40, 40]


@pytest.mark.parametrize("scale", [1.0, 1e308, 1e-300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_of_any_size_are_seen(scale: float, dtype: DTypeLike) -> None:
    with np.errstate(over="ignore", under="ignore"):
        frame = (np.where(RAMP % 100 > 50, 1.0, -1.0) * scale * 1.7).astype(dtype)
    frame[0, 0], frame[1, 1], frame[2, 2] = np.nan, np.inf, -np.inf
    picture = normalised(frame)
    if np.isfinite(frame[50, 50]) and frame[50, 50] != 0:
        assert picture is not None
        assert picture.std() > 30


def test_text_brighter_than_the_film_is_not_clipped_away() -> None:
    frame = np.tile(np.linspace(1000, 2000, 512), (512, 1)).astype(np.uint16)
    frame[200:210, 490:500] = 2300
    picture = normalised(frame)
    assert picture is not None
    assert picture[205, 495] > picture[180, 495] + 60


def test_faint_text_on_smooth_ground_stands_out() -> None:
    frame = np.random.default_rng(4).integers(995, 1005, (512, 512)).astype(np.uint16)
    frame[:, 400:] += 3000
    frame[200:204, 100:200] += 60
    picture = normalised(frame)
    assert picture is not None
    assert picture[202, 150] > picture[195, 150] + 20


def test_strips_join_without_a_seam() -> None:
    frame = np.random.default_rng(2).integers(1000, 1400, (3200, 40)).astype(np.uint16)
    frame[1546:1700] += 2000
    whole = normalised(frame)
    part = normalised(np.concatenate([frame[1400:1700], frame]))
    assert whole is not None
    assert part is not None
    # Sampled on a coarse grid, the statistics of a neighbourhood differ a little; a seam would differ much.
    assert np.abs(whole[1400:1700].astype(int) - part[1700:2000].astype(int)).max() <= 12


def test_grey_stored_as_colour_is_looked_at_once() -> None:
    grey = RAMP.astype(np.uint16)[:, :, None]
    assert len(list(planes(np.repeat(grey, 3, axis=2)))) == 1


def test_a_channel_of_its_own_is_looked_at() -> None:
    frame = np.repeat((RAMP / 4).astype(np.uint8)[:, :, None], 3, axis=2)
    frame[50:60, 50:60, 1] = 255
    assert len(list(planes(frame))) == 2


def test_indices_and_colours_of_a_palette_are_looked_at() -> None:
    indices = (np.arange(64 * 64) % 4).reshape(64, 64, 1).astype(np.uint8)
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    seen = list(planes(indices, palette, 1))
    assert len(seen) == 4
    # Values outside the palette take its ends (PS3.3 C.7.6.3.1.5).
    assert seen[1][0, 0] == 0
    assert list(seen[2][0, :4]) == [0, 0, 0, 255]


def test_halving_keeps_the_mean() -> None:
    assert abs(float(halved(RAMP.astype(np.uint16)).mean()) - RAMP.mean()) < 1


def test_the_logarithm_shows_text_over_dense_parts_and_takes_any_values() -> None:
    film = np.geomspace(20, 60000, 500).astype(np.uint16)[None].repeat(500, axis=0)
    film[200:220, 20:60] += 4
    low, high = value_range(film)
    assert np.ptp(film[190:230, 40].astype(float)) < 0.001 * (high - low)
    shown = logarithm(film[:, :, None])
    assert shown.shape == (500, 500, 1)
    low, high = value_range(shown[:, :, 0])
    assert np.ptp(shown[190:230, 40, 0]) > 0.01 * (high - low)
    assert np.isfinite(logarithm(np.array([[[np.nan], [np.inf]], [[-5.0], [3.0]]]))).all()
    assert not logarithm(np.full((2, 2, 1), np.nan)).any()


def test_the_residue_keeps_faint_letters_beside_a_strong_edge() -> None:
    film = np.zeros((400, 400), np.uint16)
    film[:, 200:] = 4000
    film[100:300:8, 185:195] += 100
    plain, left = normalised(film), residue(film)
    assert plain is not None
    assert left is not None
    assert np.ptp(left[150:250, 190].astype(int)) > 2 * np.ptp(plain[150:250, 190].astype(int))
    assert residue(np.zeros((5, 5), np.uint8)) is None


@pytest.mark.parametrize("dtype", ["u1", "i2", ">u2", "u4", "f4", "f8"])
def test_the_residue_of_strips_is_that_of_the_whole(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    film = np.random.default_rng(5).integers(0, 127, (700, 60)).astype(dtype)
    whole = residue(film)
    monkeypatch.setattr(picture, "_STRIP", 128)
    striped = residue(film)
    assert whole is not None
    assert striped is not None
    assert np.abs(whole.astype(int) - striped).max() <= 1


@given(
    kind=st.sampled_from(("u1", "i1", "u2", "i2", ">u2", ">i2")),
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    padded=st.floats(0, 0.4),
)
def test_the_range_counted_is_the_range_sorted(kind: str, seed: int, rows: int, columns: int, padded: float) -> None:
    chance, limits = np.random.default_rng(seed), np.iinfo(kind)
    middle, spread = chance.uniform(limits.min, limits.max), chance.uniform(0, (limits.max - limits.min) / 3)
    plane = np.clip(chance.normal(middle, spread, (rows, columns)), limits.min, limits.max).astype(kind)
    for extreme in (limits.min, limits.max, plane.min(), plane.max()):
        plane[chance.random(plane.shape) < chance.choice((0, padded))] = extreme
    # Integers of 32 bits are sorted, those of 16 counted.
    assert value_range(plane) == value_range(plane.astype(np.int32))
