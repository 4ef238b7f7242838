from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from server.demo import films
from server.screening.text import TextDetector


@pytest.fixture(scope="module")
def samples() -> list[Dataset]:
    return [pydicom.dcmread(BytesIO(film)) for film in films.sample_films(b"seed")]


def test_the_number_is_as_announced(samples: list[Dataset]) -> None:
    assert len(samples) == films.expected_number()
    assert len(films.MADE_UP) >= 6


def test_every_film_has_what_storing_needs(samples: list[Dataset]) -> None:
    patients: dict[str, tuple[str, str]] = {}
    for ds in samples:
        for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            assert UID(ds[keyword].value).is_valid
        assert ds.file_meta.MediaStorageSOPClassUID == ds.SOPClassUID
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        identity = (str(ds.get("IssuerOfPatientID", "")), str(ds.get("PatientID", "")))
        assert patients.setdefault(ds.StudyInstanceUID, identity) == identity
    assert len({ds.SOPInstanceUID for ds in samples}) == len(samples)


def test_made_up_films_hold_one_identity_each(samples: list[Dataset]) -> None:
    for film, ds in zip(films.MADE_UP, samples, strict=False):
        assert (ds.PatientName, ds.PatientID, ds.IssuerOfPatientID) == (film.name, film.patient_id, "SAFELIGHT-DEMO")
        assert ds.PatientBirthDate == film.birth_date
        assert len(ds.PixelData) == ds.Rows * ds.Columns * 2 * film.frames
    made_up = samples[: len(films.MADE_UP)]
    assert {"MONOCHROME1", "MONOCHROME2"} == {ds.PhotometricInterpretation for ds in made_up}
    assert any(ds.get("NumberOfFrames", 1) > 1 for ds in made_up)
    assert made_up[0].PatientID == "DEMO-0001"


def test_equal_seeds_give_equal_films_and_others_other_uids() -> None:
    first, again, other = (next(films.sample_films(seed)) for seed in (b"one", b"one", b"two"))
    assert first == again
    assert pydicom.dcmread(BytesIO(first)).SOPInstanceUID != pydicom.dcmread(BytesIO(other)).SOPInstanceUID


def test_without_the_packages_the_made_up_films_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "_locate", lambda package, file: None)
    assert films.expected_number() == len(films.MADE_UP) == len(list(films.sample_films(b"")))


@pytest.mark.parametrize("film", films.MADE_UP, ids=lambda film: film.corner)
def test_the_detector_covers_the_identity_of_every_made_up_film(detector: TextDetector, film: films.MadeUpFilm) -> None:
    base = films.chest_picture()
    frame, _ = films.drawn(film, base)
    clean = np.round(np.clip(base, 0, 1) * 4095).astype(np.int32)
    letters = np.abs((4095 - frame.astype(np.int32) if film.inverted else frame.astype(np.int32)) - clean) > 200
    covered = np.zeros(frame.shape, bool)
    for region in detector.find(frame[:, :, None], frame_number=1):
        rows = slice(region.top_row, region.top_row + region.row_count)
        covered[rows, region.left_column : region.left_column + region.column_count] = True
    assert letters.any()
    assert covered[letters].mean() >= 0.99
