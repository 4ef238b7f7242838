"""Which studies have changed since: a search list to which every change of a study adds its row once more.

Its entries look like those of every other list, so it tells how many changes there were and of which study none was.
"""

from __future__ import annotations

from sqlalchemy import Connection

from server.catalog.access import Access
from server.catalog.database import insert_many, reading
from server.catalog.postings import lengths, remember, rows_of
from server.catalog.schema import postings
from server.catalog.tokens import Keyword, KeywordKind, mask_row, posting

_CHANGES = Keyword(kind=KeywordKind.CHANGED)


def note(access: Access, connection: Connection, *rows: bytes) -> dict[bytes, int]:
    """Say, in the transaction that changes studies, that they have changed; each once, whatever changed in it.

    Returns the last place taken on the list, by its key.
    """
    ((list_key, first),) = lengths(access, connection, [_CHANGES]).items()
    entries = []
    for place, row in enumerate(rows, first):
        token, mask = posting(list_key, place)
        entries.append({"token": token, "masked_row": mask_row(row, mask)})
    insert_many(connection, postings, entries)
    return {list_key: first + len(rows) - 1}


def count(access: Access) -> int:
    """How many changes there were."""
    key = access.tokens.list_key(_CHANGES)
    if known := access.lengths.get(key, 0):
        # As a rule none since the last look: the last one is there, and no other.
        last, following = (posting(key, place)[0] for place in (known - 1, known))
        if access.fetch([postings.c.token], postings.c.token, [last, following]) == [(last,)]:
            return known
    with reading(access.engine) as connection:
        found = lengths(access, connection, [_CHANGES])
    remember(access, found)
    return next(iter(found.values()))


def between(access: Access, start: int, stop: int) -> list[bytes]:
    """The rows of the studies that changes `start` to `stop` were made to, in order. Raises `SealBroken`."""
    return _rows(access, _CHANGES, start, stop)


def stored(access: Access, start: int, stop: int) -> list[bytes]:
    """The rows of the studies `start` to `stop` in the order of storing. Raises `SealBroken`."""
    return _rows(access, Keyword(kind=KeywordKind.ALL), start, stop)


def _rows(access: Access, keyword: Keyword, start: int, stop: int) -> list[bytes]:
    with reading(access.engine) as connection:
        return list(rows_of(connection, access.tokens.list_key(keyword), start, stop))
