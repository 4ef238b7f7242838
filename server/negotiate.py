"""Which representation a caller can use: PS3.18 section 8.7 over RFC 9110 section 12. Pure.

The `accept` query parameter comes before the Accept header (PS3.18 section 8.7.8.1). Nothing a caller writes here
changes what is masked; it only chooses among encodings of the same masked view.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from server.errors import BadRequest, NotAcceptable

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
NATIVE_SYNTAXES = (EXPLICIT_LITTLE_ENDIAN, DEFLATED_LITTLE_ENDIAN)
# RLE, JPEG, JPEG-LS, JPEG 2000 and HTJ2K, all without loss: what masked samples can also be encoded in.
LOSSLESS_SYNTAXES = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
)
_RENDERED = frozenset({"image/jpeg", "image/png", "image/gif", "text/html", "text/plain", "text/xml"})
_QUALITY = re.compile(r"[01](\.[0-9]{0,9})?", re.ASCII)
_CHARSETS = frozenset({"utf-8", "iso_ir 192"})


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
    """One range of an Accept list. For multipart/related, `inner` is its `type` parameter. Quality 0 rules out."""

    media_type: str
    inner: str = ""
    transfer_syntax: str = ""
    quality: float = 1.0
    order: int = field(default=0, compare=False)

    @property
    def precision(self) -> tuple[int, int, bool]:
        """How narrow the range is; of several the narrowest decides about an offer (RFC 9110 section 12.5.1)."""
        return _narrowness(self.media_type), _narrowness(self.inner), self.transfer_syntax not in ("", "*")


def _narrowness(wanted: str) -> int:
    return 0 if wanted in ("", "*/*") else 1 if wanted.endswith("/*") else 2


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
    except BadRequest:
        return None
    written = parameters.get("q", "1")
    quality = float(written) if _QUALITY.fullmatch(written) else 2.0
    if media_type.count("/") != 1 or quality > 1:
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


def _fits(wanted: MediaRange, offer: Offer) -> Iterator[Choice]:
    """What of an offer lies in a range, its default first."""
    if wanted.media_type == "multipart/related" and wanted.inner:
        if not offer.multipart or not _matches(wanted.inner, offer.media_type):
            return
    elif offer.multipart:
        if wanted.media_type not in ("*/*", "multipart/*", "multipart/related"):
            return
    elif not _matches(wanted.media_type, offer.media_type):
        return
    for syntax in offer.transfer_syntaxes or ("",):
        if wanted.transfer_syntax in ("", "*", syntax):
            yield Choice(media_type=offer.media_type, multipart=offer.multipart, transfer_syntax=syntax)


def _best(ranges: Sequence[MediaRange], offers: Sequence[Offer]) -> Choice | None:
    """The choice of the highest quality, the first range and the first offer; None where nothing fits."""
    for wanted in sorted((one for one in ranges if one.quality), key=lambda one: (-one.quality, one.order)):
        for offer in offers:
            for choice in _fits(wanted, offer):
                deciding = max((one for one in ranges if choice in _fits(one, offer)), key=lambda one: one.precision)
                if deciding.quality >= wanted.quality:
                    return choice
    return None


def choose(header: str | None, query: Sequence[str], offers: Sequence[Offer]) -> Choice:
    """The best choice among `offers`, listed with the resource's default first.

    Raises `NotAcceptable` when there is no Accept header and no accept parameter, or when nothing fits, and
    `BadRequest` when DICOM and rendered media types are mixed (PS3.18 section 8.7.4).
    """
    if header is None and not query:
        raise NotAcceptable
    # In the parameter a wildcard is not valid, and what is not valid is passed over (PS3.18 section 8.3.3.1).
    for ranges in ([one for one in _ranges(query) if "*" not in one.media_type], _ranges([header or ""])):
        _refuse_mixture(ranges)
        if choice := _best(ranges, offers):
            return choice
    raise NotAcceptable


def preferred(text: str, offers: Sequence[Offer]) -> Choice | None:
    """The best choice for one list of media types without wildcards, of whatever kinds; None where nothing fits."""
    return _best([one for one in _ranges([text]) if "*" not in one.media_type], offers)


def check_charset(text: str) -> None:
    """Raise `BadRequest` unless the character sets of a query hold the one that is sent (PS3.18 section 8.3.3.2)."""
    asked = {item.partition(";")[0].strip().strip('"').lower() for item in split_quoted(text, ",")}
    if not asked & _CHARSETS:
        raise BadRequest("the character set is UTF-8")


def _ranges(texts: Sequence[str]) -> list[MediaRange]:
    pieces = [piece for text in texts for piece in split_quoted(text, ",")]
    return [found for order, item in enumerate(pieces) if (found := _range(item, order))]


def _refuse_mixture(ranges: Sequence[MediaRange]) -> None:
    """PS3.18 section 8.7.4: one request does not ask for DICOM and for rendered media types at the same time."""
    dicom = any((item.inner or item.media_type).startswith("application/dicom") for item in ranges)
    # A rendered media type has no transfer syntax; image/jpeg with one is a form of bulk data.
    pictures = {item.inner or item.media_type for item in ranges if not item.transfer_syntax}
    rendered = bool(pictures & _RENDERED)
    if dicom and rendered:
        raise BadRequest("DICOM and rendered media types cannot be asked for together")
