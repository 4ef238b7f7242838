"""Retrieve rendered (PS3.18 sections 10.4.1.1.4 and .5): pictures of 8 bits a channel, from masked samples only, and
text objects as text, from masked attributes only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from server.admit import admit
from server.bases import from_base
from server.develop import (
    Original,
    displayed_dataset,
    masked_dataset,
    masked_frame,
    thumbnail_level,
    unseal,
    unseal_each,
)
from server.errors import BadRequest, NotAcceptable, UnsupportedPixels
from server.headers import display_of
from server.metadata.caption import KINDS, caption
from server.metadata.masked import MaskedDataset
from server.metadata.narrative import to_html, to_plain, to_xhtml
from server.model import (
    Action,
    Ask,
    InstanceRecord,
    MaskingLevel,
    ObjectKind,
    RenderParameters,
    Representation,
    Viewport,
)
from server.multipart import Part
from server.negotiate import Choice
from server.pixels.captions import Captions
from server.pixels.display import DisplayAttributes
from server.pixels.encode import encode_gif, encode_jp2, encode_jpeg, encode_png
from server.pixels.overlays import overlays
from server.pixels.presentation import presentation
from server.pixels.redact import MaskedFrame
from server.pixels.render import MaskedPicture, render
from server.pixels.softcopy import displayed
from server.retrieve import check_numbers
from server.services import Services
from server.shots import TEXTS, Shot, kind, of_states, through_state
from server.transaction import Transaction

_WRITERS: Mapping[str, Callable[[MaskedDataset], bytes]] = {
    "text/html": to_html,
    "text/plain": to_plain,
    "text/xml": to_xhtml,
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a request for pictures asks: frames (None: the first, or all as an animation), how, JPEG quality 1-100.

    `region` is a part of the frame as left, top, right and bottom in 0 to 1, seen through the parameters' viewport;
    `state` are series and SOP instance UID of a presentation state to see it through.
    """

    numbers: tuple[int, ...] | None
    parameters: RenderParameters
    quality: int
    region: tuple[float, float, float, float] | None = None
    state: tuple[str, str] | None = None


def rendered(
    services: Services, ask: Ask, choice: Choice, wanted: Wanted, among: Callable[[bool], Choice], **path: str
) -> Representation:
    """Pictures of the instances below the path, or of the given frames of one; of text objects what they say.

    A presentation state is the picture that it describes where nothing else under the path is one. `among` chooses
    again where only the other sort is there: True among the media types of texts, False among those of pictures.
    """
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_RENDERED, choice, path)
    films = [one for one in transaction.instances if one.number_of_frames]
    states = [one for one in transaction.instances if kind(one) is ObjectKind.PRESENTATION_STATE]
    reports = [one for one in transaction.instances if kind(one) in TEXTS]
    # Whatever is asked for is answered in that form where there is anything in that form.
    if choice.media_type in _WRITERS and not reports and films:
        transaction = replace(transaction, choice=among(False))  # noqa: FBT003
    elif choice.media_type not in _WRITERS and not films and not states and reports and wanted.numbers is None:
        transaction = replace(transaction, choice=among(True))  # noqa: FBT003
    if transaction.choice.media_type in _WRITERS:
        return _told(transaction, reports, wanted)
    if wanted.state is not None:
        transaction, shots = through_state(transaction, *wanted.state, wanted.numbers)
    elif not films and states:
        transaction, shots = of_states(transaction, states, wanted.numbers)
    else:
        shots = [Shot(record=one, numbers=wanted.numbers) for one in _with_pixels(transaction)]
    if wanted.parameters.window is not None and any(shot.state is not None for shot in shots):
        raise BadRequest("a presentation state has windows of its own")
    return _answer(transaction, shots, transaction.view.level, wanted)


def thumbnail(services: Services, ask: Ask, choice: Choice, wanted: Wanted, **path: str) -> Representation:
    """One small picture without any identifying text, whatever the role."""
    transaction = Transaction.begin(services, ask, Action.RETRIEVE_THUMBNAIL, choice, path)
    first = Shot(record=_with_pixels(transaction)[0], numbers=(wanted.numbers or (1,))[:1])
    return _answer(transaction, [first], thumbnail_level(transaction.view.level), wanted)


def form_of(services: Services, ask: Ask, **path: str) -> str:
    """What a single object is by default: "picture" of a single frame, "text" or "object". Raises as `admit`."""
    found = admit(services, ask, Action.RETRIEVE_RENDERED, **path).instances
    if [one.number_of_frames for one in found] == [1]:
        return "picture"
    return "text" if all(kind(one) in TEXTS for one in found) else "object"


def _with_pixels(transaction: Transaction) -> list[InstanceRecord]:
    chosen = [one for one in transaction.instances if one.number_of_frames]
    if not chosen:
        raise UnsupportedPixels("there is no picture in it")
    return chosen


def _told(transaction: Transaction, reports: Sequence[InstanceRecord], wanted: Wanted) -> Representation:
    """Text objects as text, in parts or the only one alone."""
    choice = transaction.choice
    if not reports:
        raise NotAcceptable
    media_type = f"{choice.media_type}; charset=utf-8"
    write = _WRITERS[choice.media_type]
    masked = (masked_dataset(one, transaction.view) for one in unseal_each(transaction.services, reports))
    if choice.multipart:
        return transaction.answer_parts(
            (Part(media_type=media_type, body=write(one)) for one in masked), extra=repr(wanted)
        )
    if len(reports) > 1:
        raise NotAcceptable
    return replace(transaction.answer(lambda: write(next(masked)), extra=repr(wanted)), media_type=media_type)


def _answer(transaction: Transaction, shots: Sequence[Shot], level: MaskingLevel, wanted: Wanted) -> Representation:
    choice = transaction.choice
    extra = f"{wanted!r} {[(shot.numbers, shot.uid) for shot in shots]!r}"
    if choice.multipart:
        bodies = _bodies(transaction, shots, level, wanted)
        parts = (Part(media_type=choice.media_type, body=body) for body in bodies)
        return _warned(transaction.answer_parts(parts, extra=extra), wanted)
    several = any(shot.numbers is not None and len(shot.numbers) > 1 for shot in shots)
    if len(shots) > 1 or several:
        raise NotAcceptable

    def develop() -> bytes:
        return next(_bodies(transaction, shots, level, wanted))

    return _warned(transaction.answer(lambda: transaction.kept(develop, extra), extra=extra), wanted)


def _warned(answer: Representation, wanted: Wanted) -> Representation:
    """The answer with a word about what was asked to be written into the picture and cannot be."""
    unknown = [one for one in wanted.parameters.annotation if one not in KINDS]
    if not unknown:
        return answer
    told = f'299 safelight "The following annotation values are not supported: {", ".join(unknown)}"'
    before = answer.headers.get("Warning")
    return replace(answer, headers={**answer.headers, "Warning": f"{before}, {told}" if before else told})


def _bodies(transaction: Transaction, shots: Sequence[Shot], level: MaskingLevel, wanted: Wanted) -> Iterator[bytes]:
    media_type = transaction.choice.media_type
    for shot in shots:
        quick = _from_base(transaction, shot, level, wanted) if media_type == "image/jpeg" else None
        if quick is not None:
            yield quick
            continue
        original = unseal(transaction.services, shot.record, transaction.key_of)
        animated = media_type == "image/gif" and shot.numbers is None
        every = range(1, shot.record.number_of_frames + 1)
        numbers: Sequence[int] = every if animated else (shot.numbers or (1,))
        check_numbers(original, numbers)
        pictures = _pictures(transaction, shot, original, level, wanted, numbers)
        if animated:
            yield encode_gif(list(pictures))
        else:
            yield from (_encoded(picture, media_type, wanted.quality) for picture in pictures)


def _from_base(transaction: Transaction, shot: Shot, level: MaskingLevel, wanted: Wanted) -> bytes | None:
    if level is not transaction.view.level or shot.state is not None or wanted.region is not None:
        return None
    if shot.numbers not in (None, (1,)):
        return None
    asked = wanted.parameters, wanted.quality
    return from_base(transaction.services, shot.record, level, *asked, transaction.key_of)


def _pictures(
    transaction: Transaction,
    shot: Shot,
    original: Original,
    level: MaskingLevel,
    wanted: Wanted,
    numbers: Sequence[int],
) -> Iterator[MaskedPicture]:
    shown, parameters = displayed_dataset(original, transaction.view), _placed(wanted, original)
    written = [one for one in KINDS if one in wanted.parameters.annotation]
    lines: dict[str, tuple[str, ...]] = {}
    if written:
        attributes = masked_dataset(original, transaction.view)
        lines = {one: caption(attributes, one) for one in written}
    captions = Captions(left=lines.get("patient", ()), right=lines.get("technique", ()))
    for number in numbers:
        masked = masked_frame(transaction.services, original, level, number)
        display = display_of(shown, number)
        if shot.state is not None:
            display = _under(display, shot, masked)
            state = presentation(shot.state, shot.uid, number)
            yield render(masked, parameters, display, state=state, captions=captions)
            continue
        # Graphics beside the samples are under no mask: they are drawn where no sample is masked either.
        if not level.alters_samples:
            display = replace(display, overlays=overlays(shown.dataset, masked))
        yield render(masked, parameters, display, captions=captions)


def _under(display: DisplayAttributes, shot: Shot, masked: MaskedFrame) -> DisplayAttributes:
    assert shot.state is not None
    number, photometric = masked.frame_number, masked.photometric_interpretation
    return displayed(display, shot.state, shot.uid, number, masked.description, photometric)


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
    if media_type == "image/jp2":
        return encode_jp2(picture)
    return encode_png(picture) if media_type == "image/png" else encode_gif([picture])
