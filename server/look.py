"""Look at one opened film: find what it shows, hide that, and have another detector look again at what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from server.develop import Original, decoded_frame
from server.errors import UnsupportedPixels
from server.metadata.view import to_pydicom
from server.model import Region, ReviewReason
from server.model.kinds import is_video
from server.pixels.display import display_attributes
from server.pixels.frame import values
from server.pixels.redact import redact
from server.screening.cine import Looked, next_frame
from server.screening.detectors import Detectors
from server.screening.devices import DEVICES_FILE, read_devices
from server.screening.facts import facts_of, must_be_reviewed
from server.screening.faint import background
from server.screening.finders import FrameFinders
from server.screening.findings import Findings, checked
from server.screening.picture import Samples, logarithm
from server.screening.regions import UNREAD, Residual
from server.screening.sought import looks_for_faces
from server.screening.text import LARGEST_FRAME
from server.screening.twins import RAW
from server.second_look import LOOK, frames_to_recheck
from server.services import Services
from server.twins import twin_regions
from server.volumes import head_regions


def too_large(original: Original) -> bool:
    """Whether a frame has more samples than a detector takes: then nobody looks, and all of it stays hidden."""
    description = original.description
    return description is not None and description.rows * description.columns > LARGEST_FRAME


def look(services: Services, detectors: Detectors, original: Original, between_frames: Callable[[], None]) -> Findings:
    """Find, mask, and look again. Raises `DetectorNonsense` for regions that cannot be."""
    if is_video(original.record.transfer_syntax_uid):
        raise UnsupportedPixels("a video is not looked at")
    description = original.description
    if description is None:
        return Findings(regions=())
    bounds = description.rows, description.columns, description.number_of_frames
    reasons: set[ReviewReason] = set()
    heads = head_regions(services, detectors.heads, original, between_frames, reasons.add)
    alone = find(services, detectors, original, between_frames, reasons.add)
    found = checked((*heads.regions, *alone, *twin_regions(services, original)), *bounds)
    numbers = frames_to_recheck(description.number_of_frames)
    read = checked(_second_look(services, detectors, original, found, numbers, between_frames), *bounds)
    if any(region.content != UNREAD for region in read):
        reasons.add(ReviewReason.RESIDUAL_TEXT)
    residual = Residual(version=detectors.residual.version(), frames=len(numbers), lines=len(read))
    return Findings(
        regions=(*found, *read),
        reasons=frozenset(reasons),
        residual=residual,
        faces_sought=heads.sought and looks_for_faces(detectors.version()),
    )


def find(
    services: Services,
    detectors: Detectors,
    original: Original,
    between_frames: Callable[[], None],
    review: Callable[[ReviewReason], None],
) -> list[Region]:
    """The regions of every frame of an original by itself, as the detectors find them; none without pixel data.

    `review` is told why a person has to look at this film, if so: then it stays wholly masked until one has.
    """
    description = original.description
    if description is None:
        return []
    table = display_attributes(to_pydicom(original.elements)).palette
    palette, first = (table.entries, table.first) if table else (None, 0)
    facts = facts_of(to_pydicom(original.elements))
    if must_be_reviewed(facts):
        review(ReviewReason.WHOLE_FRAME_RULE)
    finders = FrameFinders(
        facts,
        description.rows,
        description.columns,
        faces=detectors.faces,
        devices=read_devices((services.settings.policies / DEVICES_FILE).read_bytes()),
        palette=palette,
        palette_first=first,
    )
    found: list[Region] = []

    def text(samples: Samples, frame_number: int) -> list[Region]:
        return detectors.text.find(samples, frame_number=frame_number, palette=palette, palette_first=first)

    glance = partial(detectors.glance, palette=palette, palette_first=first) if detectors.glance else None

    # A film that says so is looked at once more; one that does not say so loses nothing by it.
    intent = str(to_pydicom(original.elements).get("PresentationIntentType", ""))
    raw = original.record.sop_class_uid in RAW or "PROCESSING" in intent.upper()
    before: dict[int, Looked] = {}
    for number in range(1, description.number_of_frames + 1):
        samples = decoded_frame(services, original, number).samples
        shown = values(samples, description)
        finders.frame(shown, number)
        if palette is None:
            found += background(shown, number)
        # What lies in unused bits would drown the picture, and the other way round: each is looked at by itself.
        looks = [shown] if shown is samples or np.array_equal(shown, samples) else [shown, samples]
        for index, look in enumerate([*looks, logarithm(shown)] if raw else looks):
            before[index] = next_frame(before.get(index), look, number, text, glance)
            found += before[index].regions
        between_frames()
    return [*found, *finders.all_frames()]


def _second_look(
    services: Services,
    detectors: Detectors,
    original: Original,
    found: tuple[Region, ...],
    numbers: Iterable[int],
    between_frames: Callable[[], None],
) -> list[Region]:
    """What another detector still reads of the masked frames, outside of the masks."""
    read: list[Region] = []
    table = display_attributes(to_pydicom(original.elements)).palette
    palette, first = (table.entries, table.first) if table else (None, 0)
    for number in numbers:
        frame = decoded_frame(services, original, number)
        masked = redact(frame, found, LOOK, screened=True, frame_number=number)
        read += detectors.residual.find(
            values(masked.samples, masked.description),
            hidden=masked.areas,
            frame_number=number,
            palette=palette,
            palette_first=first,
        )
        between_frames()
    return read
