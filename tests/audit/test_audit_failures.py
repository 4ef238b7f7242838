"""a.A3: no number is given out for an entry that is not durable, and all goes on when the disk is fine again."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from audit_helpers import (
    Room,
    event,
    failing,
    kinds,
    requests,
    room,
)

from server.audit import disk
from server.audit.head import SLOT
from server.errors import AuditUnavailable


@pytest.fixture
def here(tmp_path: Path) -> Room:
    return room(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["pwrite", "pread", "fdatasync", "open", "fstat"])
def test_a_A3_a_failing_call_is_a_refusal_and_passes(
    here: Room, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    journal = here.filled(2)
    before = here.path().read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        for _ in range(2):
            with pytest.raises(AuditUnavailable) as caught:
                journal.append(event(request="refused"))
            assert "path" not in str(caught.value)
            assert "path" not in caught.value.public
    assert here.path().read_bytes() == before
    assert journal.append(event(request="request-3")) == 3
    assert requests(here) == ["request-1", "request-2", "request-3"]
    assert here.check().problem is None


@pytest.mark.parametrize("part", [0, 1, 300, -1, None])
@pytest.mark.parametrize("cut_fails", [False, True])
def test_a_A3_a_write_that_ends_early_leaves_no_half_line_in_the_middle(
    here: Room, monkeypatch: pytest.MonkeyPatch, part: int | None, cut_fails: bool
) -> None:
    """The disk takes some bytes, then none; with `cut_fails` it does not even let them be cut off again."""
    journal = here.filled(2)
    full = False

    def some(descriptor: int, data: Sequence[int], offset: int) -> int:
        nonlocal full
        if full:
            raise OSError(errno.ENOSPC, "full")
        full = True
        return plain(descriptor, bytes(data[:part]), offset)

    plain = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", some)
        # With the whole line written, it is the sync that fails.
        patch.setattr(os, "fdatasync", failing(errno.EIO))
        if cut_fails:
            patch.setattr(os, "ftruncate", failing(errno.EIO))
        with pytest.raises(AuditUnavailable):
            journal.append(event(request="refused"))
    number = journal.append(event(request="after"))
    result = here.check()
    assert (result.problem, result.entries) == (None, number)
    left = ([] if part == 0 else ["refused"] if part is None else [""]) if cut_fails else []
    assert requests(here) == ["request-1", "request-2", *left, "after"]
    assert result.recoveries == (1 if left == [""] else 0)


def test_a_A3_a_disk_that_takes_one_byte_at_a_time_is_slow_but_fine(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: plain(descriptor, data[:1], offset))
    here.filled(2)
    assert here.check().entries == 2
    assert here.check().problem is None


def test_a_A3_a_disk_that_takes_nothing_is_a_refusal(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with pytest.raises(AuditUnavailable):
        here.journal().append(event())


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("extra", [0, 1, 400])
def test_a_A3_the_kernel_really_refuses_to_let_the_file_grow(here: Room, extra: int) -> None:
    journal = here.filled(2)
    size = here.path().stat().st_size
    with file_size_limit(size + extra), pytest.raises(AuditUnavailable):
        journal.append(event(request="refused"))
    assert here.path().stat().st_size == size
    assert journal.append(event(request="after")) == 3
    assert here.check().problem is None


def test_a_A3_a_head_that_cannot_be_written_acknowledges_nothing(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = here.filled(2)
    plain = os.pwrite

    def not_the_head(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) == SLOT:
            plain(descriptor, data[:100], offset)
            raise OSError(errno.EIO, "broken")
        return plain(descriptor, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", not_the_head)
        with pytest.raises(AuditUnavailable):
            journal.append(event(request="durable but refused"))
    assert here.check().problem is not None
    assert journal.append(event(request="after")) == 5
    assert requests(here)[2:] == ["durable but refused", "", "after"]
    assert kinds(here)[3] == "recovered"
    assert here.check().problem is None


@pytest.mark.parametrize("name", ["head", "lock", "journal-000001.jsonl"])
def test_a_A3_a_missing_file_is_a_refusal(here: Room, name: str) -> None:
    journal = here.filled(2)
    (here.directory / name).rename(here.directory.parent / "aside")
    with pytest.raises(AuditUnavailable):
        journal.append(event())
    assert not (here.directory / name).exists()
    (here.directory.parent / "aside").rename(here.directory / name)
    assert journal.append(event()) == 3


@pytest.mark.parametrize("name", ["head", "lock", "journal-000001.jsonl"])
def test_a_symbolic_link_in_place_of_a_file_is_a_refusal(here: Room, name: str) -> None:
    journal = here.filled(2)
    aside = here.directory.parent / "aside"
    (here.directory / name).rename(aside)
    (here.directory / name).symlink_to(aside)
    with pytest.raises(AuditUnavailable):
        journal.append(event())


def test_a_A3_a_lock_held_elsewhere_is_a_refusal_and_not_a_hang(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = here.filled(1)
    monkeypatch.setattr(disk, "_PATIENCE", 3)
    with disk.opened(here.directory / "lock", os.O_RDWR) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AuditUnavailable):
            journal.append(event())
        with pytest.raises(AuditUnavailable):
            here.check()
    assert journal.append(event()) == 2
