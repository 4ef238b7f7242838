"""Threads share one sync, processes share one chain, and killed ones have promised nothing that is not there."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from audit_helpers import (
    SEAL,
    Killed,
    Room,
    append_many,
    append_until_killed,
    event,
    failing,
    killing,
    requests,
    room,
)

from server.audit import disk
from server.audit.verify import Breakage, Verification
from server.errors import AuditUnavailable

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def here(tmp_path: Path) -> Room:
    return room(tmp_path)


def test_threads_share_one_sync_and_one_chain(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = here.journal()
    syncs = 0
    started, go = threading.Event(), threading.Event()
    plain = os.fdatasync

    def slow(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        started.set()
        assert go.wait(30)
        plain(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda: numbers.append(journal.append(event()))) for _ in range(100)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len(journal._waiting) < 99:
        assert threads[0].is_alive()
    go.set()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 101))
    # One alone, then as many as a commit takes, then the rest.
    assert syncs == 3
    assert here.check().entries == 100
    assert here.check().problem is None


def test_a_A3_all_who_share_a_failed_sync_are_refused(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = here.journal()
    refused: list[str] = []

    def one() -> None:
        try:
            journal.append(event())
        except AuditUnavailable as error:
            refused.append(str(error))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing(errno.ENOSPC))
        threads = [threading.Thread(target=one) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 20
    assert here.all_lines() == []
    assert journal.append(event()) == 1


def test_a_A3_who_waits_for_a_process_that_is_interrupted_is_refused(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that commits for several ends in the middle: the others are not left with a number."""
    journal = here.journal()
    outcome: list[object] = []

    def one() -> None:
        try:
            outcome.append(journal.append(event()))
        except (AuditUnavailable, Killed) as error:
            outcome.append(type(error))

    with monkeypatch.context() as patch:
        killing(patch, "fdatasync", 1, None)
        with journal._turn:
            threads = [threading.Thread(target=one) for _ in range(5)]
            for thread in threads:
                thread.start()
            while len(journal._waiting) < 5:
                assert all(thread.is_alive() for thread in threads)
        for thread in threads:
            thread.join()
    assert sorted(map(str, outcome)) == sorted(map(str, [AuditUnavailable] * 4 + [Killed]))
    assert journal.append(event()) == 6


def test_processes_keep_one_chain_and_a_verifier_that_looks_on_sees_no_ghosts(here: Room) -> None:
    names = ["one", "two", "three", "four"]
    processes = [SPAWN.Process(target=append_many, args=(str(here.directory), name, 50)) for name in names]
    for process in processes:
        process.start()
    seen: list[Verification] = []
    while any(process.is_alive() for process in processes):
        seen.append(here.check())
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert [result.problem for result in seen] == [None] * len(seen)
    result = here.check()
    assert (result.entries, result.recoveries, result.problem) == (200, 0, None)
    assert len(disk.journal_numbers(here.directory)) > 3
    told = requests(here)
    for name in names:
        assert [text for text in told if text.startswith(f"{name}-")] == [f"{name}-{n}" for n in range(50)]


def until_closed(receiver: Connection) -> Iterator[object]:
    while True:
        try:
            yield receiver.recv()
        except EOFError:
            return


def test_a_A3_killed_processes_have_acknowledged_nothing_that_is_not_there(here: Room) -> None:
    for round_number in range(3):
        receivers = []
        processes = []
        for _ in range(2):
            receiver, sender = SPAWN.Pipe(duplex=False)
            process = SPAWN.Process(target=append_until_killed, args=(str(here.directory), sender))
            process.start()
            sender.close()
            receivers.append(receiver)
            processes.append(process)
        told = [receiver.recv() for receiver in receivers for _ in range(5 + 7 * round_number)]
        for process in processes:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        for receiver, process in zip(receivers, processes, strict=True):
            told += until_closed(receiver)
            receiver.close()
            process.join()
        assert all(isinstance(number, int) for number in told)
        result = here.check()
        assert result.problem is None or result.problem.why == Breakage.TORN
        assert result.entries >= max(told)
        assert len(set(told)) == len(told)
    here.journal(seed="last").append(event())
    assert here.check().problem is None


def test_the_seal_key_and_the_signing_key_stand_in_no_file(here: Room) -> None:
    here.filled(3)
    secrets = [SEAL, here.key.private_bytes_raw()]
    for path in here.directory.iterdir():
        assert not [secret for secret in secrets if secret in path.read_bytes()]
