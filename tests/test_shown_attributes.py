"""Pictures are made by the display attributes alone: to the byte what they are by the whole masked data set."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import codec_table
import numpy as np
import pytest
import sweep_films
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from sweep_routes import unsynced

from server import rendered
from server.admit import View
from server.develop import Original, displayed_dataset, masked_dataset, unseal
from server.errors import UnsupportedPixels
from server.headers import description_of, display_of
from server.metadata.elements import Elements
from server.metadata.masked import MaskedDataset
from server.metadata.part10 import read
from server.metadata.pseudonyms import domain_key
from server.metadata.view import to_pydicom
from server.pixels.description import describe
from server.pixels.display import DisplayAttributes, display_attributes

_SUFFIXES = ("/rendered", "/rendered?viewport=40,30", "/rendered?window=90,300,linear", "/thumbnail")


def item(**values: Any) -> Dataset:
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def odd_film(number: int) -> Dataset:
    """A film with display attributes drawn by lot, sensible and not, names of its patient among them."""
    lot = random.Random(number)
    ds = chest_film(PixelFormat(rows=24, columns=32), study=50, instance=number)
    word = lot.choice(["MUSTER", "MAXIMA", "HU", "LINEAR", "SIGMOID", "INVERSE", "IDENTITY", "A\\B"])
    ds.WindowCenter = lot.choice([40, [40, 400], -1000.5])
    ds.WindowWidth = lot.choice([400, [400, 1500], 0.5])
    ds.WindowCenterWidthExplanation = lot.choice(["MUSTER", ["BONE", "MAXIMA"]])
    ds.VOILUTFunction = lot.choice(["LINEAR", "SIGMOID", "LINEAR_EXACT", "MUSTER"])
    ds.PresentationLUTShape = lot.choice(["INVERSE", "IDENTITY", "MUSTER"])
    ds.RescaleType = word.partition("\\")[0]
    ds.RescaleSlope, ds.RescaleIntercept = lot.choice([1, 2, 0.5]), lot.choice([0, -1024])
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if name in ds:
            delattr(ds, name)
    spacing = lot.choice(["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
    setattr(ds, spacing, lot.choice([[0.5, 0.4], [0.25, 0.5]]))
    ds.PixelPaddingValue = lot.choice([0, 63])
    entries = np.minimum(255, 2 * np.arange(256)).astype("<u2").tobytes()
    table = item(LUTDescriptor=[256, lot.choice([0, 12]), 8], LUTExplanation="MUSTER^MAXIMA", LUTData=entries)
    if lot.random() < 0.4:
        ds.VOILUTSequence = Sequence([table])
    if lot.random() < 0.3:
        table = item(LUTDescriptor=[256, 0, 8], LUTExplanation="MAXIMA", ModalityLUTType="US", LUTData=entries)
        ds.ModalityLUTSequence = Sequence([table])
        del ds.RescaleSlope, ds.RescaleIntercept
    if lot.random() < 0.4:
        voi = Sequence([item(WindowCenter=50, WindowWidth=90, WindowCenterWidthExplanation="MUSTER")])
        transform = Sequence([item(RescaleSlope=2, RescaleIntercept=1, RescaleType="MAXIMA")])
        measures = Sequence([item(PixelSpacing=[0.5, 0.25], SliceThickness=2)])
        shared = item(
            FrameVOILUTSequence=voi, PixelValueTransformationSequence=transform, PixelMeasuresSequence=measures
        )
        ds.SharedFunctionalGroupsSequence = Sequence([shared])
        ds.PerFrameFunctionalGroupsSequence = Sequence([item(FrameContentSequence=Sequence([item(FrameComments="x")]))])
    if lot.random() < 0.5:
        ds.add_new(0x60000010, "US", 24)
        ds.add_new(0x60000011, "US", 32)
        ds.add_new(0x60000022, "LO", "MUSTER^MAXIMA")
        ds.add_new(0x60000040, "CS", "G")
        ds.add_new(0x60000050, "SS", [1, 1])
        ds.add_new(0x60000100, "US", 1)
        ds.add_new(0x60000102, "US", 0)
        ds.add_new(0x60003000, "OW", bytes(lot.randrange(256) for _ in range(24 * 32 // 8)))
    return ds


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("shown")) as made:
        unsynced(patch)
        bodies = [one.body for one in sweep_films.films()] + [one.body for one in codec_table.films()]
        bodies += [part10_bytes(odd_film(number)) for number in range(1, 40)]
        for body in bodies:
            made.store(body)
        yield made


def originals(house: House) -> Iterator[Original]:
    for study in _studies(house):
        for record in house.services.catalog.instances_of(study):
            if record.number_of_frames:
                yield unseal(house.services, record)


def _studies(house: House) -> list[str]:
    catalog = house.services.catalog
    found = catalog.studies_at(catalog.stored(0, catalog.count_studies())).values()
    return [one.record.study_instance_uid for one in found]


def views(house: House) -> list[View]:
    key = house.services.project_key("demo-project")
    levels = house.services.policy.current.levels.values()
    return [View(level=one, domain=domain_key(key, one.name) if one.pseudonyms else None) for one in levels]


def told(masked: MaskedDataset, number: int) -> Mapping[str, object] | str:
    """Everything that a display reads of a data set, comparable."""
    return _listed(masked, lambda: display_attributes(masked.dataset, frame_number=number))


def _listed(masked: MaskedDataset, read: Callable[[], DisplayAttributes]) -> Mapping[str, object] | str:
    try:
        display = read()
    except UnsupportedPixels as error:
        return str(error)
    overlays = [(tag, one.value) for tag, one in masked.elements.items() if tag >> 24 == 0x60 and one.vr != "LO"]
    return {one.name: _plain(getattr(display, one.name)) for one in fields(DisplayAttributes)} | {"overlays": overlays}


def _plain(value: Any) -> object:
    if hasattr(value, "entries"):
        return value.first, value.entries.dtype.str, value.entries.tolist()
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_headers_that_were_read_once_say_what_reading_them_anew_says(house: House) -> None:
    """Twice, so that whatever one film left behind would be found in another."""
    seen = set()
    for original in (*originals(house), *originals(house)):
        syntax, keyword = original.record.transfer_syntax_uid, original.pixel_keyword
        image = {tag: one for tag, one in original.elements.items() if tag >> 16 == 0x28 or tag == 0x00080005}
        assert original.description == describe(to_pydicom(image), syntax, keyword=keyword)
        for view in views(house):
            shown = displayed_dataset(original, view)
            for number in (1, original.record.number_of_frames):
                anew = told(shown, number)
                assert _listed(shown, partial(display_of, shown, number)) == anew
                seen.add(str(anew))
    assert len(seen) > 20


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Rows", 25),
        ("Columns", 30),
        ("SamplesPerPixel", 3),
        ("PhotometricInterpretation", "MONOCHROME1"),
        ("BitsAllocated", 8),
        ("BitsStored", 11),
        ("HighBit", 12),
        ("PixelRepresentation", 1),
        ("NumberOfFrames", 2),
        ("LossyImageCompression", "01"),
        ("PixelPaddingValue", 7),
        ("PixelPaddingRangeLimit", 9),
        ("PlanarConfiguration", 1),
        ("Rows", [24, 24]),
        ("Rows", None),
    ],
)
def test_a_header_that_says_something_else_is_read_anew(keyword: str, value: object) -> None:
    """Nothing that a description follows from may be missing from what it is kept under."""
    film = chest_film(PixelFormat(rows=24, columns=32))
    if keyword == "PlanarConfiguration":
        film.SamplesPerPixel, film.PhotometricInterpretation = 3, "RGB"
    del film.PixelData
    before = read(part10_bytes(film)).elements
    setattr(film, keyword, value)
    after = read(part10_bytes(film)).elements
    told = [_described(description_of, one) for one in (before, after, before)]
    anew = [_described(lambda all_of, *named: describe(to_pydicom(all_of), *named[:1]), one) for one in (before, after)]
    assert told == [*anew, anew[0]]
    assert told[0] != told[1]


def _described(what: Callable[..., object], elements: Elements) -> object:
    try:
        return what(elements, ExplicitVRLittleEndian, "PixelData")
    except UnsupportedPixels as error:
        return str(error)


def test_displays_read_the_same_of_both(house: House) -> None:
    found = set()
    for original in originals(house):
        for view in views(house):
            whole, shown = masked_dataset(original, view), displayed_dataset(original, view)
            for number in range(1, min(original.record.number_of_frames, 2) + 1):
                assert told(shown, number) == told(whole, number), (view.level.name, original.record.path)
            assert len(shown.elements) <= len(whole.elements)
            found.add((original.record.sop_class_uid, original.record.transfer_syntax_uid, view.level.name))
    assert len(found) > 50


def test_nothing_that_identifies_is_in_what_displays_read(house: House) -> None:
    """Of what stands at the top of it, only image attributes and planes; no person, no place, no number of anybody."""
    for original in originals(house):
        for view in views(house):
            for tag in displayed_dataset(original, view).elements:
                group = tag >> 16
                assert group in (0x0028, 0x2050, 0x5200) or group >> 8 == 0x60 or tag in (
                    0x00080005, 0x00181164, 0x00182010
                ), hex(tag)  # fmt: skip


@pytest.mark.parametrize("user", ["clinician", "researcher", "front-desk"])
def test_pictures_are_the_same_to_the_byte(house: House, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [path + suffix for path in house.instances(user, query_string={"limit": "400"}) for suffix in _SUFFIXES]

    def pictures() -> list[tuple[int, bytes]]:
        answers = [house.get(path, user, "image/png") for path in asked]
        house.services.answers.drop()
        return [(one.status_code, one.data) for one in answers]

    by_display = pictures()
    monkeypatch.setattr(rendered, "displayed_dataset", masked_dataset)
    assert pictures() == by_display
    assert sum(status == 200 for status, _ in by_display) > 40
