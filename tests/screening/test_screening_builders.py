"""The builders keep their promises: frames tell their number, canaries are all different, files read back."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest
from builders import (
    GREY,
    RGB,
    BurnedText,
    PixelFormat,
    all_canaries,
    canary,
    chest_film,
    decoded_frames,
    frame_samples,
    part10_bytes,
)
from pydicom import uid as uids
from pydicom.pixels.utils import pixel_array

FORMS = {
    "grey": GREY,
    "grey 8": PixelFormat(bits_allocated=8, bits_stored=8, frames=12),
    "signed": PixelFormat(bits_stored=16, signed=True),
    "colour": RGB,
    "planar": PixelFormat(bits_allocated=8, bits_stored=8, samples=3, photometric="RGB", planar=1, frames=3),
    "inverted": PixelFormat(photometric="MONOCHROME1", frames=2),
}
LOSSLESS = [
    *(uids.ExplicitVRLittleEndian, uids.ImplicitVRLittleEndian, uids.ExplicitVRBigEndian),
    *(uids.DeflatedExplicitVRLittleEndian, uids.RLELossless, uids.JPEGLSLossless, uids.JPEG2000Lossless),
    uids.HTJ2KLossless,
]


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("form", FORMS)
def test_a_film_reads_back(form: str, syntax: str) -> None:
    pixels = FORMS[form]
    film = chest_film(pixels, hiding_places=True)
    read = pydicom.dcmread(BytesIO(part10_bytes(film, syntax)))
    expected = np.stack([frame_samples(pixels, number) for number in range(1, pixels.frames + 1)])
    assert np.array_equal(pixel_array(read).reshape(expected.shape), expected)
    assert np.array_equal(np.stack(decoded_frames(film)), expected)
    assert read.PatientName == "CANARY-PatientName"
    found = all_canaries(read)
    # Implicit VR cannot say that a private element is a sequence.
    hidden = {"00111004[0].PatientName"} if syntax == uids.ImplicitVRLittleEndian else set()
    assert found.items() >= {(name, value) for name, value in all_canaries(film).items() if name not in hidden}


@pytest.mark.parametrize(
    "pixels",
    [
        PixelFormat(bits_allocated=1, bits_stored=1, frames=3, rows=33, columns=35),
        PixelFormat(bits_allocated=32, bits_stored=32),
        PixelFormat(data_kind="float"),
        PixelFormat(data_kind="double", frames=2),
        PixelFormat(bits_allocated=8, bits_stored=8, photometric="PALETTE COLOR"),
    ],
    ids=["bits", "long", "float", "double", "palette"],
)
def test_the_rarer_forms_read_back(pixels: PixelFormat) -> None:
    read = pydicom.dcmread(BytesIO(part10_bytes(chest_film(pixels))))
    expected = np.stack([frame_samples(pixels, number) for number in range(1, pixels.frames + 1)])
    assert np.array_equal(pixel_array(read, raw=True).reshape(expected.shape), expected)


def test_what_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(ValueError, match="not encoded"):
        part10_bytes(chest_film(), uids.JPEGBaseline8Bit)


def test_every_frame_is_different() -> None:
    pixels = PixelFormat(frames=30)
    assert len({frame_samples(pixels, number).tobytes() for number in range(1, 31)}) == 30


def test_every_canary_is_different() -> None:
    canaries = all_canaries(chest_film(hiding_places=True))
    assert len(set(canaries.values())) == len(canaries) > 100


def test_patients_share_no_canary() -> None:
    one, two = all_canaries(chest_film(patient=1)), all_canaries(chest_film(patient=2, study=2))
    assert one["PatientID"] == "CANARY-PatientID" == canary("PatientID")
    assert one["PatientID"] != two["PatientID"]
    assert one["PatientBirthDate"] != two["PatientBirthDate"]
    assert one["AccessionNumber"] != two["AccessionNumber"]


def test_equal_arguments_give_equal_bytes_and_overrides_win() -> None:
    assert part10_bytes(chest_film()) == part10_bytes(chest_film())
    film = chest_film(Modality="US", BurnedInAnnotation=None)
    assert film.Modality == "US"
    assert "BurnedInAnnotation" not in film


def test_burned_text_changes_only_its_place() -> None:
    line = BurnedText(text="MUSTER", top_row=2, left_column=4, height=12)
    changed = frame_samples(GREY, 1) != frame_samples(PixelFormat(burned=(line,)), 1)
    assert changed.any()
    assert not changed[20:].any()
