"""Large objects on their way in: sealed piece by piece on the disk, read back in slices, never whole in memory."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path

import pytest
from builders import chest_film, part10_bytes
from house import FixedRandomness, House
from hypothesis import given
from hypothesis import strategies as st
from large_store import FRAME_BYTES, store

from server import spool
from server.errors import SealBroken, StorageUnavailable, TooLarge
from server.metadata import part10
from server.metadata.parse import Limits
from server.multipart import read
from server.spool import PIECE, Spooled, Window, find, in_memory, pieces, received

RANDOMNESS = FixedRandomness("spool")


def spooled(directory: Path, body: bytes) -> Spooled:
    made = Spooled(directory, RANDOMNESS)
    for start in range(0, len(body), PIECE):
        made.append(body[start : start + PIECE])
    return made


BODY = secrets.token_bytes(3 * PIECE + 12345)


@given(start=st.integers(-PIECE, 4 * PIECE), length=st.integers(-5, 3 * PIECE))
def test_slices_are_those_of_the_bytes(tmp_path_factory: pytest.TempPathFactory, start: int, length: int) -> None:
    made = spooled(tmp_path_factory.getbasetemp(), BODY)
    assert made[start : start + length] == BODY[start : start + length]
    window, plain = Window(made, 1000, 2 * PIECE), BODY[1000 : 2 * PIECE]
    assert len(window) == len(plain)
    assert window[start : start + length] == plain[start : start + length]


@pytest.mark.parametrize("at", [0, 5, PIECE - 7, PIECE - 1, PIECE, 2 * PIECE - 3, 3 * PIECE + 12335])
def test_what_is_looked_for_is_found_across_pieces(tmp_path: Path, at: int) -> None:
    body = bytearray(BODY)
    body[at : at + 10] = b"a boundary"
    made = spooled(tmp_path, bytes(body))
    for start in (0, at - 1 if at else 0, at, at + 1):
        for stop in (None, at + 9, at + 10, at + PIECE):
            expected = bytes(body).find(b"a boundary", start, stop)
            assert find(made, b"a boundary", start, stop) == expected
    assert b"".join(pieces(made)) == body


def test_nothing_of_a_body_lies_open_on_the_disk(tmp_path: Path) -> None:
    body = b"MUSTER^MAXIMA" * PIECE
    made = spooled(tmp_path, body[: 2 * PIECE + 7])
    assert list(tmp_path.iterdir()) == []
    descriptor = made._file

    lying = os.pread(descriptor, 3 * PIECE, 0)
    assert len(lying) > 2 * PIECE
    assert b"MUSTER" not in lying
    os.pwrite(descriptor, bytes([lying[PIECE] ^ 1]), PIECE)
    with pytest.raises(SealBroken):
        made[0:10]


def test_the_limit_holds_and_small_bodies_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 2 * PIECE)
    assert received(io.BytesIO(BODY[:PIECE]).read, len(BODY), tmp_path, RANDOMNESS) == BODY[:PIECE]
    large = received(io.BytesIO(BODY).read, len(BODY), tmp_path, RANDOMNESS)
    assert isinstance(large, Spooled)
    assert large[:] == BODY
    with pytest.raises(TooLarge):
        received(io.BytesIO(BODY).read, len(BODY) - 1, tmp_path, RANDOMNESS)
    with pytest.raises(StorageUnavailable):
        received(io.BytesIO(BODY).read, len(BODY), tmp_path / "nowhere", RANDOMNESS)


@pytest.mark.parametrize("cut", [0, 1, 2, 40])
def test_parts_of_a_spooled_body_are_those_of_the_bytes(tmp_path: Path, cut: int) -> None:
    """The delimiter lies on the border between two pieces."""
    boundary = "x-boundary"
    first = b"--x-boundary\r\nContent-Type: application/dicom\r\n\r\n"
    body = first + bytes(PIECE - len(first) - cut) + b"\r\n" + first + BODY + b"\r\n--x-boundary--\r\n"
    expected, found = read(body, boundary), read(spooled(tmp_path, body), boundary)
    assert [one.media_type for one in found] == [one.media_type for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one.body, Window)
        assert isinstance(other.body, bytes | Window)
        assert in_memory(one.body) is None
        assert bytes(in_memory(other.body) or b"") == one.body[:]


def test_stored_by_way_of_the_disk_an_object_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every syntax that is cut differently, and what is refused, both ways."""
    films = [part10_bytes(chest_film(study=one)) for one in (1, 2)]
    films.append(part10_bytes(chest_film(study=3), "1.2.840.10008.1.2.5"))
    films.append(part10_bytes(chest_film(study=4), "1.2.840.10008.1.2.1.99"))
    films.append(films[0][:-50])
    answers = []
    for number, limit in enumerate((spool.IN_MEMORY, 100)):
        monkeypatch.setattr(spool, "IN_MEMORY", limit)
        with House(tmp_path / str(number)) as house:
            stored = house.store(*films)
            frames = [house.get(f"{path}/frames/1", "technologist").data for path in house.instances("technologist")]
            bodies = [house.get(path, "clinician", "application/dicom").data for path in house.instances("clinician")]
            again = house.store(*films)
            answers.append((stored.status_code, stored.data, len(frames), bodies, again.status_code, again.data))
            assert list((house.settings.data).glob("tmp*")) == []
    assert answers[0] == answers[1]


def test_values_beside_the_pixels_are_bounded() -> None:
    body = part10_bytes(chest_film())
    assert part10.read(body, Limits(held=100_000)).path
    with pytest.raises(TooLarge):
        part10.read(body, Limits(held=100))


def test_a_large_object_is_stored_in_little_memory(tmp_path: Path) -> None:
    """128 MB through a real server: its worker grows by less than half of that, as every frame is 2 MB."""
    frames = 64
    found = store(tmp_path, frames, limit=200 * 1024 * 1024)
    assert found.status == 200, found.answer
    assert found.grown < frames * FRAME_BYTES // 2, (found.rest, found.grown)
