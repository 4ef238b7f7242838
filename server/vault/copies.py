"""Fast copies on disk: what a frame decodes to, sealed, beside the original that a slow codec keeps it in.

A copy is an original in the sense of the vault: sealed under a key of its study, named in its associated data by object
and frame, and removed with its object. It may be removed at any other time too: nothing refers to it, and it is made
again when the frame is next decoded. What cannot be read or does not authenticate is not there.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from server.errors import SealBroken
from server.model import ObjectReference, Randomness
from server.vault.envelope import NONCE_BYTES, derive, open_large_value, seal_value

_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LOG = logging.getLogger("safelight.copies")


class SealedCopies:
    """Copies as `<root>/<first two digits>/<object name>/<frame number>`. Holds no key; safe for many processes.

    `form` names how copies are made: those that were made in another way are not there.
    """

    def __init__(self, root: Path, randomness: Randomness, form: str) -> None:
        self._root = root
        self._randomness = randomness
        self._form = form

    def get(self, study_key: bytes, reference: ObjectReference, number: int) -> memoryview | None:
        """The copy of frame `number` (from 1) of an object; None if there is none that authenticates as this one's."""
        path = self._directory(reference.name) / str(number)
        try:
            sealed = path.read_bytes()
        except OSError:
            return None
        try:
            return open_large_value(derive(study_key, "fast copy"), sealed, self._context(reference, number))
        except SealBroken:
            _LOG.warning("a fast copy does not authenticate and is removed")
            path.unlink(missing_ok=True)
            return None

    def put(self, study_key: bytes, reference: ObjectReference, number: int, value: bytes) -> None:
        """Keep `value` as the copy of this frame, in place of an earlier one. A full disk keeps nothing."""
        directory = self._directory(reference.name)
        nonce = self._randomness.bytes(NONCE_BYTES, "fast copy")
        sealed = seal_value(derive(study_key, "fast copy"), value, self._context(reference, number), nonce)
        temporary = directory / f"{number}.{self._randomness.bytes(8, 'fast-copy-name').hex()}"
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.parent.mkdir(mode=0o700, exist_ok=True)
            directory.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(sealed)
            temporary.replace(directory / str(number))
        except OSError as error:
            _LOG.warning("no fast copy can be kept: %s", type(error).__name__)
            temporary.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Remove every copy of the object of this name; nothing happens if there is none. Raises `OSError`."""
        directory = self._directory(name)
        if directory.is_dir():
            shutil.rmtree(directory)

    def names(self) -> Iterator[str]:
        """The names of the objects that there are copies of, in no order."""
        for shard in self._root.iterdir() if self._root.is_dir() else ():
            yield from (path.name for path in shard.iterdir() if _NAME.fullmatch(path.name))

    def _directory(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("a reference does not hold an object name")
        return self._root / name[:2] / name

    def _context(self, reference: ObjectReference, number: int) -> str:
        return f"fast copy/{self._form}/{reference.name}/{reference.version}/{number}"
