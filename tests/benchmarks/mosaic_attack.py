"""What attackers get back from a mask: `python tests/benchmarks/mosaic_attack.py [names] [trials]`.

Three attacks know the font, the place and what surrounds the text: a template search (render every name, mask it the
same way, take the nearest), a beam search digit by digit, and a hidden Markov model over the columns of the mask. Each
is run against a plain mosaic, to show that it works, and against `server.pixels.redact`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    HERE = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(HERE), str(HERE / "pixels"), str(HERE.parent)]

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pixel_kit import FORMATS, frame, level

from server.model import Region, RegionKind
from server.pixels.redact import redact

Picture = NDArray[np.uint8]
Mask = Callable[[Picture], Picture]

SIZE = 24
TOP, LEFT, ROWS, COLUMNS = 40, 40, 32, 240
_SYLLABLES = (
    "MU",
    "STER",
    "MAN",
    "EX",
    "AM",
    "PLE",
    "BEI",
    "SPIEL",
    "PRO",
    "BE",
    "TEST",
    "DUM",
    "MY",
    "KO",
    "LI",
    "RA",
)


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """The part of names, of whole numbers and of single digits that came back; chance for each."""

    template: float
    beam: float
    markov: float
    names: int

    def __str__(self) -> str:
        return f"template {self.template:.1%}, beam {self.beam:.1%} of digits, HMM {self.markov:.1%} of digits"


def names(count: int) -> list[str]:
    """Made-up names, all different."""
    made = dict.fromkeys(
        "".join(_SYLLABLES[(number // 16**place) % 16] for place in range(3))
        for number in range(count * 7 % 4096, 4096)
    )
    made |= dict.fromkeys(f"{one}{other}" for one in _SYLLABLES for other in _SYLLABLES)
    return list(made)[:count]


def film(text: str, seed: int = 0, offset: tuple[int, int] = (0, 0)) -> Picture:
    """A film with the text in it, white on something that looks like anatomy; the rest follows from `seed`."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[0:128, 0:384]
    ground = 70 + 40 * np.sin(down / 31 + seed) + 30 * np.cos(across / 47) + generator.normal(0, 4, (128, 384))
    image = Image.new("L", (384, 128), 0)
    font = ImageFont.load_default(SIZE)
    ImageDraw.Draw(image).text((LEFT + 4 + offset[1], TOP + 2 + offset[0]), text, fill=255, font=font)
    ink = np.asarray(image, float) / 255
    made: Picture = np.clip(ground * (1 - ink) + 240 * ink, 0, 255).astype(np.uint8)
    return made


def plain_mosaic(picture: Picture, block: int = 6) -> Picture:
    """Block means of what it covers: what nobody should do."""
    masked = picture.copy()
    for top in range(TOP, TOP + ROWS, block):
        for left in range(LEFT, LEFT + COLUMNS, block):
            here = masked[top : min(top + block, TOP + ROWS), left : min(left + block, LEFT + COLUMNS)]
            here[...] = int(here.mean())
    return masked


def redacted(picture: Picture) -> Picture:
    """As the server masks it."""
    description = FORMATS["grey 8"]
    described = type(description)(**{**vars(description), "rows": 128, "columns": 384})
    region = Region(kind=RegionKind.TEXT, top_row=TOP, left_column=LEFT, row_count=ROWS, column_count=COLUMNS)
    made = redact(frame(picture[:, :, np.newaxis], described), [region], level(), screened=True, frame_number=1)
    return np.asarray(made.samples[:, :, 0])


def nearest(seen: Picture, candidates: Sequence[str], mask: Mask, seed: int, chance: np.random.Generator) -> str:
    """The candidate whose masked film is nearest; one of them by lot where several are equally near."""
    distances = [int(np.abs(mask(film(one, seed)).astype(int) - seen).sum()) for one in candidates]
    best = np.flatnonzero(np.asarray(distances) == min(distances))
    return candidates[int(chance.choice(best))]


def beam(seen: Picture, length: int, mask: Mask, seed: int, chance: np.random.Generator, width: int = 4) -> str:
    """A number read from left to right, the `width` best beginnings kept."""
    kept = [""]
    for _ in range(length):
        scored: list[tuple[float, float, str]] = []
        for start in kept:
            for digit in "0123456789":
                text = start + digit
                reach = LEFT + 4 + int(ImageFont.load_default(SIZE).getlength(text))
                other = mask(film(text, seed))[:, :reach].astype(int)
                scored.append((float(np.abs(other - seen[:, :reach]).sum()), float(chance.random()), text))
        kept = [text for _, _, text in sorted(scored)[:width]]
    return kept[0]


def markov(seen: Picture, length: int, mask: Mask, seed: int, chance: np.random.Generator) -> str:
    """Viterbi over digits: what each place looks like after each pair of digits is learnt from masked films."""
    step = ImageFont.load_default(SIZE).getlength("0")
    spans = [slice(int(LEFT + 4 + at * step), int(LEFT + 4 + (at + 1) * step)) for at in range(length)]
    cost = np.zeros((length, 10))
    for digit in range(10):
        learnt = mask(film(str(digit) * length, seed)).astype(int)
        for at, span in enumerate(spans):
            cost[at, digit] = np.abs(learnt[TOP : TOP + ROWS, span] - seen[TOP : TOP + ROWS, span].astype(int)).sum()
    # All transitions are alike, so the best path is the best digit of each place; ties by lot.
    ties = cost + chance.random(cost.shape) * 1e-6
    return "".join(str(int(digit)) for digit in ties.argmin(axis=1))


def recovered(mask: Mask, count: int, trials: int) -> Recovered:
    """Run the three attacks `trials` times against `count` names and numbers of six digits."""
    candidates = names(count)
    chance = np.random.default_rng(1)
    hits, digits = 0, {"beam": 0, "markov": 0}
    for trial in range(trials):
        secret = candidates[int(chance.integers(count))]
        hits += nearest(mask(film(secret, trial)), candidates, mask, trial, chance) == secret
        number = "".join(str(int(one)) for one in chance.integers(0, 10, 6))
        seen = mask(film(number, trial))
        for name, attack in (("beam", beam), ("markov", markov)):
            read: Any = attack(seen, 6, mask, trial, chance)
            digits[name] += sum(one == other for one, other in zip(read, number, strict=True))
    return Recovered(
        template=hits / trials,
        beam=digits["beam"] / trials / 6,
        markov=digits["markov"] / trials / 6,
        names=count,
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    trials = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    print(f"{count} names (chance {1 / count:.1%}), digits (chance 10.0%), {trials} trials")
    for name, mask in (("plain mosaic, 6-pixel blocks", plain_mosaic), ("as the server masks", redacted)):
        print(f"{name}: {recovered(mask, count, trials)}")


if __name__ == "__main__":
    main()
