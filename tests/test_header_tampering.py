"""False headers never shrink a mask: one pixel matrix under many headers, screened for real (a.X1, a.X2, a.X3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import BurnedText, PixelFormat, chest_film, decoded_frames, part10_bytes
from house import STEP, House, parts
from numpy.typing import NDArray
from pydicom import uid as uids

from server.develop import unseal
from server.model import InstancePath

PLAIN = PixelFormat(rows=256, columns=320, burned=())
BURNED = replace(
    PLAIN,
    burned=(
        BurnedText(text="MUSTER MAXIMA", top_row=12, left_column=10, height=22, contrast=0.5),
        BurnedText(text="ID 4711-0815", top_row=220, left_column=150, height=18, contrast=0.4),
    ),
)
HEADERS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "BurnedInAnnotation YES": {"BurnedInAnnotation": "YES"},
    "BurnedInAnnotation NO": {"BurnedInAnnotation": "NO"},
    "BurnedInAnnotation absent": {"BurnedInAnnotation": None},
    "BurnedInAnnotation nonsense": {"BurnedInAnnotation": "PERHAPS"},
    "Modality CT": {"Modality": "CT"},
    "Modality SR": {"Modality": "SR"},
    "Modality absent": {"Modality": None},
    "StationName": {"StationName": "ELSEWHERE"},
    "Manufacturer": {"Manufacturer": "NOBODY", "ManufacturerModelName": "NOTHING"},
    "ImageType derived": {"ImageType": ["DERIVED", "SECONDARY"]},
    "ImageType absent": {"ImageType": None},
    "ViewPosition": {"ViewPosition": "LL"},
    "StudyDescription": {"StudyDescription": "ALREADY CLEANED"},
    "identity removed": {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "done already"},
    "MONOCHROME1": {"PhotometricInterpretation": "MONOCHROME1"},
    "inverted shape": {"PresentationLUTShape": "INVERSE"},
    "window elsewhere": {"WindowCenter": "1", "WindowWidth": "1"},
    "padding value": {"PixelPaddingValue": 3000},
    "lossy history": {"LossyImageCompression": "01"},
    "CR": {"SOPClassUID": uids.ComputedRadiographyImageStorage, "Modality": "CR"},
    "secondary capture": {"SOPClassUID": uids.SecondaryCaptureImageStorage, "Modality": "OT"},
}

Seen = dict[str, tuple[NDArray[np.bool_], NDArray[Any], NDArray[Any]]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """For every header: the mask of the region set, the stored samples, and what the researcher gets of them."""
    found: Seen = {}
    known: set[str] = set()
    with House(tmp_path_factory.mktemp("headers")) as house:
        for number, (name, header) in enumerate(HEADERS.items(), 1):
            film = chest_film(BURNED, patient=number, study=number, series=number, instance=number, **header)
            assert house.store(part10_bytes(film)).status_code == 200, name
            house.screen()
            path = InstancePath(
                study=film.StudyInstanceUID, series=film.SeriesInstanceUID, instance=film.SOPInstanceUID
            )
            record = house.services.catalog.find_instance(path)
            assert record is not None
            mask = np.zeros((BURNED.rows, BURNED.columns), np.bool_)
            for region in unseal(house.services, record).regions:
                rows = slice(region.top_row, region.top_row + region.row_count)
                mask[rows, region.left_column : region.left_column + region.column_count] = True
            (address,) = (one for one in house.instances("researcher") if one not in known)
            answer = house.get(f"{address}/frames/1", "researcher", f'{STEP}"application/octet-stream"')
            ((_, body),) = parts(answer)
            sent = np.frombuffer(body, "<u2").reshape(BURNED.rows, BURNED.columns)
            found[name] = (mask, decoded_frames(film)[0][:, :, 0], sent)
            known.add(address)
    return found


@pytest.fixture(scope="module")
def glyphs() -> NDArray[np.bool_]:
    """Where the text is: the samples that it changed."""
    with_text, without = (decoded_frames(chest_film(pixels))[0][:, :, 0] for pixels in (BURNED, PLAIN))
    return np.asarray(np.abs(with_text.astype(int) - without.astype(int)) > 100)


@pytest.mark.parametrize("name", HEADERS)
def test_the_same_or_a_larger_mask(seen: Seen, name: str) -> None:
    base, mask = seen["as it is"][0], seen[name][0]
    assert base.any()
    assert not (base & ~mask).any()


@pytest.mark.parametrize("name", HEADERS)
def test_no_glyph_is_sent(seen: Seen, glyphs: NDArray[np.bool_], name: str) -> None:
    _, stored, sent = seen[name]
    assert glyphs.sum() > 500
    # Of a hidden glyph hardly a sample can have its own value by chance.
    assert (stored[glyphs] == sent[glyphs]).mean() < 0.02


def test_outside_of_the_mask_the_film_is_as_it_was(seen: Seen) -> None:
    mask, stored, sent = seen["as it is"]
    assert mask.mean() < 0.5
    assert (stored != sent).mean() < 0.75
