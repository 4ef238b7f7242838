"""a.A1 for the head: altered, missing, of another length, set back by one slot; and the head that merely lags."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_helpers import Room, event, room

from server.audit.head import SLOT, decode_slots
from server.audit.verify import Breakage, Problem

COUNT = 6


@pytest.fixture
def here(tmp_path: Path) -> Room:
    """Six entries in one file."""
    made = room(tmp_path)
    made.filled(COUNT)
    return made


def test_only_the_canonical_spelling_of_a_slot_is_taken(here: Room) -> None:
    raw = (here.directory / "head").read_bytes()
    for other in (raw.replace(b" \n", b"\n\n"), raw.replace(b'"seq":', b' "seq":').replace(b"  \n", b" \n")):
        assert other != raw
        assert len(other) == len(raw)
        (here.directory / "head").write_bytes(other)
        assert here.check().problem == Problem(file="head", line=0, seq=COUNT, why=Breakage.ALTERED)


def test_a_A1_altered_bytes_of_the_head_are_found(here: Room) -> None:
    head = here.directory / "head"
    raw = head.read_bytes()
    for position in range(0, len(raw), 3):
        changed = bytearray(raw)
        changed[position] ^= 1
        head.write_bytes(changed)
        assert here.check().problem == Problem(file="head", line=0, seq=COUNT, why=Breakage.ALTERED)


@pytest.mark.parametrize("size", [0, 1, SLOT - 1, SLOT, 2 * SLOT - 1, 2 * SLOT + 1])
def test_a_A1_a_head_of_another_length_is_found(here: Room, size: int) -> None:
    head = here.directory / "head"
    head.write_bytes((head.read_bytes() + b" ")[:size])
    problem = here.check().problem
    assert problem
    assert problem.file == "head"


def test_a_A1_a_missing_head_is_found(here: Room) -> None:
    (here.directory / "head").unlink()
    assert here.check().problem == Problem(file="head", line=0, seq=COUNT, why=Breakage.DELETED)


def test_a_A1_one_slot_cannot_be_copied_over_the_other(here: Room) -> None:
    head = here.directory / "head"
    raw = head.read_bytes()
    older = 1 - decode_slots(raw, here.key.public_key()).slot
    head.write_bytes(raw[older * SLOT : (older + 1) * SLOT] * 2)
    here.path().write_bytes(b"".join(here.lines()[:-1]))
    problem = here.check().problem
    assert problem
    assert problem.file == "head"


def test_a_head_that_lags_after_a_power_failure_is_no_problem(here: Room) -> None:
    before = (here.directory / "head").read_bytes()
    here.journal(seed="later").append(event())
    (here.directory / "head").write_bytes(before)
    assert here.check().entries == COUNT + 1
    assert here.check().problem is None
