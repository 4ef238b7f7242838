"""Two originals that differ only in what a level hides give byte-identical answers, on every route (a.X17, a.C13).

Each of a pair goes into a fresh store of its own with the same keys, clock and randomness. Equal in both is what is
released by design: which identifiers are equal, the dates (intervals are released), what the level keeps, and the
region list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import PixelFormat, chest_film, decoded_frames, part10_bytes
from builders_pixels import LOSSY
from house import House
from mask_faults import FAULTS, telling
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from review_kit import settle_all
from sweep_routes import FILTERS, Call, Rule, calls, client, offers, rules, screen, short, unsynced
from sweep_turns import in_turn
from werkzeug.test import TestResponse

from server.model import Region, RegionKind, ScreeningState
from server.negotiate import Offer

HIDDEN = (Region(kind=RegionKind.TEXT, top_row=30, left_column=40, row_count=20, column_count=70),)
ROWS, COLUMNS = 128, 160
DATES = {"StudyDate": "20200102", "SeriesDate": "20200103", "AcquisitionDate": "20200104", "ContentDate": "20200105"}
TIMES = {"StudyTime": "101112", "SeriesTime": "111213", "AcquisitionTime": "121314", "ContentTime": "131415"}
STEP = {"PerformedProcedureStepStartDate": "20200106", "PerformedProcedureStepStartTime": "141516"}
MOMENT = {"AcquisitionDateTime": "20200104121314"}
# Random for each request or each moment, and so of no film.
OWN = {"Date", "Safelight-Request"}
NOT_ASKED = {"POST", "PUT"}
SEARCHED = {"/dicomweb/studies", "/dicomweb/instances"}

Films = Callable[[int], list[bytes]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """`films` of side 0 and of side 1; `regions` found in both and confirmed by a person, None where screening fails.

    `brief` takes one media type of each resource above an instance. Of an instance every caller asks a third
    (`make long-test`: all).
    """

    name: str
    films: Films
    regions: Sequence[Region] | None = HIDDEN
    screened: bool = True
    callers: tuple[str, ...] = ("researcher", "teacher")
    brief: bool = False

    @property
    def state(self) -> ScreeningState:
        """What all films of the pair have come to: only of screened ones are the regions alone hidden."""
        if not self.screened:
            return ScreeningState.PENDING
        return ScreeningState.FAILED if self.regions is None else ScreeningState.SCREENED

    def __str__(self) -> str:
        return self.name


def film(
    side: int, pixels: PixelFormat, number: int, *, hidden: bool = True, equal: bool = False, **overrides: Any
) -> Dataset:
    """Film `number` of one side. Unless `equal`, all that a masked level hides differs from the other side's."""
    who = 1 if equal else side + 1
    ds = chest_film(pixels, patient=who, hiding_places=hidden and (equal or side == 0), canaries=equal or side == 0)
    for keyword, value in {**DATES, **TIMES, **STEP, **MOMENT, "SeriesNumber": 1, "InstanceNumber": 1}.items():
        setattr(ds, keyword, value)
    if not equal:
        # Names sort the other way round on the other side.
        base = 1000 + number if side == 0 else 9000 - number
        ds.StudyInstanceUID, ds.SeriesInstanceUID = (
            f"2.25.{side + 1}",
            f"2.25.{9000 - number // 2 if side else 1000 + number // 2}",
        )
        ds.SOPInstanceUID, ds.FrameOfReferenceUID = f"2.25.{base}77", f"2.25.{side + 1}55"
        ds.SynchronizationFrameOfReferenceUID = f"2.25.{side + 1}66"
        source = Dataset()
        source.ReferencedSOPInstanceUID = f"2.25.{side + 1}88"
        ds.SourceImageSequence = DicomSequence([source])
        ds.PatientSex, ds.PatientBirthDate = "F", "19400101"
        for keyword in () if side else ("PatientSex", "PatientBirthDate", "ReferringPhysicianName"):
            del ds[keyword]
        ds.Manufacturer, ds.BurnedInAnnotation = ("One", "NO") if side else ("Another", "YES")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.preamble = bytes([side]) * 128
        ds.file_meta.SourceApplicationEntityTitle = f"SIDE{side}"
    for keyword, value in overrides.items():
        if value is None and keyword in ds:
            del ds[keyword]
        elif value is not None:
            setattr(ds, keyword, value)
    return ds


def four(side: int, **overrides: Any) -> list[bytes]:
    """Two series of two films, all with the same numbers: only their UIDs could tell their order."""
    return [
        part10_bytes(film(side, PixelFormat(rows=ROWS, columns=COLUMNS + number), number, **overrides))
        for number in range(4)
    ]


def glyphs(pixels: PixelFormat, syntax: str, *, whole: bool = False) -> Films:
    """Other samples under the same regions (`whole`: everywhere), and other bits beside the stored ones."""

    def films(side: int) -> list[bytes]:
        ds = film(side, pixels, 0, equal=True, hidden=False)
        if pixels.frames > 1:
            # Without a window of its own the picture's comes from its samples.
            del ds.WindowCenter, ds.WindowWidth
        noise = np.random.default_rng(side)
        frames = []
        for frame in decoded_frames(ds):
            changed = np.array(frame)
            here = changed if whole else changed[_under_the_mask(syntax)]
            highest = 2**pixels.bits_stored
            here[...] = noise.integers(0, highest, here.shape).astype(here.dtype) - (highest // 2) * pixels.signed
            if (
                pixels.bits_stored < pixels.bits_allocated
                and not pixels.signed
                and syntax == uids.ExplicitVRLittleEndian
            ):
                changed |= np.asarray(noise.integers(0, 16, changed.shape) << pixels.bits_stored, changed.dtype)
            frames.append(changed)
        stacked = [f.transpose(2, 0, 1) if pixels.planar else f for f in frames]
        ds.PixelData = b"".join(one.tobytes() for one in stacked)
        if side and "WindowCenter" in ds:
            ds.SmallestImagePixelValue, ds.LargestImagePixelValue = 1, 4000
            ds["SmallestImagePixelValue"].VR = ds["LargestImagePixelValue"].VR = "US"
        return [part10_bytes(ds, syntax)]

    return films


def _under_the_mask(syntax: str) -> tuple[slice, slice]:
    """All that the mask covers, to its very edge; where one block of a codec reaches into the next, a little less."""
    return (slice(0, 80), slice(0, 112)) if syntax in LOSSY else (slice(0, 64), slice(32, 128))


def broken(side: int) -> list[bytes]:
    """A codestream that decodes, and one that does not."""
    ds = film(side, PixelFormat(rows=ROWS, columns=COLUMNS), 0, equal=True, hidden=False)
    body = part10_bytes(ds, uids.JPEG2000Lossless)
    if side == 0:
        return [body]
    at = body.index(b"\xff\x93") + 2
    return [body[:at] + bytes(len(body[at:-8])) + body[-8:]]


def clinical(side: int) -> list[bytes]:
    """The same identity, another body: what the front desk may see is equal, everything else differs."""
    ds = film(0, FRAME, 0, equal=True, hidden=side == 0)
    if side:
        for keyword in ("StudyDescription", "ImageComments", "BodyPartExamined", "WindowCenter", "WindowWidth"):
            del ds[keyword]
        ds.ViewPosition, ds.Allergies, ds.PixelPaddingValue, ds.FrameOfReferenceUID = "LL", "PENICILLIN", 9, "2.25.4"
        ds["PixelPaddingValue"].VR = "US"
        ds.ImageType = ["DERIVED", "SECONDARY"]
        ds.ContentDate, ds.KVP, ds.PatientAge, ds.RescaleSlope = "20210101", "80", "044Y", "3"
        ds.PixelData = np.random.default_rng(1).integers(0, 4096, ROWS * COLUMNS).astype("<u2").tobytes()
        ds["PixelData"].VR = "OW"
    return [part10_bytes(ds)]


def told_in_words(side: int) -> list[bytes]:
    """A film, a presentation state about it and a report: words differ, and samples under the mask."""
    (one,) = glyphs(FRAME, uids.ExplicitVRLittleEndian)(side)
    about = film(0, FRAME, 0, equal=True, hidden=False)
    words = "CANARY-ONE" if side else "CANARY-OF-THE-OTHER-SIDE"
    image, series, text, graphic = Dataset(), Dataset(), Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = about.SOPClassUID, about.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedImageSequence = about.SeriesInstanceUID, DicomSequence([image])
    text.UnformattedTextValue, text.BoundingBoxAnnotationUnits = words, "PIXEL"
    text.BoundingBoxTopLeftHandCorner, text.BoundingBoxBottomRightHandCorner = [2.0, 2.0], [90.0, 20.0]
    graphic.GraphicLayer, graphic.TextObjectSequence = "LAYER", DicomSequence([text])
    found = [one]
    for number, sop_class in enumerate((uids.GrayscaleSoftcopyPresentationStateStorage, uids.BasicTextSRStorage), 2):
        ds = film(0, FRAME, number, equal=True, hidden=False, SOPInstanceUID=f"2.25.4400{number}")
        ds.SeriesInstanceUID, ds.SOPClassUID = f"2.25.5500{number}", sop_class
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = sop_class, ds.SOPInstanceUID
        for element in list(ds.group_dataset(0x0028)):
            del ds[element.tag]
        del ds.PixelData
        ds.Modality, ds.InstanceNumber, ds.SeriesNumber = ("PR", "SR")[number - 2], number, number
        if ds.Modality == "PR":
            ds.ReferencedSeriesSequence, ds.GraphicAnnotationSequence = (
                DicomSequence([series]),
                DicomSequence([graphic]),
            )
            ds.ContentLabel, ds.ContentCreatorName, ds.PresentationLUTShape = "LABEL", f"{words}^NAME", "INVERSE"
        else:
            said = Dataset()
            said.RelationshipType, said.ValueType, said.TextValue = "CONTAINS", "TEXT", words
            ds.ValueType, ds.ContentSequence = "CONTAINER", DicomSequence([said])
            ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
        found.append(part10_bytes(ds))
    return found


FRAME = PixelFormat(rows=ROWS, columns=COLUMNS)
SIGNED = PixelFormat(rows=ROWS, columns=COLUMNS, bits_allocated=16, bits_stored=12, signed=True)
PALETTE = PixelFormat(rows=ROWS, columns=COLUMNS, bits_allocated=8, bits_stored=8, photometric="PALETTE COLOR")
INVERTED = PixelFormat(rows=ROWS, columns=COLUMNS, frames=2, photometric="MONOCHROME1")
COLOUR = PixelFormat(
    rows=ROWS, columns=COLUMNS, bits_allocated=8, bits_stored=8, samples=3, planar=1, photometric="RGB"
)
YBR = PixelFormat(rows=ROWS, columns=COLUMNS, bits_allocated=8, bits_stored=8, samples=3, photometric="YBR_FULL")
EVERYBODY = ("researcher", "teacher", "front-desk")

# The form of the films of those pairs that differ under a mask, so that they tell when it is broken.
MASKED = {
    "glyphs-grey": FRAME, "glyphs-two-frames-rle": INVERTED, "glyphs-signed-jpeg-ls": SIGNED,
    "glyphs-colour-by-plane": COLOUR, "glyphs-jpeg": YBR, "glyphs-palette": PALETTE, "words-beside-a-film": FRAME,
}  # fmt: skip

# The first four take every media type above the level of an instance, the others one.
PAIRS = (
    Pair(name="attributes", films=four),
    Pair(name="attributes-unscreened", films=four, screened=False, callers=("researcher",), brief=True),
    Pair(name="glyphs-grey", films=glyphs(FRAME, uids.ExplicitVRLittleEndian), callers=EVERYBODY),
    Pair(
        name="all-samples-unscreened",
        films=glyphs(FRAME, uids.JPEG2000Lossless, whole=True),
        screened=False,
        callers=("researcher", "front-desk"),
    ),
    Pair(name="glyphs-two-frames-rle", films=glyphs(INVERTED, uids.RLELossless), callers=("researcher",), brief=True),
    Pair(name="glyphs-signed-jpeg-ls", films=glyphs(SIGNED, uids.JPEGLSLossless), callers=("researcher",), brief=True),
    Pair(
        name="glyphs-colour-by-plane",
        films=glyphs(COLOUR, uids.ExplicitVRLittleEndian),
        callers=("researcher",),
        brief=True,
    ),
    Pair(name="glyphs-jpeg", films=glyphs(YBR, uids.JPEGBaseline8Bit), callers=("researcher",), brief=True),
    Pair(
        name="glyphs-palette", films=glyphs(PALETTE, uids.ExplicitVRLittleEndian), callers=("researcher",), brief=True
    ),
    Pair(
        name="all-samples-failed",
        films=glyphs(COLOUR, uids.ExplicitVRLittleEndian, whole=True),
        regions=None,
        brief=True,
    ),
    Pair(
        name="a-film-that-does-not-decode", films=broken, regions=None, callers=("researcher", "front-desk"), brief=True
    ),
    Pair(name="words-beside-a-film", films=told_in_words, callers=("researcher",), brief=True),
    Pair(name="clinical-at-the-front-desk", films=clinical, callers=("front-desk",)),
)


@contextmanager
def house_of(root: Path, pair: Pair, side: int) -> Iterator[House]:
    with House(root / str(side), seed="pair") as house:
        stored = house.store(*pair.films(side))
        assert stored.status_code == 200, stored.get_data()
        if pair.screened:
            screen(house, pair.regions)
        if pair.regions is not None:
            # Some are copies of screens, which wait for a person and are masked from edge to edge until then.
            settle_all(house)
        assert [state for state, count in house.services.catalog.counts().items() if count] == [pair.state]
        yield house


def told(response: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer but the date and the random name of the request."""
    headers = [(name, value) for name, value in response.headers if name not in OWN]
    return response.status_code, headers, response.get_data()


def filters(sides: Sequence[House]) -> list[str]:
    """Searches for what either side hides."""
    found = list(FILTERS)
    for house in sides:
        for row in house.get("/dicomweb/instances", "technologist", "application/dicom+json").json or []:
            for tag in ("00080050", "00100020", "00100030", "00200010", "0020000D", "00080018", "00080090", "00080020"):
                for value in row.get(tag, {}).get("Value", []):
                    text = value.get("Alphabetic", "") if isinstance(value, dict) else str(value)
                    found += [f"{tag}={text}"] if text else []
            name = row["00100010"]["Value"][0]["Alphabetic"]
            found += [f"PatientName={name[:end]}*" for end in (1, 7, len(name))]
            found.append(f"PatientBirthDate=-{row.get('00100030', {}).get('Value', ['19500101'])[0]}")
    return list(dict.fromkeys(found))


def asked(
    house: House, offered: dict[Rule, tuple[Offer, ...]], here: Sequence[str], pair: Pair, searches: Sequence[str],
    turn: int,
) -> Iterator[Call]:  # fmt: skip
    frames = ("1", "2") if "two" in pair.name else ("1",)
    for rule in sorted(rules(house)):
        if rule[0] not in NOT_ASKED and rule != ("GET", "/sign-in"):
            alone = "<instance>" in rule[1] or rule[1] == "/wado"
            brief = (pair.brief and not alone) or ("<series>" in rule[1].replace("/<instance>", "") and not alone)
            some = here[: 1 if pair.brief else 2] if alone else here
            filters = searches if rule[1] in SEARCHED else searches[:2]
            found = calls(rule, offered.get(rule, ()), some, frames=frames, filters=filters, brief=brief)
            yield from in_turn(found, turn) if alone else found


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_answers_do_not_depend_on_what_is_hidden(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    with house_of(tmp_path, pair, 0) as one, house_of(tmp_path, pair, 1) as other:
        offered = offers(one, monkeypatch)
        assert offers(other, monkeypatch) == offered
        searches = filters([one, other]) if pair.films is four and not pair.brief else FILTERS[:3]
        # The originals' own names are nobody's here, whichever side they belong to.
        sides = (one, other) if pair.films is four else ()
        foreign = [short(house.instances("technologist")[0]) for house in sides]
        differing, answered = [], 0
        for turn, name in enumerate(pair.callers, PAIRS.index(pair)):
            here = [short(path) for path in one.instances(name)]
            assert here
            assert [short(path) for path in other.instances(name)] == here
            callers = [client(house, name, house.token(name)) for house in (one, other)]
            wanted = [*asked(one, offered, here, pair, searches, turn), *_foreign(one, foreign)]
            for call in wanted:
                first, second = (told(who.send(house, call)) for who, house in zip(callers, (one, other), strict=True))
                answered += first[0] == 200
                if first != second:
                    differing.append((name, call.path, call.accept, first[0], second[0]))
            for call in _revalidations(here):
                first, second = (told(who.send(house, call)) for who, house in zip(callers, (one, other), strict=True))
                assert first == second
        assert not differing, f"{len(differing)} of {answered}: {differing[:8]}"
        assert answered > 30
        journals = [[_entry(line) for line in entries(house) if line["level"] != "original"] for house in (one, other)]
        assert journals[0] == journals[1]


def entries(house: House) -> list[dict[str, Any]]:
    """The journal as the security auditor reads it."""
    found: list[dict[str, Any]] = house.get("/audit/entries?limit=1000", "security-auditor").json  # type: ignore[assignment]
    return found


def _entry(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "request"}


def _foreign(house: House, instances: Sequence[str]) -> Iterator[Call]:
    for rule in sorted(rules(house)):
        if rule[0] == "GET" and "<study>" in rule[1]:
            yield from list(calls(rule, (), instances, filters=(), brief=True))[:4]


def _revalidations(instances: Sequence[str]) -> Iterator[Call]:
    for one in instances:
        study, series, sop = one.strip("/").split("/")
        path = f"/dicomweb/studies/{study}/series/{series}/instances/{sop}/rendered"
        yield Call(rule=("GET", path), path=path, headers={"If-None-Match": '"' + "0" * 40 + '"'})


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.name in MASKED], ids=str)
def test_a_broken_mask_is_told_by_every_pair_of_glyphs(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced(monkeypatch)
    with house_of(tmp_path, pair, 0) as one, house_of(tmp_path, pair, 1) as other:
        assert not telling(one, other)
        told_of = {}
        for fault, (put, _) in FAULTS.items():
            with monkeypatch.context() as patch:
                put(patch)
                told_of[fault] = bool(telling(one, other))
        assert told_of == {fault: tells(MASKED[pair.name]) for fault, (_, tells) in FAULTS.items()}


def test_every_pair_that_is_screened_and_differs_in_samples_is_asked_so() -> None:
    assert set(MASKED) == {pair.name for pair in PAIRS if pair.state is ScreeningState.SCREENED} - {
        "attributes",
        "clinical-at-the-front-desk",
    }
