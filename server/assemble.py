"""From the parts of a store to objects as files: Part 10 as it comes, metadata with its bulk data put together.

A BulkDataURI is a name of another part of the same request and nothing else: no address is ever opened (a.S6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from server.errors import BadRequest, UnreadableObject, UnsupportedMediaType, UnsupportedPixels
from server.metadata.build import part10
from server.metadata.read_model import Model, model_of_xml
from server.model import check_uid
from server.model.readable import Readable
from server.multipart import Part
from server.negotiate import parse_media_type
from server.outcomes import FailureReason, NotStored, WarningReason
from server.spool import Window

DICOM, JSON, XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
_BULK = ("application/octet-stream", "image/")


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """One object as a Part 10 file, and what is to be said of how it came about."""

    body: Readable
    warning: WarningReason | None = None


def objects(root_type: str, parts: Sequence[Part]) -> Iterator[Assembled | NotStored]:
    """The objects of a multipart request whose type is `root_type`, one at a time.

    Raises `UnsupportedMediaType` for parts that do not go with it and `BadRequest` for malformed metadata and for bulk
    data that nobody can refer to, both before the first object.
    """
    types = [parse_media_type(part.media_type) for part in parts]
    if root_type == DICOM:
        if any(media_type != DICOM for media_type, _ in types):
            raise UnsupportedMediaType
        # One at a time, so that the request is in memory once and not twice.
        return (Assembled(body=part.body if isinstance(part.body, Window) else _bytes(part)) for part in parts)
    if root_type not in (JSON, XML) or types[0][0] != root_type:
        raise UnsupportedMediaType
    models: list[Model] = []
    bulk: dict[str, tuple[str, str, Part]] = {}
    for part, (media_type, parameters) in zip(parts, types, strict=True):
        if media_type == root_type:
            models += _models(media_type, _bytes(part))
        elif media_type.startswith(_BULK):
            _name(bulk, part, (media_type, parameters.get("transfer-syntax", ""), part))
        else:
            raise UnsupportedMediaType
    return (_assembled(model, bulk) for model in models)


def _bytes(part: Part) -> bytes:
    return bytes(part.body) if isinstance(part.body, bytes | memoryview | Window) else b"".join(part.body)


def _models(media_type: str, document: bytes) -> list[Model]:
    try:
        found = model_of_xml(document) if media_type == XML else orjson.loads(document)
    except (UnreadableObject, orjson.JSONDecodeError) as error:
        raise BadRequest("the metadata is malformed") from error
    models = found if isinstance(found, list) else [found]
    if not models or not all(isinstance(one, dict) for one in models):
        raise BadRequest("the metadata is malformed")
    return models


def _name(bulk: dict[str, tuple[str, str, Part]], part: Part, entry: tuple[str, str, Part]) -> None:
    """Enter a part under its Content-Location and its Content-ID (RFC 2557, RFC 2392)."""
    location, identifier = part.headers.get("content-location", ""), part.headers.get("content-id", "")
    names = [location] if location else []
    names += ["cid:" + identifier.strip("<>")] if identifier.strip("<>") else []
    if not names or any(name in bulk for name in names):
        raise BadRequest("a part of bulk data has no name, or that of another")
    bulk.update(dict.fromkeys(names, entry))


def _assembled(model: Model, bulk: Mapping[str, tuple[str, str, Part]]) -> Assembled | NotStored:
    def found(uri: str) -> tuple[str, str, bytes]:
        if not isinstance(uri, str) or uri not in bulk:
            raise UnreadableObject("bulk data are not in the request")
        media_type, syntax, part = bulk[uri]
        return media_type, syntax, _bytes(part)

    try:
        body, discarded = part10(model, found)
    except (UnreadableObject, UnsupportedPixels) as error:
        reason = FailureReason.TRANSFER_SYNTAX
        if isinstance(error, UnreadableObject):
            reason = FailureReason.CANNOT_UNDERSTAND
        return NotStored(
            reason=reason,
            explanation=str(error),
            sop_class_uid=_uid(model, "00080016"),
            sop_instance_uid=_uid(model, "00080018"),
        )
    return Assembled(body=body, warning=WarningReason.ELEMENTS_DISCARDED if discarded else None)


def _uid(model: Model, tag: str) -> str:
    """A UID of the metadata as far as there is one, else ""."""
    attribute = model.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    try:
        return check_uid(values[0]) if isinstance(values, list) and values and isinstance(values[0], str) else ""
    except BadRequest:
        return ""
