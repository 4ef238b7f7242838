"""`python tests/benchmarks/kept_text.py`: what a level that keeps machine text shows of the text on films.

The level is `deidentified` with `keep_machine_text` on. With SAFELIGHT_SHARED_DATA: published films whose boxes are
told in `burned-in/ground_truth.json`, by the regions of the text detector alone, and radiographs with side markers.
Always: lines drawn into radiographs, identifying ones (of which none may be kept) and others; and identities that stand
close beside what may be shown: in columns, on plates with the letter of a side, and with such a letter as an initial.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from kept_beside import Beside, columns, initials, plates
from kept_lines import identifying, telling_nothing
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.uid import JPEGLosslessSV1
from text_films import WHITE, Line, Wanted, backgrounds, films
from text_lines import Script
from text_score import sheet
from tqdm import tqdm

from server.model import MaskingLevel, Region
from server.pixels.areas import plan
from server.pixels.description import EXPLICIT_LITTLE, PixelDescription
from server.policy.bundle import load
from server.screening.text import TextDetector

Places = NDArray[np.bool_]
# A line is kept when so much of its glyphs is shown, and an identifying one when more than this is.
KEPT, SHOWN = 0.95, 0.05
# What the ground truth calls not identifying but this server hides on purpose, by the beginning of its text.
ON_PURPOSE = {
    "the label of what is hidden": ("DOB:",),
    "stands for an identity": ("Sex: PatientSex", "Acc#: AccessionNumber", "Study: Study", "Series: Series"),
    "could be a time": ("+2:09:04",),
    "a logo": ("GE (logo)", "PHILIPS (logo)", "LEADTOOLS"),
    "with somebody's initials": ("L / MS",),
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a level shows of a frame (rows, columns): `kept` is text that it keeps, `hidden` what lies under masks."""

    kept: Places
    hidden: Places


def keeping() -> MaskingLevel:
    """The level: `deidentified`, but with machine text."""
    folder = Path(__file__).resolve().parents[2] / "policies"
    return replace(load(folder).levels["deidentified"], keep_machine_text=True)


def shown(regions: Sequence[Region], shape: tuple[int, ...], level: MaskingLevel, *, lossy: bool = False) -> Shown:
    described = PixelDescription(
        rows=shape[0], columns=shape[1], samples_per_pixel=1, bits_allocated=16, bits_stored=16, high_bit=15,
        signed=False, photometric_interpretation="MONOCHROME2", planar_configuration=0, number_of_frames=1,
        transfer_syntax_uid=EXPLICIT_LITTLE, data_kind="integer", lossy_history=lossy,
    )  # fmt: skip
    kept, hidden = np.zeros(shape[:2], bool), np.zeros(shape[:2], bool)
    planned = plan(regions, level, described, screened=True, frame_number=1)
    for top, left, bottom, right in planned.boxes:
        hidden[top:bottom, left:right] = True
    for top, left, bottom, right in planned.windows:
        hidden[top:bottom, left:right] = False
    for one in regions:
        if one.content:
            kept[one.top_row : one.top_row + one.row_count, one.left_column : one.left_column + one.column_count] = True
    return Shown(kept=kept & ~hidden, hidden=hidden)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=51017)
    parser.add_argument("--into", type=Path, default=None, help="folder for contact sheets")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector, level = TextDetector(), keeping()
    folder = os.environ.get("SAFELIGHT_SHARED_DATA")
    if folder:
        _published(detector, level, Path(folder) / "burned-in", options.into)
        _markers(detector, level)
    drawn = ((identifying(), options.lines, "identifying"), (telling_nothing(), options.lines // 5, "others"))
    for number, (kinds, count, name) in enumerate(drawn):
        _drawn(detector, level, kinds, count, options.seed + number, name, options.into)
    chance, many = np.random.default_rng(options.seed), options.lines // 3
    _beside(detector, level, "columns", columns(chance, many // 2))
    _beside(detector, level, "plates", plates(chance, many, backgrounds()))
    _beside(detector, level, "initials", initials(chance, many, backgrounds()))


def _beside(detector: TextDetector, level: MaskingLevel, name: str, made: Iterable[Beside]) -> None:
    """What is shown of identities that stand close beside what may be shown, and of that."""
    total: Counter[bool] = Counter()
    seen: Counter[bool] = Counter()
    kept = 0
    for film in tqdm(made, unit=" films", desc=name):
        result = shown(detector.find(film.samples[:, :, None], frame_number=1), film.samples.shape, level)
        for piece in film.pieces:
            total[piece.identifying] += 1
            share = float(result.kept[piece.ink].mean())
            kept += piece.identifying and share > SHOWN
            seen[piece.identifying] += share > 0 if piece.identifying else share > KEPT
    print(
        f"{name}: {kept} of {total[True]} identities kept, {seen[True]} with any sample; "
        f"{seen[False]} of {total[False]} of the others kept whole",
        flush=True,
    )


def _published(detector: TextDetector, level: MaskingLevel, folder: Path, into: Path | None) -> None:
    truth = json.loads((folder / "ground_truth.json").read_text(encoding="utf-8"))["images"]
    count: Counter[str] = Counter()
    for image in truth:
        frame, palette, lossy = _frame(folder / image["file"])
        result = shown(detector.find(frame, frame_number=1, palette=palette), frame.shape, level, lossy=lossy)
        missed = []
        for box in image["boxes"]:
            left, top, right, bottom = box.get("value_bbox", box["bbox"]) if box["is_phi"] else box["bbox"]
            place = np.s_[top:bottom, left:right]
            if box["is_phi"]:
                count["identifying"] += 1
                count["identifying shown"] += bool(result.hidden[place].mean() < KEPT)
                count["identifying kept"] += bool(result.kept[place].mean() > SHOWN)
                continue
            seen = bool((~result.hidden[place]).mean() >= KEPT)
            why = next((why for why, texts in ON_PURPOSE.items() if box["text"].startswith(texts)), "")
            count[f"on purpose, {why}" if why else "others"] += 1
            count["all kept"] += seen
            count["others kept"] += seen and not why
            legible = float((~result.hidden[place])[_glyphs(frame[place])].mean()) >= KEPT
            count["others legible"] += legible and not why
            if not seen and not why:
                missed.append(f"({box['text']})" if legible else box["text"])
        if into:
            cv2.imwrite(str(into / f"kept-{Path(image['file']).stem}.png"), _picture(frame, result, image["boxes"]))
        print(f"  {image['file']}: hidden, but for (the glyphs): {missed}")
    total = sum(number for name, number in count.items() if name == "others" or name.startswith("on purpose"))
    print(f"published films: {count['identifying shown']} of {count['identifying']} identifying boxes shown,", end=" ")
    print(
        f"{count['identifying kept']} taken for technique; of the others {count['all kept']} of {total} kept,", end=" "
    )
    print(f"{count['others kept']} of {count['others']} of those that are not hidden on purpose,", end=" ")
    print(f"of {count['others legible']} all glyphs", end=" ")
    print({name: number for name, number in count.items() if name.startswith("on purpose")})


def _glyphs(box: NDArray[Any]) -> Places:
    """The glyphs of a box (rows, columns, samples): what stands out of its middle value; the whole of an even box."""
    grey = box[:, :, 0].astype(np.float64)
    low, high = np.percentile(grey, [0.5, 99.5])
    glyphs: Places = np.abs(grey - np.median(grey)) > (high - low) / 2
    return glyphs if glyphs.any() else np.ones(glyphs.shape, bool)


def _markers(detector: TextDetector, level: MaskingLevel) -> None:
    for film in backgrounds():
        samples = np.round(film.picture * WHITE).astype(np.uint16)[:, :, None]
        regions = detector.find(samples, frame_number=1)
        result = shown(regions, samples.shape, level)
        hidden = sum(
            float(result.hidden[top:bottom, left:right].mean()) > SHOWN for top, left, bottom, right in film.text
        )
        print(
            f"  {film.name}: {hidden} of {len(film.text)} places with markers or text hidden at least in part,", end=" "
        )
        print(f"{sum(one.content == 'marker' for one in regions)} markers known")


def _drawn(
    detector: TextDetector, level: MaskingLevel, kinds: Sequence[Script], count: int, seed: int, name: str,
    into: Path | None,
) -> None:  # fmt: skip
    total: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    wrong: list[tuple[NDArray[Any], Line, Places]] = []
    for _, film, lines in tqdm(films(seed, Wanted(scripts=kinds), count, per_film=12), unit=" films", desc=name):
        result = shown(detector.find(film[:, :, None], frame_number=1), film.shape, level)
        for line in lines:
            total[line.script] += 1
            share = float(result.kept[line.window][line.place].mean())
            if share > (SHOWN if name == "identifying" else KEPT):
                kept[line.script] += 1
                wrong.append((film, line, result.kept))
                if name == "identifying":
                    print(f"  KEPT: {line.text!r}, {line.size} px, {100 * line.contrast:.0f} %, {line.turns} turns")
    print(f"drawn, {name}: {sum(kept.values())} of {sum(total.values())} kept;", end=" ")
    print({one: f"{kept[one]}/{total[one]}" for one in total}, flush=True)
    if into:
        cv2.imwrite(str(into / f"kept-drawn-{name}.png"), sheet(wrong))


def _frame(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None, bool]:
    """The first frame (rows, columns, samples), its palette, and whether it was compressed with loss."""
    from pydicom.pixels.utils import pixel_array

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        film = pydicom.dcmread(path)
        if film.file_meta.TransferSyntaxUID == JPEGLosslessSV1:
            import imagecodecs

            frame = imagecodecs.ljpeg_decode(next(generate_frames(film.PixelData, number_of_frames=1)))
        else:
            frame = pixel_array(film, index=0)
        palette = None
        if film.PhotometricInterpretation == "PALETTE COLOR":
            tables = [film[f"{name}PaletteColorLookupTableData"].value for name in ("Red", "Green", "Blue")]
            palette = np.stack([np.frombuffer(table, "<u2") for table in tables], axis=1)
        lossy = str(film.get("LossyImageCompression", "")) == "01"
    return (frame[:, :, None] if frame.ndim == 2 else frame), palette, lossy


def _picture(frame: NDArray[Any], result: Shown, boxes: Sequence[dict[str, Any]]) -> NDArray[np.uint8]:
    """The frame, masks in red, kept text in green, the boxes of the truth outlined."""
    grey = cv2.normalize(frame[:, :, 0].astype(np.float32), np.empty(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    colour[:, :, 2][result.hidden] |= 128
    colour[:, :, 1][result.kept] |= 96
    for box in boxes:
        left, top, right, bottom = box["bbox"]
        cv2.rectangle(colour, (left, top), (right, bottom), (0, 255, 255) if box["is_phi"] else (255, 128, 0), 1)
    return colour


if __name__ == "__main__":
    main()
