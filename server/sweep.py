"""Sweep: remove sealed files that no row of the catalogue refers to; a crash between the two leaves one behind."""

from __future__ import annotations

import logging

from server.model import AuditEvent, ObjectReference
from server.services import Services

# A file is sealed a moment before its row is written, so a store in progress is far younger than this.
STALE_SECONDS = 3600.0
# Crashes leave a handful. More than this is a catalogue that does not belong to these films: one put back from an
# older copy, say. Then nothing is removed.
MOST = 100
_LOG = logging.getLogger("safelight.sweep")


def sweep(services: Services) -> int:
    """Remove orphans and unfinished files older than an hour; returns how many orphans.

    Removes nothing where more than `MOST` seem to be orphans. Raises `SealBroken` if a row of the catalogue does not
    open (it might refer to any of them), `AuditUnavailable`, `Busy`; then nothing is removed either.
    """
    now = services.clock()
    # The disk first: whatever is catalogued from here on is too young to be in this set.
    orphans = set(services.objects.names(before=now - STALE_SECONDS))
    orphans.difference_update(services.catalog.object_names())
    if len(orphans) > MOST:
        _LOG.error("%d sealed files without a row: is this the catalogue that belongs to them?", len(orphans))
        return 0
    services.objects.sweep_temporaries(now)
    if orphans:
        request = services.randomness.bytes(16, "request").hex()
        reason = f"{len(orphans)} sealed files without a row are removed"
        services.journal.append(
            AuditEvent(kind="sweep", action="sweep", status=0, request=request, reason=reason, subject="worker")
        )
    for name in sorted(orphans):
        services.objects.delete(ObjectReference(name=name, kind="orphan", version=1, segments=1))
    _sweep_copies(services)
    services.bases.keep_only([level.name for level in services.policy.current.levels.values()])
    services.answers.keep_only([level.name for level in services.policy.current.levels.values()])
    return len(orphans)


def _sweep_copies(services: Services) -> None:
    """Fast copies and base renditions go with their object. Raises `SealBroken`, `OSError`."""
    # The copies first: what is stored from here on is not in this set.
    gone = {*services.copies.names(), *services.bases.names()}
    gone.difference_update(services.catalog.object_names())
    for name in gone:
        services.copies.delete(name)
        services.bases.delete(name)
