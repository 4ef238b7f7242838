"""The object store: only sealed bytes on disk, whole or not at all, one segment at a time, and every swap refused."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_helpers import (
    OTHER_KEY,
    STUDY_KEY,
    SeededRandomness,
    StuckRandomness,
    everything_below,
    opens,
    record_nonces,
)

from server.errors import Conflict, SealBroken
from server.model import ObjectReference
from server.vault.envelope import head_size
from server.vault.objects import ObjectStore

CANARY = b"EXAMPLE^PATIENT"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects", SeededRandomness())


def file_of(tmp_path: Path, reference: ObjectReference) -> Path:
    return tmp_path / "objects" / reference.name[:2] / reference.name


@given(segments=st.lists(st.binary(max_size=300), min_size=1, max_size=8), version=st.integers(1, 2**40))
@settings(max_examples=25, deadline=None)
def test_objects_come_back(tmp_path_factory: pytest.TempPathFactory, segments: list[bytes], version: int) -> None:
    store = ObjectStore(tmp_path_factory.mktemp("store"), SeededRandomness())
    reference = store.put(STUDY_KEY, "content", segments, version=version)
    assert reference == ObjectReference(name=reference.name, kind="content", version=version, segments=len(segments))
    assert store.open_all(STUDY_KEY, reference) == segments
    assert [store.open_segment(STUDY_KEY, reference, index) for index in range(len(segments))] == segments
    large = [store.open_large_segment(STUDY_KEY, reference, index) for index in range(len(segments))]
    assert large == segments
    assert not any(one.readonly for one in large)
    backwards = list(range(len(segments)))[::-1]
    assert store.open_segments(STUDY_KEY, reference, backwards) == segments[::-1]


def test_only_sealed_bytes_ever_touch_the_disk(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        seen.append(everything_below(tmp_path))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    store.put(STUDY_KEY, "content", [CANARY * 10, CANARY])
    assert len(seen) == 3, "the file and both directories are synced"
    for content in seen:
        assert len(content) > 200
        assert CANARY not in content
        assert STUDY_KEY not in content


def test_files_are_the_servers_own(store: ObjectStore, tmp_path: Path) -> None:
    path = file_of(tmp_path, store.put(STUDY_KEY, "content", [b"x"]))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_nlink == 1


def test_one_segment_is_opened_without_reading_the_others(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [bytes([number % 256]) * 1000 for number in range(500)]
    reference = store.put(STUDY_KEY, "content", frames)
    amounts: list[int] = []
    pread = os.pread

    def counted(descriptor: int, count: int, offset: int) -> bytes:
        amounts.append(count)
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert store.open_segment(STUDY_KEY, reference, 377) == frames[377]
    assert amounts == [head_size(reference), 1016]
    # Nor does damage elsewhere keep it shut.
    path = file_of(tmp_path, reference)
    content = bytearray(path.read_bytes())
    content[head_size(reference) + 5] ^= 1
    path.write_bytes(content)
    assert store.open_segment(STUDY_KEY, reference, 377) == frames[377]
    assert store.open_large_segment(STUDY_KEY, reference, 377) == frames[377]
    assert not opens(lambda: store.open_segment(STUDY_KEY, reference, 0))
    assert not opens(lambda: store.open_large_segment(STUDY_KEY, reference, 0))
    assert not opens(lambda: store.open_all(STUDY_KEY, reference))


def test_short_reads_are_put_together(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = store.put(STUDY_KEY, "content", [b"a longer segment", b"b"])
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, count, offset: pread(descriptor, min(count, 7), offset))
    assert store.open_all(STUDY_KEY, reference) == [b"a longer segment", b"b"]
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda descriptor, into, offset: preadv(descriptor, [into[0][:7]], offset))
    assert bytes(store.open_large_segment(STUDY_KEY, reference, 0)) == b"a longer segment"


def test_bad_arguments_are_refused_and_leave_nothing(store: ObjectStore, tmp_path: Path) -> None:
    for key, kind, segments, version in [
        (STUDY_KEY, "content", [], 1),
        (STUDY_KEY, "", [b"x"], 1),
        (STUDY_KEY, "content", [b"x"], 0),
        (STUDY_KEY[:16], "content", [b"x"], 1),
    ]:
        with pytest.raises(ValueError):
            store.put(key, kind, segments, version=version)
    assert everything_below(tmp_path) == b""


def test_a_segment_that_the_reference_does_not_count_is_refused(store: ObjectStore) -> None:
    reference = store.put(STUDY_KEY, "content", [b"a", b"b"])
    for index in (-1, 2):
        with pytest.raises(IndexError):
            store.open_segment(STUDY_KEY, reference, index)
        with pytest.raises(IndexError):
            store.open_segments(STUDY_KEY, reference, (0, index))
        with pytest.raises(IndexError):
            store.open_large_segment(STUDY_KEY, reference, index)


@pytest.mark.parametrize("segments", [0, -1, 1, 3, 2**40, 2**61])
def test_a_A9_a_reference_that_counts_otherwise_is_refused_whatever_its_size(store: ObjectStore, segments: int) -> None:
    reference = store.put(STUDY_KEY, "content", [b"a", b"b"])
    assert not opens(store.open_all, STUDY_KEY, replace(reference, segments=segments))


@pytest.mark.parametrize("failing", ["fsync", "link"])
def test_a_failed_write_leaves_nothing(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, full)
        with pytest.raises(OSError, match="no space"):
            store.put(STUDY_KEY, "content", [b"x"])
    assert everything_below(tmp_path) == b""
    assert list(store.names()) == []
    assert store.put(STUDY_KEY, "content", [b"x"]).name in set(store.names())


def test_a_A9_a_repeated_name_and_salt_seal_nothing_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = record_nonces(monkeypatch)
    store = ObjectStore(tmp_path / "objects", StuckRandomness())
    reference = store.put(STUDY_KEY, "content", [b"first"])
    before, sealed = list(used), file_of(tmp_path, reference).read_bytes()
    with pytest.raises(Conflict):
        store.put(STUDY_KEY, "content", [b"other"])
    assert used == before
    assert file_of(tmp_path, reference).read_bytes() == sealed


def test_a_A9_two_writers_of_one_name_never_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(tmp_path / "objects", StuckRandomness())
    reference = store.put(STUDY_KEY, "content", [b"first"])
    sealed = file_of(tmp_path, reference).read_bytes()
    # As if the other writer's file had appeared between our look and our link.
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    with pytest.raises(Conflict):
        store.put(STUDY_KEY, "content", [b"other"])
    assert everything_below(tmp_path / "objects").endswith(sealed)
    temporary = file_of(tmp_path, reference)
    temporary = temporary.rename(temporary.with_name(reference.name + ".part"))
    with pytest.raises(Conflict):
        store.put(STUDY_KEY, "content", [b"other"])
    assert temporary.read_bytes() == sealed, "another writer's temporary file is not ours to remove"


def test_a_A9_files_swapped_between_objects_studies_kinds_and_versions(store: ObjectStore, tmp_path: Path) -> None:
    objects = {
        (key, kind, version): store.put(key, kind, [b"equal", b"lengths"], version=version)
        for key in (STUDY_KEY, OTHER_KEY)
        for kind in ("content", "regions")
        for version in (1, 2)
    }
    for wanted, reference in objects.items():
        kept = file_of(tmp_path, reference).read_bytes()
        for found, other in objects.items():
            file_of(tmp_path, reference).write_bytes(kept if found == wanted else file_of(tmp_path, other).read_bytes())
            for index in range(2):
                assert opens(store.open_segment, wanted[0], reference, index) == (found == wanted)
                assert opens(store.open_large_segment, wanted[0], reference, index) == (found == wanted)
            assert opens(store.open_segments, wanted[0], reference, (1, 0)) == (found == wanted)
        file_of(tmp_path, reference).write_bytes(kept)


def test_a_A9_yesterdays_region_set_put_back_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    yesterday = store.put(STUDY_KEY, "regions", [b"no regions"], version=1)
    today = store.put(STUDY_KEY, "regions", [b"one region"], version=2)
    shutil.copy(file_of(tmp_path, yesterday), file_of(tmp_path, today))
    assert not opens(lambda: store.open_all(STUDY_KEY, today))
    # Nor does the old file serve a row that speaks of the new version under the old name.
    assert not opens(lambda: store.open_all(STUDY_KEY, replace(yesterday, version=2)))


def test_a_A9_truncation_at_every_boundary_and_every_header_downgrade(store: ObjectStore, tmp_path: Path) -> None:
    reference = store.put(STUDY_KEY, "content", [b"one", b"", b"three"])
    path = file_of(tmp_path, reference)
    sealed = path.read_bytes()
    head = head_size(reference)
    for length in [0, 1, 4, 5, 37, head - 16, head, head + 19, head + 35, len(sealed) - 16, len(sealed) - 1]:
        path.write_bytes(sealed[:length])
        assert not opens(lambda: store.open_all(STUDY_KEY, reference))
        # Even the first segment, whole in the file: a dropped tail is noticed whatever is asked for.
        assert not opens(lambda: store.open_segment(STUDY_KEY, reference, 0))
        assert not opens(lambda: store.open_large_segment(STUDY_KEY, reference, 0))
    forms = [b"SFLO" + bytes([suite]) for suite in range(256) if suite != 1] + [b"none\x01", b"sflo\x01", b"\0" * 5]
    for form in forms:
        path.write_bytes(form + sealed[5:])
        assert not opens(lambda: store.open_all(STUDY_KEY, reference))
    path.write_bytes(sealed + b"\x00")
    assert not opens(lambda: store.open_segment(STUDY_KEY, reference, 0))
    path.write_bytes(sealed)
    assert store.open_all(STUDY_KEY, reference) == [b"one", b"", b"three"]


def test_a_A9_a_file_cut_while_it_is_open_is_refused(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = store.put(STUDY_KEY, "content", [b"one", b"two"])
    path, fstat = file_of(tmp_path, reference), os.fstat

    def cut_after(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        os.truncate(path, head_size(reference) + 3)
        return status

    monkeypatch.setattr(os, "fstat", cut_after)
    whole = path.read_bytes()
    for attempt in (store.open_segment, store.open_large_segment):
        path.write_bytes(whole)
        assert not opens(attempt, STUDY_KEY, reference, 1)


@pytest.mark.parametrize("instead", ["nothing", "directory", "link", "pipe", "device"])
def test_what_is_no_regular_file_is_refused(store: ObjectStore, tmp_path: Path, instead: str) -> None:
    reference = store.put(STUDY_KEY, "content", [b"x"])
    path = file_of(tmp_path, reference)
    moved = path.rename(tmp_path / "moved")
    if instead == "directory":
        path.mkdir()
    elif instead == "link":
        path.symlink_to(moved)
    elif instead == "pipe":
        os.mkfifo(path)
    elif instead == "device":
        path.symlink_to("/dev/zero")
    assert not opens(lambda: store.open_all(STUDY_KEY, reference))


def test_an_unreadable_disk_is_a_broken_seal_and_names_no_path(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = store.put(STUDY_KEY, "content", [b"x"])

    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(SealBroken) as refused:
        store.open_all(STUDY_KEY, reference)
    assert str(refused.value) == "a sealed object cannot be read: EIO"


@pytest.mark.parametrize(
    "name", ["", "../" * 10 + "etc/passwd", "A" * 32, "0" * 31, "0" * 32 + "\n", "\N{ARABIC-INDIC DIGIT ONE}" * 32]
)
def test_a_reference_whose_name_is_none_is_refused(store: ObjectStore, name: str) -> None:
    reference = ObjectReference(name=name, kind="content", version=1, segments=1)
    assert not opens(lambda: store.open_all(STUDY_KEY, reference))
    assert not opens(lambda: store.delete(reference))


def test_deleting_is_for_good_and_may_be_repeated(store: ObjectStore) -> None:
    kept, gone = (store.put(STUDY_KEY, "content", [b"x"]) for _ in range(2))
    store.delete(gone)
    store.delete(gone)
    assert list(store.names()) == [kept.name]
    assert not opens(lambda: store.open_all(STUDY_KEY, gone))
    assert store.open_all(STUDY_KEY, kept) == [b"x"]
    store.delete(replace(gone, name="ab" * 16))


def test_names_and_sweeping_touch_only_what_the_store_made(store: ObjectStore, tmp_path: Path) -> None:
    assert list(store.names()) == []
    assert store.sweep_temporaries(10.0**10) == 0
    references = [store.put(STUDY_KEY, "content", [b"x"]) for _ in range(5)]
    shard = file_of(tmp_path, references[0]).parent
    now = 2_000_000_000.0
    for name, age in [("ab" * 16 + ".part", 3601), ("cd" * 16 + ".part", 3599), ("notes.part", 10**6), ("x", 10**6)]:
        (shard / name).write_bytes(b"")
        os.utime(shard / name, (now - age, now - age))
    for reference in references:
        os.utime(file_of(tmp_path, reference), (0, 0))
    (tmp_path / "objects" / "lost").mkdir()
    (tmp_path / "objects" / "lost" / ("ef" * 16)).write_bytes(b"")
    (shard / ("ff" * 16 if not references[0].name.startswith("ff") else "00" * 16)).write_bytes(b"")
    assert set(store.names()) == {reference.name for reference in references}
    assert store.sweep_temporaries(now) == 1
    left = {path.name for path in shard.iterdir()}
    assert "ab" * 16 + ".part" not in left
    assert {"cd" * 16 + ".part", "notes.part", "x", references[0].name} <= left
