"""a.A1: whatever is done to the journal by somebody without the signing key, the first broken entry is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from audit_helpers import SEAL, Room, event, room

from server.audit.entries import digest, prepare, write_line
from server.audit.head import Head, encode_slot
from server.audit.keys import load_private
from server.audit.verify import Breakage, Problem, verify
from server.errors import AuditUnavailable

COUNT = 6
INDEXES = range(COUNT)
OTHER_KEY = load_private(bytes(32))


@pytest.fixture
def here(tmp_path: Path) -> Room:
    """Six entries in one file."""
    made = room(tmp_path)
    made.filled(COUNT)
    return made


def broken(here: Room, lines: list[bytes]) -> Problem | None:
    here.path().write_bytes(b"".join(lines))
    return here.check().problem


def at(index: int, why: Breakage) -> Problem:
    return Problem(file="journal-000001.jsonl", line=index + 1, seq=index + 1, why=why)


def test_a_whole_journal_verifies_without_the_seal_key(here: Room) -> None:
    result = here.check()
    assert (result.entries, result.recoveries, result.problem) == (COUNT, 0, None)
    assert result.head.seq == COUNT


def test_an_empty_journal_verifies(tmp_path: Path) -> None:
    assert room(tmp_path).check().problem is None


@pytest.mark.parametrize("index", INDEXES)
def test_a_A1_altered_bytes_are_found_in_their_line(here: Room, index: int) -> None:
    lines = here.lines()
    for position in range(0, len(lines[index]), 7):
        changed = bytearray(lines[index])
        changed[position] ^= 1
        problem = broken(here, [*lines[:index], bytes(changed), *lines[index + 1 :]])
        assert problem
        assert (problem.line, problem.seq) == (index + 1, index + 1)
        assert problem.why in (Breakage.ALTERED, Breakage.TRUNCATED)


@pytest.mark.parametrize("field", ["acting_role", "level", "time", "sealed", "status", "reason"])
@pytest.mark.parametrize("index", INDEXES)
def test_a_A1_an_altered_field_is_named(here: Room, index: int, field: str) -> None:
    lines = here.lines()
    value = json.loads(lines[index])
    value[field] = 404 if field == "status" else "AAAA"
    lines[index] = json.dumps(value, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    assert broken(here, lines) == at(index, Breakage.ALTERED)


@pytest.mark.parametrize("index", INDEXES)
def test_a_A1_a_deleted_entry_is_named(here: Room, index: int) -> None:
    lines = here.lines()
    why = Breakage.TRUNCATED if index == COUNT - 1 else Breakage.DELETED
    assert broken(here, [*lines[:index], *lines[index + 1 :]]) == at(index, why)


@pytest.mark.parametrize("index", INDEXES)
def test_a_A1_a_cut_end_is_named_wherever_it_is_cut(here: Room, index: int) -> None:
    lines = here.lines()
    for keep in (0, 1, len(lines[index]) // 2, len(lines[index]) - 1):
        assert broken(here, [*lines[:index], lines[index][:keep]]) == at(index, Breakage.TRUNCATED)


@pytest.mark.parametrize("first", INDEXES)
def test_a_A1_reordered_entries_are_named(here: Room, first: int) -> None:
    lines = here.lines()
    for second in range(first + 1, COUNT):
        swapped = list(lines)
        swapped[first], swapped[second] = lines[second], lines[first]
        assert broken(here, swapped) == at(first, Breakage.REORDERED)


@pytest.mark.parametrize("index", range(COUNT + 1))
def test_a_A1_an_inserted_copy_is_named(here: Room, index: int) -> None:
    lines = here.lines()
    for copied in INDEXES:
        problem = broken(here, [*lines[:index], lines[copied], *lines[index:]])
        if copied == index:
            # Two equal lines stand side by side: the second one is the one too many.
            assert problem == at(index + 1, Breakage.INSERTED)
        else:
            assert problem == at(index, Breakage.INSERTED)


@pytest.mark.parametrize("index", INDEXES)
def test_a_A1_an_inserted_forgery_is_named(here: Room, index: int) -> None:
    lines = here.lines()
    for forged in (b"\n", b"{}\n", b"\xff\x00\n", forge(lines, index)):
        assert broken(here, [*lines[:index], forged, *lines[index:]]) == at(index, Breakage.INSERTED)


def forge(lines: list[bytes], index: int) -> bytes:
    """An entry that fits the chain, signed by somebody else."""
    previous = digest(lines[index - 1].rstrip(b"\n")) if index else "0" * 64
    line = write_line(
        prepare(event()),
        seq=index + 1,
        previous=previous,
        now=0.0,
        seal_key=SEAL,
        nonce=bytes(12),
        signing_key=OTHER_KEY,
    )
    return line + b"\n"


@pytest.mark.parametrize("index", INDEXES)
def test_a_A1_a_chain_hashed_anew_without_the_key_is_named(here: Room, index: int) -> None:
    """The forger alters one entry and makes every later `previous` fit; the head still names the true last entry."""
    lines = here.lines()
    value = json.loads(lines[index])
    value["acting_role"] = "somebody-else"
    for later in range(index, COUNT):
        if later > index:
            value = json.loads(lines[later])
            value["previous"] = digest(lines[later - 1].rstrip(b"\n"))
        lines[later] = json.dumps(value, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    why = Breakage.ALTERED if index == COUNT - 1 else Breakage.BAD_SIGNATURE
    assert broken(here, lines) == at(index, why)


@pytest.mark.parametrize("index", INDEXES)
def test_a_A1_a_chain_signed_anew_with_another_key_is_named(here: Room, index: int) -> None:
    lines = here.lines()[:index]
    while len(lines) < COUNT:
        lines.append(forge(lines, len(lines)))
    problem = broken(here, lines)
    assert problem
    assert problem.line == index + 1
    raw = b"".join(encode_slot(Head(seq=COUNT, hash=digest(lines[-1][:-1]), size=1), n, OTHER_KEY) for n in (0, 1))
    (here.directory / "head").write_bytes(raw)
    problem = here.check().problem
    assert problem
    assert (problem.line, problem.seq) == (index + 1, index + 1)


def test_a_A1_another_branch_signed_by_the_right_key_is_named(here: Room, tmp_path: Path) -> None:
    """A journal with its head from one branch and its last entry from another (as after a restored copy)."""
    (tmp_path / "other").mkdir()
    fork = room(tmp_path / "other")
    fork.filled(COUNT - 1)
    fork.journal(seed="other").append(event(request="another"))
    assert fork.check().problem is None
    assert fork.lines()[:-1] == here.lines()[:-1]
    assert broken(here, fork.lines()) == at(COUNT - 1, Breakage.ALTERED)
    noted = fork.check().head
    here.path().write_bytes(b"".join([*fork.lines()[:-1]]))
    shutil.copy(fork.directory / "head", here.directory / "head")
    assert verify(here.directory, here.key.public_key(), noted=noted).problem == at(COUNT - 1, Breakage.TRUNCATED)


def test_a_A1_an_entry_of_another_branch_in_the_middle_is_named(here: Room, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    fork = room(tmp_path / "other")
    fork.filled(COUNT - 2)
    fork.journal(seed="other").append(event(request="another"))
    lines = here.lines()
    # Both are signed and fit what stands before; it is the next one that no longer fits.
    assert broken(here, [*lines[:-2], fork.lines()[-1], lines[-1]]) == at(COUNT - 1, Breakage.INSERTED)


def test_a_number_out_of_turn_is_named_even_where_the_chain_fits(here: Room) -> None:
    lines = here.lines()
    for seq in (COUNT - 1, COUNT + 1):
        wrong = write_line(
            prepare(event()),
            seq=seq,
            previous=digest(lines[-2][:-1]),
            now=0.0,
            seal_key=SEAL,
            nonce=bytes(12),
            signing_key=here.key,
        )
        problem = broken(here, [*lines[:-1], wrong + b"\n"])
        assert problem
        assert (problem.line, problem.seq) == (COUNT, COUNT)


def test_a_torn_tail_is_told_from_a_cut_one(here: Room) -> None:
    here.path().write_bytes(here.path().read_bytes() + b'{"half')
    assert here.check().problem == at(COUNT, Breakage.TORN)


def test_a_A1_a_set_back_directory_shows_against_a_noted_head(here: Room, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(here.directory, copy)
    here.journal(seed="later").append(event())
    noted = here.check().head
    key = here.key.public_key()
    assert verify(copy, key).problem is None
    assert verify(copy, key, noted=noted).problem == at(COUNT, Breakage.TRUNCATED)
    assert verify(here.directory, key, noted=noted).problem is None
    here.journal(seed="last").append(event())
    assert verify(here.directory, key, noted=noted).problem is None


def test_another_public_key_verifies_nothing(here: Room) -> None:
    result = verify(here.directory, OTHER_KEY.public_key())
    assert result.entries == 0
    assert result.problem == at(0, Breakage.BAD_SIGNATURE)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_A1_a_missing_file_is_named(tmp_path: Path, number: int) -> None:
    here = room(tmp_path)
    here.filled(6, rotate_at=1500)
    counts = [len(here.lines(n)) for n in (1, 2, 3)]
    assert counts == [2, 2, 2]
    here.path(number).unlink()
    problem = here.check().problem
    assert problem
    assert problem.seq == 2 * number - 1
    assert problem.why == (Breakage.TRUNCATED if number == 3 else Breakage.DELETED)


def test_a_A1_files_in_another_order_and_a_file_too_many_are_named(tmp_path: Path) -> None:
    here = room(tmp_path)
    here.filled(6, rotate_at=1500)
    first, second = here.path(1).read_bytes(), here.path(2).read_bytes()
    here.path(1).write_bytes(second)
    here.path(2).write_bytes(first)
    assert here.check().problem == at(0, Breakage.REORDERED)
    here.path(1).write_bytes(first)
    here.path(2).write_bytes(second)
    here.path(4).write_bytes(first)
    assert here.check().problem == Problem(file="journal-000004.jsonl", line=1, seq=7, why=Breakage.INSERTED)
    here.path(4).unlink()
    here.path(1).write_bytes(first[:-1])
    assert here.check().problem == at(1, Breakage.ALTERED)


def test_a_very_long_line_is_read_in_pieces_and_named(here: Room) -> None:
    lines = here.lines()
    problem = broken(here, [*lines[:2], b"x" * 200_000 + b"\n", *lines[2:]])
    assert problem
    assert (problem.line, problem.seq) == (3, 3)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable):
        verify(tmp_path / "nowhere", OTHER_KEY.public_key())
