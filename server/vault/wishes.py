"""Which films lack a base rendition that an answer had use for, or which series what is masked ahead of them: told by
whoever answers, taken by an idle worker.

A wish is an empty file named by the film's or the series' random row in the catalogue. It says nothing, and nothing is
lost with it.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

_ROW = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MOST = 1000
_LOG = logging.getLogger("safelight.bases")


class Wishes:
    """At most about a thousand wishes below one directory; safe for many processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, row: str) -> None:
        """Wish for what has this row (32 hexadecimal digits). Where a thousand wait already, nothing is wished."""
        if not _ROW.fullmatch(row):
            raise ValueError("a row has 32 hexadecimal digits")
        path = self._root / row
        try:
            if path.exists() or (self._root.is_dir() and sum(1 for _ in self._root.iterdir()) >= _MOST):
                return
            self._root.mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600)
        except OSError as error:
            _LOG.warning("no wish can be kept: %s", type(error).__name__)

    def take(self) -> str | None:
        """One of the wishes, which is none from here on. Raises `OSError`."""
        for path in self._root.iterdir() if self._root.is_dir() else ():
            path.unlink(missing_ok=True)
            if _ROW.fullmatch(path.name):
                return path.name
        return None
