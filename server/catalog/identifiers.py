"""One random row key for every identifier ever seen: what all pseudonyms of it are computed from, in every project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection, select

from server.catalog.access import Access
from server.catalog.database import insert_many, reading, writing
from server.catalog.postings import CHUNK
from server.catalog.reads import study_in
from server.catalog.schema import identifiers
from server.errors import SealBroken
from server.model import Identifier, IdentifierKind

ROW_KEY_BYTES = 16
_IDENTIFIER_BYTES = 256


def row_keys(access: Access, wanted: Mapping[Identifier, str], *, study_uid: str) -> dict[Identifier, bytes]:
    """The row key of 16 bytes of every identifier; drawn for those seen for the first time, under the given label.

    `study_uid` is the study they were seen in. While it is not catalogued, every known identifier but a UID is
    matched by a row of no meaning: the number of new rows would tell whether the patient was here before.
    """
    tokens = {identifier: _value_token(access, identifier) for identifier in wanted}
    with reading(access.engine) as connection:
        known = _known(access, connection, tokens)
    if len(known) == len(wanted) and _is_known_study(access, study_uid):
        return {identifier: known[identifier] for identifier in wanted}
    with writing(access.engine) as connection:
        known = _known(access, connection, tokens)
        fillers = 0
        if study_in(access, connection, study_uid) is None:
            fillers = sum(identifier.kind is not IdentifierKind.UID for identifier in known)
        rows = [_filler(access) for _ in range(fillers)]
        for identifier, label in wanted.items():
            if identifier not in known:
                known[identifier] = access.randomness.bytes(ROW_KEY_BYTES, f"row-key/{label}")
                rows.append(identifier_columns(access, identifier, known[identifier]))
        rows.sort(key=lambda row: row["value_token"])
        for begin in range(0, len(rows), CHUNK):
            insert_many(connection, identifiers, rows[begin : begin + CHUNK])
    return {identifier: known[identifier] for identifier in wanted}


def find_row_keys(access: Access, wanted: Iterable[Identifier]) -> dict[Identifier, bytes]:
    """The row keys of those identifiers that were ever seen; nothing is drawn."""
    tokens = {identifier: _value_token(access, identifier) for identifier in wanted}
    with access.reading() as connection:
        return _known(access, connection, tokens)


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


def _is_known_study(access: Access, study_uid: str) -> bool:
    with reading(access.engine) as connection:
        return study_in(access, connection, study_uid) is not None


def _known(access: Access, connection: Connection, tokens: Mapping[Identifier, bytes]) -> dict[Identifier, bytes]:
    by_token = {token: identifier for identifier, token in tokens.items()}
    all_tokens = list(by_token)
    known: dict[Identifier, bytes] = {}
    for begin in range(0, len(all_tokens), CHUNK):
        chunk = all_tokens[begin : begin + CHUNK]
        query = select(identifiers.c.value_token, identifiers.c.sealed).where(identifiers.c.value_token.in_(chunk))
        for token, sealed in connection.execute(query):
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
