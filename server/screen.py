"""Screen: find once, when a film has come in, what every later answer has to hide.

The queue is the catalogue itself: an instance is pending from the very transaction that stored it, so there is no
moment at which it is in the store and not waiting to be screened. Whatever goes wrong here leaves it wholly masked, and
waiting for a person. What is screened already is screened again when the detectors have changed.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable

from server.bases import keep_bases
from server.catalog.screening_queue import Outcome
from server.develop import REGIONS, region_set, unseal
from server.errors import (
    AuditUnavailable,
    Busy,
    ConfigurationError,
    DecodeFailed,
    DetectorNonsense,
    KeyUnavailable,
    NotFound,
    SealBroken,
    StorageUnavailable,
    UnsupportedPixels,
)
from server.look import look, too_large, withdrawn
from server.model import (
    AuditEvent,
    InstanceRecord,
    ObjectReference,
    ReviewReason,
    ScreeningState,
)
from server.screening.detectors import Detectors
from server.screening.findings import FAULTS, first_reason
from server.screening.regions import RegionSet, encode_regions
from server.screening.settled import united
from server.services import Services
from server.twins import behind
from server.workers import release_ended

_LEASE = 600.0
_LOG = logging.getLogger("safelight.screening")
# A retired region set may still be about to be read by a request that has looked its row up already.
_RETIRED_SECONDS = 600.0
_REFUSALS: dict[type[Exception], ReviewReason] = {
    DecodeFailed: ReviewReason.DAMAGED,
    UnsupportedPixels: ReviewReason.UNSUPPORTED,
    SealBroken: ReviewReason.SEAL_BROKEN,
    NotFound: ReviewReason.DAMAGED,
    MemoryError: ReviewReason.OUT_OF_MEMORY,
    DetectorNonsense: ReviewReason.DETECTOR_NONSENSE,
}
_REFUSED = tuple(_REFUSALS)

Alive = Callable[[], None]


def nobody_listens() -> None:
    """For a worker that nobody waits for: its signs of life go nowhere."""


def screen_next(
    services: Services, detectors: Detectors, worker: str, alive: Alive = nobody_listens
) -> InstanceRecord | None:
    """Screen one waiting instance and record the outcome; None if none is waiting. `worker` names the process.

    `alive` is called before each film and after each of its frames. Raises `AuditUnavailable`, `ConfigurationError`,
    `KeyUnavailable` or `StorageUnavailable` with the instance given back, `Busy`.
    """
    record = _claim(services, worker, detectors.heads.at_hand)
    if record is not None:
        detectors.heads.at_hand = record.series.row
        _look(services, detectors, worker, record, alive)
    return record


def found_by(services: Services, detectors: Detectors) -> str:
    """The version of all that looks at a film now: the detectors, and what the site says of its devices.

    Raises `ConfigurationError` where that cannot be read and never could.
    """
    return services.devices.current().version(detectors.version())


def screen_again(
    services: Services, detectors: Detectors, worker: str, row: str, alive: Alive = nobody_listens
) -> InstanceRecord | None:
    """Screen one screened instance again whose regions were `found_by` others; None if it is no longer such a one.

    What was found before stays in force until there is a new region set: where these detectors fail, nothing changes.
    Raises as `screen_next`.
    """
    record = services.catalog.claim_again(row, worker, services.clock(), _LEASE, found_by(services, detectors))
    if record is not None:
        _look(services, detectors, worker, record, alive)
    return record


def _look(services: Services, detectors: Detectors, worker: str, record: InstanceRecord, alive: Alive) -> None:
    alive()
    try:
        _screen(services, detectors, worker, record, alive)
    except (AuditUnavailable, ConfigurationError, KeyUnavailable, StorageUnavailable):
        # Not the film's doing, so it must not use up the film's attempts.
        services.catalog.release(worker, attempted=False)
        raise


def _claim(services: Services, worker: str, series: str) -> InstanceRecord | None:
    record = services.catalog.claim(worker, services.clock(), _LEASE, series)
    if record is None and release_ended(services):
        record = services.catalog.claim(worker, services.clock(), _LEASE, series)
    return record


def _screen(services: Services, detectors: Detectors, worker: str, record: InstanceRecord, alive: Alive) -> None:
    again = record.screening is ScreeningState.SCREENED
    outcome, said = _outcome(services, detectors, worker, record, alive)
    if again and outcome.state is ScreeningState.FAILED:
        said = f"what was found before stays in force: {said}"
    services.journal.append(
        AuditEvent(
            kind="screening",
            action="screen",
            status=0,
            request=record.row,
            object=record.path.instance,
            reason=said,
        )
    )
    if again and outcome.state is ScreeningState.FAILED:
        services.catalog.release(worker, attempted=True, fault=outcome.review)
        return
    finished = services.catalog.finish(record.row, worker, outcome)
    if finished is None and outcome.regions is not None:
        services.objects.delete(outcome.regions)
    if finished is not None:
        _ready(services, finished, alive)


def _ready(services: Services, record: InstanceRecord, alive: Alive) -> None:
    """What later answers are quicker with; the film is screened without it."""
    alive()
    services.series_wishes.put(record.series.row)
    try:
        keep_bases(services, record)
    except (Busy, SealBroken) as error:
        _LOG.warning("no base rendition is made: %s", type(error).__name__)


def _outcome(
    services: Services, detectors: Detectors, worker: str, record: InstanceRecord, alive: Alive
) -> tuple[Outcome, str]:
    """What looking at a film ends in, and a sentence for the journal."""

    def between_frames() -> None:
        alive()
        if not services.catalog.extend(record.row, worker, services.clock() + _LEASE):
            raise Busy("another worker has taken this instance over")

    reason: ReviewReason | None
    # One list from the first frame to the version that is stored, though it may change in the meantime.
    devices = services.devices.current()
    version = devices.version(detectors.version())
    try:
        original = unseal(services, record)
        if too_large(original):
            return _failed(services, ReviewReason.TOO_LARGE)
        findings = look(services, detectors, original, between_frames, devices.rules)
        former = region_set(services, original.study_key, record)
        found = united(
            former,
            RegionSet(version=version, regions=findings.regions, residual=findings.residual),
            withdrawn=withdrawn(original, devices.rules),
        )
        again = behind(services, original, found.regions)
        regions = seal(services, original.study_key, found)
    except _REFUSED as error:
        return _failed(services, next(why for kind, why in _REFUSALS.items() if isinstance(error, kind)))
    except FAULTS as error:
        _LOG.warning("a detector failed: %s", type(error).__name__)
        return _failed(services, ReviewReason.DETECTOR_FAILED)
    doubts = findings.reasons
    if found.settled:
        # Who has looked has decided about what the detectors cannot be sure of. But a film that came back because of
        # its neighbours was settled by somebody who did not see these.
        doubts &= {ReviewReason.HEAD_WITHOUT_FACE} if record.screening is ScreeningState.PENDING else frozenset()
    reason = first_reason(doubts)
    outcome = Outcome(
        state=ScreeningState.IN_REVIEW if reason else ScreeningState.SCREENED,
        regions=regions,
        found_by=version,
        review=reason,
        at=services.clock(),
        faces_sought=findings.faces_sought,
        again=again,
    )
    said = f"in review, {reason.value}" if reason else "screened"
    return outcome, f"{said}: {len(found.regions)} regions"


def _failed(services: Services, reason: ReviewReason) -> tuple[Outcome, str]:
    _LOG.warning("screening failed: %s", reason.value)
    outcome = Outcome(state=ScreeningState.FAILED, regions=None, review=reason, at=services.clock())
    return outcome, f"failed: {reason.value}"


def seal(services: Services, study_key: bytes, found: RegionSet) -> ObjectReference:
    """Store a region set: a new object under a new name; the catalogue's row says which one is in force.

    Raises `StorageUnavailable`.
    """
    try:
        return services.objects.put(study_key, REGIONS, [encode_regions(found)])
    except OSError as error:
        raise StorageUnavailable(f"sealing failed: {errno.errorcode.get(error.errno or 0, '?')}") from error


def delete_retired(services: Services) -> int:
    """Delete the region sets that were replaced a while ago; returns how many. Raises `Busy`."""
    names = services.catalog.retired_names(before=services.clock() - _RETIRED_SECONDS)
    for name in names:
        services.objects.delete(ObjectReference(name=name, kind=REGIONS, version=1, segments=1))
    if names:
        services.catalog.forget_retired(names)
    return len(names)


def drain(
    services: Services,
    detectors: Detectors,
    worker: str,
    progress: Callable[[int], None],
    alive: Alive = nobody_listens,
) -> int:
    """Screen until nothing is waiting, instances leased to other workers included. Returns how many were screened.

    `progress` is told how many are still waiting, after every one.
    """
    done = 0
    while (waiting := services.catalog.pending()) > 0:
        progress(waiting)
        alive()
        try:
            if screen_next(services, detectors, worker, alive) is None:
                time.sleep(0.2)
            else:
                done += 1
        except Busy:
            continue
    progress(0)
    return done
