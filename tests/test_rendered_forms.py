"""Rendered answers in their other forms: annotations, colour profiles, JPEG 2000, animations, texts of text objects."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import count
from typing import Any
from xml.etree import ElementTree

import imagecodecs
import numpy as np
import pytest
import states
from builders import PixelFormat, chest_film, frame_samples, part10_bytes
from house import House, parts
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom import Dataset
from pydicom import uid as uids
from states import code, content, item
from werkzeug.test import TestResponse

from server.metadata import narrative
from server.pixels.profiles import in_space, profile

GREY = PixelFormat(rows=96, columns=400)
COLOUR = PixelFormat(rows=64, columns=80, bits_allocated=8, bits_stored=8, samples=3, photometric="RGB")
CINE = PixelFormat(rows=64, columns=80, frames=5)
NUMBERS = count(1)
SPACES = ("srgb", "adobergb", "rommrgb", "displayp3")
MARKUP = "<script>alert(1)</script> & \"quoted\" 'too'"
Picture = NDArray[np.uint8]


def film(pixels: PixelFormat = GREY, **values: Any) -> Dataset:
    return chest_film(pixels, instance=next(NUMBERS), **values)


FILM, COLOURED, MOVING = film(), film(COLOUR), film(CINE)
MEASURED = item(NumericValue="12.5", MeasurementUnitsCodeSequence=[code("mm")])
REPORT = states.report(
    content("TEXT", "Finding", TextValue=f"{MARKUP}\r\nsecond line"),
    content("NUM", "Diameter", MeasuredValueSequence=[MEASURED]),
    content(
        "CONTAINER",
        "Findings",
        ContentSequence=[
            content("CODE", "Conclusion", ConceptCodeSequence=[code("Normal")]),
            content("PNAME", "Observer", PersonName="MUSTER^MAXIMA"),
            content("DATE", "When", Date="20200102"),
        ],
    ),
)  # fmt: skip
KEYS = states.without_pixels(
    uids.KeyObjectSelectionDocumentStorage,
    "KO",
    ValueType="CONTAINER",
    ConceptNameCodeSequence=[item(CodeValue="113000", CodingSchemeDesignator="DCM", CodeMeaning="Of Interest")],
    ContentSequence=[content("IMAGE", "Image", ReferencedSOPSequence=[states.about(FILM)])],
)
STATE = states.state(
    FILM, GraphicAnnotationSequence=[item(GraphicLayer="L", TextObjectSequence=[states.words("MUSTER TEXT", 5, 5)])]
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("forms")) as made:
        answer = made.store(*map(part10_bytes, (FILM, COLOURED, MOVING, REPORT, KEYS, STATE)))
        assert answer.status_code == 200, answer.get_data()
        made.screen()
        yield made


def address(one: Dataset) -> str:
    study, series = one.StudyInstanceUID, one.SeriesInstanceUID
    return f"/dicomweb/studies/{study}/series/{series}/instances/{one.SOPInstanceUID}/rendered"


def of_researcher(house: House, one: Dataset) -> str:
    """The same object's rendered resource in the world of a researcher."""
    for path in house.instances("researcher"):
        (told,) = house.get(f"{path}/metadata", "researcher", "application/dicom+json").json or [{}]
        found = [told[tag]["Value"][0] for tag in ("00080060", "00200011", "00200013")]
        if found == [one.Modality, one.SeriesNumber, one.InstanceNumber]:
            return f"{path}/rendered"
    raise AssertionError("not found")


def shown(answer: TestResponse) -> Picture:
    assert answer.status_code == 200, answer.get_data()
    return np.asarray(Image.open(io.BytesIO(answer.get_data())))


def test_jpeg_2000_and_animations(house: House) -> None:
    for one in (FILM, COLOURED):
        answer = house.get(address(one), "clinician", "image/jp2")
        assert answer.headers["Content-Type"] == "image/jp2"
        found = imagecodecs.jpeg2k_decode(answer.get_data())
        assert np.array_equal(found, shown(house.get(address(one), "clinician", "image/png")))
    animation = Image.open(io.BytesIO(house.get(address(MOVING), "clinician", "image/gif").get_data()))
    assert getattr(animation, "n_frames") == 5  # noqa: B009
    for number in range(1, 6):
        animation.seek(number - 1)
        alone = house.get(address(MOVING).replace("/rendered", f"/frames/{number}/rendered"), "clinician", "image/png")
        assert np.abs(np.asarray(animation.convert("L")).astype(int) - shown(alone)).max() <= 3
    # A single picture of a film of several frames is its first.
    first = house.get(address(MOVING).replace("/rendered", "/frames/1/rendered"), "clinician", "image/png")
    assert np.array_equal(shown(house.get(address(MOVING), "clinician", "image/png")), shown(first))


@pytest.mark.parametrize("media_type", ["video/mp4", "video/mpeg", "video/H265", "video/*", "image/webp", "image/apng"])
def test_video_is_not_acceptable(house: House, media_type: str) -> None:
    """Nothing that no mask was drawn into frame by frame; and nothing that is not claimed."""
    assert house.get(address(MOVING), "clinician", media_type).status_code == 406
    frames = address(MOVING).replace("/rendered", "/frames/1")
    assert house.get(frames, "clinician", f'multipart/related; type="{media_type}"').status_code == 406


def test_annotations_say_what_the_level_tells(house: House) -> None:
    plain = shown(house.get(address(FILM), "clinician", "image/png"))
    for query, left, right in (
        ("patient", True, False), ("technique", False, True), ("patient,technique", True, True),
    ):  # fmt: skip
        noted = shown(house.get(f"{address(FILM)}?annotation={query}", "clinician", "image/png"))
        changed = noted != plain
        assert changed[:60, :150].any() == left
        assert changed[:60, -80:].any() == right
        assert not changed[-10:].any()
    at = of_researcher(house, FILM)
    plain = shown(house.get(at, "researcher", "image/png"))
    noted = shown(house.get(f"{at}?annotation=patient", "researcher", "image/png"))
    named = shown(house.get(f"{address(FILM)}?annotation=patient", "clinician", "image/png"))
    assert not np.array_equal(noted, plain)
    # Inside both blocks of words nothing but words differs.
    assert not np.array_equal(noted[:12, :40], named[:12, :40])


def test_what_cannot_be_annotated_is_told(house: House) -> None:
    answer = house.get(f"{address(FILM)}?annotation=technique,weather", "clinician", "image/png")
    assert answer.status_code == 200
    assert answer.headers["Warning"] == ('299 safelight "The following annotation values are not supported: weather"')
    for nonsense in ("", "patient,", "9", "a;b", "patient%0d%0aX: y", "p" * 40):
        assert house.get(f"{address(FILM)}?annotation={nonsense}", "clinician", "image/png").status_code == 400
    thumbnail = address(FILM).replace("/rendered", "/thumbnail?annotation=patient")
    assert house.get(thumbnail, "clinician", "image/png").status_code == 400


def embedded(answer: TestResponse) -> bytes:
    return bytes(Image.open(io.BytesIO(answer.get_data())).info.get("icc_profile", b""))


@pytest.mark.parametrize("space", [*SPACES, "yes", "no"])
def test_colour_profiles_lie_in_every_format_that_has_room(house: House, space: str) -> None:
    wanted = b"" if space == "no" else profile("srgb" if space == "yes" else space)
    for one in (FILM, COLOURED):
        at = f"{address(one)}?iccprofile={space}"
        for media_type in ("image/png", "image/jpeg"):
            assert embedded(house.get(at, "clinician", media_type)) == wanted
        file = house.get(at, "clinician", "image/jp2").get_data()
        assert imagecodecs.jpeg2k_decode(file).ndim == (2 if one is FILM and space == "no" else 3)
        assert (wanted in file) if wanted else b"acsp" not in file
        assert house.get(at, "clinician", "image/gif").status_code == (200 if space == "no" else 406)
    assert house.get(f"{address(FILM)}?iccprofile=cmyk", "clinician", "image/png").status_code == 400


@pytest.mark.parametrize("space", SPACES)
def test_colours_are_the_same_in_every_space(space: str) -> None:
    """Back in sRGB the colours are those that they were, within rounding; and the profiles are sound."""
    picture = np.random.default_rng(1).integers(40, 216, (16, 16, 3), np.uint8)
    converted, sent = in_space(picture, space, b"")  # type: ignore[arg-type]
    assert sent == profile(space)
    back, _ = in_space(converted, "srgb", sent)
    assert np.abs(back.astype(int) - picture).max() <= 5
    assert np.abs(back.astype(int) - picture).mean() < 1
    assert (space == "srgb") == np.array_equal(converted, picture)
    assert ImageCms.ImageCmsProfile(io.BytesIO(sent)).profile.is_matrix_shaper
    grey = np.full((4, 4, 1), 128, np.uint8)
    assert np.ptp(in_space(grey, space, b"")[0].astype(int), axis=2).max() <= 1  # type: ignore[arg-type]


def test_a_profile_of_the_data_set_is_the_source_where_the_level_keeps_it(house: House) -> None:
    own = film(COLOUR, ICCProfile=profile("adobergb"))
    broken = film(COLOUR, ICCProfile=b"CANARY-NOT-A-PROFILE")
    assert house.store(part10_bytes(own), part10_bytes(broken)).status_code == 200
    house.screen()
    assert embedded(house.get(f"{address(own)}?iccprofile=yes", "clinician", "image/png")) == profile("adobergb")
    plain = shown(house.get(address(own), "clinician", "image/png"))
    same = shown(house.get(f"{address(own)}?iccprofile=adobergb", "clinician", "image/png"))
    assert np.array_equal(plain, same)
    assert not np.array_equal(shown(house.get(f"{address(own)}?iccprofile=srgb", "clinician", "image/png")), plain)
    assert house.get(f"{address(broken)}?iccprofile=srgb", "clinician", "image/png").status_code == 406
    # A level that tells no device knows sRGB alone.
    at = of_researcher(house, own)
    assert embedded(house.get(f"{at}?iccprofile=yes", "researcher", "image/png")) != profile("adobergb")
    hidden = house.get(f"{of_researcher(house, broken)}?iccprofile=srgb", "researcher", "image/png")
    assert hidden.status_code == 200
    assert b"CANARY" not in hidden.get_data()


class Tags(HTMLParser):
    """The tags of a document, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_report_is_text(house: House) -> None:
    page = house.get(address(REPORT), "clinician", "*/*")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    told = Tags(page.get_data(as_text=True))
    assert told.tags == {"html", "head", "meta", "title", "body", "h1", "ul", "li", "b", "br"}
    assert MARKUP in "".join(told.words)
    assert "<script" not in page.get_data(as_text=True)
    plain = house.get(address(REPORT), "clinician", "text/plain")
    assert plain.headers["Content-Type"] == "text/plain; charset=utf-8"
    lines = plain.get_data(as_text=True).splitlines()
    assert lines[0] == "Imaging Measurement Report"
    for line in (
        f"Finding: {MARKUP}", "    second line", "Diameter: 12.5 mm", "Findings:", "  Conclusion: Normal",
        "  Observer: MUSTER MAXIMA", "  When: 20200102",
    ):  # fmt: skip
        assert line in lines
    document = house.get(address(REPORT), "clinician", "text/xml")
    assert document.headers["Content-Type"] == "text/xml; charset=utf-8"
    root = ElementTree.fromstring(document.get_data())
    assert root.tag == "{http://www.w3.org/1999/xhtml}html"
    assert MARKUP in "".join(root.itertext())


def test_key_objects_and_states_are_text_too(house: House) -> None:
    keys = house.get(address(KEYS), "clinician", "text/plain").get_data(as_text=True)
    assert f"Image: {FILM.SOPInstanceUID}" in keys
    state = house.get(address(STATE), "clinician", "text/plain").get_data(as_text=True)
    assert "Text: MUSTER TEXT" in state
    assert "Label: STATE" in state
    # By default a state is the picture that it describes.
    assert house.get(address(STATE), "clinician", "*/*").headers["Content-Type"] == "image/jpeg"
    picture = house.get(address(REPORT), "clinician", "image/png")
    assert picture.status_code == 406
    assert house.get(address(FILM), "clinician", "text/html").status_code == 406
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert house.get(address(FILM), "clinician", browser).headers["Content-Type"] == "image/jpeg"
    study = address(FILM).partition("/series/")[0] + "/rendered"
    several = parts(house.get(study, "clinician", 'multipart/related; type="text/plain"'))
    assert len(several) == 3
    assert {head["content-type"] for head, _ in several} == {"text/plain; charset=utf-8"}
    assert house.get(study, "clinician", "text/plain").status_code == 406


def test_a_report_is_the_text_of_its_level(house: House) -> None:
    for media_type in ("text/html", "text/plain", "text/xml"):
        told = house.get(of_researcher(house, REPORT), "researcher", media_type).get_data(as_text=True)
        assert "MUSTER" not in told
        assert "CANARY" not in told
        assert "COMPLETE" in told
    # Levels without this kind of object have none of its text.
    for user in ("front-desk", "teacher"):
        for path in house.instances(user):
            assert house.get(f"{path}/rendered", user, "text/plain").status_code == 406


def test_wado_gives_text_and_annotated_pictures(house: House) -> None:
    def asked(of: Dataset, more: str = "") -> TestResponse:
        named = f"studyUID={of.StudyInstanceUID}&seriesUID={of.SeriesInstanceUID}&objectUID={of.SOPInstanceUID}"
        return house.get(f"/wado?requestType=WADO&{named}{more}", "clinician")

    assert asked(REPORT).headers["Content-Type"] == "text/html; charset=utf-8"
    assert asked(REPORT, "&contentType=text/plain").get_data() == (
        house.get(address(REPORT), "clinician", "text/plain").get_data()
    )
    assert asked(REPORT, "&contentType=image/png").status_code == 406
    assert asked(FILM, "&contentType=text/plain").status_code == 406
    for parameter in ("annotation=patient,technique", "iccprofile=displayp3"):
        one = asked(FILM, f"&contentType=image/png&{parameter}")
        assert one.get_data() == house.get(f"{address(FILM)}?{parameter}", "clinician", "image/png").get_data()
    assert asked(FILM, "&contentType=image/jp2").headers["Content-Type"] == "image/jp2"
    assert np.array_equal(shown(asked(STATE, "&contentType=image/png")),
                          shown(house.get(address(STATE), "clinician", "image/png")))  # fmt: skip


@pytest.mark.parametrize("limit", ["_DEEPEST", "_MOST"])
def test_a_report_beyond_all_reports_is_refused(house: House, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrative, limit, 0)
    assert house.get(address(REPORT), "clinician", "text/html").status_code == 406


def test_only_masked_data_sets_become_text() -> None:
    with pytest.raises(TypeError):
        narrative.to_html(REPORT)  # type: ignore[arg-type]


def test_overlays_are_drawn_for_those_who_see_every_sample(house: House) -> None:
    """At the level that masks nothing the graphics are part of the picture; elsewhere, and in thumbnails, none is."""
    plain, drawn = film(GREY, StudyDescription="PLAIN"), film(GREY, StudyDescription="DRAWN")
    for element, vr, value in (
        (0x10, "US", 20), (0x11, "US", 40), (0x40, "CS", "G"), (0x50, "SS", [11, 31]), (0x100, "US", 1),
        (0x102, "US", 0), (0x3000, "OW", b"\xff" * 100),
    ):  # fmt: skip
        drawn.add_new(0x60000000 + element, vr, value)
    assert house.store(part10_bytes(plain), part10_bytes(drawn)).status_code == 200
    house.screen()
    with_planes = shown(house.get(address(drawn), "clinician", "image/png")).copy()
    without = shown(house.get(address(plain), "clinician", "image/png"))
    assert (with_planes[10:30, 30:70] == 255).all()
    assert not (without[10:30, 30:70] == 255).all()
    with_planes[10:30, 30:70] = without[10:30, 30:70]
    assert np.array_equal(with_planes, without)
    for user, resource, at in (
        ("clinician", "thumbnail", address),
        ("researcher", "rendered", lambda one: of_researcher(house, one)),
    ):
        found = [house.get(at(one).replace("rendered", resource), user, "image/png") for one in (plain, drawn)]
        assert np.array_equal(shown(found[0]), shown(found[1]))


def test_the_frames_of_the_reference_are_those_that_are_drawn(house: House) -> None:
    answer = shown(house.get(f"{address(MOVING)}?window=2048,4096,linear", "clinician", "image/png"))
    assert np.abs(answer - frame_samples(CINE, 1)[:, :, 0] / 4095 * 255).max() <= 1.5
