"""Encode: from masked attributes and masked frames to the bytes of one representation. Nothing else goes in."""

from __future__ import annotations

from collections.abc import Iterator

from server.admit import leaves
from server.develop import Described, Original, described, masked_dataset, masked_frame, sent_bits, sent_dataset, unseal
from server.errors import NotFound
from server.metadata.deidentify import Shared
from server.metadata.json_model import Bulk, Writer, bulk_value, to_json
from server.metadata.masked import MaskedDataset, without_binary
from server.metadata.pseudonyms import Names
from server.metadata.write import EncapsulatedPixels, NativePixels, PixelElement, write
from server.metadata.xml_model import to_xml
from server.model import Action, InstanceRecord, MaskingLevel
from server.negotiate import EXPLICIT_LITTLE_ENDIAN, NATIVE_SYNTAXES
from server.pixels.encode import encode_native, encode_transfer_syntax
from server.pixels.redact import MaskedFrame
from server.prepare import Series
from server.transaction import Transaction, address

_PIXEL_TAGS = {"PixelData": "7FE00010", "FloatPixelData": "7FE00008", "DoubleFloatPixelData": "7FE00009"}
_FLOAT_VRS = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}


def native_model(transaction: Transaction, series: Series) -> Iterator[tuple[str, bytes]]:
    """The same attributes in the Native DICOM Model: where each instance's metadata lies, and one XML document."""
    names = transaction.view.names(series.study, series.row_keys)
    shared = Shared(elements={})
    for one in series.instances:
        masked = sent_dataset(one, transaction.view.level, names, shared)
        place = transaction.url(one.record, names)
        yield f"{place}/metadata", to_xml(*_told(transaction.view.level, one, masked, f"{place}/bulkdata"))


def json_model(transaction: Transaction, series: Series) -> Iterator[bytes]:
    """The attributes of one instance after the other in the DICOM JSON model; bulk data by URI where it is given."""
    names = transaction.view.names(series.study, series.row_keys)
    for attributes in json_attributes(transaction.services.settings.public_url, transaction.view.level, names, series):
        yield b"{%b}" % b",".join(attributes)


def json_attributes(origin: str, level: MaskingLevel, names: Names, series: Series) -> Iterator[list[bytes]]:
    """As `json_model`, each attribute by itself: at one level, in the world of these names, at `origin`."""
    shared, writer = Shared(elements={}), Writer()
    for one in series.instances:
        masked = sent_dataset(one, level, names, shared)
        yield writer.attributes(*_told(level, one, masked, f"{address(origin, one.record, names)}/bulkdata"))


def _told(
    level: MaskingLevel, one: Described, masked: MaskedDataset, base: str
) -> tuple[MaskedDataset, Bulk, dict[str, dict[str, object]]]:
    """What metadata tells of one instance, where its bulk data lies, and the pixel data as an address."""
    whole = leaves(level, one.record)
    offered = whole and Action.RETRIEVE_BULKDATA in level.transactions
    masked = masked if whole else without_binary(masked)
    pixels: dict[str, dict[str, object]] = {}
    if one.description is not None and offered:
        # As the instance has them in Explicit VR Little Endian (PS3.5 section A.2).
        bits = sent_bits(one, level)
        vr = _FLOAT_VRS.get(one.pixel_keyword, "OB" if bits <= 8 else "OW")
        tag = _PIXEL_TAGS[one.pixel_keyword]
        pixels[tag] = {"vr": vr, "BulkDataURI": f"{base}/{tag}"}
    return masked, lambda at, _element: f"{base}/{at}" if offered else None, pixels


def part10(transaction: Transaction, one: InstanceRecord, transfer_syntax: str) -> bytes:
    """One instance as a new Part 10 file, encoded from masked samples."""
    original = unseal(transaction.services, one, transaction.key_of)
    names = transaction.view.names(one.study, original.row_keys)
    masked = sent_dataset(described(transaction.services, original), transaction.view.level, names, transaction.shared)
    return b"".join(write(masked, transfer_syntax, _pixels(transaction, original, transfer_syntax)))


def frame(transaction: Transaction, original: Original, number: int, transfer_syntax: str) -> bytes:
    """One frame in a transfer syntax."""
    return _encoded(masked_frame(transaction.services, original, transaction.view.level, number), transfer_syntax)


def bulk_paths(transaction: Transaction, original: Original) -> list[str]:
    """The paths of all values that the metadata of this level refers to by URI."""
    found: list[str] = []

    def note(path: str, _element: object) -> str:
        found.append(path)
        return path

    to_json(_masked(transaction, original), note)
    return [*found, *pixel_paths(original)]


def pixel_paths(original: Original) -> list[str]:
    """The path of the pixel data at the top of an instance; none for one without."""
    return [_PIXEL_TAGS[original.pixel_keyword]] if original.description is not None else []


def bulk(transaction: Transaction, original: Original, path: str) -> bytes:
    """One bulk value of this level. Raises `NotFound` for whatever its metadata does not hold."""
    if path != _PIXEL_TAGS[original.pixel_keyword]:
        return bulk_value(_masked(transaction, original), path)[1]
    pixels = _pixels(transaction, original, EXPLICIT_LITTLE_ENDIAN)
    if not isinstance(pixels, NativePixels):
        raise NotFound
    return pixels.value


def _masked(transaction: Transaction, original: Original) -> MaskedDataset:
    return masked_dataset(original, transaction.view, transaction.shared)


def _pixels(transaction: Transaction, original: Original, transfer_syntax: str) -> PixelElement | None:
    """All frames of an object, masked and encoded anew; None for an object without pixel data."""
    description = original.description
    if description is None:
        return None
    numbers = range(1, description.number_of_frames + 1)
    masked = (masked_frame(transaction.services, original, transaction.view.level, number) for number in numbers)
    if transfer_syntax not in NATIVE_SYNTAXES:
        return EncapsulatedPixels(frames=[_encoded(one, transfer_syntax) for one in masked])
    # One-bit frames follow each other without gaps, so they are packed together.
    value = encode_native(list(masked)) if description.bits_allocated == 1 else b"".join(map(encode_native, masked))
    return NativePixels(value=value, keyword=original.pixel_keyword)


def _encoded(masked: MaskedFrame, transfer_syntax: str) -> bytes:
    if transfer_syntax == EXPLICIT_LITTLE_ENDIAN:
        return encode_native(masked)
    return encode_transfer_syntax(masked, transfer_syntax)
