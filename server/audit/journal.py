"""The journal: `append` returns a number only when the entry is on the disk, and raises otherwise.

Several threads share one sync, several processes share one chain. Nothing is kept open or remembered from one commit to
the next but the last entry seen, against which a journal that was set back under a running process is noticed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.audit import disk
from server.audit.entries import LONGEST, Prepared, digest, prepare, write_line
from server.audit.head import HEAD_SIZE, SLOT, Head, Slots, decode_slots, encode_slot
from server.audit.keys import PUBLIC_NAME, public_text
from server.audit.recovery import damaged_event, survey, torn_event, torn_name
from server.errors import AuditUnavailable, ConfigurationError
from server.model import AuditEvent, Randomness

ROTATE_AT = 64 * 1024 * 1024

_BATCH = 64
_TORN_LIMIT = (_BATCH + 2) * (LONGEST + 1)


def begin(directory: Path, signing_key: Ed25519PrivateKey) -> None:
    """Begin a journal in `directory` (made with mode 0700 if absent): public key, lock, empty first file, head.

    A deed of its own, so that a server whose journal has vanished refuses and never begins another one by itself.
    Raises `ConfigurationError` if there is a journal already or the directory cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        first = directory / disk.journal_name(1)
        if (directory / disk.HEAD_NAME).exists() or disk.journal_numbers(directory) > [1]:
            raise ConfigurationError("the directory holds a journal already")
        if first.exists() and first.stat().st_size:
            raise ConfigurationError("the directory holds entries without a head")
        disk.write_new(directory / PUBLIC_NAME, public_text(signing_key.public_key()))
        disk.write_new(directory / disk.LOCK_NAME, b"")
        disk.write_new(first, b"")
        temporary = directory / f"{disk.HEAD_NAME}.new"
        disk.write_new(temporary, b"".join(encode_slot(Head(), slot, signing_key) for slot in (0, 1)))
        temporary.rename(directory / disk.HEAD_NAME)
        disk.sync_directory(directory)
    except OSError as error:
        raise ConfigurationError(f"the journal cannot be begun: {error.strerror}") from error


class _Ticket:
    """An event waiting for its number. Failure is its state until a commit has succeeded."""

    __slots__ = ("failure", "prepared", "seq", "taken")

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.taken = False
        self.seq: int | None = None
        self.failure = "the commit was interrupted"


class Journal:
    """Appends to a journal that `begin` has begun. Safe among threads and among processes.

    `seal_key` has 32 bytes; `clock` gives seconds since the epoch; a file of `rotate_at` bytes or more is followed by
    the next. Raises `ConfigurationError` for a key of another length.
    """

    def __init__(
        self,
        directory: Path,
        *,
        signing_key: Ed25519PrivateKey,
        seal_key: bytes,
        randomness: Randomness,
        clock: Callable[[], float],
        rotate_at: int = ROTATE_AT,
    ) -> None:
        if len(seal_key) != 32:
            raise ConfigurationError("the seal key of the journal has 32 bytes")
        self._directory = directory
        self._signing_key = signing_key
        self._public_key = signing_key.public_key()
        self._seal_key = seal_key
        self._randomness = randomness
        self._clock = clock
        self._rotate_at = rotate_at
        self._waiting: deque[_Ticket] = deque()
        self._turn = Lock()
        self._seen = Head()
        self._slots: dict[tuple[int, bytes], Head] = {}

    def append(self, event: AuditEvent) -> int:
        """Write the event down; return its number (from 1) once it is durable. Raises `AuditUnavailable` otherwise."""
        return self.append_all([event])[0]

    def append_all(self, events: Iterable[AuditEvent]) -> list[int]:
        """As `append`, for several; where one cannot be written, others may have been all the same."""
        tickets = [_Ticket(prepare(event)) for event in events]
        self._waiting.extend(tickets)
        with self._turn:
            while not all(ticket.taken for ticket in tickets):
                self._serve()
        numbers = [ticket.seq for ticket in tickets if ticket.seq is not None]
        if len(numbers) < len(tickets):
            raise AuditUnavailable(next(ticket.failure for ticket in tickets if ticket.seq is None))
        return numbers

    def _serve(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
        for ticket in batch:
            ticket.taken = True
        try:
            first = self._commit([ticket.prepared for ticket in batch])
        except AuditUnavailable as error:
            for ticket in batch:
                ticket.failure = str(error)
        except OSError as error:
            # The text of the error names paths, its reason is enough.
            for ticket in batch:
                ticket.failure = f"the journal cannot be written: {error.strerror}"
        else:
            for offset, ticket in enumerate(batch):
                ticket.seq = first + offset

    def _commit(self, batch: Sequence[Prepared]) -> int:
        """Write the entries in one stroke; return the number of the first. Raises `OSError`, `AuditUnavailable`."""
        with (
            disk.locked(self._directory),
            disk.opened(f"{self._directory}/{disk.HEAD_NAME}", os.O_RDWR) as head_file,
        ):
            raw = disk.read_at(head_file, HEAD_SIZE + 1, 0)
            slots = decode_slots(raw, self._public_key, self._slots)
            head, slot = self._head_of(slots), 1 - slots.slot
            with disk.opened(self._file_of(head), os.O_RDWR) as file:
                end, notes = self._find_end(head, slots, file)
                first = end.seq + len(notes) + 1
                rotates = end.size >= self._rotate_at and not notes
                if not rotates:
                    end = self._write([*map(prepare, notes), *batch], end, file)
            if rotates:
                end = self._rotate(end, head_file, slot)
                slot = 1 - slot
                with disk.opened(self._file_of(end), os.O_RDWR) as file:
                    end = self._write(batch, end, file)
            # Not synced: a head that lags after a power failure is put right by whoever appends next.
            written = encode_slot(end, slot, self._signing_key)
            disk.write_at(head_file, written, slot * SLOT)
            other = {(1 - slot, raw[(1 - slot) * SLOT : (2 - slot) * SLOT]): slots.current} if slots.current else {}
            self._slots = {(slot, written): end, **(other if slots.slot == 1 - slot else {})}
            if slots.damaged:
                os.ftruncate(head_file, HEAD_SIZE)
            self._seen = end
            return first

    def _file_of(self, head: Head) -> str:
        return f"{self._directory}/{disk.journal_name(head.file)}"

    def _head_of(self, slots: Slots) -> Head:
        """How far the journal is known to go. Raises `AuditUnavailable` where that cannot be, or was more before."""
        head = slots.current
        if head is None:
            raise AuditUnavailable("the head of the journal does not verify")
        if head.seq < self._seen.seq or (head.seq == self._seen.seq and head.hash != self._seen.hash):
            raise AuditUnavailable("the journal was set back")
        return head

    def _find_end(self, head: Head, slots: Slots, file: int) -> tuple[Head, list[AuditEvent]]:
        """Where the next entry goes in the head's own file, and what it has to be told first."""
        notes = [damaged_event()] if slots.damaged else []
        beyond = os.fstat(file).st_size - head.size
        if beyond < 0:
            raise AuditUnavailable("the journal is shorter than its head says")
        if beyond == 0:
            return head, notes
        tail = disk.read_at(file, beyond, head.size)
        found = survey(tail, head, self._public_key)
        if len(found.torn) > _TORN_LIMIT:
            raise AuditUnavailable("more than one commit lies broken at the end of the journal")
        # A sync that failed may have dropped these bytes from memory without writing them: written again, they
        # are part of the next sync.
        disk.write_at(file, tail[: found.end.size - head.size], head.size)
        if found.torn:
            notes.append(torn_event(found.torn))
            disk.write_new(self._directory / torn_name(found.end.seq + 1, found.torn), found.torn)
            disk.sync_directory(self._directory)
            os.ftruncate(file, found.end.size)
        os.fdatasync(file)
        return found.end, notes

    def _rotate(self, end: Head, head_file: int, slot: int) -> Head:
        """Begin the next file. The head points there, durably, before the file holds anything."""
        end = replace(end, file=end.file + 1, size=0)
        with disk.opened(self._file_of(end), os.O_RDWR | os.O_CREAT) as file:
            if os.fstat(file).st_size:
                raise AuditUnavailable("the next file of the journal is there already")
        disk.sync_directory(self._directory)
        disk.write_at(head_file, encode_slot(end, slot, self._signing_key), slot * SLOT)
        os.fdatasync(head_file)
        return end

    def _write(self, entries: Sequence[Prepared], end: Head, file: int) -> Head:
        now = self._clock()
        seq, previous = end.seq, end.hash
        lines: list[bytes] = []
        for prepared in entries:
            seq += 1
            line = write_line(
                prepared,
                seq=seq,
                previous=previous,
                now=now,
                seal_key=self._seal_key,
                nonce=self._randomness.bytes(12, "audit nonce"),
                signing_key=self._signing_key,
            )
            previous = digest(line)
            lines.append(line + b"\n")
        data = b"".join(lines)
        try:
            disk.write_at(file, data, end.size)
            os.fdatasync(file)
        except OSError:
            # If even this fails, the next append finds the rest beyond the head and sets it aside.
            with suppress(OSError):
                os.ftruncate(file, end.size)
            raise
        return Head(seq=seq, hash=previous, file=end.file, size=end.size + len(data))
