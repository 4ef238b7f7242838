"""The chain runs on over files and instances, and a journal that was tampered with is not built upon (a.A1)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from audit_helpers import (
    SEAL,
    Room,
    event,
    failing,
    kinds,
    requests,
    room,
)

from server.audit.entries import digest, prepare, write_line
from server.audit.head import SLOT, decode_slots, encode_slot
from server.audit.journal import Journal, begin
from server.audit.keys import load_private, read_public
from server.audit.verify import verify
from server.errors import AuditUnavailable, ConfigurationError


@pytest.fixture
def here(tmp_path: Path) -> Room:
    return room(tmp_path)


def test_numbers_count_from_one_and_the_chain_runs_on_over_instances_and_files(here: Room) -> None:
    first = here.filled(3, rotate_at=1500)
    second = here.journal(rotate_at=1500, seed="second")
    assert [second.append(event()), first.append(event()), second.append(event())] == [4, 5, 6]
    assert [len(here.lines(number)) for number in (1, 2, 3)] == [2, 2, 2]
    assert here.check().entries == 6
    assert here.check().problem is None


def test_everything_belongs_to_its_owner_alone(here: Room) -> None:
    here.filled(4, rotate_at=1500)
    assert here.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in here.directory.iterdir()} == {0o600}


def test_a_second_beginning_is_refused(here: Room) -> None:
    with pytest.raises(ConfigurationError):
        begin(here.directory, here.key)
    here.filled(1)
    before = {path.name: path.read_bytes() for path in here.directory.iterdir()}
    with pytest.raises(ConfigurationError):
        begin(here.directory, here.key)
    (here.directory / "head").unlink()
    with pytest.raises(ConfigurationError):
        begin(here.directory, here.key)
    after = {path.name: path.read_bytes() for path in here.directory.iterdir()}
    assert after == {name: content for name, content in before.items() if name != "head"}


def test_a_beginning_that_was_interrupted_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing(errno.EIO))
        with pytest.raises(ConfigurationError):
            room(tmp_path)
    here = room(tmp_path)
    here.filled(2)
    assert verify(here.directory, read_public(here.directory)).problem is None


def test_a_journal_is_never_begun_by_appending(tmp_path: Path, here: Room) -> None:
    nowhere = Room(directory=tmp_path / "nowhere", key=here.key)
    with pytest.raises(AuditUnavailable):
        nowhere.journal().append(event())
    assert not nowhere.directory.exists()
    here.filled(1)
    for path in here.directory.iterdir():
        path.unlink()
    with pytest.raises(AuditUnavailable):
        here.journal().append(event())
    assert not list(here.directory.iterdir())


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_seal_key_of_another_length_is_refused(here: Room, size: int) -> None:
    with pytest.raises(ConfigurationError):
        Journal(
            here.directory,
            signing_key=here.key,
            seal_key=bytes(size),
            randomness=here.journal()._randomness,
            clock=lambda: 0.0,
        )


def test_a_A1_a_cut_journal_is_not_built_upon(here: Room) -> None:
    journal = here.filled(3)
    here.path().write_bytes(b"".join(here.lines()[:2]))
    for other in (journal, here.journal(seed="other")):
        with pytest.raises(AuditUnavailable):
            other.append(event())
    assert here.check().problem is not None
    assert len(here.lines()) == 2


def test_a_A1_a_journal_set_back_under_a_running_process_is_not_built_upon(here: Room) -> None:
    journal = here.filled(2)
    head, entries = (here.directory / "head").read_bytes(), here.path().read_bytes()
    journal.append(event())
    (here.directory / "head").write_bytes(head)
    here.path().write_bytes(entries)
    with pytest.raises(AuditUnavailable, match="set back"):
        journal.append(event())
    here.journal(seed="branch").append(event(request="another third"))
    with pytest.raises(AuditUnavailable, match="set back"):
        journal.append(event())


def test_a_A1_a_damaged_slot_leaves_a_trace_in_the_journal(here: Room) -> None:
    """The newest slot is destroyed and the last entry cut: the older slot fits, but the next append tells of it."""
    here.filled(3)
    head = here.directory / "head"
    raw = bytearray(head.read_bytes())
    newest = decode_slots(bytes(raw), here.key.public_key()).slot
    raw[newest * SLOT : (newest + 1) * SLOT] = bytes(SLOT)
    head.write_bytes(raw)
    here.path().write_bytes(b"".join(here.lines()[:2]))
    problem = here.check().problem
    assert problem
    assert problem.file == "head"
    assert here.journal(seed="other").append(event()) == 4
    assert kinds(here) == ["answer", "answer", "recovered", "answer"]
    assert here.check().recoveries == 1


def test_a_A1_a_head_that_does_not_verify_is_not_trusted(here: Room) -> None:
    journal = here.filled(2)
    (here.directory / "head").write_bytes(bytes(2 * SLOT))
    with pytest.raises(AuditUnavailable):
        journal.append(event())


def test_a_A1_an_entry_that_another_key_signed_is_not_adopted_after_the_head(here: Room) -> None:
    here.filled(1)
    forged = write_line(
        prepare(event(request="forged")),
        seq=2,
        previous=digest(here.lines()[0][:-1]),
        now=0.0,
        seal_key=SEAL,
        nonce=bytes(12),
        signing_key=load_private(bytes(32)),
    )
    with here.path().open("ab") as file:
        file.write(forged + b"\n")
    here.journal(seed="other").append(event())
    assert requests(here) == ["request-1", "", "request"]
    assert kinds(here)[1] == "recovered"
    assert here.check().problem is None


def test_a_next_file_that_is_there_already_is_not_built_upon(here: Room) -> None:
    here.filled(2, rotate_at=1500)
    here.path(2).write_bytes(here.lines()[0])
    with pytest.raises(AuditUnavailable):
        here.journal(rotate_at=1500, seed="other").append(event())


def test_a_head_too_long_is_cut_to_size_and_told(here: Room) -> None:
    here.filled(2)
    with (here.directory / "head").open("ab") as file:
        file.write(b"more")
    assert here.journal(seed="other").append(event()) == 4
    assert kinds(here)[2] == "recovered"
    assert here.check().problem is None


def test_slots_sign_their_place(here: Room) -> None:
    head = here.check().head
    slots = decode_slots(encode_slot(head, 1, here.key) + encode_slot(head, 0, here.key), here.key.public_key())
    assert slots.current is None
    assert slots.damaged


def test_several_entries_share_one_sync_and_have_numbers_of_their_own(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    journal = here.journal()
    assert journal.append_all([event(request=f"r{number}") for number in range(3)]) == [1, 2, 3]
    assert len(synced) == 1
    assert journal.append_all([]) == []
    assert journal.append_all([event(request=f"r{number}") for number in range(100)]) == list(range(4, 104))
    assert requests(here) == [*(f"r{number}" for number in (*range(3), *range(100)))]


def test_several_entries_of_which_none_can_be_written_are_none(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = here.journal()
    journal.append(event())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing(errno.ENOSPC))
        with pytest.raises(AuditUnavailable):
            journal.append_all([event(), event()])
    assert journal.append(event()) == 2
