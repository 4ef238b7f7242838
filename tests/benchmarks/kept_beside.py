"""Films for the benchmark of kept text on which names stand close beside what may be shown.

Columns: lines of technique and of identities, some tiny, few samples apart. Plates: a side's letter over somebody's
smaller initials; and names that begin or end with such a letter, on one line with it or below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from kept_lines import alike, houses, names, numbers, technique
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from text_films import Background, clean_piece
from text_lines import Chance

Ink = NDArray[np.bool_]
_COLUMN, _PLATE = (300, 400), 480
_NAMES = ("MUSTER", "Muster", "NOBODY", "LI", "Li", "NG", "Sommer", "nora", "1234567", "0815/26")
_INITIALS = ("HSA", "MS", "KL", "NN", "R.L.", "mm", "JB2", "RT(R)", "ML")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One line or letter of a film: what it says, its samples, and whether it tells of somebody."""

    text: str
    ink: Ink
    identifying: bool


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A film of 12 bits (rows, columns) and all that is written on it."""

    samples: NDArray[np.uint16]
    pieces: tuple[Piece, ...]


def columns(chance: Chance, count: int) -> Iterator[Beside]:
    """`count` films with a column of lines from 1 to 8 samples apart, as the screens of scanners have them."""
    for _ in range(count):
        top, mixed = 8, bool(chance.integers(2))
        base, gap = int(chance.integers(10, 24)), int(chance.integers(1, 9))
        pieces: list[Piece] = []
        while top < _COLUMN[0] - 40:
            size = int(chance.integers(8, 24)) if mixed else base
            identifying = bool(chance.random() < 0.4)
            of = (names, numbers, alike, houses)[int(chance.integers(4))] if identifying else technique
            text = of(chance)
            ink = _written(text, _COLUMN, top, 20 + int(chance.integers(3)), size)
            pieces.append(Piece(text=text, ink=ink > 100, identifying=identifying))
            top += int(np.count_nonzero(ink.any(axis=1))) + gap
        yield _film(np.full(_COLUMN, float(chance.uniform(0, 0.16))), pieces, 0.9)


def plates(chance: Chance, count: int, known: Sequence[Background]) -> Iterator[Beside]:
    """`count` films with a plate: a letter over or under initials half as high at most; some seen from behind."""
    for _ in range(count):
        high = int(chance.integers(40, 120))
        letter = _cut("LR"[int(chance.integers(2))], high)
        small = _cut(_INITIALS[int(chance.integers(len(_INITIALS)))], round(high * float(chance.uniform(0.2, 0.5))))
        gap = int(chance.integers(2, 30))
        first, second = (letter, small) if chance.integers(2) else (small, letter)
        top, left = int(chance.integers(60, 160)), int(chance.integers(80, 200))
        places = ((first, top, left), (second, top + first.shape[0] + gap, left + int(chance.integers(-10, 20))))
        yield _placed(chance, known, [(one, row, column, one is small) for one, row, column in places])


def initials(chance: Chance, count: int, known: Sequence[Background]) -> Iterator[Beside]:
    """`count` films on which L or R is part of a name or a number: before it, behind it, above it."""
    for _ in range(count):
        high = int(chance.integers(20, 60))
        letter = _cut("LR"[int(chance.integers(2))] + ("", "", ".")[int(chance.integers(3))], high)
        # On one line the name may be written much smaller.
        above = bool(chance.integers(3) == 0)
        share = float(chance.uniform(0.75, 1.2)) if above else float(chance.uniform(0.3, 1.1))
        name = _cut(_NAMES[int(chance.integers(len(_NAMES)))], max(10, round(high * share)))
        top, left = int(chance.integers(60, 200)), int(chance.integers(40, 120))
        if above:
            places = [(letter, top, left), (name, top + letter.shape[0] + int(chance.integers(4, 30)), left)]
        else:
            # Words of one line stand apart by so much; what is further away is another column.
            apart = int(high * chance.uniform(0.1, 1.2))
            row = top + int((letter.shape[0] - name.shape[0]) * chance.uniform(0, 1))
            places = [(letter, top, left), (name, row, left + letter.shape[1] + apart)]
            if chance.integers(4) == 0:
                places = [(name, row, left), (letter, top, left + name.shape[1] + apart)]
        yield _placed(chance, known, [(*one, True) for one in places])


def _placed(
    chance: Chance, known: Sequence[Background], cuts: Sequence[tuple[NDArray[np.uint8], int, int, bool]]
) -> Beside:
    mirrored = bool(chance.integers(2))
    pieces = []
    for cut, row, column, identifying in cuts:
        # The frame's edge cuts off what would lie beyond it.
        top, left = (min(max(0, place), _PLATE - 30) for place in (row, column))
        ink = np.zeros((_PLATE, _PLATE), np.uint8)
        part = cut[: _PLATE - top, : _PLATE - left]
        ink[top : top + part.shape[0], left : left + part.shape[1]] = part
        pieces.append(
            Piece(text="", ink=(ink[:, ::-1] if mirrored else ink) > 100, identifying=identifying),
        )
    ground = np.full((_PLATE, _PLATE), float(chance.uniform(0.05, 0.4)))
    if known and chance.integers(2):
        ground = clean_piece(chance, known, _PLATE)[1] * 0.6
    ground = ground + chance.normal(0, float(chance.uniform(0, 0.02)), ground.shape)
    return _film(ground, pieces, float(chance.uniform(0.7, 1)))


def _film(ground: NDArray[np.float64], pieces: Sequence[Piece], white: float) -> Beside:
    film = ground.copy()
    for piece in pieces:
        film[piece.ink] = white
    return Beside(samples=np.round(film.clip(0, 1) * 4095).astype(np.uint16), pieces=tuple(pieces))


def _cut(text: str, high: int) -> NDArray[np.uint8]:
    """A text, cropped to its ink; capitals of a font of 1.4 times the height are about so high."""
    ink = _written(text, (4 * high, (len(text) + 2) * 2 * high), high, high, round(1.4 * high))
    rows, across = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, across[0] : across[-1] + 1]


def _written(text: str, shape: tuple[int, int], top: int, left: int, size: int) -> NDArray[np.uint8]:
    font = ImageFont.load_default(size)
    x, y, _, _ = font.getbbox(text)
    image = Image.new("L", shape[::-1])
    ImageDraw.Draw(image).text((left - x, top - y), text, fill=255, font=font)
    return np.asarray(image)
