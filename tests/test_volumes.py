"""Series as volumes over the whole house: a head comes in slice by slice, in any order."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from builders import chest_film, part10_bytes
from builders_heads import MadeHead, made_head
from house import POLICIES, House
from pydicom import dcmread
from pydicom.dataset import Dataset
from review_kit import MadeUp, nothing
from sweep_routes import unsynced

from server.develop import unseal
from server.errors import ConfigurationError
from server.model import AuditEvent, Region, RegionKind, ReviewReason, ScreeningState
from server.review import settle_one
from server.screen import screen_again, screen_next
from server.screening.detectors import Detectors
from server.screening.faces import FaceDetector
from server.screening.heads import HeadFinder
from server.screening.regions import REVIEW
from server.screening.series import SeriesHeads
from server.screening.template import head_template
from server.verdict import Verdict

PICTURES: Any = skimage.data


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def made() -> MadeHead:
    mean = head_template()
    return made_head(mean, np.zeros((1, 1, 1), bool), 7, coarser=2)


def detectors(faces: object = None) -> Detectors:
    return Detectors(
        text=MadeUp(nothing, "text"),
        residual=MadeUp(nothing, "second"),
        faces=faces or MadeUp(nothing, "faces"),  # type: ignore[arg-type]
        heads=SeriesHeads(HeadFinder(head_template())),
    )


def slice_of(made: MadeHead, index: int) -> bytes:
    where = made.places[index]
    film = chest_film(canaries=False, instance=index + 1, SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR")
    film.ImagePositionPatient = [f"{value:.5g}" for value in where.position]
    film.ImageOrientationPatient = [f"{value:.6f}" for value in (*where.along_row, *where.down_column)]
    film.PixelSpacing = [f"{where.row_step:.6f}", f"{where.column_step:.6f}"]
    film.Rows, film.Columns, film.BitsAllocated, film.BitsStored, film.HighBit = where.rows, where.columns, 16, 16, 15
    film.PixelRepresentation, film.SamplesPerPixel, film.PhotometricInterpretation = 0, 1, "MONOCHROME2"
    film.PixelData = np.clip(made.pictures[index], 0, 65535).astype("<u2").tobytes()
    film["PixelData"].VR = "OW"
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    return part10_bytes(film)


def put(house: House, *films: bytes) -> None:
    for film in films:
        assert house.store(film).status_code == 200


def screen(house: House, made_up: Detectors) -> int:
    count = 0
    while screen_next(house.services, made_up, "test"):
        count += 1
    return count


def outcome(house: House) -> dict[int, tuple[ScreeningState, ReviewReason | None, tuple[Region, ...]]]:
    (study,) = {record.path.study for record in house.services.catalog.instances_of(_study())}
    result = {}
    for record in house.services.catalog.instances_of(study):
        number = int(str(record.attributes["00200013"]["Value"][0]))  # type: ignore[index]
        result[number - 1] = record.screening, record.review, unseal(house.services, record).regions
    return result


def settled(_: str) -> AuditEvent:
    return AuditEvent(kind="review", action="settle", status=200, request="1")


def _study() -> str:
    return str(chest_film(canaries=False).StudyInstanceUID)


def test_slices_that_came_before_the_head_was_known_are_screened_again(house: House, made: MadeHead) -> None:
    order = [int(index) for index in np.random.default_rng(4).permutation(len(made.slices))]
    ours = detectors()
    put(house, *(slice_of(made, index) for index in order[:6]))
    assert screen(house, ours) == 6
    assert all(state is ScreeningState.IN_REVIEW and not found for state, _, found in outcome(house).values())
    put(house, *(slice_of(made, index) for index in order[6:]))
    assert screen(house, ours) < 3 * len(order)
    left = total = 0
    for index, (state, _, found) in outcome(house).items():
        assert state is ScreeningState.SCREENED
        mask = np.zeros(made.face[index].shape, bool)
        for one in found:
            assert one.kind is RegionKind.HEAD_SURFACE
            mask[one.top_row : one.top_row + one.row_count, one.left_column : one.left_column + one.column_count] = True
        left += int((made.face[index] & ~mask).sum())
        total += int(made.face[index].sum())
    assert left <= 0.01 * total


def test_a_head_that_lies_wrong_is_in_review_on_every_slice(house: House, made: MadeHead) -> None:
    turned = replace(made, pictures=tuple(np.ascontiguousarray(one[::-1]) for one in made.pictures))
    ours = detectors()
    put(house, *(slice_of(turned, index) for index in range(6)))
    screen(house, ours)
    # Who settles these has not seen the others.
    for one in house.services.catalog.instances_of(_study()):
        settle_one(house.services, one, Verdict(lift={}, as_found=True), settled)
    put(house, *(slice_of(turned, index) for index in range(6, len(turned.slices))))
    screen(house, ours)
    found = outcome(house)
    assert len(found) == len(made.slices)
    assert {state for state, _, _ in found.values()} == {ScreeningState.IN_REVIEW}
    assert {reason for _, reason, _ in found.values()} == {ReviewReason.HEAD_WITHOUT_FACE}


def portrait() -> Dataset:
    film = chest_film(canaries=False, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.4", Modality="XC")
    picture = np.ascontiguousarray(PICTURES.astronaut()[::2, ::2])
    film.Rows, film.Columns, film.SamplesPerPixel, film.PlanarConfiguration = 256, 256, 3, 0
    film.PhotometricInterpretation, film.PixelRepresentation = "RGB", 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.PixelData = picture.tobytes()
    film["PixelData"].VR = "OB"
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    return film


def test_a_face_in_a_photograph_is_hidden(house: House) -> None:
    put(house, part10_bytes(portrait()))
    screen(house, detectors(FaceDetector()))
    ((state, _, found),) = outcome(house).values()
    assert state is ScreeningState.SCREENED
    assert any(one.kind is RegionKind.FACE and one.top_row <= 50 <= one.top_row + one.row_count for one in found)


def test_a_copy_of_a_screen_waits_for_a_person(house: House) -> None:
    film = portrait()
    film.ConversionType = "WSD"
    put(house, part10_bytes(film))
    screen(house, detectors())
    ((state, reason, _),) = outcome(house).values()
    assert (state, reason) == (ScreeningState.IN_REVIEW, ReviewReason.WHOLE_FRAME_RULE)


def test_banners_and_devices_are_hidden_on_every_frame(house: House) -> None:
    film = portrait()
    film.Modality, film.Manufacturer = "US", "ACME"
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = 20, 30
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = 249, 239
    film.SequenceOfUltrasoundRegions = [item]
    put(house, part10_bytes(film))
    screen(house, detectors())
    ((_, _, found),) = outcome(house).values()
    assert {one.kind for one in found} == {RegionKind.BANNER}
    assert sum(one.row_count * one.column_count for one in found) == 256 * 256 - 230 * 210


def test_a_broken_list_of_devices_shows_nothing(tmp_path: Path) -> None:

    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    (policies / "devices.toml").write_bytes(b"keep = true")
    with House(tmp_path / "house", policies=policies) as house:
        put(house, part10_bytes(portrait()))
        with pytest.raises(ConfigurationError):
            screen(house, detectors())
        ((state, _, _),) = outcome(house).values()
        assert state is ScreeningState.PENDING


def looking() -> Detectors:
    """Made-up detectors, of which one calls itself what looks for faces."""
    return replace(detectors(), faces=MadeUp(nothing, "centerface:1"))


def told(house: House, user: str = "researcher") -> tuple[set[str], list[str]]:
    """The codes of what was done to the one film, and what its Recognizable Visual Features say."""
    (path,) = house.instances(user)
    (row,) = house.get(f"{path}/metadata", user, "application/dicom+json").json or []
    codes = {one["00080100"]["Value"][0] for one in row["00120064"]["Value"]}
    return codes, row.get("00280302", {}).get("Value", [])


@pytest.mark.parametrize("user", ["researcher", "teacher"])
def test_cleaned_of_faces_is_said_once_somebody_has_looked_for_them(house: House, user: str) -> None:
    put(house, part10_bytes(portrait()))
    assert "113102" not in told(house, user)[0]
    screen(house, detectors())
    assert "113102" not in told(house, user)[0]
    assert told(house, user)[1] != ["NO"]
    (record,) = house.services.catalog.instances_of(_study())
    assert not record.faces_sought
    ours = looking()
    assert screen_again(house.services, ours, "test", record.row) is not None
    codes, features = told(house, user)
    assert "113102" in codes
    assert features == ["NO"]


def test_cleaned_of_faces_is_not_said_of_a_film_in_review(house: House) -> None:
    film = portrait()
    film.ConversionType = "WSD"
    put(house, part10_bytes(film))
    screen(house, looking())
    assert "113102" not in told(house)[0]


def test_cleaned_of_faces_is_not_said_of_a_slice_alone(house: House, made: MadeHead) -> None:
    put(house, slice_of(made, 15))
    screen(house, looking())
    ((state, _, _),) = outcome(house).values()
    assert state is ScreeningState.IN_REVIEW
    assert "113102" not in told(house)[0]


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_slice_that_does_not_say_where_it_lies_waits_for_a_person(house: House, made: MadeHead, keyword: str) -> None:
    film = dcmread(BytesIO(slice_of(made, 15)))
    del film[keyword]
    put(house, part10_bytes(film))
    screen(house, detectors())
    ((state, reason, _),) = outcome(house).values()
    assert (state, reason) == (ScreeningState.IN_REVIEW, ReviewReason.HEAD_WITHOUT_FACE)


def test_a_place_that_cannot_be_waits_for_a_person_in_any_object(house: House) -> None:
    film = portrait()
    film.ImagePositionPatient = [0, 0, 100_000]
    put(house, part10_bytes(film))
    screen(house, detectors())
    ((state, reason, _),) = outcome(house).values()
    assert (state, reason) == (ScreeningState.IN_REVIEW, ReviewReason.HEAD_WITHOUT_FACE)


def test_what_a_person_settled_outlives_the_slices_that_come_later(house: House, made: MadeHead) -> None:
    mark = Region(kind=RegionKind.MANUAL, top_row=1, left_column=2, row_count=3, column_count=4, detector=REVIEW)
    order = [int(index) for index in np.random.default_rng(4).permutation(len(made.slices))]
    ours = detectors()
    put(house, *(slice_of(made, index) for index in order[:6]))
    screen(house, ours)
    catalog = house.services.catalog
    for one in catalog.instances_of(_study()):
        verdict = Verdict(add=(mark,), lift={}, as_found=False, whole=False)
        settle_one(house.services, one, verdict, settled)
    put(house, *(slice_of(made, index) for index in order[6:]))
    screen(house, ours)
    found = outcome(house)
    assert all(found[index][0] is ScreeningState.SCREENED and mark in found[index][2] for index in order[:6])
    assert any(one.kind is RegionKind.HEAD_SURFACE for index in order[:6] for one in found[index][2])
