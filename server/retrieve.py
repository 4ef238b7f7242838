"""Retrieve (PS3.18 section 10.4): admit, develop, encode, record, answer — each transaction reads in that order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from server import represent
from server.ahead import FEWEST, in_view, told_ahead
from server.develop import Original, masked_dataset, unseal, unseal_each
from server.errors import BadRequest, NotAcceptable, NotFound, UnsupportedPixels
from server.model import Action, Ask, InstanceRecord, Representation
from server.multipart import Part
from server.negotiate import EXPLICIT_LITTLE_ENDIAN, NATIVE_SYNTAXES, Choice
from server.prepare import by_series
from server.services import Services
from server.transaction import Transaction

MOST_FRAMES_AT_ONCE = 10_000
_OCTETS = f"application/octet-stream; transfer-syntax={EXPLICIT_LITTLE_ENDIAN}"


@dataclass(frozen=True, kw_only=True)
class Film:
    """What the page says about one instance: the level, why, and the attributes at that level."""

    level: str
    role: str
    reason: str
    description: str
    attributes: tuple[tuple[str, str], ...]


def metadata(services: Services, ask: Ask, choice: Choice, **path: str) -> Representation:
    """The attributes of every instance below the path (PS3.18 section 10.4.1.1.2): together in the DICOM JSON model, or
    in parts, one XML document of the Native DICOM Model each."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_METADATA, choice, path, whole=True)
    if choice.multipart:
        documents = (
            Part(media_type=choice.media_type, body=document, headers={"Content-Location": location})
            for series in by_series(services, transaction.instances)
            for location, document in represent.native_model(transaction, series)
        )
        return transaction.answer_parts(documents)

    def told(records: Sequence[InstanceRecord]) -> bytes:
        every = by_series(services, records)
        return b",".join(one for series in every for one in represent.json_model(transaction, series))

    def develop() -> bytes:
        if not transaction.admission.series:
            return b"[%b]" % told(transaction.instances)
        found = []
        for series in in_view(transaction.view, transaction.admission.series):
            ready = told_ahead(transaction, series)
            if not ready:
                its = [one for one in transaction.instances if one.series.row == series.row]
                if ready is None and len(its) >= FEWEST:
                    services.series_wishes.put(series.row)
                ready = told(its)
            found.append(ready)
        return b"[%b]" % b",".join(filter(None, found))

    return transaction.answer(lambda: transaction.kept(develop))


def instances(services: Services, ask: Ask, choice: Choice, **path: str) -> Representation:
    """Every instance below the path as a new Part 10 file, encoded from masked samples, one after the other."""
    return _files(Transaction.begin(services, ask, Action.RETRIEVE_INSTANCE, choice, path), ranges=True)


def anonymised_instances(services: Services, ask: Ask, choice: Choice, **path: str) -> Representation:
    """The same at a level that shows less, under names that no other answer has: so there are no parts to ask for."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_INSTANCE, choice, path, anonymous=True)
    return _files(transaction, ranges=False)


def _files(transaction: Transaction, *, ranges: bool) -> Representation:
    choice = transaction.choice
    syntax = choice.transfer_syntax
    if not choice.multipart:
        if len(transaction.instances) != 1:
            raise NotAcceptable
        alone = transaction.instances[0]
        return transaction.answer(lambda: represent.part10(transaction, alone, syntax), ranges=ranges)
    media_type = f"application/dicom; transfer-syntax={syntax}"
    parts = (
        Part(
            media_type=media_type,
            body=represent.part10(transaction, one, syntax),
            headers={"Content-Location": transaction.url(one)},
        )
        for one in transaction.instances
    )
    return transaction.answer_parts(parts)


def frames(services: Services, ask: Ask, choice: Choice, *, numbers: Sequence[int], **path: str) -> Representation:
    """Frames in the asked order (PS3.18 section 10.4.1.1.6), each masked and encoded anew."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_FRAMES, choice, path)
    record, syntax = transaction.instances[0], choice.transfer_syntax
    if record.number_of_frames and max(numbers) > record.number_of_frames:
        raise NotFound

    @cache
    def original() -> Original:
        opened = unseal(services, record, transaction.key_of)
        check_numbers(opened, numbers)
        return opened

    def developed(number: int) -> bytes:
        def develop() -> bytes:
            return represent.frame(transaction, original(), number, syntax)

        # Uncompressed samples are made as fast as they are read.
        return develop() if syntax in NATIVE_SYNTAXES else transaction.kept(develop, f"frame/{number}").body

    if len(numbers) > 1 or not record.number_of_frames:
        # Whatever is wrong is told before the answer begins.
        original()
    bodies = map(developed, numbers)
    extra = ",".join(map(str, numbers))
    if not choice.multipart:
        if len(numbers) != 1:
            raise NotAcceptable
        return transaction.answer(lambda: next(bodies), extra=extra, ranges=True)
    media_type = f"{choice.media_type}; transfer-syntax={syntax}"
    base = f"{transaction.url(record)}/frames"
    parts = (
        Part(media_type=media_type, body=body, headers={"Content-Location": f"{base}/{number}"})
        for number, body in zip(numbers, bodies, strict=True)
    )
    return transaction.answer_parts(parts, extra=extra)


def bulkdata(services: Services, ask: Ask, choice: Choice, **path: str) -> Representation:
    """All bulk data below the path (PS3.18 section 10.4.1.1.5): what the metadata of this level refers to by URI."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_BULKDATA, choice, path)
    opened = unseal_each(services, transaction.instances)
    found = [(original, at) for original in opened for at in represent.bulk_paths(transaction, original)]
    return _values(transaction, found, "bulkdata")


def pixeldata(services: Services, ask: Ask, choice: Choice, **path: str) -> Representation:
    """The pixel data at the top of every instance below the path, all frames of each in one value (PS3.18 section
    10.4.3.3.6); of all its bulk data nothing else."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_BULKDATA, choice, path)
    opened = unseal_each(services, transaction.instances)
    found = [(original, at) for original in opened for at in represent.pixel_paths(original)]
    return _values(transaction, found, "pixeldata")


def _values(transaction: Transaction, found: Sequence[tuple[Original, str]], resource: str) -> Representation:
    """These values, in parts that name their address, or the only one alone. Raises `NotFound` where there is none."""
    if not found:
        raise NotFound
    if not transaction.choice.multipart:
        if len(found) > 1:
            raise NotAcceptable
        return transaction.answer(lambda: represent.bulk(transaction, *found[0]), extra=resource, ranges=True)

    def parts() -> Iterator[Part]:
        for original, at in found:
            location = f"{transaction.url(original.record)}/bulkdata/{at}"
            body = represent.bulk(transaction, original, at)
            yield Part(media_type=_OCTETS, body=body, headers={"Content-Location": location})

    return transaction.answer_parts(parts(), extra=resource)


def bulkdata_element(services: Services, ask: Ask, choice: Choice, *, element: str, **path: str) -> Representation:
    """One BulkDataURI of this level's metadata."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_BULKDATA, choice, path)
    original = unseal(services, transaction.instances[0])
    if not choice.multipart:
        return transaction.answer(
            lambda: represent.bulk(transaction, original, element), extra=f"element/{element}", ranges=True
        )
    body = represent.bulk(transaction, original, element)
    return transaction.answer_parts(iter([Part(media_type=_OCTETS, body=body)]), extra=f"element/{element}")


def film(services: Services, ask: Ask, **path: str) -> Film:
    """What the page shows beside the picture; recorded as the retrieval of metadata that it is."""
    choice = Choice(media_type="text/html", multipart=False)
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_METADATA, choice, path)
    masked = masked_dataset(unseal(services, transaction.instances[0]), transaction.view)
    permit = transaction.admission.permit
    shown = Film(
        level=permit.level.name,
        role=permit.acting_role,
        reason=permit.reason,
        description=permit.level.description,
        attributes=tuple(
            (element.name, str(element.value)[:200])
            for element in masked.dataset
            if element.VR != "SQ" and not element.tag.is_private and element.VM
        ),
    )
    transaction.answer(lambda: repr(shown).encode())
    return shown


def check_numbers(original: Original, numbers: Sequence[int]) -> None:
    """Raise `NotFound` for a frame that does not exist, `UnsupportedPixels` where there are none, `BadRequest`."""
    if original.description is None:
        raise UnsupportedPixels("the object has no pixel data")
    if len(numbers) > MOST_FRAMES_AT_ONCE:
        raise BadRequest("too many frames are asked for at once")
    if max(numbers) > original.description.number_of_frames:
        raise NotFound
