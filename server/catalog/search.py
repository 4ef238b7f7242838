"""Finding studies: the shortest search list that holds every match, opened page by page and filtered exactly.

Studies come in the order in which they were stored, whatever was asked, so that the order tells nothing of a value.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from server.catalog.access import Access
from server.catalog.database import reading
from server.catalog.keywords import StudyQuery, choices, matches
from server.catalog.postings import CHUNK, lengths, remember, rows_of
from server.catalog.records import OpenedStudy, open_study, select_studies, study_token
from server.catalog.schema import studies
from server.catalog.tokens import Keyword, KeywordKind
from server.errors import SealBroken, TooLarge
from server.model import StudyRecord

_FIRST_PAGE = 25


def find_studies(access: Access, query: StudyQuery, *, scan_limit: int = 100_000) -> Iterator[StudyRecord]:
    """The studies that match, lazily; each page is a short transaction of its own.

    Raises `TooLarge` when more than `scan_limit` studies would have to be opened, `SealBroken` when the lists or rows
    were tampered with.
    """
    for opened, candidate in enumerate(_candidates(access, query), start=1):
        if opened > scan_limit:
            raise TooLarge("a search would open more studies than the limit")
        if matches(query, candidate.record):
            yield candidate.record


def count_studies(access: Access) -> int:
    """How many studies there are."""
    return next(iter(_lengths(access, [Keyword(kind=KeywordKind.ALL)]).values()))


def _candidates(access: Access, query: StudyQuery) -> Iterator[OpenedStudy]:
    if query.study_uids is not None:
        yield from _by_uid(access, query.study_uids)
        return
    ways = choices(query)
    found = _lengths(access, {keyword for way in ways for keyword in way})
    keys = [[access.tokens.list_key(keyword) for keyword in way] for way in ways]
    shortest = min(keys, key=lambda way: sum(found[key] for key in way))
    lists = [_pages(access, key, found[key]) for key in shortest if found[key]]
    yield from heapq.merge(*lists, key=lambda study: study.sequence)


def _pages(access: Access, list_key: bytes, length: int) -> Iterator[OpenedStudy]:
    start, size = 0, _FIRST_PAGE
    while start < length:
        stop = min(start + size, length)
        with reading(access.engine) as connection:
            rows = list(rows_of(connection, list_key, start, stop))
            page = _open_rows(access, connection, rows)
        for row in rows:
            if row not in page:
                raise SealBroken("a search list names a study that is not there")
            yield page[row]
        start, size = stop, min(size * 2, CHUNK)


def _open_rows(access: Access, connection: Connection, rows: Iterable[bytes]) -> dict[bytes, OpenedStudy]:
    found = connection.execute(select_studies().where(studies.c.row.in_(list(rows))))
    return {row.row: open_study(access, row.row, row.uid_token, row.sealed) for row in found}


def _by_uid(access: Access, uids: Iterable[str]) -> list[OpenedStudy]:
    tokens = [study_token(access, uid) for uid in uids]
    opened: list[OpenedStudy] = []
    with reading(access.engine) as connection:
        for begin in range(0, len(tokens), CHUNK):
            found = connection.execute(select_studies().where(studies.c.uid_token.in_(tokens[begin : begin + CHUNK])))
            opened.extend(open_study(access, row.row, row.uid_token, row.sealed) for row in found)
    return sorted(opened, key=lambda study: study.sequence)


def _lengths(access: Access, keywords: Iterable[Keyword]) -> dict[bytes, int]:
    with reading(access.engine) as connection:
        found = lengths(access, connection, list(keywords))
    remember(access, found)
    return found
