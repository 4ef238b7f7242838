"""Presentation states in the request (PS3.18 8.3.5, 9.5): as somebody wanted it to be seen, under the mask."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import states
from builders import PixelFormat, chest_film, frame_samples, part10_bytes
from house import House, parts
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from states import about, area, figure, item, words
from sweep_routes import screen
from werkzeug.test import TestResponse

from server.model import Region, RegionKind

GREY = PixelFormat(rows=96, columns=128, bits_allocated=16, bits_stored=12)
HIDDEN = Region(kind=RegionKind.TEXT, top_row=36, left_column=40, row_count=20, column_count=20)
Picture = NDArray[np.uint8]


NUMBERS = count(1)


def film(pixels: PixelFormat = GREY, **values: Any) -> Dataset:
    return chest_film(pixels, instance=next(NUMBERS), **values)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("states")) as made:
        yield made


def stored(house: House, *objects: Dataset, regions: tuple[Region, ...] = ()) -> None:
    answer = house.store(*map(part10_bytes, objects))
    assert answer.status_code == 200, answer.get_data()
    # The level that masks nothing does not wait for it.
    if regions:
        screen(house, regions)


def address(one: Dataset) -> str:
    study, series = one.StudyInstanceUID, one.SeriesInstanceUID
    return f"/dicomweb/studies/{study}/series/{series}/instances/{one.SOPInstanceUID}"


def picture(answer: TestResponse) -> Picture:
    assert answer.status_code == 200, answer.get_data()
    return np.asarray(Image.open(io.BytesIO(answer.get_data())))


def shown(house: House, one: Dataset, query: str = "", user: str = "clinician") -> Picture:
    return picture(house.get(f"{address(one)}/rendered{query}", user, "image/png"))


def whole_range(samples: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(samples[:, :, 0] / 4095 * 255)


def test_what_a_state_leaves_out_is_the_identity(house: House) -> None:
    one = film(WindowCenter=100, WindowWidth=5)
    stored(house, one, state := states.state(one))
    assert np.abs(shown(house, state) - whole_range(frame_samples(GREY, 1))).max() <= 1
    # The film's own window is another.
    assert np.abs(shown(house, one).astype(int) - shown(house, state)).max() > 100


def test_windows_tables_and_shapes_of_a_state(house: House) -> None:
    one = film()
    grey = frame_samples(GREY, 1)[:, :, 0].astype(float)
    window = item(
        WindowCenter="1000", WindowWidth="800", VOILUTFunction="LINEAR_EXACT", ReferencedImageSequence=[about(one)]
    )
    elsewhere = film()
    other = item(WindowCenter="1", WindowWidth="2", ReferencedImageSequence=[about(elsewhere)])
    table = item(LUTDescriptor=[256, 0, 8], LUTData=np.arange(255, -1, -1).astype("<u2").tobytes())
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    inverse = states.state(one, SoftcopyVOILUTSequence=[other, window], PresentationLUTShape="INVERSE")
    tabled = states.state(one, SoftcopyVOILUTSequence=[window], PresentationLUTSequence=[table])
    del tabled.PresentationLUTShape
    rescaled = states.state(
        one, RescaleSlope="2", RescaleIntercept="-500", RescaleType="US",
        SoftcopyVOILUTSequence=[item(WindowCenter="1500", WindowWidth="1600", VOILUTFunction="LINEAR_EXACT")],
    )  # fmt: skip
    stored(house, one, elsewhere, inverse, tabled, rescaled)
    part = np.clip((grey - 1000) / 800 + 0.5, 0, 1)
    assert np.abs(shown(house, inverse) - (1 - part) * 255).max() <= 1
    assert np.abs(shown(house, tabled) - (1 - part) * 255).max() <= 1
    assert np.abs(shown(house, rescaled) - part * 255).max() <= 1


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turns_mirrors_and_areas(house: House, turns: int, mirrored: bool) -> None:
    one = film()
    plain = states.state(one)
    turned = states.state(
        one,
        ImageRotation=90 * turns,
        ImageHorizontalFlip="Y" if mirrored else "N",
        DisplayedAreaSelectionSequence=[area(11, 21, 60, 50)],
    )
    stored(house, one, plain, turned)
    wanted = np.rot90(shown(house, plain)[20:50, 10:60], -turns)
    wanted = wanted[:, ::-1] if mirrored else wanted
    assert np.array_equal(shown(house, turned), wanted)
    # The viewport then looks at what the state shows.
    small = shown(house, turned, "?viewport=10,10,0,0,20,20")
    assert small.shape == (10, 10)


def test_what_lies_beyond_the_frame_is_black(house: House) -> None:
    one = film()
    wide = states.state(one, DisplayedAreaSelectionSequence=[area(-9, -19, 138, 96)])
    plain = states.state(one)
    stored(house, one, wide, plain)
    found = shown(house, wide)
    assert found.shape == (116, 148)
    assert np.array_equal(found[20:, 10:138], shown(house, plain))
    assert not found[:20].any()
    assert not found[:, :10].any()


def test_shutters_cover_what_lies_outside_all_of_them(house: House) -> None:
    one = film()
    plain = states.state(one)
    values: dict[str, Any] = {
        "ShutterShape": ["RECTANGULAR", "CIRCULAR"],
        "ShutterLeftVerticalEdge": 20, "ShutterRightVerticalEdge": 100,
        "ShutterUpperHorizontalEdge": 10, "ShutterLowerHorizontalEdge": 80,
        "CenterOfCircularShutter": [48, 64], "RadiusOfCircularShutter": 40, "ShutterPresentationValue": 0x8000,
    }  # fmt: skip
    covered = states.state(one, **values)
    polygon = states.state(
        one, ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[10, 10, 10, 60, 60, 60, 60, 10],
        ShutterPresentationValue=0,
    )  # fmt: skip
    stored(house, one, plain, covered, polygon)
    open_, found = shown(house, plain), shown(house, covered)
    down, across = np.mgrid[1:97, 1:129]
    inside = (across >= 20) & (across <= 100) & (down >= 10) & (down <= 80)
    distance = np.hypot(down - 48, across - 64)
    assert np.array_equal(found[inside & (distance < 39)], open_[inside & (distance < 39)])
    assert (found[~inside] == 0x80).all()
    assert (found[distance > 41] == 0x80).all()
    found = shown(house, polygon)
    assert np.array_equal(found[12:58, 12:58], open_[12:58, 12:58])
    assert not found[64:].any()


def annotated(one: Dataset, **values: Any) -> Dataset:
    return states.state(
        one,
        GraphicAnnotationSequence=[
            item(
                GraphicLayer="LAYER",
                GraphicObjectSequence=[
                    figure("POLYLINE", 10, 10, 30, 10, 30, 20, 10, 20, 10, 10, filled=True),
                    figure("CIRCLE", 0.75, 0.5, 0.80, 0.5, units="DISPLAY"),
                    figure("ELLIPSE", 40, 80, 60, 80, 50, 75, 50, 85),
                    figure("POINT", 70, 70),
                    figure("INTERPOLATED", 5, 60, 15, 70, 25, 60),
                ],
                TextObjectSequence=[words("MUSTER TEXT", 60, 22)],
            )
        ],
        GraphicLayerSequence=[item(GraphicLayer="LAYER", GraphicLayerOrder=1)],
        **values,
    )


def test_figures_and_words_are_drawn_where_they_lie(house: House) -> None:
    one = film()
    plain = states.state(one)
    with_words = annotated(one)
    mirrored = annotated(one, ImageHorizontalFlip="Y")
    other = annotated(one)
    # About another frame of it: nothing of it is drawn here.
    other.GraphicAnnotationSequence[0].ReferencedImageSequence = DicomSequence([about(one, 2)])
    stored(house, one, plain, with_words, mirrored, other)
    bare, found = shown(house, plain), shown(house, with_words)
    changed = bare != found
    assert (found[11:19, 11:29] == 255).all()
    assert changed[48, 96 + 6] or changed[48, 96 - 6]
    assert changed[70, 70]
    assert changed[22:34, 60:].any()
    assert not changed[36:40].any()
    flipped = shown(house, mirrored)
    assert (flipped[11:19, 128 - 29 : 128 - 11] == 255).all()
    assert np.array_equal(shown(house, other), bare)


def test_a_level_that_hides_graphics_draws_none_and_shows_nothing_masked(tmp_path: Path) -> None:
    """At the masked level figures and words are gone, and below the mask lies what lies there without a state."""
    one = film()
    with_words, bare = annotated(one), states.state(one)
    with House(tmp_path) as house:
        stored(house, one, with_words, bare, regions=(HIDDEN,))
        found = {}
        for path in house.instances("researcher"):
            (told,) = house.get(f"{path}/metadata", "researcher", "application/dicom+json").json or [{}]
            found[told["00200011"]["Value"][0]] = f"{path}/rendered"
        film_path = found.pop(1)
        masked = picture(house.get(f"{film_path}?window=2047.5,4095,linear-exact", "researcher", "image/png"))
        assert len(found) == 2
        for path in found.values():
            assert np.array_equal(picture(house.get(path, "researcher", "image/png")), masked)
        original = shown(house, bare)
        assert not np.array_equal(masked[32:64, 32:64], original[32:64, 32:64])
        assert not np.array_equal(shown(house, with_words), original)


def test_what_is_under_the_mask_has_no_effect_through_any_state(tmp_path: Path) -> None:
    pictures = []
    one = film()
    through = states.state(
        one,
        ImageRotation=90,
        DisplayedAreaSelectionSequence=[area(30, 30, 70, 64)],
        PresentationLUTShape="INVERSE",
        SoftcopyVOILUTSequence=[item(WindowCenter="2000", WindowWidth="100")],
    )
    for side in (0, 1):
        samples = frame_samples(GREY, 1).copy()
        samples[36:56, 40:60] = np.random.default_rng(side).integers(0, 4096, (20, 20, 1))
        one.PixelData = samples.astype("<u2").tobytes()
        with House(tmp_path / str(side), seed="pair") as house:
            stored(house, one, through, regions=(HIDDEN,))
            found = [house.get(f"{path}/rendered", "researcher", "image/png") for path in house.instances("researcher")]
            assert {answer.status_code for answer in found} == {200}
            pictures.append([(answer.get_data(), answer.headers["ETag"]) for answer in found])
    assert pictures[0] == pictures[1]


def test_several_films_of_one_state_come_in_parts(house: House) -> None:
    one, two = film(), film()
    both = states.state(one)
    both.ReferencedSeriesSequence[0].ReferencedImageSequence.append(about(two))
    stored(house, one, two, both)
    alone = house.get(f"{address(both)}/rendered", "clinician", "image/png")
    assert alone.status_code == 406
    found = parts(house.get(f"{address(both)}/rendered", "clinician", 'multipart/related; type="image/png"'))
    assert [head["content-type"] for head, _ in found] == ["image/png", "image/png"]


def test_frames_of_a_film_are_those_that_the_state_names(house: House) -> None:
    pixels = PixelFormat(rows=96, columns=128, frames=3)
    one = film(pixels)
    second = states.state(one, 2)
    stored(house, one, second)
    assert np.abs(shown(house, second) - whole_range(frame_samples(pixels, 2))).max() <= 1
    assert house.get(f"{address(second)}/frames/1/rendered", "clinician", "image/png").status_code == 406


def test_a_state_of_another_study_s_film_shows_nothing(house: House) -> None:
    """Only what the same decision was about: a state leads nowhere else."""
    elsewhere = film(study=2, patient=2)
    astray = states.state(elsewhere)
    stored(house, elsewhere, film(), astray)
    assert house.get(f"{address(astray)}/rendered", "clinician", "image/png").status_code == 404


@pytest.mark.parametrize(
    "values",
    [
        {"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x6000},
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 2, 3]},
        {"ImageRotation": 45},
        {"DisplayedAreaSelectionSequence": [area(1, 1, 2**30, 2**30)]},
        {"PresentationLUTSequence": [item(LUTDescriptor=[9, 0, 8], LUTData=b"\1\2")]},
        {"MaskSubtractionSequence": [item(MaskOperation="AVG_SUB")]},
        {"GraphicAnnotationSequence": [item(GraphicObjectSequence=[figure("POINT", 1, 1)] * 501)]},
    ],
)
def test_what_is_not_drawn_is_refused(house: House, values: dict[str, Any]) -> None:
    """A picture without it would not be the one that was meant."""
    one = film()
    for lut in values.get("PresentationLUTSequence", ()):
        lut["LUTDescriptor"].VR, lut["LUTData"].VR = "US", "OW"
    stored(house, one, odd := states.state(one, **values))
    assert house.get(f"{address(odd)}/rendered", "clinician", "image/png").status_code == 406


def test_a_state_has_windows_of_its_own(house: House) -> None:
    one = film()
    stored(house, one, state := states.state(one))
    assert house.get(f"{address(state)}/rendered?window=1,2,linear", "clinician", "image/png").status_code == 400


def test_colour_keeps_its_colours(house: House) -> None:
    pixels = PixelFormat(rows=96, columns=128, bits_allocated=8, bits_stored=8, samples=3, photometric="RGB")
    one = film(pixels)
    turned = states.state(one, sop_class=states.COLOUR, ImageRotation=180, ImageHorizontalFlip="N")
    stored(house, one, turned)
    assert np.array_equal(shown(house, turned), shown(house, one)[::-1, ::-1])


def test_wado_sees_a_film_through_a_state(house: House) -> None:
    one, two = film(), film()
    turned = states.state(one, ImageRotation=180, ImageHorizontalFlip="N")
    stored(house, one, two, turned)

    def asked(of: Dataset, state: Dataset, more: str = "") -> TestResponse:
        named = f"studyUID={of.StudyInstanceUID}&seriesUID={of.SeriesInstanceUID}&objectUID={of.SOPInstanceUID}"
        through = f"presentationSeriesUID={state.SeriesInstanceUID}&presentationUID={state.SOPInstanceUID}"
        return house.get(f"/wado?requestType=WADO&{named}&{through}&contentType=image/png{more}", "clinician")

    assert np.array_equal(picture(asked(one, turned)), shown(house, turned))
    assert picture(asked(one, turned, "&rows=20&columns=20")).shape == (15, 20)
    # A state that says nothing of the film, something that is no state, and nothing at all.
    assert asked(two, turned).status_code == 404
    assert asked(one, two).status_code == 404
    turned.SOPInstanceUID = "1.2.3.4"
    assert asked(one, turned).status_code == 404
