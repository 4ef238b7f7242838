"""Clean Graphics (PS3.15 section E.3.3): figures stay, words that are proven clean stay, and it is said only then."""

from __future__ import annotations

import hashlib

from builders import chest_film, part10_bytes
from house import POLICIES
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from server.metadata.deidentify import deidentify
from server.metadata.identifiers import identifiers
from server.metadata.part10 import read
from server.metadata.pseudonyms import Pseudonyms
from server.model import MaskingLevel
from server.policy.bundle import load
from server.policy.levels import read_level

GRAPHICS = (
    ("POINT", [3.0, 4.0], True),
    ("CIRCLE", [3.0, 4.0, 9.0, 4.0], True),
    ("ELLIPSE", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], True),
    ("POLYLINE", [1.0, 1.0, 9.0, 1.0, 9.0, 9.0, 1.0, 9.0, 1.0, 1.0], True),
    ("POLYLINE", [1.0] * 12, False),
    ("INTERPOLATED", [1.0, 1.0, 9.0, 1.0], False),
    ("POINT", [1.0, float("nan")], False),
    ("POINT", [1.0], False),
    ("CANARY", [1.0, 2.0], False),
)


def with_graphics_cleaned() -> MaskingLevel:
    text = (POLICIES / "levels" / "deidentified.toml").read_text("utf-8")
    changed = text.replace("clean-graphics = false", "clean-graphics = true")
    assert changed != text
    return read_level("deidentified", changed.encode())


def state(*texts: str) -> Dataset:
    drawn = []
    for shape, points, _ in GRAPHICS:
        one = Dataset()
        one.GraphicAnnotationUnits, one.GraphicDimensions, one.GraphicType = "PIXEL", 2, shape
        one.NumberOfGraphicPoints, one.GraphicFilled, one.GraphicData = 99, "CANARY", points
        one.GraphicGroupID = 4711
        drawn.append(one)
    written = []
    for text in texts:
        one = Dataset()
        one.BoundingBoxAnnotationUnits, one.UnformattedTextValue = "PIXEL", text
        one.BoundingBoxTopLeftHandCorner, one.BoundingBoxBottomRightHandCorner = [1.0, 2.0], [3.0, 4.0]
        written.append(one)
    annotation = Dataset()
    annotation.GraphicLayer = "CANARY_LAYER"
    annotation.TextObjectSequence, annotation.GraphicObjectSequence = DicomSequence(written), DicomSequence(drawn)
    ds = chest_film(canaries=False)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.1"
    ds.GraphicAnnotationSequence = DicomSequence([annotation])
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerDescription, layer.GraphicLayerOrder = "CANARY_LAYER", "CANARY-LAYER", 7
    ds.GraphicLayerSequence = DicomSequence([layer])
    ds.add_new(0x60004000, "LT", "CANARY-OVERLAY chest")
    ds.add_new(0x60003000, "OW", b"CANARY-BITS!")
    ds.add_new(0x50003000, "OW", b"CANARY-CURVE")
    return ds


def cleaned(ds: Dataset, level: MaskingLevel) -> Dataset:
    stored = read(part10_bytes(ds))
    keys = {one: hashlib.sha256(repr(one).encode()).digest()[:16] for one in identifiers(stored.elements)}
    names = Pseudonyms(domain_key=bytes(32), row_keys=keys, patient_row_key=bytes(16))
    return deidentify(stored.elements, level, names, pixels_masked=True).dataset


def test_clean_graphics_keeps_figures_and_clean_words() -> None:
    masked = cleaned(state("CANARY lung MUSTER^MAXIMA", "MUSTER", "left lung"), with_graphics_cleaned())
    assert "CANARY" not in str(masked)
    assert "MUSTER" not in str(masked)
    (annotation,) = masked.GraphicAnnotationSequence
    found = [(one.GraphicType, list(one.GraphicData)) for one in annotation.GraphicObjectSequence]
    alone = [(shape, points) for shape, points, kept in GRAPHICS if kept]
    assert [(shape, points if isinstance(points, list) else list(points)) for shape, points in found] == alone
    assert [one.NumberOfGraphicPoints for one in annotation.GraphicObjectSequence] == [1, 2, 4, 5]
    assert {one.GraphicFilled for one in annotation.GraphicObjectSequence} == {"N"}
    said = [one.UnformattedTextValue.casefold() for one in annotation.TextObjectSequence]
    assert said == ["lung", "left lung"]
    assert [one.GraphicLayer for one in masked.GraphicLayerSequence] == [annotation.GraphicLayer] == ["REMOVED"]
    assert "113103" in {one.CodeValue for one in masked.DeidentificationMethodCodeSequence}
    assert not {0x60003000, 0x50003000} & {int(element.tag) for element in masked}


def test_without_the_option_no_figure_stays_and_none_is_claimed() -> None:
    masked = cleaned(state("left lung"), load(POLICIES).levels["deidentified"])
    assert [list(one.dir()) for one in masked.GraphicAnnotationSequence] == [["GraphicLayer"]]
    assert "113103" not in {one.CodeValue for one in masked.DeidentificationMethodCodeSequence}
    assert "GraphicData" not in str(masked)


def test_where_nothing_clean_is_drawn_a_dummy_stands() -> None:
    ds = state("CANARY")
    del ds.GraphicAnnotationSequence[0].GraphicObjectSequence
    masked = cleaned(ds, with_graphics_cleaned())
    assert [list(one.dir()) for one in masked.GraphicAnnotationSequence] == [["GraphicLayer"]]
