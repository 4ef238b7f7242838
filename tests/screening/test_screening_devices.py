from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from server.errors import ConfigurationError
from server.model import RegionKind
from server.screening.devices import device_regions, read_devices
from server.screening.facts import Facts, facts_of, must_be_reviewed

LISTED = (Path(__file__).resolve().parents[2] / "policies" / "devices.toml").read_bytes()
RULE = b"""
[[rule]]
modality = ["US"]
manufacturer = ["Philips", "ATL"]
rows = [600, 768]
places = [{ rows = 50 }, { top = 100, left = 200, rows = 20, columns = 30 }]
"""


def facts(**values: object) -> Facts:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return facts_of(dataset)


def places(content: bytes, said: Facts, rows: int = 600, columns: int = 800) -> list[tuple[int, int, int, int]]:
    regions = device_regions(read_devices(content), said, rows, columns)
    assert all(one.frames is None and one.kind is RegionKind.BANNER for one in regions)
    return [(one.top_row, one.left_column, one.row_count, one.column_count) for one in regions]


def test_a_rule_gives_its_places_on_every_frame() -> None:
    said = facts(Modality="US", Manufacturer="PHILIPS Medical Systems")
    assert places(RULE, said) == [(0, 0, 50, 800), (100, 200, 20, 30)]


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        (facts(Modality="US", Manufacturer="GE"), 600),
        (facts(Modality="CT", Manufacturer="Philips"), 600),
        (facts(Manufacturer="Philips"), 600),
        (facts(Modality="US", Manufacturer="Philips"), 601),
    ],
)
def test_a_rule_for_another_image_gives_nothing(said: Facts, rows: int) -> None:
    assert places(RULE, said, rows) == []


@pytest.mark.parametrize(
    "place", ["{ rows = 700 }", "{ left = 800 }", "{ left = 700, columns = 101 }", "{ top = 600 }"]
)
def test_a_place_outside_of_the_frame_is_the_whole_frame(place: str) -> None:
    content = f'[[rule]]\nmodality = ["US"]\nplaces = [{place}]\n'.encode()
    assert places(content, facts(Modality="US")) == [(0, 0, 600, 800)]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"rule = 1",
        b"",
        b"other = 1\nrule = []",
        b"[[rule]]\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nmodality = ['US']",
        b"[[rule]]\nmodality = ['US']\nplaces = []",
        b"[[rule]]\nmodality = ['US']\nplaces = 5",
        b"[[rule]]\nmodality = ['US']\nplaces = [5]",
        b"[[rule]]\nmodality = ['US']\nkeep = true\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nmodality = 'US'\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nmodality = []\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nmodality = [' ']\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nmodality = [5]\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nrows = []\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nrows = [true]\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nrows = [0]\nplaces = [{ rows = 5 }]",
        b"[[rule]]\nrows = [5]\nplaces = [{ rows = -5 }]",
        b"[[rule]]\nrows = [5]\nplaces = [{ top = 1.5 }]",
        b"[[rule]]\nrows = [5]\nplaces = [{ height = 5 }]",
        b"[[rule]]\nrows = [5]\nplaces = [{ rows = 65536 }]",
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        read_devices(content)


def test_the_list_that_comes_with_the_product_is_read() -> None:
    rules = read_devices(LISTED)
    assert len(rules) >= 80
    known = facts(Modality="US", Manufacturer="GE Healthcare", ManufacturerModelName="LOGIQE9")
    assert (0, 0, 70, 960) in places(LISTED, known, 720, 960)
    assert places(LISTED, facts(Modality="DX", Manufacturer="ACME"), 2500, 3000) == []


@pytest.mark.parametrize(
    "values",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"},
        {"ConversionType": "WSD"},
        {"Modality": "OT"},
        {"Modality": "DOC"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "DOSE_INFO"]},
        {"ImageType": "SCREEN SAVE"},
    ],
)
def test_copies_of_screens_and_pages_go_to_a_person(values: dict[str, object]) -> None:
    assert must_be_reviewed(facts(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4", "Modality": "XC"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX", "ImageType": ["ORIGINAL", "PRIMARY"]},
        {"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]},
        {"ImageType": ""},
        {},
    ],
)
def test_other_images_need_nobody(values: dict[str, object]) -> None:
    assert must_be_reviewed(facts(**values)) is None
