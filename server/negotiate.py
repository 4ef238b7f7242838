"""Which representation a caller can use: PS3.18 section 8.7 over RFC 9110 section 12. Pure.

The `accept` query parameter comes before the Accept header (PS3.18 section 8.3.3.1). Nothing a caller writes here
changes what is masked; it only chooses among encodings of the same masked view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from server.errors import BadRequest, NotAcceptable

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
# RLE, JPEG-LS, JPEG 2000 and HTJ2K, all without loss: what masked samples can also be encoded in.
LOSSLESS_SYNTAXES = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A representation that a resource can give: a media type, alone or in multipart/related.

    `transfer_syntaxes` are the UIDs that it can be encoded in, the default first; empty where there is none.
    """

    media_type: str
    multipart: bool = False
    transfer_syntaxes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was agreed on: one offer in one transfer syntax ("" where there is none)."""

    media_type: str
    multipart: bool
    transfer_syntax: str = ""


@dataclass(frozen=True, kw_only=True)
class MediaRange:
    """One range of an Accept list. For multipart/related, `inner` is its `type` parameter."""

    media_type: str
    inner: str = ""
    transfer_syntax: str = ""
    quality: float = 1.0
    order: int = field(default=0, compare=False)


def split_quoted(text: str, separator: str) -> list[str]:
    """Split at a one-character separator that does not stand within a quoted string."""
    items, current, quoted, escaped = [], "", False, False
    for character in text:
        if quoted and escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            items.append(current)
            current = ""
            continue
        current += character
    return [item.strip() for item in [*items, current] if item.strip()]


def parse_media_type(text: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case and its parameters, names in lower case, quotes removed.

    Raises `BadRequest` for a parameter without a value or given twice.
    """
    head, *rest = split_quoted(text, ";") or [""]
    parameters: dict[str, str] = {}
    for item in rest:
        name, equals, value = item.partition("=")
        key = name.strip().lower()
        if not equals or key in parameters:
            raise BadRequest("a media type has a malformed parameter")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        parameters[key] = value
    return head.lower(), parameters


def _range(text: str, order: int) -> MediaRange | None:
    try:
        media_type, parameters = parse_media_type(text)
        quality = float(parameters.get("q", "1"))
    except (BadRequest, ValueError):
        return None
    if media_type.count("/") != 1 or not 0 < quality <= 1:
        return None
    return MediaRange(
        media_type=media_type,
        inner=parameters.get("type", "").lower(),
        transfer_syntax=parameters.get("transfer-syntax", ""),
        quality=quality,
        order=order,
    )


def _matches(wanted: str, offered: str) -> bool:
    return wanted in ("*/*", offered) or (wanted.endswith("/*") and offered.startswith(wanted[:-1]))


def _fits(wanted: MediaRange, offer: Offer) -> Choice | None:
    if wanted.media_type == "multipart/related" and wanted.inner:
        if not offer.multipart or not _matches(wanted.inner, offer.media_type):
            return None
    elif offer.multipart:
        if wanted.media_type not in ("*/*", "multipart/*", "multipart/related"):
            return None
    elif not _matches(wanted.media_type, offer.media_type):
        return None
    syntax = wanted.transfer_syntax
    if syntax in ("", "*"):
        syntax = offer.transfer_syntaxes[0] if offer.transfer_syntaxes else ""
    elif syntax not in offer.transfer_syntaxes:
        return None
    return Choice(media_type=offer.media_type, multipart=offer.multipart, transfer_syntax=syntax)


def choose(header: str | None, query: Sequence[str], offers: Sequence[Offer]) -> Choice:
    """The best choice among `offers`, listed with the resource's default first.

    Raises `NotAcceptable` when there is no Accept header and no accept parameter, or when nothing fits, and
    `BadRequest` when DICOM and rendered media types are mixed (PS3.18 section 8.7.4).
    """
    if header is None and not query:
        raise NotAcceptable
    for texts in (query, [header or ""]):
        ranges = [
            found
            for order, item in enumerate(piece for text in texts for piece in split_quoted(text, ","))
            if (found := _range(item, order))
        ]
        _refuse_mixture(ranges)
        for wanted in sorted(ranges, key=lambda item: (-item.quality, item.order)):
            for offer in offers:
                if choice := _fits(wanted, offer):
                    return choice
    raise NotAcceptable


def _refuse_mixture(ranges: Sequence[MediaRange]) -> None:
    """PS3.18 section 8.7.4: one request does not ask for DICOM and for rendered media types at the same time."""
    kinds = [item.inner or item.media_type for item in ranges]
    dicom = any(kind.startswith("application/dicom") for kind in kinds)
    rendered = any(kind in ("image/jpeg", "image/png", "image/gif") for kind in kinds)
    if dicom and rendered:
        raise BadRequest("DICOM and rendered media types cannot be asked for together")
