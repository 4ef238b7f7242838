from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from server.model import Region, RegionKind
from server.screening.twins import TWIN, Shot, carried, same_exposure, shot_of

LINE = Region(kind=RegionKind.TEXT, top_row=10, left_column=21, row_count=9, column_count=30)


def film(**attributes: Any) -> Dataset:
    ds = Dataset()
    ds.SOPInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def shot(uid: str = "1.2.3", rows: int = 100, columns: int = 80, **attributes: Any) -> Shot:
    return shot_of(film(SOPInstanceUID=uid, **attributes), rows, columns, 1)


def source(uid: str) -> list[Dataset]:
    item = Dataset()
    item.ReferencedSOPInstanceUID = uid
    return [item]


@pytest.mark.parametrize(
    ("attributes", "raw"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1", "PresentationIntentType": "FOR PRESENTATION"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2"}, False),
        ({}, False),
    ],
)
def test_what_is_for_processing(attributes: dict[str, Any], raw: bool) -> None:
    assert shot(**attributes).raw is raw


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"SourceImageSequence": source("1.9"), "SeriesInstanceUID": "1.1"}, {}, True),
        ({"IrradiationEventUID": ["1.5", "1.6"], "SeriesInstanceUID": "1.1"}, {"IrradiationEventUID": "1.6"}, True),
        (
            {"AcquisitionDate": "20260101", "AcquisitionTime": "1200", "SeriesInstanceUID": "1.1"},
            {"AcquisitionDate": "20260101", "AcquisitionTime": "1200"},
            True,
        ),
        ({"AcquisitionTime": "1200"}, {"AcquisitionTime": "1201"}, False),
        ({"AcquisitionTime": "1200"}, {}, True),
        ({}, {}, True),
        ({"ViewPosition": "PA"}, {"ViewPosition": "LL"}, False),
        ({"SeriesInstanceUID": "1.1"}, {}, False),
    ],
)
def test_what_is_of_one_exposure(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    first, second = shot(**one), shot("1.9", **other)
    assert same_exposure(first, second) is same_exposure(second, first) is same


def test_regions_lie_where_they_lay() -> None:
    background = replace(LINE, kind=RegionKind.BACKGROUND)
    assert carried([LINE, background], shot(), shot("1.9")) == [replace(LINE, detector=TWIN)]


def test_regions_are_scaled_outward() -> None:
    (found,) = carried([LINE], shot(), shot("1.9", rows=251, columns=201))
    assert (found.top_row, found.left_column) == (25, 52)
    assert found.top_row + found.row_count >= 19 * 251 / 100
    assert found.left_column + found.column_count >= 51 * 201 / 80
    (edge,) = carried([replace(LINE, top_row=91)], shot(), shot("1.9", rows=251, columns=201))
    assert edge.top_row + edge.row_count == 251


def test_another_shape_says_nothing() -> None:
    assert carried([LINE], shot(), shot("1.9", rows=100, columns=100)) == []


def test_a_mirrored_film_has_each_region_twice() -> None:
    shown, raw = shot(PatientOrientation=["P", "F"]), shot("1.9", PatientOrientation=["A", "FR"])
    assert [one.left_column for one in carried([LINE], shown, raw)] == [21, 80 - 21 - 30]
    assert [one.top_row for one in carried([LINE], shown, raw)] == [10, 10]


def test_frames_are_those_of_the_film_or_all() -> None:
    one = replace(LINE, frames=frozenset({2}))
    several = replace(shot(), frames=3)
    assert carried([one], several, replace(shot("1.9"), frames=3))[0].frames == frozenset({2})
    assert carried([one], several, shot("1.9"))[0].frames is None
