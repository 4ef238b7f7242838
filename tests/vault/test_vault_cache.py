"""The sealed cache: gives back what was put, under the same key and name only, within its bound, and never fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vault_helpers import SeededRandomness

from server.vault.cache import SHARDS, SealedCache
from server.vault.envelope import SEALED_BYTES

KEY, OTHER = bytes(32), bytes([1]) * 32
NAME, SAME_SHARD = "a" * 64, "a" * 63 + "b"
CAPACITY = SHARDS * 4096


@pytest.fixture
def cache(tmp_path: Path) -> SealedCache:
    return SealedCache(tmp_path / "cache", SeededRandomness(), CAPACITY)


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_what_was_put_comes_back(cache: SealedCache) -> None:
    assert cache.get(KEY, NAME) is None
    cache.put(KEY, NAME, b"MUSTER^MAXIMA")
    assert cache.get(KEY, NAME) == b"MUSTER^MAXIMA"
    cache.put(KEY, NAME, b"")
    assert cache.get(KEY, NAME) == b""


def test_a_pair_comes_back_as_it_was_put_and_never_half_of_another(cache: SealedCache, tmp_path: Path) -> None:
    one, other = (b"1" * 32, b"MUSTER"), (b"2" * 32, b"MAXIMA")
    cache.put_pair(KEY, NAME, *one)
    assert cache.get_pair(KEY, NAME, 32) == one
    (file,) = files(tmp_path)
    first = file.read_bytes()
    cache.put_pair(KEY, NAME, *other)
    second = file.read_bytes()
    # Both are of this very key and name.
    file.write_bytes(first[: 32 + SEALED_BYTES] + second[32 + SEALED_BYTES :])
    assert cache.get_pair(KEY, NAME, 32) is None
    assert files(tmp_path) == []
    for damaged in (b"", first[:40], first[: 32 + SEALED_BYTES], first[:-1], first + b"x", first[:-1] + b"\0"):
        cache.put_pair(KEY, NAME, *one)
        file.write_bytes(damaged)
        assert cache.get_pair(KEY, NAME, 32) is None
    cache.put_pair(KEY, NAME, *one)
    assert cache.get(KEY, NAME) is None
    cache.put_pair(KEY, NAME, *one)
    assert cache.get_pair(OTHER, NAME, 32) is None


def test_nothing_of_it_can_be_read_on_the_disk(cache: SealedCache, tmp_path: Path) -> None:
    cache.put(KEY, NAME, b"MUSTER^MAXIMA" * 10)
    (file,) = files(tmp_path)
    assert b"MUSTER" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.parent.parent.stat().st_mode & 0o077 == 0


def test_another_key_or_another_name_opens_nothing_and_the_entry_goes(cache: SealedCache, tmp_path: Path) -> None:
    cache.put(KEY, NAME, b"value")
    assert cache.get(OTHER, NAME) is None
    assert files(tmp_path) == []
    cache.put(KEY, NAME, b"value")
    (file,) = files(tmp_path)
    file.rename(file.with_name(SAME_SHARD))
    assert cache.get(KEY, SAME_SHARD) is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_entry_is_not_there(cache: SealedCache, tmp_path: Path, damage: str) -> None:
    cache.put(KEY, NAME, b"value")
    (file,) = files(tmp_path)
    sealed = bytearray(file.read_bytes())
    sealed[-1] ^= 1
    file.write_bytes({"flipped": bytes(sealed), "cut": bytes(sealed[:20]), "empty": b""}[damage])
    assert cache.get(KEY, NAME) is None
    assert files(tmp_path) == []


def test_it_keeps_to_its_bound_and_forgets_what_was_asked_for_longest_ago(cache: SealedCache, tmp_path: Path) -> None:
    names = ["a" * 62 + f"{number:02d}" for number in range(12)]
    for number, name in enumerate(names):
        cache.put(KEY, name, bytes(900))
        for place in files(tmp_path):
            if place.name == name:
                os.utime(place, (number, number))
        # The first is asked for again and again.
        if cache.get(KEY, names[0]) is not None:
            os.utime(tmp_path / "cache" / "a" / names[0], (number + 0.5, number + 0.5))
    left = {path.name for path in files(tmp_path)}
    assert sum(path.stat().st_size for path in files(tmp_path)) <= CAPACITY // SHARDS
    assert names[0] in left
    assert names[-1] in left
    assert names[1] not in left


def test_what_is_too_large_is_not_kept(cache: SealedCache, tmp_path: Path) -> None:
    cache.put(KEY, NAME, bytes(2000))
    assert cache.get(KEY, NAME) is None
    assert files(tmp_path) == []


def test_a_disk_that_cannot_be_written_keeps_nothing_and_fails_nobody(
    cache: SealedCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_path: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache.put(KEY, NAME, b"MUSTER^MAXIMA")
    monkeypatch.undo()
    assert cache.get(KEY, NAME) is None
    assert files(tmp_path) == []
    assert "MUSTER" not in caplog.text


def test_dropping_it_forgets_everything(cache: SealedCache, tmp_path: Path) -> None:
    cache.put(KEY, NAME, b"value")
    cache.drop()
    cache.drop()
    assert files(tmp_path) == []
    assert cache.get(KEY, NAME) is None


@pytest.mark.parametrize("name", ["", "../x", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_a_name_that_is_no_digest_is_a_mistake_of_the_caller(cache: SealedCache, name: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal"):
        cache.get(KEY, name)
