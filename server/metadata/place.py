"""Where an element stands in its data set, as far as what becomes of it depends on that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Character sets and issuer of patient IDs in force, and the tag of the sequence that it lies in (0 at the top)."""

    sets: tuple[str, ...]
    issuer: str
    parent: int
