"""What this server and a peer are compared on: one real radiograph in four syntaxes, a slice, a cine, a series.

All are made from packaged pictures and seeded noise, the same at every run. What hides the text of the large films is
put there by hand: six boxes of about 7 per cent of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from builders import PixelFormat, chest_film, part10_bytes
from pydicom import dcmread
from pydicom import uid as uids
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from server.ahead import grant_series
from server.bases import keep_bases
from server.catalog.screening_queue import Outcome
from server.develop import REGIONS, decoded_frame, unseal
from server.model import Region, RegionKind, ScreeningState
from server.screening.regions import RegionSet, encode_regions
from server.services import Services

ROWS, COLUMNS = 2500, 3000
SERIES = 300
SYNTAXES = {
    "raw": uids.ExplicitVRLittleEndian,
    "jpeg-ls": uids.JPEGLSLossless,
    "jpeg-2000": uids.JPEG2000Lossless,
    "jpeg-lossless": uids.JPEGLosslessSV1,
}
_EACH = 2
_BOXES = ((60, 80, 200, 800), (60, 2100, 200, 800), (2250, 80, 180, 500), (2250, 2300, 180, 600), (400, 80, 60, 400),
          (1200, 2500, 60, 400))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BenchFilm:
    """One film: `kind` says what it is measured for, `number` is its InstanceNumber, by which it is found again."""

    kind: str
    number: int
    body: bytes
    path: str


def radiograph() -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """A real chest radiograph at 2500×3000, 12 bits, with the grain of a detector."""
    stored = dcmread(str(get_testdata_file("RG1_UNCR.dcm"))).pixel_array.astype(np.float32)
    large = cv2.resize(stored, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC) / max(float(stored.max()), 1.0) * 4000
    grain = np.random.default_rng(1).normal(0, 8, large.shape)
    film: np.ndarray[tuple[int, int], np.dtype[np.uint16]] = np.clip(large + grain, 0, 4095).astype(np.uint16)
    return film


def large(number: int) -> Dataset:
    """The radiograph as a film of its own; shifted a little, so that no two are the same."""
    form = PixelFormat(rows=8, columns=8)
    film = chest_film(form, study=10, series=1, instance=number, canaries=False)
    film.Rows, film.Columns = ROWS, COLUMNS
    film.WindowCenter, film.WindowWidth = "2048", "4096"
    film.PixelData = np.roll(radiograph(), number, axis=1).tobytes()
    film.InstanceNumber = number
    return film


def films() -> Iterator[BenchFilm]:
    """Everything but the series."""
    number = 0
    for name, syntax in SYNTAXES.items():
        for _ in range(_EACH):
            number += 1
            film = large(number)
            yield _film(name, number, film, syntax)
    slice_ = chest_film(PixelFormat(rows=512, columns=512), study=11, instance=101, canaries=False)
    yield _film("slice", 101, slice_, uids.ExplicitVRLittleEndian)
    color = PixelFormat(rows=480, columns=640, samples=3, photometric="RGB", bits_allocated=8, bits_stored=8, frames=60)
    cine = chest_film(color, study=12, instance=102, canaries=False)
    yield _film("cine", 102, cine, uids.ExplicitVRLittleEndian)


def series() -> Iterator[BenchFilm]:
    """Three hundred small instances, for their metadata."""
    for number in range(1, SERIES + 1):
        film = chest_film(PixelFormat(rows=32, columns=32), study=13, instance=200 + number, canaries=False)
        yield _film("series", 200 + number, film, uids.ExplicitVRLittleEndian)


def stores(kind: str, first: int, count: int) -> list[bytes]:
    """Bodies to be stored that are in no store yet: slices, or films of about 6 MB."""
    found = []
    for number in range(first, first + count):
        if kind == "slice":
            ds = chest_film(PixelFormat(rows=512, columns=512), study=14, instance=number, canaries=False)
            found.append(part10_bytes(ds))
        else:
            found.append(part10_bytes(large(number), uids.JPEGLSLossless))
    return found


def _film(kind: str, number: int, film: Dataset, syntax: str) -> BenchFilm:
    path = f"/studies/{film.StudyInstanceUID}/series/{film.SeriesInstanceUID}/instances/{film.SOPInstanceUID}"
    return BenchFilm(kind=kind, number=number, body=part10_bytes(film, syntax), path=path)


def settle(services: Services) -> int:
    """Screen all that waits as a detector with these boxes would, and leave what screening leaves beside films."""
    done = 0
    while (record := services.catalog.claim("bench", services.clock(), 600.0)) is not None:
        original = unseal(services, record)
        described = original.description
        regions = tuple(
            Region(kind=RegionKind.TEXT, top_row=top, left_column=left, row_count=rows, column_count=columns)
            for top, left, rows, columns in _BOXES
            if described is not None and described.rows == ROWS
        )
        for number in range(1, described.number_of_frames + 1 if described else 1):
            decoded_frame(services, original, number)
        sealed = services.objects.put(
            original.study_key, REGIONS, [encode_regions(RegionSet(version="bench", regions=regions))]
        )
        outcome = Outcome(state=ScreeningState.SCREENED, regions=sealed, found_by="bench", at=services.clock())
        finished = services.catalog.finish(record.row, "bench", outcome)
        if finished is not None:
            keep_bases(services, finished)
            services.series_wishes.put(finished.series.row)
        done += 1
    while grant_series(services):
        pass
    return done
