"""Base renditions: made by the worker once a film is screened, so that an answer draws only what it has to hide.

Which regions are in force is looked up for every answer anew. The picture under those that screening found stands ready
beside the base; under others its segments are exchanged; and whatever a base does not fit goes the direct road.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace

from server.admit import View
from server.develop import Original, masked_dataset, masked_frame, region_set, unseal
from server.errors import DecodeFailed, NotFound, SealBroken, UnsupportedPixels
from server.model import InstanceRecord, MaskingLevel, Region, RenderParameters, ScreeningState
from server.pixels.base import (
    FACTS,
    FIRST_BAND,
    NUMBERS,
    QUALITY,
    READY,
    READY_FOR,
    SEGMENTS,
    STREAM,
    base_of,
    flat_alone,
    masked_stream,
    needs,
    of_use,
    read,
)
from server.pixels.display import DisplayAttributes, display_attributes
from server.pixels.encode import encode_jpeg
from server.pixels.overlays import overlays
from server.pixels.redact import MaskedFrame
from server.pixels.render import MaskedPicture, render
from server.services import Services
from server.vault.bases import OpenBase
from server.vault.envelope import derive

_ROWS, _COLUMNS = "00280010", "00280011"
_PLAIN = RenderParameters()
_LOG = logging.getLogger("safelight.bases")


def keep_bases(services: Services, record: InstanceRecord) -> int:
    """Make the base of a screened film for every level that has use for one; returns how many.

    What cannot be decoded has none. Raises `SealBroken`, `Busy`.
    """
    if record.screening is not ScreeningState.SCREENED or record.number_of_frames != 1:
        return 0
    original = unseal(services, record)
    described, made = original.description, 0
    for level in services.policy.current.levels.values():
        if not _of_use(record, level):
            continue
        kept = flat_alone(original.regions, level, described) if described is not None else None
        parts = _parts(services, original, level, kept) if kept is not None else None
        made += parts is not None
        # What has none says so, lest it be wished for again and again.
        parts = parts or [b""] * SEGMENTS
        parts[READY_FOR] = _regions_of(record)
        services.bases.put(original.study_key, record.content, level.name, _label(record, level), parts)
    return made


def grant_wish(services: Services) -> bool:
    """Make the bases of one film that an answer wished for; False if there is none. Raises `Busy`, `OSError`."""
    row = services.wishes.take()
    if row is None:
        return False
    try:
        keep_bases(services, services.catalog.instance_at(row))
    except (NotFound, SealBroken) as error:
        _LOG.warning("no base rendition is made: %s", type(error).__name__)
    return True


def _parts(services: Services, original: Original, level: MaskingLevel, kept: tuple[Region, ...]) -> list[bytes] | None:
    # Names differ from world to world, and nothing that a picture follows from: any world will do.
    domain = derive(original.study_key, "names of no world") if level.pseudonyms else None

    def shown(regions: tuple[Region, ...]) -> tuple[MaskedFrame, DisplayAttributes, MaskedPicture]:
        masked = masked_frame(services, replace(original, regions=regions), level, 1)
        display = display_attributes(dataset)
        if not level.alters_samples:
            display = replace(display, overlays=overlays(dataset, masked))
        return masked, display, render(masked, _PLAIN, display)

    try:
        dataset = masked_dataset(original, View(level=level, domain=domain)).dataset
        flat, display, picture = shown(kept)
        parts = base_of(flat, picture, display, level, original.regions)
        if parts is None:
            return None
        ready = encode_jpeg(shown(original.regions)[2], QUALITY)
    except (DecodeFailed, UnsupportedPixels):
        return None
    base = read(parts[FACTS], parts[NUMBERS])
    wanted = needs(base, original.regions, level)
    if wanted is not None:
        bands = [parts[FIRST_BAND + band] for band in wanted.bands]
        if masked_stream(base, parts[STREAM], bands, wanted, original.regions, level) != ready:
            _LOG.error("a base rendition does not give the picture that the masker gives, and is not kept")
            return None
    parts[READY] = ready if base.banded else b""
    return parts


def from_base(
    services: Services,
    record: InstanceRecord,
    level: MaskingLevel,
    parameters: RenderParameters,
    quality: int,
    key_of: Callable[[str], bytes],
) -> bytes | None:
    """The JPEG picture of a film at a level, under the regions in force now; None where the direct road is to be gone.

    `key_of` gives a study's key. Raises `SealBroken` for a region set that does not authenticate, as the direct road
    does, and `Busy` where too many are being masked already.
    """
    if parameters != _PLAIN or quality != QUALITY or record.number_of_frames != 1:
        return None
    if record.screening is not ScreeningState.SCREENED or not _of_use(record, level):
        return None
    study_key = key_of(record.path.study)
    found = region_set(services, study_key, record)
    if found is None:
        return None
    try:
        with services.bases.opened(study_key, record.content, level.name, _label(record, level)) as base:
            if base is not None:
                same = base.part(READY_FOR) == _regions_of(record)
                picture = _picture(services, base, found.regions, level, same=same)
                if picture is not None or same:
                    return picture
    except SealBroken:
        # It has been removed. The original is the authority; what it does not give, nobody gets.
        _LOG.warning("the direct road is gone instead")
    services.wishes.put(record.row)
    return None


def _picture(
    services: Services, opened: OpenBase, regions: tuple[Region, ...], level: MaskingLevel, *, same: bool
) -> bytes | None:
    """The picture under these regions, None where the base does not fit; `same`: it was made under just these."""
    ready = opened.part(READY) if same else b""
    facts = opened.part(FACTS)
    if ready or not facts:
        return ready or None
    base = read(facts, opened.part(NUMBERS))
    wanted = needs(base, regions, level)
    if wanted is None:
        return None
    with services.gate.passed():
        bands = [opened.part(FIRST_BAND + band) for band in wanted.bands]
        return masked_stream(base, opened.part(STREAM), bands, wanted, regions, level)


def _of_use(record: InstanceRecord, level: MaskingLevel) -> bool:
    """By the size that the catalogue tells: of a header that says another one, the picture only comes more slowly."""
    sizes = [record.attributes.get(tag, {}).get("Value") for tag in (_ROWS, _COLUMNS)]
    rows, columns = (one[0] if isinstance(one, list) and one and isinstance(one[0], int) else 0 for one in sizes)
    return of_use(rows, columns, level)


def _regions_of(record: InstanceRecord) -> bytes:
    """Which region set is in force: sets are never written over, another one has another name."""
    assert record.regions is not None
    return f"{record.regions.name}/{record.regions.version}".encode()


def _label(record: InstanceRecord, level: MaskingLevel) -> str:
    """What a base was made from besides the object and the program: of anything else there is none."""
    told = (level.fingerprint, record.transfer_syntax_uid, record.row, str(record.faces_sought), str(QUALITY))
    return hashlib.sha256("\x00".join(told).encode()).hexdigest()
