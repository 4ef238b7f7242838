"""Attacks a.X22 and a.X25 on the lung field: what false masks take away of it on clean chest films.

The lungs are outlined by hand, as fractions of the frame. One real film lies inside a package; it is also mirrored,
inverted, turned, stretched, made noisy and flatter, as other devices would have sent it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bad_objects import STORE
from builders import part10_bytes
from house import House
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import UID
from sweep_routes import unsynced

from server.develop import unseal
from server.model import RegionKind

Picture = NDArray[Any]
Polygons = tuple[tuple[tuple[float, float], ...], ...]
# Corners as (column, row).
LUNGS: Mapping[str, Polygons] = {
    "RG1": (
        ((0.25, 0.13), (0.36, 0.10), (0.42, 0.20), (0.40, 0.45), (0.36, 0.62), (0.34, 0.72), (0.20, 0.70), (0.10, 0.76),
         (0.09, 0.62), (0.12, 0.42), (0.17, 0.22)),
        ((0.58, 0.10), (0.72, 0.11), (0.82, 0.22), (0.88, 0.42), (0.91, 0.62), (0.91, 0.76), (0.82, 0.74), (0.74, 0.70),
         (0.64, 0.52), (0.56, 0.38), (0.56, 0.24)),
    ),
    "RSNA": (
        ((0.32, 0.14), (0.43, 0.14), (0.47, 0.30), (0.44, 0.50), (0.41, 0.68), (0.24, 0.68), (0.14, 0.72), (0.16, 0.60),
         (0.20, 0.42), (0.25, 0.24)),
        ((0.64, 0.15), (0.72, 0.16), (0.79, 0.27), (0.82, 0.42), (0.86, 0.58), (0.87, 0.68), (0.80, 0.66), (0.68, 0.58),
         (0.63, 0.45), (0.63, 0.30)),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film, and the part of its frame that is lung (rows, columns)."""

    name: str
    dataset: Dataset
    lung: NDArray[np.bool_]


def outlined(polygons: Polygons, rows: int, columns: int) -> Picture:
    lung = np.zeros((rows, columns), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(lung, [np.round(np.array(polygon) * (columns, rows)).astype(np.int32)], 1)
    return lung


def turned(picture: Picture, degrees: float) -> Picture:
    rows, columns = picture.shape
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0)
    return cv2.warpAffine(picture, matrix, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def noisy(picture: Picture) -> Picture:
    return picture + np.random.default_rng(5).normal(0, 250, picture.shape)


Change = Callable[[Picture], Picture]
# What is done to the samples (of 15 bits), and to where the lung is.
VARIANTS: Mapping[str, tuple[Change, Change]] = {
    "inverted": (lambda one: 32767 - one, lambda one: one),
    "turned by 4 degrees": (lambda one: turned(one, 4), lambda one: turned(one, 4)),
    "broad": (lambda one: cv2.resize(one, (1000, 760)), lambda one: cv2.resize(one, (1000, 760))),
    "noisy": (noisy, lambda one: one),
    "flat": (lambda one: 12000 + one / 4, lambda one: one),
}


def films() -> Iterator[Film]:
    original = dcmread(STORE / "RG1_UNCR.dcm")
    lung = outlined(LUNGS["RG1"], original.Rows, original.Columns)
    yield Film(name="RG1", dataset=original, lung=lung > 0)
    size = (original.Columns // 2, original.Rows // 2)
    half = cv2.resize(original.pixel_array.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(lung, size, interpolation=cv2.INTER_NEAREST)
    for number, (name, (change, move)) in enumerate(VARIANTS.items(), 1):
        yield Film(name=f"RG1 {name}", dataset=made(change(half), number), lung=move(small) > 0)
    if os.environ.get("SAFELIGHT_SHARED_DATA"):
        folder = Path(os.environ["SAFELIGHT_SHARED_DATA"]) / "chest"
        for number, path in enumerate(sorted(folder.glob("torchxrayvision_CR_*.dcm")), 100):
            given = dcmread(path)
            film = made(given.pixel_array * 128.0, number)
            film.PhotometricInterpretation = given.PhotometricInterpretation
            yield Film(name=path.stem, dataset=film, lung=outlined(LUNGS["RSNA"], film.Rows, film.Columns) > 0)


def made(picture: Picture, number: int) -> Dataset:
    """The packaged film with these samples, of 15 bits, and a UID of its own."""
    film = dcmread(STORE / "RG1_UNCR.dcm")
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = UID(f"{film.SOPInstanceUID}.{number}")
    film.Rows, film.Columns = picture.shape
    film.PixelData = np.ascontiguousarray(np.clip(np.round(picture), 0, 32767).astype("<u2")).tobytes()
    return film


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The part of the lung that a researcher is not shown, by film."""
    found = {}
    with pytest.MonkeyPatch.context() as patched, House(tmp_path_factory.mktemp("lungs")) as house:
        unsynced(patched)
        for film in films():
            before = set(house.instances("researcher"))
            assert house.store(part10_bytes(film.dataset)).status_code == 200
            house.screen()
            (path,) = set(house.instances("researcher")) - before
            told = house.get(f"{path}/masked-regions", "researcher", "application/json").json or {}
            mask = np.zeros(film.lung.shape, bool)
            for one in told["regions"]:
                mask[one["row"] : one["row"] + one["rows"], one["column"] : one["column"] + one["columns"]] = True
            study, uid = film.dataset.StudyInstanceUID, film.dataset.SOPInstanceUID
            (record,) = (one for one in house.services.catalog.instances_of(study) if one.path.instance == uid)
            for one in unseal(house.services, record).regions:
                if one.kind is RegionKind.BACKGROUND:
                    rows = slice(one.top_row, one.top_row + one.row_count)
                    mask[rows, one.left_column : one.left_column + one.column_count] = True
            found[film.name] = float(mask[film.lung].mean())
    print("\nlung field under masks:", {name: f"{part:.3%}" for name, part in found.items()})
    return found


def test_a_X22_the_lung_outlines_are_those_of_the_films() -> None:
    """Lung is where more rays pass: the outlined part is darker than the rest of the body beside it, on every film."""
    for film in films():
        picture = film.dataset.pixel_array.astype(np.float64)
        dark = film.dataset.PhotometricInterpretation == "MONOCHROME2"
        if film.name == "RG1 inverted":
            dark = not dark
        middle = np.zeros(film.lung.shape, bool)
        rows, columns = film.lung.shape
        middle[rows // 4 : 3 * rows // 4, 9 * columns // 20 : 11 * columns // 20] = True
        lung, spine = np.median(picture[film.lung]), np.median(picture[middle & ~film.lung])
        assert (lung < spine) is dark or (lung > spine) is not dark
        assert 0.15 < film.lung.mean() < 0.45


def test_a_X22_the_lung_field_of_clean_films_is_shown(masked: dict[str, float]) -> None:
    assert np.mean(list(masked.values())) <= 0.002


def test_a_X25_no_clean_film_loses_more_than_a_little_of_its_lungs(masked: dict[str, float]) -> None:
    assert max(masked.values()) <= 0.02
