"""Every transfer syntax and form of samples through the whole server: stored, retrieved on every route, compared."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import review_kit
from codec_table import LOSSLESS, Film, Samples, decoded, films
from house import House, parts
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from pydicom.tag import Tag

from server.develop import unseal
from server.metadata.deidentify import ORIGINAL_EXCEPTIONS
from server.model import ScreeningState

FILMS = {film.name: film for film in films()}
LARGE = 250_000
OCTETS = 'multipart/related; type="application/octet-stream"'
# What says how samples lie in an answer; it follows the samples that are sent, not those that are stored.
FORM = ("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
PIXELS = {0x7FE00008: "<f4", 0x7FE00009: "<f8", 0x7FE00010: ""}
FOLLOWS_THE_FORM = {0x00280004, 0x00280006, *PIXELS}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that holds the whole table, screened; what a person has to look at, a person has accepted.

    In the large published films, which cost the detectors most of the time, one place is said to be text.
    """
    with House(tmp_path_factory.mktemp("codecs")) as one:
        answer = one.store(*(film.body for film in FILMS.values() if film.frames[0].size < LARGE))
        assert answer.status_code == 200
        one.screen()
        answer = one.store(*(film.body for film in FILMS.values() if film.frames[0].size >= LARGE))
        assert answer.status_code == 200
        review_kit.screen_all(one, review_kit.detectors(review_kit.finds(review_kit.PLACE)))
        for waiting in review_kit.waiting(one):
            path = review_kit.path_of(waiting)
            held = one.get(f"/review/{path}", "privacy-reviewer").headers["ETag"]
            assert review_kit.settle(one, path, {"verdict": "accept"}, held=held).status_code in (200, 204)
        yield one


@pytest.fixture(scope="module")
def worlds(house: House) -> dict[str, dict[int, str]]:
    """The path of every film by its InstanceNumber, in the world of a clinician and in that of a researcher."""
    found: dict[str, dict[int, str]] = {}
    for user in ("clinician", "researcher"):
        rows = house.get("/dicomweb/instances", user, "application/dicom+json").json or []
        assert len(rows) == len(FILMS)
        for row in rows:
            study, series, one = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
            path = f"/dicomweb/studies/{study}/series/{series}/instances/{one}"
            found.setdefault(user, {})[row["00200013"]["Value"][0]] = path
    return found


def value(metadata: dict[str, Any], keyword: str) -> Any:
    return metadata.get(f"{int(Tag(keyword)):08X}", {}).get("Value", [None])[0]


def samples(bodies: Sequence[bytes], metadata: dict[str, Any], film: Film) -> list[Samples]:
    """Native frames as their metadata says that they lie: colour by pixel, little endian."""
    rows, columns, count = (int(value(metadata, name)) for name in ("Rows", "Columns", "SamplesPerPixel"))
    allocated = int(value(metadata, "BitsAllocated"))
    kind = next((PIXELS[tag] for tag in PIXELS if f"{tag:08X}" in metadata), "")
    if not kind:
        sign = "i" if value(metadata, "PixelRepresentation") else "u"
        kind = f"<{sign}{max(allocated // 8, 1)}"
    found = []
    for body in bodies:
        if allocated == 1:
            flat = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")[: rows * columns]
        else:
            flat = np.frombuffer(body, kind)
        found.append(flat.reshape(rows, columns, count))
    return found


def same(first: Sequence[Samples], second: Sequence[Samples], *, close: int = 0) -> bool:
    """Whether frames are equal in number, shape and value (within `close`), whatever type holds the values."""
    return len(first) == len(second) and all(
        a.shape == b.shape and (np.abs(a.astype(np.int64) - b).max() <= close if close else np.array_equal(a, b))
        for a, b in zip(first, second, strict=True)
    )


def read(body: bytes) -> Dataset:
    # Some of the published films have values that pydicom warns of.
    with warnings.catch_warnings(action="ignore"):
        return dcmread(io.BytesIO(body))


def delivered(house: House, path: str, user: str, film: Film) -> tuple[dict[str, Any], list[Samples]]:
    """Metadata and frames of a film as one user gets them, after every other route was found to give the same."""
    (metadata,) = house.get(f"{path}/metadata", user, "application/dicom+json").json or [{}]
    every = ",".join(map(str, range(1, len(film.frames) + 1)))
    answer = house.get(f"{path}/frames/{every}", user, OCTETS)
    assert answer.status_code == 200
    bodies = [body for _, body in parts(answer)]
    frames = samples(bodies, metadata, film)
    tag = next(f"{tag:08X}" for tag in PIXELS if f"{tag:08X}" in metadata)
    uri = metadata[tag]["BulkDataURI"].removeprefix(house.settings.public_url)
    assert uri == f"{path}/bulkdata/{tag}"
    bulk = house.get(uri, user, "application/octet-stream").data
    explicit = read(house.get(path, user, "application/dicom").data)
    assert metadata[tag]["vr"] == explicit[int(tag, 16)].VR
    stored_value = explicit[int(tag, 16)].value
    assert stored_value == bulk + b"\0" * (len(bulk) % 2)
    # Frames of one bit follow each other without gaps, so those are compared sample by sample below.
    assert value(metadata, "BitsAllocated") == 1 or bulk == b"".join(bodies)
    for syntax in (uids.ExplicitVRLittleEndian, *LOSSLESS):
        instance = house.get(path, user, f"application/dicom; transfer-syntax={syntax}")
        if syntax not in (uids.ExplicitVRLittleEndian, *film.syntaxes):
            assert instance.status_code == 406, syntax
            continue
        assert instance.status_code == 200, syntax
        ds = read(instance.data)
        assert ds.file_meta.TransferSyntaxUID == syntax
        # pydicom clears what lies in unused bits; the value of the element was compared above.
        assert film.other_bits or same(decoded(ds), frames), syntax
        for keyword in FORM:
            assert ds.get(keyword) == value(metadata, keyword), keyword
        assert ds.get("PlanarConfiguration") == (0 if ds.SamplesPerPixel == 3 else None)
        assert value(metadata, "PlanarConfiguration") == ds.get("PlanarConfiguration")
    return metadata, frames


@pytest.mark.parametrize("name", FILMS)
def test_a_clinician_gets_the_samples_that_were_stored(
    house: House, worlds: dict[str, dict[int, str]], name: str
) -> None:
    film = FILMS[name]
    path = worlds["clinician"][film.number]
    assert path == film.path
    metadata, frames = delivered(house, path, "clinician", film)
    assert same(frames, film.frames, close=film.close)
    assert value(metadata, "PhotometricInterpretation") == film.photometric
    answer = house.get(f"{path}/rendered", "clinician", "image/png")
    assert answer.status_code == 200
    picture = Image.open(io.BytesIO(answer.data))
    ds = film.dataset
    if "PixelAspectRatio" not in ds and "PixelSpacing" not in ds and "ImagerPixelSpacing" not in ds:
        assert picture.size == (ds.Columns, ds.Rows)
    assert picture.mode == ("L" if film.photometric.startswith("MONOCHROME") else "RGB")


@pytest.mark.parametrize("name", FILMS)
def test_a_clinician_gets_every_element_that_was_stored(
    house: House, worlds: dict[str, dict[int, str]], name: str
) -> None:
    """Element by element, but for the published list, group 2 and the form of the samples."""
    film = FILMS[name]
    got = read(house.get(worlds["clinician"][film.number], "clinician", "application/dicom").data)
    big = film.dataset.file_meta.TransferSyntaxUID == uids.ExplicitVRBigEndian
    with warnings.catch_warnings(action="ignore"):
        assert_equal_elements(film.dataset, got, big=big)


def assert_equal_elements(stored: Dataset, got: Dataset, *, big: bool) -> None:
    # A data set iterates over its elements, so its tags are asked for.
    tags, found = set(map(int, stored.keys())), set(map(int, got.keys()))
    left = {tag for tag in tags if tag & 0xFFFF} - {*ORIGINAL_EXCEPTIONS, *FOLLOWS_THE_FORM}
    assert left == found - FOLLOWS_THE_FORM
    for tag in left:
        one, other = stored[tag], got[tag]
        if one.VR == "SQ":
            assert len(one.value) == len(other.value)
            for item, item_got in zip(one.value, other.value, strict=True):
                assert_equal_elements(item, item_got, big=big)
            continue
        expected = one.value
        if big and one.VR == "OW":
            expected = np.frombuffer(expected, ">u2").astype("<u2").tobytes()
        assert (one.VR, expected) == (other.VR, other.value), hex(tag)


@pytest.mark.parametrize("name", FILMS)
def test_a_researcher_gets_the_same_masked_samples_on_every_route(
    house: House, worlds: dict[str, dict[int, str]], name: str
) -> None:
    """Outside of what is hidden the samples are those that were stored; what is hidden is so on all routes alike."""
    film = FILMS[name]
    metadata, frames = delivered(house, worlds["researcher"][film.number], "researcher", film)
    # A table of colours never leaves a level that hides anything.
    indexed = film.photometric == "PALETTE COLOR"
    told = value(metadata, "PhotometricInterpretation")
    assert told == ("RGB" if indexed else film.photometric)
    hidden = masks(house, film)
    assert len(hidden) == len(frames) == len(film.frames)
    for mask, shown, stored in zip(hidden, frames, film.frames, strict=True):
        if film.close or indexed or mask.all():
            continue
        assert np.array_equal(shown[~mask], cleaned(stored, film.dataset)[~mask])
    picture = house.get(f"{worlds['researcher'][film.number]}/rendered", "researcher", "image/jpeg")
    assert Image.open(io.BytesIO(picture.data)).format == "JPEG"


def masks(house: House, film: Film) -> list[Samples]:
    """Which samples (rows, columns) of each frame the regions cover, grown and rounded out as the masker does."""
    (record,) = house.services.catalog.instances_of(film.dataset.StudyInstanceUID)
    assert record.screening is ScreeningState.SCREENED
    original = unseal(house.services, record)
    assert original.description is not None
    margin = 16 if original.description.lossy_history else 4
    found = []
    for number in range(1, len(film.frames) + 1):
        mask = np.zeros(film.frames[0].shape[:2], bool)
        for region in original.regions:
            if region.frames is None or number in region.frames:
                top, left = max(region.top_row - margin, 0) // 32 * 32, max(region.left_column - margin, 0) // 32 * 32
                bottom = -(-(region.top_row + region.row_count + margin) // 32) * 32
                right = -(-(region.left_column + region.column_count + margin) // 32) * 32
                mask[top:bottom, left:right] = True
        found.append(mask)
    return found


def cleaned(stored: Samples, ds: Dataset) -> Samples:
    """Without what lies in unused bits: masked levels send the stored bits alone, a sign extended above them."""
    if "PixelData" not in ds or ds.BitsAllocated == 1:
        return stored
    shift = ds.HighBit + 1 - ds.BitsStored
    bits = (stored.astype(np.int64) >> shift) & (2**ds.BitsStored - 1)
    if ds.PixelRepresentation:
        bits = np.where(bits >= 2 ** (ds.BitsStored - 1), bits - 2**ds.BitsStored, bits)
    return np.asarray(bits << shift, np.int64)
