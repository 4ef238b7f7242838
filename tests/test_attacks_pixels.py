"""Section 2 of the list of attacks (pixels), one test for each, with the levels as they are shipped.

What needs every form of samples on every route is in `test_noninterference_matrix`; a.X23, a.X26 and a.X27 come later.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_objects import STORE
from builders import BurnedText, PixelFormat, chest_film, decoded_frames, part10_bytes
from codec_table import decoded
from house import House, detector, parts
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from sweep_routes import screen, unsynced

from server.errors import DecodeFailed
from server.model import Region, RegionKind, RegionStyle, RenderParameters, Viewport, Window
from server.negotiate import LOSSLESS_SYNTAXES
from server.pixels.display import DisplayAttributes
from server.pixels.encode import encode_gif, encode_jpeg, encode_native, encode_png
from server.pixels.frame import Frame
from server.pixels.redact import redact
from server.pixels.render import render
from server.pixels.splice import INTERVAL

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "pixels"), str(HERE / "benchmarks")]

import mosaic_attack  # noqa: E402
from pixel_kit import BASE, FORMATS, level, noise  # noqa: E402

# The long run: 10000 requests and names.
REQUESTS = int(os.environ.get("SAFELIGHT_ATTACK_REQUESTS", "150"))
CANARY = b"CANARYPIXELS"
JSON = "application/json"
SIZE = {"rows": 256, "columns": 320}
NAME = BurnedText(text="MUSTER MAXIMA", top_row=12, left_column=10, height=24, contrast=0.5)
NUMBER = BurnedText(text="ID 4711-0815", top_row=216, left_column=140, height=20, contrast=0.4)
BURNED = PixelFormat(**SIZE, burned=(NAME, NUMBER))  # type: ignore[arg-type]
SMALL = PixelFormat(rows=96, columns=128)
HIDDEN = Region(kind=RegionKind.TEXT, top_row=40, left_column=44, row_count=10, column_count=18)
WHERE = slice(40, 50), slice(44, 62)

Samples = NDArray[Any]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is hidden in one film, as the server tells viewers, and the frame that it sends."""

    regions: list[dict[str, Any]]
    sent: Samples

    def covers(self, changed: Samples) -> float:
        """The part of the samples where `changed` is True that lie under a mask."""
        mask = np.zeros(changed.shape[:2], bool)
        for one in self.regions:
            mask[one["row"] : one["row"] + one["rows"], one["column"] : one["column"] + one["columns"]] = True
        return float(mask[changed].mean())


def ink(pixels: PixelFormat = BURNED) -> Samples:
    """Where the burned-in lines change samples clearly."""
    plain = replace(pixels, burned=())
    one, other = (decoded_frames(chest_film(form, canaries=False))[0].astype(float) for form in (pixels, plain))
    return np.asarray(np.abs(one - other)[:, :, 0] > 0.1 * 2**pixels.bits_stored)


def variant(changes: Mapping[str, Any], turn: int = 0, *, mirror: bool = False, invert: bool = False) -> Dataset:
    """The burned-in film with other headers, or turned by quarters, mirrored or inverted."""
    ds = chest_film(BURNED, canaries=False, **changes)
    frame = turned(decoded_frames(ds)[0], turn, mirror=mirror)
    ds.Rows, ds.Columns = frame.shape[:2]
    ds.PixelData = (4095 - frame if invert else frame).astype("<u2").tobytes()
    return ds


def turned(frame: Samples, turn: int, *, mirror: bool) -> Samples:
    return np.rot90(frame[:, ::-1] if mirror else frame, turn)


VARIANTS: Mapping[str, tuple[dict[str, Any], int, bool, bool]] = {
    "plain": ({}, 0, False, False),
    "said NO": ({"BurnedInAnnotation": "NO"}, 0, False, False),
    "said YES": ({"BurnedInAnnotation": "YES"}, 0, False, False),
    "said nothing": ({"BurnedInAnnotation": None}, 0, False, False),
    "said nonsense": ({"BurnedInAnnotation": "PERHAPS"}, 0, False, False),
    "another device": ({"Modality": "CR", "StationName": "X", "ImageType": ["DERIVED", "SECONDARY"]}, 0, False, False),
    "another view": ({"ViewPosition": "LL", "StudyDescription": "ALREADY CLEANED"}, 0, False, False),
    "MONOCHROME1": ({"PhotometricInterpretation": "MONOCHROME1"}, 0, False, False),
    "inverted": ({"PhotometricInterpretation": "MONOCHROME1"}, 0, False, True),
    "window elsewhere": ({"WindowCenter": "1", "WindowWidth": "2"}, 0, False, False),
    "turned by 90": ({}, 1, False, False),
    "turned by 180": ({}, 2, False, False),
    "turned by 270": ({}, 3, False, False),
    "mirrored": ({}, 0, True, False),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """Every variant, screened by the detector that screens the real ones."""
    found: dict[str, Told] = {}
    with House(tmp_path_factory.mktemp("variants")) as house:
        for number, (name, (changes, turn, mirror, invert)) in enumerate(VARIANTS.items(), 1):
            ds = variant(changes, turn, mirror=mirror, invert=invert)
            ds.StudyInstanceUID, ds.SeriesInstanceUID = f"2.25.{number}1", f"2.25.{number}2"
            ds.SOPInstanceUID = f"2.25.{number}3"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            before = set(house.instances("researcher"))
            assert house.store(part10_bytes(ds)).status_code == 200
            house.screen()
            (path,) = set(house.instances("researcher")) - before
            found[name] = told(house, path)
    return found


def told(house: House, path: str) -> Told:
    answer = house.get(f"{path}/masked-regions", "researcher", JSON)
    assert answer.status_code == 200, answer.data
    ds = dcmread(io.BytesIO(house.get(path, "researcher", "application/dicom").data))
    return Told(regions=(answer.json or {})["regions"], sent=decoded(ds)[0])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as one:
        yield one


def masked(
    house: House, ds: Dataset | bytes, syntax: str = uids.ExplicitVRLittleEndian, user: str = "researcher"
) -> str:
    """Store one film, screen it with the hidden region as outcome; its path in the user's world."""
    before = set(house.instances(user))
    body = ds if isinstance(ds, bytes) else part10_bytes(ds, syntax)
    assert house.store(body).status_code == 200
    screen(house, [HIDDEN])
    (path,) = set(house.instances(user)) - before
    return path


def answers(house: House, path: str, user: str = "researcher") -> Iterator[bytes]:
    """The bodies of one film in every syntax and picture, metadata and bulk data."""
    for syntax in (uids.ExplicitVRLittleEndian, *LOSSLESS_SYNTAXES):
        yield house.get(path, user, f"application/dicom; transfer-syntax={syntax}").data
        yield house.get(f"{path}/frames/1", user, f'multipart/related; type="*/*"; transfer-syntax={syntax}').data
    yield house.get(f"{path}/metadata", user, "application/dicom+json").data
    yield house.get(f"{path}/bulkdata", user, 'multipart/related; type="application/octet-stream"').data
    for picture in ("image/jpeg", "image/png", "image/gif"):
        yield house.get(f"{path}/rendered", user, picture).data
        yield house.get(f"{path}/thumbnail", user, picture).data


def holds(bodies: Iterator[bytes], needle: bytes = CANARY) -> bool:
    found = list(bodies)
    assert sum(len(one) > 200 for one in found) > 5
    return any(needle in one for one in found)


def test_a_X1_what_the_header_says_of_annotations_changes_nothing(seen: dict[str, Told]) -> None:
    for name in ("said NO", "said YES", "said nothing", "said nonsense"):
        assert seen[name].regions == seen["plain"].regions
        assert np.array_equal(seen[name].sent, seen["plain"].sent)


def test_a_X2_a_tampered_header_never_shrinks_a_mask(seen: dict[str, Told]) -> None:
    for name in ("another device", "another view"):
        assert seen[name].covers(ink()) == seen["plain"].covers(ink()) == 1


def test_a_X3_inverted_text_is_hidden(seen: dict[str, Told]) -> None:
    for name in ("MONOCHROME1", "inverted", "plain"):
        assert seen[name].covers(ink()) == 1, name


def test_a_X4_text_outside_the_window_is_hidden(seen: dict[str, Told]) -> None:
    assert seen["window elsewhere"].covers(ink()) == 1
    assert np.array_equal(seen["window elsewhere"].sent, seen["plain"].sent)


def test_a_X5_turned_and_mirrored_text_is_hidden(seen: dict[str, Told]) -> None:
    for name in ("turned by 90", "turned by 180", "turned by 270", "mirrored"):
        _, turn, mirror, _ = VARIANTS[name]
        assert seen[name].covers(turned(ink()[:, :, np.newaxis], turn, mirror=mirror)[:, :, 0]) > 0.99, name


def test_a_X6_overlays_in_every_group_and_every_unused_bit_are_gone(house: House) -> None:
    ds = chest_film(SMALL, canaries=False)
    for group in range(0x6000, 0x6020, 2):
        ds.add_new((group, 0x0010), "US", 96)
        ds.add_new((group, 0x0011), "US", 128)
        ds.add_new((group, 0x0040), "CS", "G")
        ds.add_new((group, 0x0050), "SS", [1, 1])
        ds.add_new((group, 0x0100), "US", 1)
        ds.add_new((group, 0x0102), "US", 0)
        ds.add_new((group, 0x3000), "OW", CANARY.ljust(96 * 128 // 8, b"\0"))
    frame = decoded_frames(ds)[0].copy()
    for bit in range(12, 16):
        frame[10 * (bit - 11), :, 0] |= 1 << bit
    ds.PixelData = frame.astype("<u2").tobytes()
    path = masked(house, ds)
    assert not holds(answers(house, path))
    sent = dcmread(io.BytesIO(house.get(path, "researcher", "application/dicom").data))
    assert not [one for one in sent if 0x6000 <= one.tag.group <= 0x601E]
    # Of the bytes, as a reader might clear the bits that it is told are unused.
    assert int(np.frombuffer(sent.PixelData, "<u2").max()) < 4096


def test_a_X7_icons_are_gone_at_any_depth(house: House) -> None:
    ds = chest_film(SMALL, canaries=False)
    icon = chest_film(PixelFormat(rows=8, columns=16, bits_allocated=8, bits_stored=8), canaries=False)
    icon.PixelData = CANARY.ljust(128, b"\0")
    del icon.file_meta
    item = Dataset()
    item.IconImageSequence = DicomSequence([icon])
    ds.IconImageSequence = DicomSequence([icon])
    ds.ReferencedImageSequence = DicomSequence([item])
    path = masked(house, ds)
    assert not holds(answers(house, path))
    # A thumbnail is made anew from what the level shows, never taken from the film.
    assert house.get(f"{path}/thumbnail", "researcher", "image/png").status_code == 200


def test_a_X8_samples_beyond_the_frames_are_cut_off(house: House) -> None:
    ds = chest_film(SMALL, canaries=False)
    frame = ds.PixelData
    body = part10_bytes(ds)
    at = body.index(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, len(frame)))
    extra = CANARY * 1000
    longer = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, len(frame) + len(extra))
    path = masked(house, body[:at] + longer + frame + extra + body[at + 12 + len(frame) :])
    assert not holds(answers(house, path))
    sent = dcmread(io.BytesIO(house.get(path, "researcher", "application/dicom").data))
    assert len(sent.PixelData) == len(frame)
    assert house.get(f"{path}/frames/2", "researcher").status_code == 404


def _jpeg_with_passengers(stream: bytes) -> bytes:
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(CANARY)) + CANARY
    exif = b"\xff\xe1" + struct.pack(">H", 8 + len(CANARY)) + b"Exif\0\0" + CANARY
    return stream[:2] + exif + comment + stream[2:] + CANARY


def _wavelet_with_passengers(stream: bytes) -> bytes:
    after_size = 4 + int.from_bytes(stream[4:6], "big")
    comment = b"\xff\x64" + struct.pack(">HH", 4 + len(CANARY), 1) + CANARY
    return stream[:after_size] + comment + stream[after_size:] + CANARY


@pytest.mark.parametrize(
    ("syntax", "pixels", "add"),
    [
        (uids.JPEGBaseline8Bit, replace(SMALL, bits_allocated=8, bits_stored=8), _jpeg_with_passengers),
        (uids.JPEG2000Lossless, SMALL, _wavelet_with_passengers),
        (uids.HTJ2KLossless, SMALL, _wavelet_with_passengers),
        (uids.RLELossless, SMALL, lambda stream: stream + CANARY * 20),
    ],
    ids=["jpeg", "jpeg2000", "htj2k", "rle"],
)  # fmt: skip
def test_a_X9_passengers_of_a_codestream_stay_behind(house: House, syntax: str, pixels: PixelFormat, add: Any) -> None:
    ds = dcmread(io.BytesIO(part10_bytes(chest_film(pixels, canaries=False), syntax)))
    from pydicom.encaps import generate_frames

    (stream,) = generate_frames(ds.PixelData, number_of_frames=1)
    loaded = add(bytes(stream))
    ds.PixelData = encapsulate([loaded + b"\0" * (len(loaded) % 2)], has_bot=False)
    sink = io.BytesIO()
    ds.save_as(sink)
    assert CANARY in sink.getvalue()
    path = masked(house, sink.getvalue())
    bodies = list(answers(house, path))
    assert not any(CANARY in one for one in bodies)
    assert house.get(f"{path}/rendered", "researcher", "image/png").status_code == 200


def pair(description: Any = BASE, hidden: tuple[Region, ...] = (HIDDEN,), **changes: Any) -> list[Any]:
    """Two films that differ under the mask only, masked."""
    samples = noise(description, 1)
    other = samples.copy()
    for one in hidden:
        place = (
            slice(one.top_row, one.top_row + one.row_count),
            slice(one.left_column, one.left_column + one.column_count),
        )
        other[place] = noise(description, 2)[place]
    assert not np.array_equal(samples, other)
    return [
        redact(
            Frame(
                samples=one,
                photometric_interpretation=description.photometric_interpretation,
                description=description,
            ),
            hidden,
            level(**changes),
            screened=True,
            frame_number=1,
            key=b"key",
        )
        for one in (samples, other)
    ]


# Neighbours, overlaps, corners and edges of a frame of 96 x 128.
TOUCHING = (
    HIDDEN,
    Region(kind=RegionKind.FACE, top_row=40, left_column=64, row_count=10, column_count=20),
    Region(kind=RegionKind.TEXT, top_row=0, left_column=0, row_count=9, column_count=30),
    Region(kind=RegionKind.BANNER, top_row=90, left_column=100, row_count=6, column_count=28),
)


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("palette")])
def test_a_X10_no_style_and_no_format_lets_a_hidden_sample_through(name: str) -> None:
    for style in RegionStyle:
        if style in (RegionStyle.KEEP, RegionStyle.FLATTEN):
            # Flattening is for the background alone: it tells how bright that is.
            continue
        styles = {**dict.fromkeys(RegionKind, RegionStyle.MOSAIC), RegionKind.TEXT: style}
        one, other = pair(FORMATS[name], TOUCHING, regions=styles, coarse_blocks=12)
        assert encode_native(one) == encode_native(other), style
        asked = RenderParameters(viewport=Viewport(width=50, height=37, left=20, top=-3, source_width=-61))
        assert encode_jpeg(render(one, asked, DisplayAttributes()), 30) == encode_jpeg(
            render(other, asked, DisplayAttributes()), 30
        )


def test_a_X11_no_attack_on_the_mosaic_finds_more_than_chance() -> None:
    trials = 3 if REQUESTS < 10_000 else 40
    count = 12 if REQUESTS < 10_000 else 1000
    plain = mosaic_attack.recovered(mosaic_attack.plain_mosaic, count, trials)
    assert plain.template == 1, "an attack that finds nothing anywhere proves nothing"
    assert plain.beam > 0.8
    assert plain.markov > 0.8
    # More than a score of names: the picture is the same whatever is hidden, so there is nothing to choose by.
    films = {mosaic_attack.redacted(mosaic_attack.film(one)).tobytes() for one in mosaic_attack.names(max(count, 25))}
    films |= {mosaic_attack.redacted(mosaic_attack.film("", offset=(y, 2))).tobytes() for y in range(3)}
    assert len(films) == 1


def test_a_X12_many_requests_teach_no_more_than_one() -> None:
    chance = np.random.default_rng(5)
    frames = {
        style: pair(BASE, TOUCHING, regions=dict.fromkeys(RegionKind, style), coarse_blocks=9)
        for style in (RegionStyle.MOSAIC, RegionStyle.COARSE)
    }
    for _ in range(REQUESTS):
        numbers = [int(one) for one in chance.integers(1, 140, 6)]
        parameters = RenderParameters(
            window=Window(center=numbers[0] * 30.0, width=numbers[1] * 30.0, function="LINEAR_EXACT"),
            viewport=Viewport(
                width=numbers[2], height=numbers[3], left=numbers[4] % 128, top=numbers[5] % 96,
                source_width=int(chance.choice((-1, 1))) * numbers[0], source_height=numbers[1],
            ),
        )  # fmt: skip
        quality = int(chance.integers(1, 101))
        for one, other in frames.values():
            pictures = [render(frame, parameters, DisplayAttributes()) for frame in (one, other)]
            assert encode_jpeg(pictures[0], quality) == encode_jpeg(pictures[1], quality)
            assert pictures[0].pixels.tobytes() == pictures[1].pixels.tobytes()


def test_a_X12_a_coarse_frame_is_rounded_alike_for_ever_and_unlike_its_twins() -> None:
    smooth = np.tile(np.linspace(500, 3500, 128), (96, 1))[:, :, np.newaxis].astype("u2")
    frame = Frame(samples=smooth, photometric_interpretation="MONOCHROME2", description=BASE)

    def coarse(key: bytes) -> bytes:
        at = level(whole_frame=RegionStyle.COARSE, coarse_blocks=8)
        return encode_native(redact(frame, (), at, screened=True, frame_number=1, key=key))

    assert coarse(b"one") == coarse(b"one") != coarse(b"other")
    blocks = np.frombuffer(coarse(b"one"), "<u2").reshape(96, 128)
    assert len(np.unique(blocks)) <= 17
    assert all(len(np.unique(blocks[y : y + 16, x : x + 16])) == 1 for y in range(0, 96, 16) for x in range(0, 128, 16))
    # Without its key it is not coarse but gone.
    assert len(set(np.frombuffer(coarse(b""), "<u2"))) == 1


@pytest.mark.parametrize("source", [(-40, 30), (40, -30), (-128, -96), (7, 5), (128, 96)])
def test_a_X13_a_mirrored_or_odd_viewport_does_not_move_the_mask(source: tuple[int, int]) -> None:
    for left, top in ((0, 0), (33, 17), (50, 43)):
        if left >= 128 or top >= 96:
            continue
        view = Viewport(width=77, height=51, left=left, top=top, source_width=source[0], source_height=source[1])
        one, other = (render(frame, RenderParameters(viewport=view), DisplayAttributes()) for frame in pair())
        assert one.pixels.tobytes() == other.pixels.tobytes()


def test_a_X14_all_routes_send_the_same_samples(house: House) -> None:
    path = masked(house, chest_film(SMALL, canaries=False))
    study, series, sop = path.split("/")[3::2]
    whole = house.get(path, "researcher", "application/dicom").data
    sent = [decoded(dcmread(io.BytesIO(whole)))[0]]
    for syntax in LOSSLESS_SYNTAXES:
        answer = house.get(path, "researcher", f"application/dicom; transfer-syntax={syntax}")
        sent.append(decoded(dcmread(io.BytesIO(answer.data)))[0])
    for address in (f"{path}/frames/1", f"{path}/bulkdata/7FE00010"):
        body = house.get(address, "researcher", "application/octet-stream").data
        sent.append(np.frombuffer(body, "<u2").reshape(96, 128, 1))
    wado = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={sop}&contentType=application/dicom"
    sent.append(decoded(dcmread(io.BytesIO(house.get(wado, "researcher").data)))[0])
    original = decoded_frames(chest_film(SMALL, canaries=False))[0]
    for one in sent:
        assert np.array_equal(one, sent[0])
        assert not np.array_equal(one[WHERE], original[WHERE])
        assert np.array_equal(one[70:], original[70:])


@pytest.mark.parametrize("name", FORMATS)
def test_a_X15_every_frame_of_every_format_is_masked(name: str) -> None:
    described = replace(FORMATS[name], number_of_frames=3, lossy_history=False)
    samples = noise(described, 7)
    frame = Frame(
        samples=samples, photometric_interpretation=described.photometric_interpretation, description=described
    )
    for number in (1, 2, 3):
        made = redact(frame, [HIDDEN], level(), screened=True, frame_number=number)
        under, before = made.samples[32:64, 32:96], samples[32:64, 32:96]
        assert len(np.unique(under.reshape(-1, under.shape[2]), axis=0)) <= 40
        assert all(not np.array_equal(under[:, :, one], before[:, :, one]) for one in range(under.shape[2]))


def test_a_X16_what_cannot_be_decoded_is_refused(house: House) -> None:
    body = part10_bytes(chest_film(SMALL, canaries=False), uids.JPEG2000Lossless)
    for syntax in ("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.99", "1.2.826.0.1.9999999.1"):
        other = body.replace(uids.JPEG2000Lossless.encode(), syntax.encode().ljust(len(uids.JPEG2000Lossless), b"\0"))
        assert house.store(other).status_code in {400, 409, 415}, syntax
    assert not house.instances("clinician")
    at = body.index(b"\xff\x93") + 2
    assert house.store(body[:at] + bytes(len(body[at:-8])) + body[-8:]).status_code == 200
    screen(house, None)
    for user in ("clinician", "researcher"):
        (path,) = house.instances(user)
        answer = house.get(f"{path}/rendered", user, "image/png")
        shown = np.asarray(Image.open(io.BytesIO(answer.data)))[:60] if answer.status_code == 200 else np.zeros(1)
        assert len(np.unique(shown)) <= 2, user


def test_a_X17_a_detector_that_fails_leaves_films_wholly_masked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, failure in enumerate((DecodeFailed(), MemoryError()), 1):
        monkeypatch.setattr(detector().text, "find", _failing(failure))
        ds = chest_film(SMALL, study=number, canaries=False)
        before = set(house.instances("researcher"))
        assert house.store(part10_bytes(ds)).status_code == 200
        house.screen()
        (path,) = set(house.instances("researcher")) - before
        sent = told(house, path)
        assert [one["kind"] for one in sent.regions] == ["frame"]
        assert len(np.unique(sent.sent)) <= 3


def _failing(failure: Exception) -> Any:
    def find(*_: object, **__: object) -> list[Region]:
        raise failure

    return find


def test_a_X18_there_is_nothing_to_take_off_a_picture(house: House) -> None:
    path = masked(house, chest_film(SMALL, canaries=False))
    original = decoded_frames(chest_film(SMALL, canaries=False))[0]
    for media_type in ("image/png", "image/gif", "image/jpeg"):
        picture = Image.open(io.BytesIO(house.get(f"{path}/rendered", "researcher", media_type).data))
        assert picture.mode in {"L", "P"}
        assert "transparency" not in picture.info
        assert getattr(picture, "n_frames", 1) == 1
        grey = np.asarray(picture.convert("L"), float)
        assert np.corrcoef(grey[WHERE].ravel(), original[WHERE][:, :, 0].ravel())[0, 1] < 0.9
    sent = dcmread(io.BytesIO(house.get(path, "researcher", "application/dicom").data))
    assert not [one for one in sent.iterall() if one.tag.group in range(0x6000, 0x601F) or one.tag.group == 0x0070]


def _table(entries: bytes, explanation: str) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US", [len(entries) // 2, 0, 16])
    item.add_new(0x00283003, "LO", explanation)
    item.add_new(0x00283006, "OW", entries)
    return item


def test_a_X19_tables_carry_curves_and_nothing_else(house: House) -> None:
    path = _indexed(house)
    assert not holds(answers(house, path))
    sent = dcmread(io.BytesIO(house.get(path, "researcher", "application/dicom").data))
    assert sent.PhotometricInterpretation == "RGB"
    assert not [one for one in sent if "Palette" in one.name]
    message = (CANARY * 50)[:512]
    curve = (np.arange(256) ** 2).astype("<u2").tobytes()
    for number, (entries, kept) in enumerate(((message, False), (curve, True), (curve + CANARY, False)), 1):
        ds = chest_film(SMALL, study=10 + number, canaries=False)
        ds.VOILUTSequence = DicomSequence([_table(entries, CANARY.decode())])
        ds.VOILUTSequence[0].add_new(0x00283002, "US", [256, 0, 16])
        path = masked(house, ds)
        assert not holds(answers(house, path)), number
        sent = dcmread(io.BytesIO(house.get(path, "researcher", "application/dicom").data))
        assert ("VOILUTSequence" in sent) is kept


def _indexed(house: House) -> str:
    """A palette film: a colour that only the hidden samples have, and a message in the unused entries."""
    pixels = replace(SMALL, bits_allocated=8, bits_stored=8, photometric="PALETTE COLOR")
    ds = chest_film(pixels, canaries=False)
    for name in ("Red", "Green", "Blue"):
        keyword = f"{name}PaletteColorLookupTableData"
        ds[keyword].value = ds[keyword].value[:-48] + (CANARY * 4)[:48]
    return masked(house, ds)


def test_a_X20_pictures_hold_pixels_and_nothing_else(house: House) -> None:
    path = masked(house, chest_film(SMALL, canaries=False))
    png = house.get(f"{path}/rendered", "researcher", "image/png").data
    chunks, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">L", png[at : at + 4])
        chunks.append(png[at + 4 : at + 8])
        assert struct.unpack(">L", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            png[at + 4 : at + 8 + length]
        )
        at += 12 + length
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
    assert chunks[-1] == b"IEND"
    jpeg = house.get(f"{path}/rendered", "researcher", "image/jpeg").data
    assert jpeg.endswith(b"\xff\xd9")
    at = 2
    while jpeg[at + 1] != 0xDA:
        # Tables, the frame, and the restart interval, which is the same for all.
        assert jpeg[at + 1] in {0xE0, 0xDB, 0xC0, 0xC4, 0xDD}, hex(jpeg[at + 1])
        assert jpeg[at + 1] != 0xDD or jpeg[at + 4 : at + 6] == bytes((0, INTERVAL))
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    gif = house.get(f"{path}/rendered", "researcher", "image/gif").data
    assert b"\x21\xfe" not in gif
    assert gif.endswith(b"\x3b")


def test_a_X21_presentation_states_are_not_applied(house: House) -> None:
    path = masked(house, chest_film(SMALL, canaries=False))
    plain = house.get(f"{path}/rendered", "researcher", "image/png")
    state = chest_film(SMALL, study=2, canaries=False)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel"):
        del state[keyword]
    state.SOPClassUID = uids.GrayscaleSoftcopyPresentationStateStorage
    state.file_meta.MediaStorageSOPClassUID, state.Modality = state.SOPClassUID, "PR"
    body = io.BytesIO()
    state.save_as(body, enforce_file_format=True)
    before = set(house.instances("researcher"))
    house.store(body.getvalue())
    screen(house, [])
    for other in set(house.instances("researcher")) - before:
        assert house.get(f"{other}/rendered", "researcher", "image/png").status_code >= 400
    for query in ("presentationUID=1.2.3", f"presentationSeriesUID=1.2&presentationUID={state.SOPInstanceUID}"):
        answer = house.get(f"{path}/rendered?{query}", "researcher", "image/png")
        assert answer.status_code >= 400 or answer.data == plain.data


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, float, float]]:
    """Packaged films without a name in them: the part that is masked, of the frame and of its middle."""
    found = []
    with House(tmp_path_factory.mktemp("clean")) as house:
        for name in ("RG1_UNCR.dcm", "RG3_UNCR.dcm"):
            before = set(house.instances("researcher"))
            assert house.store((STORE / name).read_bytes()).status_code == 200
            house.screen()
            (path,) = set(house.instances("researcher")) - before
            answer = house.get(f"{path}/masked-regions", "researcher", JSON).json or {}
            mask = np.zeros((answer["rows"], answer["columns"]), bool)
            for one in answer["regions"]:
                mask[one["row"] : one["row"] + one["rows"], one["column"] : one["column"] + one["columns"]] = True
            rows, columns = (side // 5 for side in mask.shape)
            found.append((name, float(mask.mean()), float(mask[rows : 4 * rows, columns : 4 * columns].mean())))
    return found


def test_a_X22_little_of_a_clean_film_is_masked(clean: list[tuple[str, float, float]]) -> None:
    print(f"\nclean films, masked part of all and of the middle: {clean}")
    assert np.mean([whole for _, whole, _ in clean]) <= 0.05
    assert max(whole for _, whole, _ in clean) <= 0.1


def test_a_X24_a_face_is_drawn_over_from_outside_alone() -> None:
    region = Region(kind=RegionKind.FACE, top_row=20, left_column=30, row_count=50, column_count=60)
    one, other = pair(FORMATS["rgb 8"], (region,))
    assert encode_png(render(one, RenderParameters(), DisplayAttributes())) == encode_png(
        render(other, RenderParameters(), DisplayAttributes())
    )
    assert encode_gif([render(one, RenderParameters(), DisplayAttributes())])


def test_a_X25_markers_stay_and_the_middle_of_a_clean_film_is_free(clean: list[tuple[str, float, float]]) -> None:
    assert max(middle for _, _, middle in clean) <= 0.05
    described = replace(BASE, rows=256, columns=256)
    samples = noise(described, 3) & 0xFFF
    frame = Frame(samples=samples, photometric_interpretation="MONOCHROME2", description=described)
    marker = Region(kind=RegionKind.TEXT, top_row=20, left_column=20, row_count=16, column_count=12, content="marker")
    name = replace(marker, top_row=200, left_column=150, column_count=60, content="")
    shown, hidden = (slice(20, 36), slice(20, 32)), (slice(200, 216), slice(150, 210))
    kept = redact(frame, [marker, name], level(keep_markers=True), screened=True, frame_number=1).samples
    assert np.array_equal(kept[shown], samples[shown])
    assert not np.array_equal(kept[hidden], samples[hidden])
    # Beside another text it may be a part of that, and a level that keeps no markers keeps none.
    beside = replace(name, top_row=24, left_column=40)
    for regions, keeps in (([marker, beside], True), ([marker, name], False)):
        made = redact(frame, regions, level(keep_markers=keeps), screened=True, frame_number=1).samples
        assert not np.array_equal(made[shown], samples[shown])


def test_what_was_hidden_is_told_where_the_level_allows_it(house: House) -> None:
    path = masked(house, chest_film(SMALL, canaries=False))
    answer = house.get(f"{path}/masked-regions", "researcher", JSON)
    assert answer.json == {
        "rows": 96,
        "columns": 128,
        "coarse": [],
        "regions": [
            {"kind": "text", "style": "mosaic", "frames": None, "row": 32, "column": 32, "rows": 32, "columns": 64}
        ],
    }
    original = house.instances("clinician")[0]
    assert (house.get(f"{original}/masked-regions", "clinician", JSON).json or {})["regions"] == []
    for user in ("teacher", "front-desk"):
        assert house.get(f"{house.instances(user)[0]}/masked-regions", user, JSON).status_code == 404


def test_masked_pictures_say_so_and_originals_do_not(house: House) -> None:
    large = PixelFormat(rows=400, columns=500)
    masked(house, chest_film(large, canaries=False))
    shown = {}
    for user in ("researcher", "clinician"):
        (path,) = house.instances(user)
        body = house.get(f"{path}/rendered", user, "image/png").data
        shown[user] = np.asarray(Image.open(io.BytesIO(body)))
        (part,) = parts(house.get(f"{path}/rendered", user, 'multipart/related; type="image/png"'))
        assert part[1] == body
    corner = (slice(380, 400), slice(0, 120))
    assert set(np.unique(shown["researcher"][corner][-8:])) <= {0, 255}
    assert len(np.unique(shown["clinician"][corner])) > 4
