"""One random row key for every identifier ever seen: what all pseudonyms of it are computed from, in every project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, select

from server.catalog.access import Access
from server.catalog.postings import CHUNK
from server.catalog.schema import identifiers
from server.errors import SealBroken
from server.model import Identifier, IdentifierKind

IDENTIFIER_BYTES = 256
_BY_KEY = select(identifiers.c.value_token, identifiers.c.sealed).where(identifiers.c.key_token == bindparam("token"))


def find_row_keys(access: Access, wanted: Iterable[Identifier]) -> dict[Identifier, bytes]:
    """The row keys of those identifiers that were ever seen; nothing is drawn."""
    tokens = {identifier: value_token(access, identifier) for identifier in wanted}
    with access.reading() as connection:
        return _known(access, connection, tokens)


def identifier_of(access: Access, row_key: bytes) -> Identifier | None:
    """Which identifier a row key was drawn for. Raises `SealBroken` for a row that was tampered with."""
    token = access.tokens.unique("row-key", row_key)
    with access.reading() as connection:
        found = connection.execute(_BY_KEY, {"token": token}).one_or_none()
    if found is None:
        return None
    identifier, key = open_identifier(access, found.value_token, found.sealed)
    if key != row_key:
        raise SealBroken("a row of identifiers contradicts its columns")
    return identifier


def _known(access: Access, connection: Connection, tokens: Mapping[Identifier, bytes]) -> dict[Identifier, bytes]:
    by_token = {token: identifier for identifier, token in tokens.items()}
    all_tokens = list(by_token)
    known: dict[Identifier, bytes] = {}
    for begin in range(0, len(all_tokens), CHUNK):
        chunk = all_tokens[begin : begin + CHUNK]
        query = select(identifiers.c.value_token, identifiers.c.sealed).where(identifiers.c.value_token.in_(chunk))
        for token, sealed in connection.execute(query):
            identifier, key = open_identifier(access, token, sealed)
            if identifier != by_token[token]:
                raise SealBroken("a row of identifiers contradicts its columns")
            known[identifier] = key
    return known


def value_token(access: Access, identifier: Identifier) -> bytes:
    return access.tokens.unique("identifier", identifier.kind.value, identifier.value)


def identifier_columns(access: Access, identifier: Identifier, key: bytes) -> dict[str, bytes]:
    token = value_token(access, identifier)
    value = [identifier.kind.value, identifier.value, key.hex()]
    sealed = access.seal("identifiers", token, value, least=IDENTIFIER_BYTES)
    return {"value_token": token, "key_token": access.tokens.unique("row-key", key), "sealed": sealed}


def open_identifier(access: Access, token: bytes, sealed: bytes) -> tuple[Identifier, bytes]:
    kind, value, key = access.open("identifiers", token, sealed)
    return Identifier(kind=IdentifierKind(kind), value=value), bytes.fromhex(key)
