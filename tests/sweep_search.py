"""Looking for hidden text in whatever was sent or written: as it is, decompressed, and in every usual spelling."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames

STEM = "CANARY"
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_PRINTABLE = re.compile(rb"[\x20-\x7e]{5,}")
_WIDE = re.compile(rb"(?:\x00?[\x20-\x7e]\x00){4,}[\x20-\x7e]?")
_PICTURES = {"image/jpeg", "image/png", "image/gif"}
_CODECS = {
    # A rendered JPEG 2000 picture is no codestream of a transfer syntax.
    "": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.jpegsof3_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.201": lambda data: imagecodecs.htj2k_decode(data, planar=False),
}


def spellings(text: str) -> list[bytes]:
    """A text as bytes in every spelling that is looked for: UTF-8 and UTF-16, base64 at each of the three places it can
    begin, hexadecimal, percent-encoded, backwards, and a name's parts the other way round."""
    raw = text.encode()
    found = [raw, text.encode("utf-16-le"), text.encode("utf-16-be"), raw.hex().encode(), raw.hex().upper().encode()]
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        # Only the letters that these bytes alone decide.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        found += [encoded[first:last], base64.urlsafe_b64encode(bytes(before) + raw)[first:last]]
    found += ["".join(f"%{byte:02X}" for byte in raw).encode(), quote(text, safe="").encode(), raw[::-1]]
    if "^" in text:
        parts = text.split("^")
        found += ["^".join(reversed(parts)).encode(), " ".join(parts).encode(), " ".join(reversed(parts)).encode()]
    return sorted({one for one in found if len(one) >= 4})


class _Family(NamedTuple):
    """Texts of one beginning in spellings of one kind: a spelling of a text holds the same spelling of its beginning,
    so where no stem is, nothing else has to be looked for."""

    beginning: str
    stems: Sequence[bytes]
    forms: Sequence[tuple[str, bytes]]


class Finder:
    """Finds any of some texts. `stem` looks for the beginning of every canary instead of for each, and so for parts."""

    def __init__(self, texts: Iterable[str], *, stem: bool) -> None:
        self._stem_alone = stem
        wanted = sorted(set(texts))
        self._families: list[_Family] = []
        for beginning in (STEM, "2.25."):
            family = [text for text in wanted if text.startswith(beginning)]
            wanted = [text for text in wanted if text not in family]
            forms = [(text, form) for text in family for form in spellings(text)]
            plain = [beginning.encode(), beginning.lower().encode()]
            stems = [one for one in {*spellings(beginning), *spellings(beginning.lower())} if one not in plain]
            said = [one for one in forms if beginning.encode() in one[1]]
            self._families.append(_Family(beginning, plain, said))
            self._families.append(_Family(beginning, stems, [one for one in forms if one not in said]))
        self._rest = [(text, form) for text in wanted for form in spellings(text)]

    def found(self, data: Iterable[bytes]) -> set[str]:
        # Every spelling is printable, or printable letters between zeros: nothing else has to be searched. All pieces
        # in one: most are short, and none of the texts holds what stands between them.
        return set(self._in(b"\n".join(piece for one in data for piece in _searched(one))))

    def _in(self, said: bytes) -> Iterator[str]:
        yield from (text for text, form in self._rest if form in said)
        for family in self._families:
            if any(one in said for one in family.stems):
                if self._stem_alone and family.beginning == STEM:
                    yield STEM
                yield from (text for text, form in family.forms if form in said)


def _searched(data: bytes) -> Iterator[bytes]:
    yield from _PRINTABLE.findall(data)
    yield from _WIDE.findall(data)


def unfolded(body: bytes, media_type: str = "") -> Iterator[bytes]:
    """A body and everything in it that one has to decode first; a body that is not what it says is an error."""
    yield body
    if media_type.startswith("multipart/related"):
        for kind, part in body_parts(body, media_type):
            yield from unfolded(part, kind)
        return
    if "json" in media_type and body[:2] == b"\x1f\x8b":
        yield from unfolded(gzip.decompress(body), media_type)
        return
    yield from _inflated(body)
    yield from _text(body, media_type)
    if media_type.startswith("application/octet-stream") and len(body) % 2 == 0:
        yield from high_bits(np.frombuffer(body, "<u2"))
    for samples in sample_arrays(body, media_type):
        yield samples.tobytes()
        if samples.dtype.itemsize == 2:
            yield from high_bits(samples)


def _inflated(body: bytes) -> Iterator[bytes]:
    if body[:2] == b"\x1f\x8b":
        yield gzip.decompress(body)
    for match in _ZLIB.finditer(body):
        try:
            yield zlib.decompressobj().decompress(body[match.start() :], 1 << 20)
        except zlib.error:
            continue


def _text(body: bytes, media_type: str) -> Iterator[bytes]:
    if "json" in media_type and body:
        yield json.dumps(json.loads(body), ensure_ascii=False).encode()
        for value in re.findall(rb'"InlineBinary":"([^"]*)"', body):
            yield base64.b64decode(value)
    if "xml" in media_type:
        yield from _xml(body)
    if "html" in media_type:
        yield html.unescape(body.decode()).encode()
    if media_type in _PICTURES:
        yield _picture_extras(body)


def _xml(body: bytes) -> Iterator[bytes]:
    """Every text and attribute of a well-formed document, names put together again, inline values decoded."""
    for element in ElementTree.fromstring(body).iter():
        yield "\n".join([element.text or "", *element.attrib.values()]).encode()
        kind = element.tag.rpartition("}")[2]
        if kind in ("Alphabetic", "Ideographic", "Phonetic"):
            yield "^".join(part.text or "" for part in element).encode()
        if kind == "InlineBinary":
            yield base64.b64decode(element.text or "")


def high_bits(samples: NDArray[Any]) -> Iterator[bytes]:
    """What could be written into the four bits above twelve stored ones, two cells a letter."""
    nibbles = (np.ascontiguousarray(samples).view(np.uint16).reshape(-1) >> 12).astype(np.uint8)
    nibbles = nibbles[: len(nibbles) // 2 * 2]
    yield ((nibbles[0::2] << 4) | nibbles[1::2]).tobytes()
    yield ((nibbles[1::2] << 4) | nibbles[0::2]).tobytes()


def body_parts(body: bytes, media_type: str) -> Iterator[tuple[str, bytes]]:
    """Media type and content of each part; header fields come along as a part of their own."""
    message = Message()
    message["Content-Type"] = media_type
    boundary = str(message.get_param("boundary")).encode()
    for piece in body.split(b"--" + boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        yield "text/plain", head
        yield head.decode().partition("Content-Type: ")[2].partition("\r\n")[0], content[:-2]


def sample_arrays(body: bytes, media_type: str) -> Iterator[NDArray[Any]]:
    """Every frame that a body holds, decoded: pictures, codestreams, and the frames of a Part 10 file."""
    kind, _, syntax = media_type.partition("; transfer-syntax=")
    if kind == "image/jpeg" and syntax:
        yield _CODECS[syntax](body)
    elif kind in _PICTURES:
        picture = Image.open(io.BytesIO(body))
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            yield np.asarray(picture.convert("RGB"))
    elif kind in {"image/jls", "image/jp2", "image/jphc"}:
        yield _CODECS[syntax](body)
    elif kind == "image/dicom-rle":
        yield from (_runs(body, size) for size in (1, 2) if _planes(body) % size == 0)
    elif body[128:132] == b"DICM":
        ds = dcmread(io.BytesIO(body))
        syntax = str(ds.file_meta.TransferSyntaxUID)
        if "PixelData" not in ds:
            return
        if syntax in _CODECS:
            yield from (_CODECS[syntax](one) for one in generate_frames(ds.PixelData, number_of_frames=_frames(ds)))
        elif syntax == "1.2.840.10008.1.2.5":
            streams = generate_frames(ds.PixelData, number_of_frames=_frames(ds))
            yield from (_runs(one, int(ds.BitsAllocated) // 8) for one in streams)
        else:
            bits = int(ds.BitsAllocated)
            shape = (_frames(ds), ds.Rows, ds.Columns, ds.SamplesPerPixel)
            count = int(np.prod(shape))
            # Not pydicom's own array, which would clear the unused bits.
            yield from np.frombuffer(ds.PixelData, f"<u{bits // 8}", count).reshape(shape)


def _planes(stream: bytes) -> int:
    return int.from_bytes(stream[:4], "little")


def _runs(stream: bytes, size: int) -> NDArray[Any]:
    return np.frombuffer(imagecodecs.dicomrle_decode(stream, f"<u{size}"), f"<u{size}")


def _frames(ds: object) -> int:
    return int(getattr(ds, "NumberOfFrames", 1) or 1)


def _picture_extras(body: bytes) -> bytes:
    """All of a picture file that is no pixel: PNG chunks but IDAT, JPEG segments but tables and scans."""
    picture = Image.open(io.BytesIO(body))
    extras = {name: value for name, value in picture.info.items() if isinstance(value, bytes | str)}
    allowed = {"version", "background", "transparency", "extension"}
    assert not {"comment", "exif", "dpi", "photoshop"} & set(extras), extras
    # A profile is looked through for what the level hides like all else; one goes along only where it was asked for.
    if picture.format == "PNG":
        names = re.findall(rb"(?:IHDR|IDAT|IEND|PLTE|tEXt|zTXt|iTXt|eXIf|tIME|pHYs|iCCP)", body)
        profiled = {b"iCCP"} if "icc_profile" in extras else set()
        assert set(names) <= {b"IHDR", b"IDAT", b"IEND", b"PLTE"} | profiled, names
    return repr({name: value for name, value in extras.items() if name not in allowed}).encode()
