"""How much of the identity drawn into films is hidden from a researcher: on rendered, frames and instance alike.

Always on films made here; with `SAFELIGHT_SHARED_DATA` also on published ones whose boxes are told in
`burned-in/ground_truth.json`. `pytest -s` prints the shares.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import BurnedText, PixelFormat, chest_film, frame_samples, part10_bytes
from codec_table import decoded
from house import House, parts
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from pydicom.pixels.processing import apply_color_lut, convert_color_space

Grey = NDArray[np.float64]
_SHARED = os.environ.get("SAFELIGHT_SHARED_DATA", "")
_FOLDER = Path(_SHARED) / "burned-in"
_TRUTH: list[dict[str, Any]] = (
    json.loads((_FOLDER / "ground_truth.json").read_text("utf-8"))["images"] if _SHARED else []
)
ROUTES = ("rendered", "frames", "instance")
# Lossless answers repeat an unmasked sample exactly, so a 3 x 3 patch that is not flat and comes back unchanged was not
# masked; under a mask that happens by chance alone.
_EXPOSED = 0.01
# The rule that the published films come with: no more than 5 of 100 samples of a box's glyphs keep a value within a
# quarter of the box's contrast of their old one. A mosaic as bright as what surrounds a text is often as bright as the
# text, so this counts more than what can be seen.
_KEPT, _NEAR = 0.05, 0.25


@dataclass(frozen=True, kw_only=True)
class Box:
    """Where a text lies: half-open rows and columns of the stored frame, and the frames (from 1) that show it."""

    text: str
    rows: slice
    columns: slice
    frames: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """A film and its identifying boxes."""

    name: str
    body: bytes
    boxes: tuple[Box, ...]


def grey(samples: NDArray[Any], ds: Dataset) -> Grey:
    """Stored values of one frame (rows, columns, samples) as one number each: palettes and colours as luminance."""
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        samples = apply_color_lut(samples[:, :, 0], ds)
    elif ds.PhotometricInterpretation.startswith("YBR"):
        samples = convert_color_space(samples, "YBR_FULL", "RGB")
    weights = np.array([0.299, 0.587, 0.114]) if samples.shape[2] == 3 else np.ones(1)
    return np.asarray(samples.astype(np.float64) @ weights)


def hidden(box: Box, old: Grey, new: Grey) -> bool:
    """Whether nothing of the box came back as it was in one frame. What is flat there already has nothing to hide."""
    before, after = old[box.rows, box.columns], new[box.rows, box.columns]
    patches, others = (sliding_window_view(one, (3, 3)).reshape(-1, 9) for one in (before, after))
    telling = np.ptp(patches, axis=1) > 0
    exposed = (patches == others).all(axis=1)
    return not telling.any() or bool(np.mean(exposed[telling]) <= _EXPOSED)


def hidden_by_value(box: Box, old: Grey, new: Grey) -> bool:
    """The published rule; the glyphs are what stands out of the box's middle value."""
    before, after = old[box.rows, box.columns], new[box.rows, box.columns]
    low, high = np.percentile(before, [0.5, 99.5])
    glyphs = np.abs(before - np.median(before)) > (high - low) / 2
    return not glyphs.any() or bool(np.mean(np.abs(after - before)[glyphs] <= _NEAR * (high - low)) <= _KEPT)


class Shown:
    """All frames of the one film of a house as two users get them, as grey values by route."""

    def __init__(self, house: House, count: int) -> None:
        self._house, self._count = house, count
        self.old = self._routes("clinician", None)
        self.new = self._routes("researcher", self._range)

    def _routes(self, user: str, scale: tuple[float, float] | None) -> Mapping[str, list[Grey]]:
        (path,) = self._house.instances(user)
        every = ",".join(str(number) for number in range(1, self._count + 1))
        with warnings.catch_warnings(action="ignore"):
            ds = dcmread(io.BytesIO(self._house.get(path, user, "application/dicom").data))
            instance = [grey(frame, ds) for frame in decoded(ds)]
            frames = self._house.get(f"{path}/frames/{every}", user, 'multipart/related; type="*/*"')
            sent = [np.frombuffer(body, ds.pixel_array.dtype) for _, body in parts(frames)]
            listed = [grey(one.reshape(ds.Rows, ds.Columns, ds.SamplesPerPixel), ds) for one in sent]
        if scale is None:
            low, high = float(np.min(instance)), float(np.max(instance))
            slope, intercept = float(ds.get("RescaleSlope") or 1), float(ds.get("RescaleIntercept") or 0)
            self._range = (low * slope + intercept, high * slope + intercept)
        low, high = self._range
        # One window for both, so that a value is the same grey to both; colour takes none.
        window = f"?window={(low + high) / 2},{high - low},linear-exact" if ds.SamplesPerPixel == 1 else ""
        window = "" if ds.PhotometricInterpretation == "PALETTE COLOR" else window
        pictures = self._house.get(
            f"{path}/frames/{every}/rendered{window}", user, 'multipart/related; type="image/png"'
        )
        assert pictures.status_code == 200, pictures.data
        opened = [np.asarray(Image.open(io.BytesIO(body)).convert("L"), np.float64) for _, body in parts(pictures)]
        return {"rendered": opened, "frames": listed, "instance": instance}


def texts_hidden(film: Film, shown: Shown, rule: Callable[[Box, Grey, Grey], bool]) -> dict[str, list[str]]:
    """The texts that are hidden in every frame that shows them, by route."""
    return {
        route: [
            box.text
            for box in film.boxes
            if all(rule(box, shown.old[route][one - 1], shown.new[route][one - 1]) for one in box.frames)
        ]
        for route in ROUTES
    }


def screened(house: House, film: Film) -> Shown:
    """One film in an empty house, before and after its screening."""
    assert house.store(film.body).status_code == 200
    ds = dcmread(io.BytesIO(film.body), stop_before_pixels=True)
    assert_wholly_masked(house)
    house.screen()
    return Shown(house, int(ds.get("NumberOfFrames", 1) or 1))


def assert_wholly_masked(house: House) -> None:
    """Before the screening no box can be seen: every frame is nothing but the pattern of a mask."""
    (path,) = house.instances("researcher")
    ds = dcmread(io.BytesIO(house.get(path, "researcher", "application/dicom").data))
    for frame in decoded(ds):
        assert len(np.unique(frame.reshape(-1, frame.shape[2]), axis=0)) <= 3
    body = house.get(f"{path}/frames/1", "researcher", "application/octet-stream").data
    assert np.array_equal(np.frombuffer(body, frame.dtype), decoded(ds)[0].ravel())
    picture = Image.open(io.BytesIO(house.get(f"{path}/rendered", "researcher", "image/png").data))
    # Two more for the notice in the corner.
    assert len(np.unique(np.asarray(picture).reshape(picture.size[0] * picture.size[1], -1), axis=0)) <= 5


def report(counted: Mapping[str, int], total: int, what: str) -> None:
    shares = "/".join(str(counted[route]) for route in ROUTES)
    print(f"\nburned-in: {shares} of {total} identifying boxes hidden on {'/'.join(ROUTES)} ({what})")


LINES = (
    BurnedText(text="MUSTER^MAXIMA", top_row=10, left_column=12, height=26, contrast=0.6),
    BurnedText(text="ID 4711-0815", top_row=12, left_column=330, height=18, contrast=0.5),
    BurnedText(text="geb. 01.04.1961", top_row=360, left_column=14, height=22, contrast=0.5),
    BurnedText(text="Haus Beispiel", top_row=362, left_column=330, height=15, contrast=0.6),
    BurnedText(text="EXAMPLE, PATIENT", top_row=200, left_column=150, height=30, contrast=-0.3),
)
SIZE = {"rows": 400, "columns": 500, "burned": LINES}
MADE: Mapping[str, tuple[str, PixelFormat]] = {
    "12 bits": (uids.ExplicitVRLittleEndian, PixelFormat(**SIZE)),  # type: ignore[arg-type]
    "inverted, 8 bits": (
        uids.ExplicitVRBigEndian,
        PixelFormat(**SIZE, bits_allocated=8, bits_stored=8, photometric="MONOCHROME1"),  # type: ignore[arg-type]
    ),
    "signed, RLE, 2 frames": (uids.RLELossless, PixelFormat(**SIZE, bits_stored=16, signed=True, frames=2)),  # type: ignore[arg-type]
    "RGB by plane": (
        uids.ExplicitVRLittleEndian,
        PixelFormat(**SIZE, bits_allocated=8, bits_stored=8, samples=3, photometric="RGB", planar=1),  # type: ignore[arg-type]
    ),
    "YBR_FULL": (
        uids.ExplicitVRLittleEndian,
        PixelFormat(**SIZE, bits_allocated=8, bits_stored=8, samples=3, photometric="YBR_FULL"),  # type: ignore[arg-type]
    ),
    "JPEG baseline": (uids.JPEGBaseline8Bit, PixelFormat(**SIZE, bits_allocated=8, bits_stored=8)),  # type: ignore[arg-type]
    "JPEG 2000": (uids.JPEG2000Lossless, PixelFormat(**SIZE)),  # type: ignore[arg-type]
}


def made(name: str) -> Film:
    """A film with five lines of a made-up identity; each box is where drawing that line changes samples."""
    syntax, pixels = MADE[name]
    fields = {key: getattr(pixels, key) for key in pixels.__dataclass_fields__ if key != "burned"}
    plain = frame_samples(PixelFormat(**fields), 1)
    boxes = []
    for line in LINES:
        changed = (frame_samples(PixelFormat(**fields, burned=(line,)), 1) != plain).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        every = tuple(range(1, pixels.frames + 1))
        place = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        boxes.append(Box(text=line.text, rows=place[0], columns=place[1], frames=every))
    body = part10_bytes(chest_film(pixels, canaries=False), syntax)
    return Film(name=name, body=body, boxes=tuple(boxes))


@pytest.mark.parametrize("name", MADE)
def test_every_line_of_a_made_up_identity_is_hidden(tmp_path: Path, name: str) -> None:
    film = made(name)
    with House(tmp_path) as house:
        found = texts_hidden(film, screened(house, film), hidden)
    report({route: len(texts) for route, texts in found.items()}, len(film.boxes), name)
    for route in ROUTES:
        assert found[route] == [box.text for box in film.boxes], route


RULES = {"nothing comes back": hidden, "no value is near": hidden_by_value}


def published(image: dict[str, Any]) -> Film:
    """A published film and its identifying boxes: [x0, y0, x1, y1] there, frames counted from 0."""
    body = (_FOLDER / image["file"]).read_bytes()
    count = int(dcmread(io.BytesIO(body), stop_before_pixels=True).get("NumberOfFrames", 1) or 1)
    boxes = []
    for box in image["boxes"]:
        if box["is_phi"]:
            left, top, right, bottom = box.get("value_bbox", box["bbox"])
            listed = box.get("frames", image["frames"])
            numbers = range(1, count + 1) if listed == "all" else [one + 1 for one in listed]
            place = {"rows": slice(top, bottom), "columns": slice(left, right)}
            boxes.append(Box(text=box["text"], frames=tuple(numbers), **place))
    return Film(name=image["file"], body=body, boxes=tuple(boxes))


def identifying_boxes_of_published_films(tmp_path: Path) -> None:
    films = [published(image) for image in _TRUTH]
    total = sum(len(film.boxes) for film in films)
    counted: dict[str, dict[str, int]] = {rule: dict.fromkeys(ROUTES, 0) for rule in RULES}
    for number, film in enumerate(films):
        with House(tmp_path / str(number)) as house:
            shown = screened(house, film)
        for name, rule in RULES.items():
            for route, texts in texts_hidden(film, shown, rule).items():
                counted[name][route] += len(texts)
                if missed := [box.text for box in film.boxes if box.text not in texts]:
                    print(f"{name}, {route}, {film.name}: {missed}")
    for name in RULES:
        report(counted[name], total, f"published films, {name}")
    assert total == 50
    assert counted["nothing comes back"] == dict.fromkeys(ROUTES, 50)
    assert counted["no value is near"] == dict.fromkeys(ROUTES, 50)


if _TRUTH:
    # The published films contradict the standard here and there; that is not what is tested.
    test_identifying_boxes_of_published_films = pytest.mark.filterwarnings("ignore")(
        identifying_boxes_of_published_films
    )
