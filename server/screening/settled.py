"""What a person has said about a film's regions, and how it outlives the next screening."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from server.errors import BadRequest
from server.model import LiftReason, Region
from server.screening.regions import DEVICE, REVIEW, Lifted, RegionSet

# A newer detector draws the same line a little larger or smaller.
_TOLERANCE = 8


def united(former: RegionSet | None, found: RegionSet, *, withdrawn: Collection[Region] = ()) -> RegionSet:
    """What newer detectors found, with all that a person added; without what lies where a person lifted the like.

    What a rule about a device hid stays hidden without the rule, but for the regions that are `withdrawn`.
    """
    if former is None:
        return found
    kept = tuple(
        region
        for region in former.regions
        if region.detector == REVIEW or (region.detector == DEVICE and region not in withdrawn)
    )
    shown = (region for region in found.regions if not any(_within(region, one.region) for one in former.lifted))
    return replace(found, regions=_once((*shown, *kept)), lifted=former.lifted, settled=former.settled)


def settled(former: RegionSet, *, add: Iterable[Region], lift: Mapping[int, LiftReason]) -> RegionSet:
    """The set with regions added and others lifted, which are named by their index from 0.

    Raises `BadRequest` for an index that is none, or is that of a region which no detector found.
    """
    for index in lift:
        if not 0 <= index < len(former.regions) or former.regions[index].detector == REVIEW:
            raise BadRequest("only a region that a detector found can be lifted")
    remaining = tuple(region for index, region in enumerate(former.regions) if index not in lift)
    lifted = tuple(Lifted(region=former.regions[index], reason=reason) for index, reason in sorted(lift.items()))
    return replace(former, regions=_once((*remaining, *add)), lifted=(*former.lifted, *lifted), settled=True)


def _once(regions: Sequence[Region]) -> tuple[Region, ...]:
    return tuple(dict.fromkeys(regions))


def _within(region: Region, lifted: Region) -> bool:
    if region.kind is not lifted.kind:
        return False
    frames = lifted.frames is None or (region.frames is not None and region.frames <= lifted.frames)
    return (
        frames
        and region.top_row >= lifted.top_row - _TOLERANCE
        and region.left_column >= lifted.left_column - _TOLERANCE
        and region.top_row + region.row_count <= lifted.top_row + lifted.row_count + _TOLERANCE
        and region.left_column + region.column_count <= lifted.left_column + lifted.column_count + _TOLERANCE
    )
