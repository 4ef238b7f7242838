"""The search lists in the database: insert-only entries whose tokens are all different and tell nothing.

Entry n of a keyword lies under a token that only the key can compute, and holds the study's row under a mask of its
own. No counter is stored: how long a list is, is found by probing, since its entries are dense from 0 (there is one
writer at a time, and nothing removes an entry).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import Connection, select

from server.catalog.access import Access
from server.catalog.database import fetch, insert_many
from server.catalog.keywords import ENTRIES_PER_STUDY
from server.catalog.schema import postings
from server.catalog.tokens import TOKEN_BYTES, Keyword, mask_row, posting
from server.errors import SealBroken

CHUNK = 400
_REMEMBERED = 100_000
_STEPS = (0, 1, 3, 7, 15, 31)
_SPLITS = 9


def add_study(access: Access, connection: Connection, row: bytes, keywords: Sequence[Keyword]) -> dict[bytes, int]:
    """Put a study on its lists, filled up with entries of no list to `ENTRIES_PER_STUDY`.

    Returns the place it took on each list, by list key. ValueError if there are more keywords than entries.
    """
    if len(keywords) > ENTRIES_PER_STUDY:
        raise ValueError("more keywords than entries of a study")
    places = lengths(access, connection, keywords)
    entries: list[dict[str, bytes]] = []
    for list_key, place in places.items():
        token, mask = posting(list_key, place)
        entries.append({"token": token, "masked_row": mask_row(row, mask)})
    for _ in range(ENTRIES_PER_STUDY - len(entries)):
        filler = access.randomness.bytes(2 * TOKEN_BYTES, "catalog/filler-entry")
        entries.append({"token": filler[:TOKEN_BYTES], "masked_row": filler[TOKEN_BYTES:]})
    # In the order of the tokens, which is no order: the fillers must not stand at the end.
    entries.sort(key=lambda entry: entry["token"])
    insert_many(connection, postings, entries)
    return places


def remember(access: Access, found: dict[bytes, int]) -> None:
    """Keep lengths that a committed transaction has seen, as a place to begin the next probing at."""
    if len(access.lengths) > _REMEMBERED:
        access.lengths.clear()
    access.lengths.update(found)


def lengths(access: Access, connection: Connection, keywords: Collection[Keyword]) -> dict[bytes, int]:
    """How many entries each keyword's list has, by list key, in a few queries for all of them together.

    Raises `SealBroken` if the entries of a list are not dense, that is, if some were taken away.
    """
    keys = [access.tokens.list_key(keyword) for keyword in keywords]
    # (known, missing): entries below `known` exist; entry `missing` does not, None while no end has been seen.
    bounds: dict[bytes, tuple[int, int | None]] = {key: (access.lengths.get(key, 0), None) for key in keys}
    stride = 1
    first = True
    while open_keys := {key: bound for key, bound in bounds.items() if bound[1] is None or bound[0] < bound[1]}:
        wanted = {key: _probes(*bound, stride, first=first) for key, bound in open_keys.items()}
        present = _present(connection, wanted)
        for key, numbers in wanted.items():
            bounds[key] = _narrow(bounds[key], numbers, present[key])
        stride *= 2 * (_STEPS[-1] + 1)
        first = False
    return {key: known for key, (known, _) in bounds.items()}


def rows_of(connection: Connection, list_key: bytes, start: int, stop: int) -> Iterator[bytes]:
    """The study rows at places `start` to `stop` of a list, in order. Raises `SealBroken` if one is missing."""
    expected = [posting(list_key, number) for number in range(start, stop)]
    found: dict[bytes, bytes] = {}
    for begin in range(0, len(expected), CHUNK):
        tokens = [token for token, _ in expected[begin : begin + CHUNK]]
        query = select(postings.c.token, postings.c.masked_row).where(postings.c.token.in_(tokens))
        found.update((token, masked) for token, masked in connection.execute(query))
    for token, mask in expected:
        if token not in found:
            raise SealBroken("an entry of a search list is missing")
        yield mask_row(found[token], mask)


def _probes(known: int, missing: int | None, stride: int, *, first: bool) -> list[int]:
    if missing is None:
        # The last known entry is looked at once more: after a restored backup a list may be shorter than remembered.
        again = [known - 1] if first and known else []
        return again + [known + step * stride for step in _STEPS]
    width = missing - known
    if width <= _SPLITS:
        return list(range(known, missing))
    return [known + width * part // (_SPLITS + 1) for part in range(1, _SPLITS + 1)]


def _narrow(bound: tuple[int, int | None], numbers: list[int], present: set[int]) -> tuple[int, int | None]:
    known, missing = bound
    absent = [number for number in numbers if number not in present]
    if absent and absent[0] < known:
        return 0, None
    if present and absent and max(present) > absent[0]:
        raise SealBroken("entries of a search list are missing")
    return max([known, *(number + 1 for number in present)]), min(absent) if absent else missing


def _present(connection: Connection, wanted: dict[bytes, list[int]]) -> dict[bytes, set[int]]:
    places = {posting(key, number)[0]: (key, number) for key, numbers in wanted.items() for number in numbers}
    present: dict[bytes, set[int]] = {key: set() for key in wanted}
    tokens = list(places)
    for begin in range(0, len(tokens), CHUNK):
        chunk = tokens[begin : begin + CHUNK]
        for (token,) in fetch(connection.engine, [postings.c.token], postings.c.token, chunk, snapshot=connection):
            key, number = places[token]
            present[key].add(number)
    return present
