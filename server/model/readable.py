"""Bytes that need not be in memory: what readers of large bodies ask of them."""

from __future__ import annotations

from typing import Protocol


class Readable(Protocol):
    """A run of bytes of known length; a slice (without a step) is `bytes`, whatever holds the rest."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> bytes: ...
