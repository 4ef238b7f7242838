"""Drawing a random row key for every identifier that is seen for the first time, and writing it down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from server.catalog.access import Access
from server.catalog.identifiers import IDENTIFIER_BYTES, identifier_columns, open_identifier, value_token
from server.catalog.postings import CHUNK
from server.catalog.schema import identifiers
from server.catalog.statements import find, insert_rows
from server.errors import Overtaken, SealBroken
from server.model import Identifier, IdentifierKind

ROW_KEY_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The row keys of all identifiers of an object; `drawn` are those that were not known when it was looked at."""

    every: Mapping[Identifier, bytes]
    drawn: Collection[Identifier]


def draw(
    access: Access,
    wanted: Mapping[Identifier, str],
    known: Mapping[Identifier, bytes],
    drawn: dict[Identifier, bytes],
) -> Keys:
    """The row keys of these identifiers: the known ones, and for the others new ones drawn under the given labels.

    `drawn` is what was drawn for others that are written down together with them; it grows.
    """
    new = [identifier for identifier in wanted if identifier not in known]
    for one in new:
        if one not in drawn:
            drawn[one] = access.randomness.bytes(ROW_KEY_BYTES, f"row-key/{wanted[one]}")
    return Keys(every={one: known[one] if one in known else drawn[one] for one in wanted}, drawn=new)


def keep(access: Access, connection: Connection, found: Sequence[tuple[Keys, bool]]) -> None:
    """Write down what was drawn for objects, in their order; each with whether it is the first of its study.

    Of a new study every known identifier but a UID is matched by a row of no meaning: the number of new rows would tell
    whether the patient was here before. Raises `Overtaken` where another key stands already; then nothing may stay.
    """
    tokens = {one: value_token(access, one) for keys, _ in found for one in keys.drawn}
    known = _opened(access, tokens, partial(find, connection))
    rows: list[dict[str, bytes]] = []
    for keys, new_study in found:
        fresh = [one for one in keys.drawn if one not in known]
        if new_study:
            others = keys.every.keys() - set(fresh)
            rows += [_filler(access) for one in others if one.kind is not IdentifierKind.UID]
        rows += [identifier_columns(access, one, keys.every[one]) for one in fresh]
        known.update((one, keys.every[one]) for one in fresh)
        if any(known[one] != keys.every[one] for one in keys.drawn):
            raise Overtaken("another store drew a row key first")
    rows.sort(key=lambda row: row["value_token"])
    for begin in range(0, len(rows), CHUNK):
        insert_rows(connection, identifiers, rows[begin : begin + CHUNK])


def known_row_keys(access: Access, wanted: Iterable[Identifier]) -> dict[Identifier, bytes]:
    """The row keys of those identifiers that were ever seen; not of one moment, as `find_row_keys` is."""
    return _opened(access, {identifier: value_token(access, identifier) for identifier in wanted}, access.fetch)


def _opened(
    access: Access, tokens: Mapping[Identifier, bytes], fetching: Callable[..., list[tuple[Any, ...]]]
) -> dict[Identifier, bytes]:
    by_token = {token: identifier for identifier, token in tokens.items()}
    all_tokens = list(by_token)
    columns = [identifiers.c.value_token, identifiers.c.sealed]
    known: dict[Identifier, bytes] = {}
    for begin in range(0, len(all_tokens), CHUNK):
        for token, sealed in fetching(columns, identifiers.c.value_token, all_tokens[begin : begin + CHUNK]):
            identifier, key = open_identifier(access, token, sealed)
            if identifier != by_token[token]:
                raise SealBroken("a row of identifiers contradicts its columns")
            known[identifier] = key
    return known


def _filler(access: Access) -> dict[str, bytes]:
    drawn = access.randomness.bytes(32, "catalog/filler-identifier")
    sealed = access.seal("identifiers", drawn[:16], None, least=IDENTIFIER_BYTES)
    return {"value_token": drawn[:16], "key_token": drawn[16:], "sealed": sealed}
