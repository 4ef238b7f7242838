"""Films of one exposure: the one for processing hides what was found on those for presentation, whichever came first.

What is read of the others is what is stored of them, so nobody waits for anybody: a film whose regions are news to
another puts that one back into the queue, in the transaction that makes its own regions hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from server.develop import Original, region_set, unseal
from server.errors import NotFound, SealBroken, UnsupportedPixels
from server.metadata.view import to_pydicom
from server.model import InstanceRecord, Region, ScreeningState
from server.screening.regions import RegionSet
from server.screening.twins import PLAIN, RAW, Shot, carried, same_exposure, shot_of
from server.services import Services


def twin_regions(services: Services, original: Original) -> list[Region]:
    """What was found so far on the films for presentation of this one's exposure; none unless it is for processing."""
    shot = _shot(original)
    if shot is None or not shot.raw:
        return []
    found: list[Region] = []
    for record in _others(services, original.record):
        if record.sop_class_uid not in PLAIN and record.path.instance.upper() not in shot.sources:
            continue
        for other, opened in _opened(services, record):
            if not other.raw and same_exposure(shot, other):
                regions = region_set(services, opened.study_key, record)
                found += carried(regions.regions if regions else (), other, shot)
    return found


def behind(services: Services, original: Original, found: Collection[Region]) -> tuple[str, ...]:
    """The rows of films for processing that do not hide what was `found` on this film for presentation."""
    shot = _shot(original)
    if shot is None or shot.raw:
        return ()
    rows = []
    for record in _others(services, original.record):
        if record.sop_class_uid not in RAW and record.path.instance.upper() not in shot.sources:
            continue
        for other, opened in _opened(services, record):
            if (
                other.raw
                and same_exposure(shot, other)
                and not _hides(services, opened, carried([*found], shot, other))
            ):
                rows.append(record.row)
    return tuple(rows)


def _hides(services: Services, original: Original, wanted: Collection[Region]) -> bool:
    record = original.record
    if record.screening is ScreeningState.FAILED or not wanted:
        return True
    # One that a worker is just busy with may have looked for its twins already.
    known = region_set(services, original.study_key, record) if record.screening is not ScreeningState.PENDING else None
    return known is not None and {*wanted} <= _known(known)


def _known(known: RegionSet) -> set[Region]:
    return {*known.regions, *(one.region for one in known.lifted)}


def _others(services: Services, record: InstanceRecord) -> Iterator[InstanceRecord]:
    if record.sop_class_uid not in PLAIN | RAW:
        return
    yield from (one for one in services.catalog.instances_of(record.path.study) if one.row != record.row)


def _opened(services: Services, record: InstanceRecord) -> Iterator[tuple[Shot, Original]]:
    """Nothing of one that cannot be opened, which is masked for that by itself."""
    try:
        original = unseal(services, record)
    except (SealBroken, NotFound, UnsupportedPixels):
        return
    shot = _shot(original)
    if shot is not None:
        yield shot, original


def _shot(original: Original) -> Shot | None:
    description = original.description
    if description is None:
        return None
    return shot_of(to_pydicom(original.elements), description.rows, description.columns, description.number_of_frames)
