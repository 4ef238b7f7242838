"""Fast copies: the very samples that the codec gives, of this frame and no other, sealed, gone with their film."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from codec_table import films
from house import House
from pydicom import Dataset
from pydicom import uid as uids

from server.develop import Original, decoded_frame, unseal
from server.errors import DecodeFailed
from server.model import InstancePath, InstanceRecord
from server.pixels.copy import pack, unpack, worth_copying
from server.pixels.decode import decode
from server.pixels.frame import Frame
from server.pixels.pool import DecoderPool
from server.sweep import STALE_SECONDS, sweep

TWO_FRAMES = PixelFormat(rows=64, columns=80, frames=2)


def film(number: int) -> Dataset:
    return chest_film(TWO_FRAMES, patient=1, study=number, series=number, instance=number)


def compressed(number: int) -> bytes:
    return part10_bytes(film(number), uids.JPEGLSLossless)


def record_of(house: House, ds: Dataset) -> InstanceRecord:
    path = InstancePath(study=ds.StudyInstanceUID, series=ds.SeriesInstanceUID, instance=ds.SOPInstanceUID)
    record = house.services.catalog.find_instance(path)
    assert record is not None
    return record


def address(ds: Dataset) -> str:
    return f"/dicomweb/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def copies(house: House) -> list[Path]:
    return sorted(path for path in (house.settings.data / "copies").rglob("*") if path.is_file())


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each codestream that a child is asked to decode."""
    asked: list[int] = []
    ask = DecoderPool.decode

    def counting(self: DecoderPool, *given: Any) -> Any:
        asked.append(1)
        return ask(self, *given)

    monkeypatch.setattr(DecoderPool, "decode", counting)
    return asked


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, list[tuple[str, Original]]]]:
    """Every film of the codec table, opened."""
    with House(tmp_path_factory.mktemp("table")) as house:
        every = films()
        for one in every:
            assert house.store(one.body).status_code == 200, one.name
        opened = [(one.name, unseal(house.services, record_of(house, one.dataset))) for one in every]
        yield house, opened


def test_a_copy_gives_what_the_codec_gives_in_every_syntax(table: tuple[House, list[tuple[str, Original]]]) -> None:
    house, opened = table
    syntaxes = set()
    for name, original in opened:
        description, layout = original.description, original.layout
        assert description is not None
        assert layout is not None
        for number in range(1, description.number_of_frames + 1):
            index, bit_offset = layout.segment_of(number)
            segment = house.services.objects.open_segment(original.study_key, original.record.content, 2 + index)
            fresh = decode(segment, description, house.services.decoder, bit_offset=bit_offset)
            decoded_frame(house.services, original, number)
            kept = house.services.copies.get(original.study_key, original.record.content, number)
            assert (kept is not None) == worth_copying(description), name
            again = decoded_frame(house.services, original, number)
            assert again.samples.dtype == fresh.samples.dtype, name
            assert again.samples.tobytes() == fresh.samples.tobytes(), name
            assert again.photometric_interpretation == fresh.photometric_interpretation, name
            # What is native is packed as truly, if ever it is.
            packed = unpack(pack(fresh), description)
            assert packed.samples.tobytes() == fresh.samples.tobytes(), name
            if kept is not None:
                syntaxes.add(description.transfer_syntax_uid)
    assert len(syntaxes) >= 9


def test_screening_leaves_the_copies_and_answers_decode_nothing_again(tmp_path: Path, decodes: list[int]) -> None:
    with House(tmp_path) as house:
        assert house.store(compressed(1)).status_code == 200
        house.screen()
        assert len(decodes) == 2
        assert len(copies(house)) == 2
        (base,) = house.instances("clinician")
        for suffix in ("/rendered", "/frames/1", "/frames/2", "/thumbnail", ""):
            assert house.get(base + suffix, "clinician").status_code == 200
        assert len(decodes) == 2
        # They may go at any time, and come back.
        before = house.get(f"{base}/frames/2", "clinician").data.partition(b"\r\n\r\n")[2]
        shutil.rmtree(house.settings.data / "copies")
        shutil.rmtree(house.settings.data / "answers", ignore_errors=True)
        after = house.get(f"{base}/frames/2", "clinician").data.partition(b"\r\n\r\n")[2]
        assert before[:-60] == after[:-60]
        assert len(decodes) == 3
        assert len(copies(house)) == 1


def test_nothing_of_a_copy_can_be_read(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.store(compressed(1)).status_code == 200
        house.screen()
        original = unseal(house.services, record_of(house, film(1)))
        for number, path in enumerate(copies(house), start=1):
            packed = pack(decoded_frame(house.services, original, number))
            assert packed[50:90] not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0
            assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "empty", "of the other frame", "of another film"])
def test_a_damaged_or_swapped_copy_is_never_shown(tmp_path: Path, damage: str, decodes: list[int]) -> None:
    """The original is decoded instead, and the copy made anew."""
    with House(tmp_path) as house:
        first, second = film(1), film(2)
        assert house.store(compressed(1), compressed(2)).status_code == 200
        house.screen()
        directories = {path.name: path.parent for path in (house.settings.data / "copies").rglob("1")}
        assert directories
        mine = house.settings.data / "copies" / record_of(house, first).content.name[:2]
        mine /= record_of(house, first).content.name
        other = house.settings.data / "copies" / record_of(house, second).content.name[:2]
        other /= record_of(house, second).content.name
        original = unseal(house.services, record_of(house, first))
        true = decoded_frame(house.services, original, 1).samples.tobytes()
        sealed = (mine / "1").read_bytes()
        put = {
            "flipped": sealed[:100] + bytes([sealed[100] ^ 1]) + sealed[101:],
            "cut": sealed[:-9],
            "longer": sealed + b"\0",
            "empty": b"",
            "of the other frame": (mine / "2").read_bytes(),
            "of another film": (other / "1").read_bytes(),
        }[damage]
        (mine / "1").write_bytes(put)
        asked = len(decodes)
        assert decoded_frame(house.services, original, 1).samples.tobytes() == true
        assert len(decodes) == asked + 1
        assert decoded_frame(house.services, original, 1).samples.tobytes() == true
        assert len(decodes) == asked + 1
        assert house.get(f"{address(first)}/rendered", "clinician").status_code == 200


def test_a_copy_that_was_made_in_another_way_is_not_there(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.store(compressed(1)).status_code == 200
        original = unseal(house.services, record_of(house, film(1)))
        decoded_frame(house.services, original, 1)
        at = (original.study_key, original.record.content, 1)
        assert house.services.copies.get(*at) is not None
        house.services.copies._form = "earlier"
        assert house.services.copies.get(*at) is None


def test_copies_go_with_their_film(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.store(compressed(1), compressed(2)).status_code == 200
        house.screen()
        house.now = time.time() + STALE_SECONDS + 60
        orphan = record_of(house, film(1)).content
        kept = {path.parent.name for path in copies(house)}
        assert orphan.name in kept
        sweep(house.services)
        assert {path.parent.name for path in copies(house)} == kept
        house.services.copies.put(bytes(32), orphan, 1, b"of nothing")
        (house.settings.data / "copies" / orphan.name[:2] / orphan.name).rename(
            house.settings.data / "copies" / orphan.name[:2] / f"{orphan.name[:2]}{'0' * 30}"
        )
        sweep(house.services)
        assert {path.parent.name for path in copies(house)} == kept - {orphan.name}
        house.services.copies.delete(record_of(house, film(2)).content.name)
        assert copies(house) == []


def test_a_full_disk_costs_time_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with House(tmp_path) as house:
        assert house.store(compressed(1)).status_code == 200
        house.screen()
        shutil.rmtree(house.settings.data / "copies")
        monkeypatch.setattr("server.vault.copies.Path.replace", full)
        original = unseal(house.services, record_of(house, film(1)))
        assert decoded_frame(house.services, original, 1).samples.shape == (64, 80, 1)
        monkeypatch.undo()
        assert copies(house) == []


def test_what_is_no_copy_of_the_frame_is_refused(table: tuple[House, list[tuple[str, Original]]]) -> None:
    """Behind the seal nothing of this happens; if it did, there would be no picture."""
    house, opened = table
    original = next(one for _, one in opened if one.description is not None and worth_copying(one.description))
    frame: Frame = decoded_frame(house.services, original, 1)
    packed, description = pack(frame), frame.description
    other = next(
        one.description
        for _, one in opened
        if one.description is not None
        and (one.description.rows, one.description.dtype) != (description.rows, "u1")
        and one.description.dtype != description.dtype
    )
    for wrong in (b"", packed[:8], packed[:40], packed[:-1], packed + b"\0", b"\2" + packed[1:]):
        with pytest.raises(DecodeFailed):
            unpack(wrong, description)
    with pytest.raises(DecodeFailed):
        unpack(packed, other)
