"""multipart/related (RFC 2387, RFC 2046 section 5.1) as PS3.18 uses it: written for answers, read for stores. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from server.errors import BadRequest
from server.model.readable import Readable
from server.spool import Window, find

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
_MAX_PARTS = 10_000
_MAX_HEADER_BYTES = 8192
# A copy of so many bytes costs less than to look at them where they are.
_SMALL = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Part:
    """One body part: its media type with parameters, its bytes, where they are or what yields them, further fields."""

    media_type: str
    body: bytes | memoryview | Window | Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


def write(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """The body of a multipart message.

    `Content-Type` is spelled exactly so and stands first: browser viewers look for it letter by letter.
    """
    for part in parts:
        header = [f"--{boundary}", f"Content-Type: {part.media_type}"]
        header += [f"{name}: {value}" for name, value in part.headers.items()]
        yield ("\r\n".join(header) + "\r\n\r\n").encode("ascii")
        if isinstance(part.body, bytes | memoryview | Window):
            yield bytes(part.body)
        else:
            yield from part.body
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode("ascii")


def read(body: Readable, boundary: str) -> list[Part]:
    """The parts of a whole multipart body, without copying what is large of them.

    Raises `BadRequest` for anything that RFC 2046 does not allow, a missing closing delimiter included: a body whose
    parts two readers could see differently is not taken (a.S8).
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise BadRequest("the multipart boundary is not valid")
    delimiter = b"--" + boundary.encode("ascii")
    if body[: len(delimiter)] == delimiter:
        position = 0
    else:
        position = find(body, b"\r\n" + delimiter, 0) + 2
        if position < 2:
            raise BadRequest("the multipart body has no part")
    parts: list[Part] = []
    while True:
        position += len(delimiter)
        if body[position : position + 2] == b"--":
            break
        if body[position : position + 2] != b"\r\n":
            raise BadRequest("a multipart delimiter is malformed")
        end = find(body, b"\r\n" + delimiter, position)
        if end < 0:
            raise BadRequest("the multipart body has no closing delimiter")
        parts.append(_part(body, position + 2, end))
        if len(parts) > _MAX_PARTS:
            raise BadRequest("the multipart body has too many parts")
        position = end + 2
    if not parts:
        raise BadRequest("the multipart body has no part")
    return parts


def _part(body: Readable, start: int, end: int) -> Part:
    """The part between two delimiters: header fields, an empty line, the content."""
    head_end = find(body, b"\r\n\r\n", start - 2, min(end + 4, start + _MAX_HEADER_BYTES))
    if head_end < 0 or head_end + 4 > end:
        raise BadRequest("a part has no header or no content")
    headers: dict[str, str] = {}
    for line in body[start:head_end].split(b"\r\n"):
        if not line:
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        key = name.strip().lower()
        if not colon or not key or key in headers:
            raise BadRequest("a part has a malformed or repeated header field")
        headers[key] = value.strip()
    media_type = headers.pop("content-type", "application/dicom")
    start = head_end + 4
    small = isinstance(body, bytes) and end - start <= _SMALL
    content = body[start:end] if small else Window(body, start, end)
    return Part(media_type=media_type, body=content, headers=headers)
