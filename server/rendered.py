"""Retrieve rendered (PS3.18 sections 10.4.1.1.4 and .5): pictures of 8 bits a channel, from masked samples only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from server.admit import admit
from server.develop import Original, masked_dataset, masked_frame, thumbnail_level, unseal
from server.errors import NotAcceptable, UnsupportedPixels
from server.model import Action, Ask, InstanceRecord, MaskingLevel, RenderParameters, Representation, Viewport
from server.multipart import Part
from server.negotiate import Choice
from server.pixels.display import display_attributes
from server.pixels.encode import encode_gif, encode_jpeg, encode_png
from server.pixels.render import MaskedPicture, render
from server.retrieve import check_numbers
from server.services import Services
from server.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a request for pictures asks: frames (None: the first, or all as an animation), how, JPEG quality 1-100.

    `region` is a part of the frame as left, top, right and bottom in 0 to 1, seen through the parameters' viewport.
    """

    numbers: tuple[int, ...] | None
    parameters: RenderParameters
    quality: int
    region: tuple[float, float, float, float] | None = None


def rendered(services: Services, ask: Ask, choice: Choice, wanted: Wanted, **path: str) -> Representation:
    """Pictures of the instances below the path, or of the given frames of one."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_RENDERED, choice, path)
    return _answer(transaction, _with_pixels(transaction), transaction.view.level, wanted)


def thumbnail(services: Services, ask: Ask, choice: Choice, wanted: Wanted, **path: str) -> Representation:
    """One small picture without any identifying text, whatever the role."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_THUMBNAIL, choice, path)
    first = _with_pixels(transaction)[:1]
    one_frame = replace(wanted, numbers=(wanted.numbers or (1,))[:1])
    return _answer(transaction, first, thumbnail_level(transaction.view.level), one_frame)


def is_one_picture(services: Services, ask: Ask, **path: str) -> bool:
    """Whether what the path names is a picture of a single frame. Raises as `admit`."""
    return [one.number_of_frames for one in admit(services, ask, Action.RETRIEVE_RENDERED, **path).instances] == [1]


def _with_pixels(transaction: Transaction) -> list[InstanceRecord]:
    chosen = [one for one in transaction.instances if one.number_of_frames]
    if not chosen:
        raise UnsupportedPixels("there is no picture in it")
    return chosen


def _answer(
    transaction: Transaction, chosen: Sequence[InstanceRecord], level: MaskingLevel, wanted: Wanted
) -> Representation:
    choice, extra = transaction.choice, repr(wanted)
    if choice.multipart:
        bodies = _bodies(transaction, chosen, level, wanted)
        parts = (Part(media_type=choice.media_type, body=body) for body in bodies)
        return transaction.answer_parts(parts, extra=extra)
    if len(chosen) > 1 or (wanted.numbers is not None and len(wanted.numbers) > 1):
        raise NotAcceptable

    def develop() -> bytes:
        return next(_bodies(transaction, chosen, level, wanted))

    return transaction.answer(lambda: transaction.kept(develop, extra), extra=extra)


def _bodies(
    transaction: Transaction, chosen: Sequence[InstanceRecord], level: MaskingLevel, wanted: Wanted
) -> Iterator[bytes]:
    services, media_type = transaction.services, transaction.choice.media_type
    animated = media_type == "image/gif" and wanted.numbers is None
    for one in chosen:
        original = unseal(services, one)
        numbers: Sequence[int] = wanted.numbers or (1,)
        if animated:
            numbers = range(1, one.number_of_frames + 1)
        check_numbers(original, numbers)
        dataset = masked_dataset(original, transaction.view).dataset
        pictures = (
            render(
                masked_frame(services, original, level, number),
                _placed(wanted, original),
                display_attributes(dataset, frame_number=number),
            )
            for number in numbers
        )
        if animated:
            yield encode_gif(list(pictures))
        else:
            yield from (_encoded(picture, media_type, wanted.quality) for picture in pictures)


def _placed(wanted: Wanted, original: Original) -> RenderParameters:
    """The parameters with the region in pixels of this object's frames, rounded outward; without a size of its own it
    is shown pixel by pixel."""
    described, viewport = original.description, wanted.parameters.viewport
    if wanted.region is None or described is None:
        return wanted.parameters
    left, top, right, bottom = wanted.region
    first_column, first_row = floor(left * described.columns), floor(top * described.rows)
    columns = ceil(right * described.columns) - first_column
    rows = ceil(bottom * described.rows) - first_row
    placed = Viewport(
        width=viewport.width if viewport else columns,
        height=viewport.height if viewport else rows,
        left=first_column,
        top=first_row,
        source_width=columns,
        source_height=rows,
    )
    return replace(wanted.parameters, viewport=placed)


def _encoded(picture: MaskedPicture, media_type: str, quality: int) -> bytes:
    if media_type == "image/jpeg":
        return encode_jpeg(picture, quality)
    return encode_png(picture) if media_type == "image/png" else encode_gif([picture])
