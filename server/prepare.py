"""Prepare: the attributes of a whole series in one sealed value, so that no object need be opened for them again.

The prepared form is an original in the sense of the vault: sealed under its study's key, unmasked, made at the first
question for a series and kept in the cache. It is named by the objects that it was made of, so one more makes another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import orjson

from server.develop import Described, described, unseal_each
from server.errors import SealBroken
from server.metadata.forms import pack, unpack
from server.model import Identifier, IdentifierKind, InstanceRecord, StudyRecord
from server.pixels.description import PixelDescription
from server.services import Services
from server.vault.envelope import derive

_LENGTH_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Series:
    """The instances of one series that an answer is about, and the row keys of all identifiers in any of them."""

    study: StudyRecord
    instances: tuple[Described, ...]
    row_keys: Mapping[Identifier, bytes]


def by_series(services: Services, records: Sequence[InstanceRecord]) -> Iterator[Series]:
    """`records`, in their order, described series by series. Raises as `unseal`."""
    for _, group in groupby(records, key=lambda record: record.series.row):
        yield _series(services, list(group))


def _series(services: Services, records: Sequence[InstanceRecord]) -> Series:
    if len(records) == 1:
        return _opened(services, records)
    key = derive(services.study_key(records[0].path.study), "series form")
    name = _name(services, records)
    form = services.cache.get(key, name)
    if form is not None:
        return _read(form, records)
    series = _opened(services, records)
    form = _written(series)
    services.cache.put(key, name, form)
    # Read back, so that the first answer is made of the very same things as the later ones.
    return _read(form, records)


def _opened(services: Services, records: Sequence[InstanceRecord]) -> Series:
    instances = tuple(described(services, original) for original in unseal_each(services, records))
    row_keys = {identifier: key for one in instances for identifier, key in one.row_keys.items()}
    return Series(study=records[0].study, instances=instances, row_keys=row_keys)


def _name(services: Services, records: Sequence[InstanceRecord]) -> str:
    objects = sorted(record.content.name for record in records)
    return hmac.new(services.cache_key, "\n".join([services.code, *objects]).encode(), hashlib.sha256).hexdigest()


def _written(series: Series) -> bytes:
    facts = {
        "objects": [[one.record.content.name, one.pixel_keyword, one.decoded] for one in series.instances],
        "descriptions": [asdict(one.description) if one.description else None for one in series.instances],
        "row_keys": [[key.kind.value, key.value, row.hex()] for key, row in series.row_keys.items()],
    }
    head = orjson.dumps(facts)
    return len(head).to_bytes(_LENGTH_BYTES, "little") + head + pack([one.elements for one in series.instances])


def _read(form: bytes, records: Sequence[InstanceRecord]) -> Series:
    start = _LENGTH_BYTES + int.from_bytes(form[:_LENGTH_BYTES], "little")
    facts: dict[str, Any] = orjson.loads(form[_LENGTH_BYTES:start])
    row_keys = {
        Identifier(kind=IdentifierKind(kind), value=value): bytes.fromhex(row) for kind, value, row in facts["row_keys"]
    }
    by_name = {record.content.name: record for record in records}
    found = {}
    for (name, keyword, decoded), description, elements in zip(
        facts["objects"], facts["descriptions"], unpack(form[start:]), strict=True
    ):
        found[name] = Described(
            record=by_name[name],
            elements=elements,
            row_keys=row_keys,
            pixel_keyword=keyword,
            description=_description(description) if description is not None else None,
            decoded=decoded,
        )
    if found.keys() != by_name.keys():
        raise SealBroken("the prepared form is not of the objects that it is named by")
    instances = tuple(found[record.content.name] for record in records)
    return Series(study=records[0].study, instances=instances, row_keys=row_keys)


def _description(written: dict[str, Any]) -> PixelDescription:
    padding = written["padding"]
    return PixelDescription(**{**written, "padding": tuple(padding) if padding is not None else None})
