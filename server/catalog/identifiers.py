"""One random row key for every identifier ever seen: what all pseudonyms of it are computed from, in every project."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from server.catalog.access import Access
from server.catalog.database import fetch, insert_many
from server.catalog.postings import CHUNK
from server.catalog.schema import identifiers
from server.errors import Overtaken, SealBroken
from server.model import Identifier, IdentifierKind

ROW_KEY_BYTES = 16
_IDENTIFIER_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The row keys of all identifiers of an object; `drawn` are those that were not known when it was looked at."""

    every: Mapping[Identifier, bytes]
    drawn: Collection[Identifier]


def draw(
    access: Access,
    wanted: Mapping[Identifier, str],
    known: Mapping[Identifier, bytes],
    drawn: MutableMapping[Identifier, bytes],
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
    tokens = {one: _value_token(access, one) for keys, _ in found for one in keys.drawn}
    known = _known(access, connection, tokens)
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
        insert_many(connection, identifiers, rows[begin : begin + CHUNK])


def find_row_keys(access: Access, wanted: Iterable[Identifier]) -> dict[Identifier, bytes]:
    """The row keys of those identifiers that were ever seen; nothing is drawn."""
    tokens = {identifier: _value_token(access, identifier) for identifier in wanted}
    with access.reading() as connection:
        return _known(access, connection, tokens)


def known_row_keys(access: Access, wanted: Iterable[Identifier]) -> dict[Identifier, bytes]:
    """As `find_row_keys`, but not of one moment."""
    return _opened(access, {identifier: _value_token(access, identifier) for identifier in wanted}, access.fetch)


def identifiers_of(access: Access, row_keys: Sequence[bytes]) -> list[Identifier | None]:
    """Which identifier each row key was drawn for. Raises `SealBroken` for a row that was tampered with."""
    tokens = {access.tokens.unique("row-key", key): key for key in row_keys}
    columns = [identifiers.c.key_token, identifiers.c.value_token, identifiers.c.sealed]
    found: dict[bytes, Identifier] = {}
    for key_token, *read in access.fetch(columns, identifiers.c.key_token, list(tokens)) if tokens else ():
        identifier, key = access.opened.of("identifiers", key_token, tuple(read), partial(_open, access, *read))
        if key != tokens[key_token]:
            raise SealBroken("a row of identifiers contradicts its columns")
        found[key] = identifier
    return [found.get(key) for key in row_keys]


def _known(access: Access, connection: Connection, tokens: Mapping[Identifier, bytes]) -> dict[Identifier, bytes]:
    return _opened(access, tokens, partial(fetch, connection.engine, snapshot=connection))


def _opened(
    access: Access, tokens: Mapping[Identifier, bytes], fetching: Callable[..., list[tuple[Any, ...]]]
) -> dict[Identifier, bytes]:
    by_token = {token: identifier for identifier, token in tokens.items()}
    all_tokens = list(by_token)
    columns = [identifiers.c.value_token, identifiers.c.sealed]
    known: dict[Identifier, bytes] = {}
    for begin in range(0, len(all_tokens), CHUNK):
        for token, sealed in fetching(columns, identifiers.c.value_token, all_tokens[begin : begin + CHUNK]):
            identifier, key = _open(access, token, sealed)
            if identifier != by_token[token]:
                raise SealBroken("a row of identifiers contradicts its columns")
            known[identifier] = key
    return known


def _value_token(access: Access, identifier: Identifier) -> bytes:
    return access.tokens.unique("identifier", identifier.kind.value, identifier.value)


def identifier_columns(access: Access, identifier: Identifier, key: bytes) -> dict[str, bytes]:
    token = _value_token(access, identifier)
    value = [identifier.kind.value, identifier.value, key.hex()]
    sealed = access.seal("identifiers", token, value, least=_IDENTIFIER_BYTES)
    return {"value_token": token, "key_token": access.tokens.unique("row-key", key), "sealed": sealed}


def _filler(access: Access) -> dict[str, bytes]:
    drawn = access.randomness.bytes(32, "catalog/filler-identifier")
    sealed = access.seal("identifiers", drawn[:16], None, least=_IDENTIFIER_BYTES)
    return {"value_token": drawn[:16], "key_token": drawn[16:], "sealed": sealed}


def _open(access: Access, token: bytes, sealed: bytes) -> tuple[Identifier, bytes]:
    kind, value, key = access.open("identifiers", token, sealed)
    return Identifier(kind=IdentifierKind(kind), value=value), bytes.fromhex(key)
