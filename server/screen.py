"""Screen: find once, when a film has come in, what every later answer has to hide.

The queue is the catalogue itself: an instance is pending from the very transaction that stored it, so there is no
moment at which it is in the store and not waiting to be screened. Whatever goes wrong here leaves it wholly masked.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable

import numpy as np

from server.develop import REGIONS, Original, decoded_frame, unseal
from server.errors import (
    AuditUnavailable,
    Busy,
    DecodeFailed,
    KeyUnavailable,
    NotFound,
    SealBroken,
    StorageUnavailable,
    UnsupportedPixels,
)
from server.metadata.view import to_pydicom
from server.model import AuditEvent, InstanceRecord, ObjectReference, Region, ScreeningState
from server.model.kinds import is_video
from server.pixels.display import display_attributes
from server.pixels.frame import values
from server.screening.regions import RegionSet, encode_regions
from server.screening.text import TextDetector
from server.services import Services
from server.workers import release_ended

_LEASE = 600.0
_LOG = logging.getLogger("safelight.screening")


def screen_next(services: Services, detector: TextDetector, worker: str) -> InstanceRecord | None:
    """Screen one waiting instance and record the outcome; None if none is waiting. `worker` names the process.

    Raises `AuditUnavailable`, `KeyUnavailable` or `StorageUnavailable` with the instance given back, `Busy`.
    """
    record = _claim(services, worker)
    if record is None:
        return None
    try:
        _screen(services, detector, worker, record)
    except (AuditUnavailable, KeyUnavailable, StorageUnavailable):
        # Not the film's doing, so it must not use up the film's attempts.
        services.catalog.release(worker, attempted=False)
        raise
    return record


def _claim(services: Services, worker: str) -> InstanceRecord | None:
    record = services.catalog.claim(worker, services.clock(), _LEASE)
    if record is None and release_ended(services):
        record = services.catalog.claim(worker, services.clock(), _LEASE)
    return record


def _screen(services: Services, detector: TextDetector, worker: str, record: InstanceRecord) -> None:
    regions: ObjectReference | None = None
    reason = "screened"
    state = ScreeningState.SCREENED
    try:
        original = unseal(services, record)
        found = find(services, detector, original, lambda: _extend(services, record, worker))
        # A region set is a new object under a new name; the catalogue's row says which one is in force.
        encoded = encode_regions(RegionSet(version=detector.version(), regions=tuple(found)))
        try:
            regions = services.objects.put(original.study_key, REGIONS, [encoded])
        except OSError as error:
            raise StorageUnavailable(f"sealing failed: {errno.errorcode.get(error.errno or 0, '?')}") from error
        reason = f"screened: {len(found)} regions"
    except (DecodeFailed, UnsupportedPixels, SealBroken, NotFound, MemoryError) as error:
        state, reason = ScreeningState.FAILED, f"failed: {type(error).__name__}"
        _LOG.warning("screening failed: %s", type(error).__name__)
    services.journal.append(
        AuditEvent(
            kind="screening",
            action="screen",
            status=0,
            request=record.row,
            object=record.path.instance,
            reason=reason,
        )
    )
    finished = services.catalog.finish(record.row, worker, state, regions)
    if finished is None and regions is not None:
        services.objects.delete(regions)


def _extend(services: Services, record: InstanceRecord, worker: str) -> None:
    if not services.catalog.extend(record.row, worker, services.clock() + _LEASE):
        raise Busy("another worker has taken this instance over")


def find(
    services: Services, detector: TextDetector, original: Original, between_frames: Callable[[], None]
) -> list[Region]:
    """The regions of every frame of an original, as the detector finds them; none without pixel data."""
    description = original.description
    if is_video(original.record.transfer_syntax_uid):
        raise UnsupportedPixels("a video is not looked at")
    if description is None:
        return []
    table = display_attributes(to_pydicom(original.elements)).palette
    palette, first = (table.entries, table.first) if table else (None, 0)
    found: list[Region] = []
    for number in range(1, description.number_of_frames + 1):
        samples = decoded_frame(services, original, number).samples
        shown = values(samples, description)
        # What lies in unused bits would drown the picture, and the other way round: each is looked at by itself.
        for look in [shown] if shown is samples or np.array_equal(shown, samples) else [shown, samples]:
            found += detector.find(look, frame_number=number, palette=palette, palette_first=first)
        between_frames()
    return found


def drain(services: Services, detector: TextDetector, worker: str, progress: Callable[[int], None]) -> int:
    """Screen until nothing is waiting, instances leased to other workers included. Returns how many were screened.

    `progress` is told how many are still waiting, after every one.
    """
    done = 0
    while (waiting := services.catalog.pending()) > 0:
        progress(waiting)
        try:
            if screen_next(services, detector, worker) is None:
                time.sleep(0.2)
            else:
                done += 1
        except Busy:
            continue
    progress(0)
    return done
