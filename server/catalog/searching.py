"""The part of the catalogue that searches use: finding studies, what lies in them, and what is prepared of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from server.catalog import changes, parts, reads, rejections, search, worlds
from server.catalog.access import Access
from server.catalog.keywords import StudyQuery
from server.catalog.listing import Listings
from server.catalog.reads import Outline
from server.catalog.records import OpenedStudy
from server.catalog.worlds import Filled, World
from server.model import InstanceRecord, SeriesRecord, StudyRecord


class Searching:
    """Raises as `Catalog`, of which it is a part."""

    _access: Access

    def find_studies(self, query: StudyQuery, *, scan_limit: int = 100_000) -> Iterator[StudyRecord]:
        return search.find_studies(self._access, query, scan_limit=scan_limit)

    def shown(self, rows: Sequence[bytes]) -> set[bytes]:
        return rejections.shown(self._access, rows)

    def count_studies(self) -> int:
        return search.count_studies(self._access)

    def series_in(self, studies: Sequence[StudyRecord]) -> dict[str, list[tuple[SeriesRecord, int]]]:
        return parts.series_in(self._access, studies)

    def instances_in(
        self, studies: Sequence[StudyRecord], series_uid: str | None = None
    ) -> dict[str, list[InstanceRecord]]:
        return parts.instances_in(self._access, studies, series_uid)

    @property
    def listings(self) -> Listings:
        return self._access.listings

    def world(self, name: bytes, project: str | None) -> World:
        """The world of this name, which ends with the project, if there is one."""
        return World(token=worlds.world_token(self._access, name), owner=worlds.owner_token(self._access, project))

    def entry_token(self, world: World, row: bytes) -> bytes:
        return worlds.entry_token(self._access, world, row)

    def filled(self, world: World) -> Filled | None:
        return worlds.filled(self._access, world)

    def begin_world(self, world: World) -> Filled:
        """Begin a world at this moment, with nothing done."""
        number = changes.count(self._access)
        return worlds.begin(self._access, world, Filled(done=0, total=self.count_studies(), changes=number))

    def advance_world(
        self, world: World, before: Filled, after: Filled, entries: Mapping[bytes, bytes]
    ) -> Filled | None:
        return worlds.advance(self._access, world, before, after, entries)

    def world_entries(self, world: World, tokens: Sequence[bytes] | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The sealed entries under these tokens, or all, with their tokens."""
        found = None if tokens is None else worlds.read_some(self._access, world, tokens).items()
        return worlds.read_all(self._access, world) if found is None else iter(found)

    def drop_world(self, world: World) -> None:
        worlds.drop(self._access, world)

    def count_changes(self) -> int:
        return changes.count(self._access)

    def changed(self, start: int, stop: int) -> list[bytes]:
        return changes.between(self._access, start, stop)

    def stored(self, start: int, stop: int) -> list[bytes]:
        return changes.stored(self._access, start, stop)

    def studies_at(self, rows: Sequence[bytes]) -> dict[bytes, OpenedStudy]:
        return reads.studies_at(self._access, rows)

    def unchanged(self, revisions: Mapping[bytes, bytes]) -> bool:
        return reads.unchanged(self._access, revisions)

    def outlines(self, studies: Sequence[StudyRecord]) -> dict[str, Outline]:
        return reads.outlines(self._access, studies)
