"""Compression of JSON answers where the client asks for it (RFC 9110 sections 8.4 and 12.5.3).

Only what is masked already is compressed, none of it an echo of the request, so the length tells of nothing else.
Samples are left alone: what leaves of them has a compressed form of its own.
"""

from __future__ import annotations

import gzip
from dataclasses import replace

from flask import Request

from server.model import Representation

_SUFFIX = "-gzip"
_LEVEL = 5


def coded(request: Request, representation: Representation) -> Representation:
    """The representation as this client takes it; the entity tag says so, as bytes under one tag are equal."""
    if not _is_json(representation) or not isinstance(representation.body, bytes) or not _taken(request):
        return representation
    etag = f'{representation.etag[:-1]}{_SUFFIX}"' if representation.etag else None
    if representation.status == 304:
        return replace(representation, etag=etag)
    if not representation.body:
        return representation
    # No time of day in the header: two equal answers are equal to the byte.
    body = gzip.compress(representation.body, _LEVEL, mtime=0)
    headers = {**representation.headers, "Content-Encoding": "gzip"}
    return replace(representation, body=body, etag=etag, headers=headers)


def uncoded(etag: str) -> str:
    """The entity tag of the same view before compression."""
    return f'{etag.removesuffix(_SUFFIX + chr(34))}"' if etag.endswith(f'{_SUFFIX}"') else etag


def _taken(request: Request) -> bool:
    return request.method in ("GET", "HEAD") and request.accept_encodings.quality("gzip") > 0


def _is_json(representation: Representation) -> bool:
    kind = representation.media_type.partition(";")[0]
    return kind == "application/json" or kind.endswith("+json")
