"""What a world in memory is made of and asked for: lines, what rules tell apart, callers, keys of a search."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, overload

_ROW = 16

Values = Mapping[int, tuple[str, Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One study in a world. `order` sorts the world; `values` maps a tag to VR and masked values; `facts` are what the
    rules can look at whole, by attribute, `members` what they hold against the caller's own; `revision` is that of the
    study's row. `series` and `instances` are how many there are to be found of it; one without any is not `listed`, and
    holds its place for when it has."""

    row: bytes
    revision: bytes
    order: str
    values: Values
    facts: Mapping[str, Hashable]
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    series: int = 1
    instances: int = 1

    @property
    def listed(self) -> bool:
        return self.instances > 0


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the rules for a role tell studies apart by: facts `whole`, and `own` ones, of which only those
    count that are the caller's own too."""

    whole: frozenset[str]
    own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Who:
    """A caller in a role; `own` is what counts of them, by attribute."""

    role: str
    caller: Hashable
    own: Mapping[str, Sequence[str]] = field(default_factory=dict, compare=False)


class Near(NamedTuple):
    """Where values that match have a key: in one of these closed `intervals`, with the text `inside` in it. If `sure`,
    every value that has such a key matches; otherwise it may."""

    intervals: Sequence[tuple[str, str]]
    inside: str = ""
    sure: bool = False


@dataclass(frozen=True, kw_only=True)
class Search:
    """One key of a search: the values of `tag` that are `near`, as far as `test` takes them, or, if `absent`, that
    there is no value at all. Both depend on the VR that a value has; `value` is what is asked for, as it is written."""

    tag: int
    value: str
    near: Callable[[str], Near]
    test: Callable[[str], Callable[[str], bool]]
    absent: bool = False


class Rows(Sequence[tuple[bytes, bytes]]):
    """Row and revision by number, those of former lines too; it only grows."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def append(self, row: bytes, revision: bytes) -> None:
        self._bytes += row + revision

    def __len__(self) -> int:
        return len(self._bytes) // (2 * _ROW)

    @overload
    def __getitem__(self, at: int) -> tuple[bytes, bytes]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[bytes, bytes]]: ...
    def __getitem__(self, at: int | slice) -> tuple[bytes, bytes] | Sequence[tuple[bytes, bytes]]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        both = bytes(self._bytes[2 * _ROW * at : 2 * _ROW * (at + 1)])
        return both[:_ROW], both[_ROW:]

    def find(self, row: bytes) -> int | None:
        """The number of the last line of a study."""
        at = self._bytes.rfind(row)
        while at >= 0 and at % (2 * _ROW):
            at = self._bytes.rfind(row, 0, at + _ROW - 1)
        return at // (2 * _ROW) if at >= 0 else None
