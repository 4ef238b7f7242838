"""OHIF in Chromium over the house: study list, viewer, thumbnails and every syntax drawn, at two levels.

What is drawn is compared with what the house renders for the same role; in the masked run the whole exchange between
browser and house is searched for what the level hides.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import review_kit
from builders import BurnedText, PixelFormat, all_canaries, chest_film, part10_bytes
from house import House
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser
from pydicom import Dataset
from pydicom import uid as uids
from sweep_search import Finder, unfolded
from viewer_kit import Site, Visit, chromium, site, visit

from server.model import Region, RegionKind

ROWS, COLUMNS = 160, 200
GREY12 = PixelFormat(rows=ROWS, columns=COLUMNS)
GREY8 = PixelFormat(rows=ROWS, columns=COLUMNS, bits_allocated=8, bits_stored=8)
NAME = "MUSTER^MAXIMA 4711"
TOP, HEIGHT = 20, 24
NAMED = PixelFormat(
    rows=ROWS, columns=COLUMNS, burned=(BurnedText(text=NAME, top_row=TOP, left_column=12, height=20, contrast=0.6),)
)


def _other(**changes: Any) -> PixelFormat:
    return PixelFormat(rows=ROWS, columns=COLUMNS, **changes)


FILMS: tuple[tuple[str, PixelFormat], ...] = (
    (uids.ExplicitVRLittleEndian, NAMED),
    (uids.ImplicitVRLittleEndian, GREY12),
    (uids.ExplicitVRLittleEndian, _other(signed=True)),
    (uids.ExplicitVRBigEndian, GREY12),
    (uids.DeflatedExplicitVRLittleEndian, GREY12),
    (uids.RLELossless, GREY12),
    (uids.JPEGBaseline8Bit, GREY8),
    (uids.JPEGBaseline8Bit, _other(bits_allocated=8, bits_stored=8, samples=3, photometric="RGB")),
    (uids.JPEGExtended12Bit, GREY12),
    (uids.JPEGLossless, GREY12),
    (uids.JPEGLosslessSV1, GREY12),
    (uids.JPEGLSLossless, GREY12),
    (uids.JPEGLSNearLossless, GREY12),
    (uids.JPEG2000Lossless, GREY12),
    (uids.JPEG2000, GREY12),
    (uids.HTJ2KLossless, GREY12),
    (uids.HTJ2KLosslessRPCL, GREY12),
    (uids.HTJ2K, GREY12),
    (uids.ExplicitVRLittleEndian, _other(bits_allocated=8, bits_stored=8, samples=3, photometric="RGB")),
    (uids.ExplicitVRLittleEndian, _other(bits_allocated=8, bits_stored=8, photometric="PALETTE COLOR")),
    (uids.ExplicitVRLittleEndian, _other(photometric="MONOCHROME1")),
    (uids.ExplicitVRLittleEndian, _other(frames=3)),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One study, a series for every syntax; the first film has its patient's name burned in."""
    with House(tmp_path_factory.mktemp("viewer")) as one:
        films = [chest_film(form, series=n) for n, (_, form) in enumerate(FILMS, 1)]
        answer = one.store(*(part10_bytes(film, syntax) for film, (syntax, _) in zip(films, FILMS, strict=True)))
        assert answer.status_code == 200
        review_kit.screen_all(one, review_kit.detectors(_letters))
        yield one


def _letters(samples: Any, _number: int) -> list[Region]:
    """A detector that knows where the name would stand, and when it does."""
    place = Region(kind=RegionKind.TEXT, top_row=TOP - 4, left_column=4, row_count=HEIGHT + 8, column_count=COLUMNS - 8)
    return [place] if np.ptp(np.asarray(samples)[TOP : TOP + HEIGHT, :60]) > 60 else []


@pytest.fixture(scope="module")
def served(house: House) -> Iterator[Site]:
    with site(house) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def study_of(house: House, user: str) -> str:
    (row,) = house.get("/dicomweb/studies", user, "application/dicom+json").json or []
    return str(row["0020000D"]["Value"][0])


def paths_of(house: House, user: str) -> dict[str, tuple[int, str]]:
    """Number of the series and path of every film, by the SOP Instance UID that this user knows."""
    rows = house.get("/dicomweb/instances", user, "application/dicom+json").json or []
    found = {}
    for row in rows:
        study, series, one = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        metadata = house.get(f"/dicomweb/studies/{study}/series/{series}/metadata", user, "application/dicom+json").json
        number = int(metadata[0]["00200011"]["Value"][0]) if metadata else 0
        found[one] = (number, f"/dicomweb/studies/{study}/series/{series}/instances/{one}")
    return found


def grey(picture: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(picture[:, :, :3].mean(axis=2), np.float64)


def alike(first: NDArray[Any], second: NDArray[Any]) -> float:
    """The correlation of two pictures of one size: 1 for the same one at whatever window, about 0 for noise; of one
    that is blank nothing is like."""
    one, other = first.ravel() - first.mean(), second.ravel() - second.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 1e-6 else 0.0


def inside(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the edges, and without the line at the foot that says of a rendered picture that it is masked; a little
    blurred, as the canvas has other sample points than the film."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5)[4:-20, 4:-4], np.float64)


def rendered(house: House, path: str, user: str) -> NDArray[np.float64]:
    answer = house.get(f"{path}/frames/1/rendered", user, "image/png")
    assert answer.status_code == 200
    return grey(np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGB")))


def look_through(seen: Visit, house: House, user: str) -> dict[int, NDArray[np.float64]]:
    """Open the study, go through all its series; each has to be drawn as the house renders it for this user."""
    paths = paths_of(house, user)
    seen.open(study_of(house, user), len(FILMS))
    drawn: dict[int, NDArray[np.float64]] = {}
    for uid, (number, path) in sorted(paths.items(), key=lambda one: one[1]):
        seen.show(number, uid)
        picture, expected = grey(seen.drawn(ROWS, COLUMNS)), rendered(house, path, user)
        assert picture.std() > 5, (number, "blank")
        assert (found := alike(inside(picture), inside(expected))) > 0.98, (number, FILMS[number - 1], found)
        drawn[number] = picture
    assert sorted(drawn) == list(range(1, len(FILMS) + 1))
    assert not seen.strangers
    assert not [(one.status, one.target) for one in seen.site.exchanges if one.status >= 400]
    return drawn


def name_in(picture: NDArray[np.float64]) -> float:
    """How much of the burned-in name is to be seen: the likeness of its lines to the letters."""
    with_it, without = chest_film(NAMED, series=1), chest_film(GREY12, series=1)
    letters = np.frombuffer(with_it.PixelData, "<u2").astype(float) - np.frombuffer(without.PixelData, "<u2")
    return alike(picture[TOP : TOP + HEIGHT], letters.reshape(ROWS, COLUMNS)[TOP : TOP + HEIGHT])


def test_the_original_is_listed_and_drawn_in_every_syntax(house: House, served: Site, browser: Browser) -> None:
    with visit(browser, served, house.token("clinician")) as seen:
        assert "CANARY-PatientName" in seen.study_list()
        drawn = look_through(seen, house, "clinician")
        assert name_in(drawn[1]) > 0.8
        pictures = seen.thumbnails()
        assert len(pictures) == len(FILMS)
        assert all(grey(one).std() > 5 for one in pictures)


def test_what_is_masked_is_masked_in_the_viewer_and_on_the_way_to_it(
    house: House, served: Site, browser: Browser
) -> None:
    original = chest_film(NAMED, series=1)
    # Moving dates by days leaves the time of day.
    hidden = Finder(
        {text for text in all_canaries(original).values() if len(text) > 8 and "." not in text[:7]}, stem=True
    )
    with visit(browser, served, house.token("researcher")) as seen:
        listed = seen.study_list()
        assert not hidden.found([listed.encode()])
        drawn = look_through(seen, house, "researcher")
        assert abs(name_in(drawn[1])) < 0.3
        # What lies below the name is there: the film was drawn, and only the name is missing.
        assert alike(drawn[1][TOP + 2 * HEIGHT :], grey(np.asarray(frame_of(original)))[TOP + 2 * HEIGHT :]) > 0.9
        assert not hidden.found([seen.page.content().encode(), "\n".join(seen.said).encode()])
        assert {kind_of(one.target) for one in served.exchanges} >= {"studies", "series", "metadata", "frames"}
        for one in served.exchanges:
            headers = "\n".join(f"{name}: {value}" for name, value in one.headers)
            found = hidden.found([one.target.encode(), headers.encode(), *unfolded(one.body, one.media_type)])
            assert not found, (one.target, found)
            assert not any(line in one.body for line in lines_of_letters(original)), one.target


def kind_of(target: str) -> str:
    """What a request is for: the last word of its path that is no name and no number."""
    return [word for word in target.partition("?")[0].split("/") if word.isalpha()][-1]


def lines_of_letters(film: Dataset) -> list[bytes]:
    """Lines of the burned-in name as they lie in memory, those that hold parts of letters."""
    lines = np.frombuffer(film.PixelData, "<u2").reshape(ROWS, COLUMNS)[TOP + 4 : TOP + HEIGHT - 6, 20:120]
    return [line.tobytes() for line in lines if np.ptp(line) > 800]


def frame_of(film: Dataset) -> NDArray[np.float64]:
    return np.repeat(np.frombuffer(film.PixelData, "<u2").reshape(ROWS, COLUMNS, 1).astype(float), 3, axis=2)


@pytest.mark.parametrize("syntax", [uids.RLELossless, uids.JPEGLosslessSV1, uids.JPEGLSLossless, uids.JPEG2000Lossless])
def test_frames_asked_for_in_a_syntax_are_drawn(house: House, served: Site, browser: Browser, syntax: str) -> None:
    with visit(browser, served, house.token("researcher"), requestTransferSyntaxUID=syntax) as seen:
        seen.open(study_of(house, "researcher"), len(FILMS))
        _, path = paths_of(house, "researcher")[seen.instance()]
        picture, expected = grey(seen.drawn(ROWS, COLUMNS)), rendered(house, path, "researcher")
        assert alike(inside(picture), inside(expected)) > 0.98
        frames = [one for one in served.exchanges if kind_of(one.target) == "frames"]
        assert all(one.status == 200 for one in frames), [(one.status, one.target) for one in frames]
        # Forms of pixels that the syntax has no room for come uncompressed.
        assert any(syntax.encode() in one.body[:400] for one in frames), frames[0].accept
