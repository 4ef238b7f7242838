"""a.A3: a process that ends at any point leaves a journal that the next one goes on with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from audit_helpers import (
    Killed,
    Room,
    event,
    killing,
    kinds,
    requests,
    room,
)

from server.audit.entries import LONGEST
from server.audit.head import decode_slots
from server.errors import AuditUnavailable


@pytest.fixture
def here(tmp_path: Path) -> Room:
    return room(tmp_path)


@pytest.mark.parametrize(
    ("call", "turn", "part", "after"),
    [
        ("pwrite", 1, 0, ["after"]),
        ("pwrite", 1, 1, ["", "after"]),
        ("pwrite", 1, 500, ["", "after"]),
        ("pwrite", 1, -1, ["", "after"]),
        ("pwrite", 1, None, ["killed", "after"]),
        ("fdatasync", 1, None, ["killed", "after"]),
        ("pwrite", 2, 0, ["killed", "after"]),
        ("pwrite", 2, 100, ["killed", "", "after"]),
        ("pwrite", 2, None, ["killed", "after"]),
    ],
)
@pytest.mark.parametrize("same_process", [True, False])
def test_a_A3_a_process_that_ends_anywhere_leaves_a_journal_that_goes_on(
    here: Room,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    turn: int,
    part: int | None,
    after: list[str],
    same_process: bool,
) -> None:
    journal = here.filled(2)
    with monkeypatch.context() as patch:
        killing(patch, call, turn, part)
        with pytest.raises(Killed):
            journal.append(event(request="killed"))
    torn = b"".join(here.all_lines()[2:])
    other = journal if same_process else here.journal(seed="other")
    assert other.append(event(request="after")) == 2 + len(after)
    assert requests(here) == ["request-1", "request-2", *after]
    assert here.check().problem is None
    kept = [path.read_bytes() for path in here.directory.glob("torn-*")]
    assert kept == ([torn] if after == ["", "after"] else [])


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "fsync"])
def test_a_A3_a_process_that_ends_while_it_turns_to_the_next_file(
    here: Room, monkeypatch: pytest.MonkeyPatch, call: str, turn: int
) -> None:
    journal = here.filled(2, rotate_at=1500)
    with monkeypatch.context() as patch:
        killing(patch, call, turn, None)
        if call == "fsync" and turn == 2:
            journal.append(event(request="request-3"))
        else:
            with pytest.raises(Killed):
                journal.append(event(request="request-3"))
    number = here.journal(rotate_at=1500, seed="other").append(event(request="after"))
    assert requests(here)[-1] == "after"
    assert here.check().problem is None
    assert here.check().entries == number


def test_a_A3_the_head_points_to_a_new_file_durably_before_anything_stands_in_it(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power failure could leave entries in a file that the head on the disk knows nothing of."""
    journal = here.filled(2, rotate_at=1500)
    synced: list[tuple[str, int]] = []
    plain = os.fdatasync

    def noted(descriptor: int) -> None:
        plain(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        current = decode_slots((here.directory / "head").read_bytes(), here.key.public_key()).current
        assert current
        synced.append((name, current.file))

    monkeypatch.setattr(os, "fdatasync", noted)
    journal.append(event())
    assert synced == [("head", 2), ("journal-000002.jsonl", 2)]


def test_a_A3_what_a_failed_sync_may_have_lost_is_written_again_before_it_is_built_upon(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = here.filled(1)
    with monkeypatch.context() as patch:
        killing(patch, "fdatasync", 1, None)
        with pytest.raises(Killed):
            journal.append(event(request="unsure"))
    unsure = here.lines()[1]
    written: list[bytes] = []
    plain = os.pwrite

    def recorded(descriptor: int, data: bytes, offset: int) -> int:
        written.append(bytes(data))
        return plain(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", recorded)
    journal.append(event())
    assert written[0] == unsure


def test_a_rest_longer_than_any_commit_is_for_a_person_to_look_at(here: Room) -> None:
    here.filled(2)
    with here.path().open("ab") as file:
        file.write(b"x" * (67 * (LONGEST + 1)))
    size = here.path().stat().st_size
    with pytest.raises(AuditUnavailable):
        here.journal().append(event())
    assert here.path().stat().st_size == size
    assert here.check().problem is not None


def test_a_rest_that_only_looks_like_an_entry_is_set_aside(here: Room) -> None:
    here.filled(3)
    copy = here.lines()[1]
    with here.path().open("ab") as file:
        file.write(copy)
    assert here.journal(seed="other").append(event()) == 5
    assert kinds(here)[3] == "recovered"
    assert [path.read_bytes() for path in here.directory.glob("torn-*")] == [copy]
