"""What every operation of the catalogue is handed: the database, the seal, the tokens and the randomness."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar, cast

import orjson
from sqlalchemy import Column, Connection, Engine, Select

from server.catalog.database import Snapshot, at_once, fetch, fetch_by, reading
from server.catalog.listing import Listings
from server.catalog.tokens import Tokens
from server.errors import SealBroken, UnreadableObject
from server.model import Randomness


class RowSealer(Protocol):
    """Seals one row's value so that it opens under the same table and row only. `open` raises `SealBroken`."""

    def seal(self, table: str, row: str, value: bytes) -> bytes: ...

    def open(self, table: str, row: str, sealed: bytes) -> bytes: ...


T = TypeVar("T")
# More rows than this of one process begin anew.
_MOST_OPENED = 1024


class Opened:
    """What rows opened to, by all the bytes that they were opened from: the same bytes are not opened twice.

    Every look reads the row itself; a row that was written since has other bytes, and what it was before is no answer
    to it. So nothing is remembered longer than it is true.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], tuple[tuple[object, ...], Any]] = {}

    def of(self, table: str, row: bytes, read: tuple[object, ...], open_it: Callable[[], T]) -> T:
        """What `open_it` gives for what was `read` of a row; the same object as the last time, where that was equal."""
        known = self._known.get((table, row))
        if known is not None and known[0] == read:
            return cast("T", known[1])
        found = open_it()
        if len(self._known) >= _MOST_OPENED:
            self._known.clear()
        self._known[table, row] = read, found
        return found


@dataclass(frozen=True, kw_only=True)
class Access:
    """`lengths` remembers how long a search list was at least, by list key: a hint that saves probes, nothing more.

    `uses` remembers the hour in which a study's use was last noted, by its row, so that it is noted once. `listings`
    are the worlds in memory, `revisions` those of studies, by digest of the very rows that they were read from.
    `opened` are rows that were opened lately. `snapshot` is the reading transaction that several reads share, if they
    do.
    """

    engine: Engine
    sealer: RowSealer
    tokens: Tokens
    randomness: Randomness
    lengths: dict[bytes, int] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    listings: Listings = field(default_factory=Listings)
    revisions: dict[bytes, bytes] = field(default_factory=dict)
    opened: Opened = field(default_factory=Opened)
    snapshot: Snapshot | None = None

    def reading(self) -> AbstractContextManager[Connection]:
        """A reading transaction: the one that is open, or one of its own. Raises `Busy`."""
        return reading(self.engine) if self.snapshot is None else nullcontext(self.snapshot.connection)

    @contextmanager
    def at_once(self) -> Iterator[Access]:
        """This access, with one reading transaction for all that is read through it. Raises `Busy`."""
        with at_once(self.engine) as snapshot:
            yield replace(self, snapshot=snapshot)

    def fetch(
        self,
        columns: Sequence[Column[Any]],
        key: Column[Any],
        values: Sequence[object],
        *,
        within: tuple[Column[Any], object] | None = None,
    ) -> list[tuple[Any, ...]]:
        """As `database.fetch`, in the reading transaction that is open, if one is."""
        return fetch(self.engine, columns, key, values, within=within, snapshot=self.snapshot)

    def fetch_by(self, query: Select[Any], values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """As `database.fetch_by`, in the reading transaction that is open, if one is."""
        return fetch_by(self.engine, query, values, self.snapshot)

    def new_row(self, table: str) -> bytes:
        """A random row identifier of 16 bytes."""
        return self.randomness.bytes(16, f"catalog/{table}-row")

    def new_revision(self, table: str) -> str:
        """A random revision, 32 hexadecimal digits."""
        return self.randomness.bytes(16, f"catalog/{table}-revision").hex()

    def seal(self, table: str, row: bytes, value: object, *, least: int) -> bytes:
        """Seal a JSON value for one row, padded to `least` bytes times a power of two, so that lengths tell little.

        Raises `UnreadableObject` for text that is not valid Unicode.
        """
        try:
            plain = orjson.dumps(value)
        except TypeError as error:
            raise UnreadableObject("an attribute cannot be written as JSON") from error
        size = least
        while size < len(plain):
            size *= 2
        return self.sealer.seal(table, row.hex(), plain.ljust(size, b" "))

    def open(self, table: str, row: bytes, sealed: bytes) -> Any:
        """Open what `seal` made for this row. Raises `SealBroken`."""
        try:
            return orjson.loads(self.sealer.open(table, row.hex(), sealed))
        except orjson.JSONDecodeError as error:
            raise SealBroken(f"a row of {table} is not what was sealed") from error
