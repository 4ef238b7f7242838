"""Films with drawn text whose place is known: real radiographs behind, every script, size, style and contrast.

Everything follows from a seed. Radiographs come from the installed packages and, where SAFELIGHT_SHARED_DATA is set,
from there; fonts are those of Debian's fonts-noto-core, fonts-noto-cjk, fonts-liberation, fonts-dejavu,
fonts-dkg-handwriting, fonts-breip, fonts-femkeklaver, fonts-rufscript, fonts-seto and fonts-sjfonts,
as far as installed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from text_lines import Script, glyphs

Picture = NDArray[np.float32]
Places = NDArray[np.bool_]
WHITE = 4095
STYLES = ("plain", "plain", "plain", "sticker", "embossed", "boxed")
# A line keeps this distance from another, in heights.
_APART = 0.8


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What lines to draw: size in font pixels, contrast as parts of the range (the bounds of a log-uniform draw)."""

    sizes: tuple[int, int] = (10, 60)
    contrasts: tuple[float, float] = (0.1, 0.8)
    scripts: Sequence[Script] = ()
    styles: Sequence[str] = STYLES


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line as drawn: its glyphs' samples are `place` within the half-open box."""

    text: str
    script: str
    size: int
    turns: int
    contrast: float
    style: str
    top: int
    left: int
    place: Places

    @property
    def window(self) -> tuple[slice, slice]:
        rows, columns = self.place.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


@dataclass(frozen=True, kw_only=True)
class Background:
    """A radiograph, 0 black to 1 white, and the places (top, left, bottom, right) of text that was on it before."""

    name: str
    picture: Picture
    text: tuple[tuple[int, int, int, int], ...] = ()


# (package or "shared", file, text that it carries): none of the other known films is without banners.
_FILMS: tuple[tuple[str, str, tuple[tuple[int, int, int, int], ...]], ...] = (
    ("pydicom-data", "data_store/data/RG1_UNCR.dcm", ()),
    ("pydicom-data", "data_store/data/RG3_UNCR.dcm", ((1240, 1090, 1620, 1290),)),
    ("deid-data", "deid_data/data/animals/cat.dcm", ((2110, 1010, 2640, 1300), (2030, 2920, 2240, 3072))),
    ("shared", "chest/torchxrayvision_CR_RSNA.dcm", ((0, 840, 200, 960),)),
    ("shared", "chest/torchxrayvision_CR_Fake_MONOCHROME1.dcm", ((0, 840, 200, 960),)),
    ("shared", "chest/torchxrayvision_NIH_00000001_000.png", ((0, 420, 60, 512),)),
    (
        "shared",
        "burned-in/presidio_CXR_0_ORIGINAL_rle.dcm",
        ((0, 0, 90, 900), (0, 1660, 260, 2140), (1570, 2040, 1760, 2140)),
    ),
    (
        "shared",
        "burned-in/jsl_CXR_John_Stiles.dcm",
        ((0, 0, 150, 150), (0, 440, 200, 800), (680, 550, 800, 800)),
    ),
)


def backgrounds() -> list[Background]:
    """The radiographs at hand."""
    found = []
    for package, file, text in _FILMS:
        path = _path(package, file)
        if path is not None and path.exists():
            found.append(Background(name=path.stem, picture=_read(path), text=text))
    return found


def _path(package: str, file: str) -> Path | None:
    if package == "shared":
        folder = os.environ.get("SAFELIGHT_SHARED_DATA")
        return Path(folder) / file if folder else None
    try:
        return Path(str(distribution(package).locate_file(file)))
    except PackageNotFoundError:
        return None


def _read(path: Path) -> Picture:
    inverted = False
    if path.suffix == ".png":
        values: NDArray[Any] = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            film = pydicom.dcmread(path)
            values, inverted = film.pixel_array, film.PhotometricInterpretation == "MONOCHROME1"
    low, high = (float(value) for value in np.percentile(values, (0.1, 99.9)))
    grey = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1)
    return np.asarray(1 - grey if inverted else grey, np.float32)


def clean_piece(chance: np.random.Generator, known: Sequence[Background], side: int) -> tuple[str, Picture]:
    """A square piece of a radiograph without its own text, mirrored, turned, scaled, brightened or inverted."""
    while True:
        film = known[int(chance.integers(len(known)))]
        scale = float(np.exp(chance.uniform(np.log(0.7), np.log(1.5))))
        wanted = min(round(side / scale), *film.picture.shape)
        top = int(chance.integers(film.picture.shape[0] - wanted + 1))
        left = int(chance.integers(film.picture.shape[1] - wanted + 1))
        if any(top < b and t < top + wanted and left < r and le < left + wanted for t, le, b, r in film.text):
            continue
        piece = film.picture[top : top + wanted, left : left + wanted]
        method = cv2.INTER_AREA if wanted > side else cv2.INTER_CUBIC
        piece = np.clip(cv2.resize(piece, (side, side), interpolation=method), 0, 1)
        piece = np.rot90(piece, int(chance.integers(4)))
        if chance.integers(2):
            piece = piece[:, ::-1]
        piece = 0.05 + 0.9 * piece ** chance.uniform(0.6, 1.6)
        if chance.integers(3) == 0:
            piece = 1 - piece
        return film.name, np.ascontiguousarray(piece, np.float32)


def drawn_film(
    chance: np.random.Generator, piece: Picture, wanted: Wanted, count: int
) -> tuple[NDArray[np.uint16], list[Line]]:
    """The piece with at most `count` lines drawn where there is room, 12 bits."""
    picture, taken = piece.copy(), np.zeros(piece.shape, bool)
    lines: list[Line] = []
    for _ in range(count * 6):
        if len(lines) == count:
            break
        line = _drawn(chance, picture, taken, wanted)
        if line is not None:
            lines.append(line)
    return np.round(np.clip(picture, 0, 1) * WHITE).astype(np.uint16), lines


def _drawn(chance: np.random.Generator, picture: Picture, taken: Places, wanted: Wanted) -> Line | None:
    script = wanted.scripts[int(chance.integers(len(wanted.scripts)))]
    low, high = wanted.sizes
    size = min(int(np.exp(chance.uniform(np.log(low), np.log(high + 1)))), high)
    contrast = float(np.exp(chance.uniform(*np.log(wanted.contrasts))))
    style = wanted.styles[int(chance.integers(len(wanted.styles)))]
    turns, text = int(chance.integers(4)), script.text(chance)
    letters = np.rot90(glyphs(text, script, size, chance), turns)
    pad = max(3, size // 3)
    letters = np.pad(letters, pad)
    rows, columns = letters.shape
    apart = round(size * _APART)
    if rows + 2 * apart >= picture.shape[0] or columns + 2 * apart >= picture.shape[1]:
        return None
    top = int(chance.integers(picture.shape[0] - rows + 1))
    left = int(chance.integers(picture.shape[1] - columns + 1))
    around = np.s_[max(0, top - apart) : top + rows + apart, max(0, left - apart) : left + columns + apart]
    if taken[around].any():
        return None
    window = np.s_[top : top + rows, left : left + columns]
    taken[window] = True
    before = picture[window].copy()
    sign = _polarity(chance, before[letters > 0.5], contrast)
    if style == "sticker":
        # The colour of the paper leaves room for the ink.
        paper = float(chance.uniform(contrast, 1)) if sign < 0 else float(chance.uniform(0, 1 - contrast))
        before = np.full_like(before, paper)
    after = before + sign * contrast * letters
    if style == "embossed":
        shadow = np.roll(letters, (1, 1), (0, 1))
        after = before + sign * contrast * (letters - np.where(letters > 0.3, 0, shadow))
    if style == "boxed":
        edge = np.zeros_like(letters, bool)
        edge[[0, 1, -1, -2]], edge[:, [0, 1, -1, -2]] = True, True
        after[edge] += np.float32(sign * contrast)
    picture[window] = np.clip(after, 0, 1)
    visible = (letters > 0.5) & (np.abs(picture[window] - before) >= 0.4 * contrast)
    if visible.sum() < 0.5 * (letters > 0.5).sum():
        return None
    return Line(
        text=text,
        script=script.name,
        size=size,
        turns=turns,
        contrast=contrast,
        style=style,
        top=top,
        left=left,
        place=visible,
    )


def _polarity(chance: np.random.Generator, behind: Picture, contrast: float) -> int:
    """+1 or -1 by chance, but so that the text is not lost in white or black."""
    sign = 1 if chance.integers(2) else -1
    lost = float(np.mean((behind + sign * contrast > 1) | (behind + sign * contrast < 0)))
    return (
        -sign
        if lost > 0.05 and lost > float(np.mean((behind - sign * contrast > 1) | (behind - sign * contrast < 0)))
        else sign
    )


def films(
    seed: int, wanted: Wanted, count: int, side: int = 1024, per_film: int = 24
) -> Iterator[tuple[str, NDArray[np.uint16], list[Line]]]:
    """Films (name, samples, lines) until `count` lines are drawn."""
    known, done, number = backgrounds(), 0, 0
    while done < count:
        chance = np.random.default_rng([seed, number])
        name, piece = clean_piece(chance, known, side)
        samples, lines = drawn_film(chance, piece, wanted, min(per_film, count - done))
        yield name, samples, lines
        done, number = done + len(lines), number + 1
