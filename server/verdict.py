"""What a person decides about a film, as JSON says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.errors import BadRequest, Conflict, DetectorNonsense
from server.model import LiftReason, Region, RegionKind
from server.screening.findings import checked
from server.screening.regions import REVIEW, RegionSet
from server.screening.settled import settled

_MOST = 1000
_PLACE = ("top_row", "left_column", "row_count", "column_count")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Regions to add, and indices of regions to lift with the reason for each; or the whole film; or all as found."""

    add: tuple[Region, ...] = ()
    lift: Mapping[int, LiftReason]
    whole: bool = False
    as_found: bool = False


def read_verdict(body: object) -> Verdict:
    """One of {"verdict": "accept"}, {"verdict": "mask-wholly"} and {"verdict": "regions", "add": […], "lift": […]}.

    A region to add is {"top_row", "left_column", "row_count", "column_count", "frames": null or [1, …]}, one to lift
    {"region": its index from 0, "reason": a `LiftReason`}.

    Raises `BadRequest` for anything else.
    """
    if not isinstance(body, dict):
        raise BadRequest("a verdict is a JSON object")
    if body == {"verdict": "accept"}:
        return Verdict(lift={}, as_found=True)
    if body == {"verdict": "mask-wholly"}:
        return Verdict(lift={}, whole=True)
    add, lift = body.get("add"), body.get("lift")
    if body.get("verdict") != "regions" or set(body) != {"verdict", "add", "lift"}:
        raise BadRequest("a verdict is accept, mask-wholly, or regions with add and lift")
    if not isinstance(add, list) or not isinstance(lift, list) or len(add) + len(lift) > _MOST:
        raise BadRequest("add and lift are lists of at most 1000 together")
    lifted = dict(map(_lift, lift))
    if len(lifted) != len(lift):
        raise BadRequest("a region is lifted twice")
    return Verdict(add=tuple(map(_region, add)), lift=lifted)


def applied(verdict: Verdict, former: RegionSet | None, rows: int, columns: int, frames: int) -> RegionSet:
    """The region set that a verdict makes of the former one, for a film of this size.

    Raises `BadRequest` for regions outside of the film or that cannot be lifted, `Conflict` where nothing was found
    that could be accepted.
    """
    if verdict.as_found and former is None:
        raise Conflict("no detector has finished with this film, so there is nothing found to accept")
    whole = (_whole(rows, columns),) if verdict.whole else ()
    try:
        add = checked((*verdict.add, *whole), rows, columns, frames)
    except DetectorNonsense:
        raise BadRequest("a region lies outside of the film") from None
    return settled(former or RegionSet(version="", regions=()), add=add, lift=verdict.lift)


def _whole(rows: int, columns: int) -> Region:
    return Region(
        kind=RegionKind.MANUAL, top_row=0, left_column=0, row_count=rows, column_count=columns, detector=REVIEW
    )


def _region(entry: object) -> Region:
    if not isinstance(entry, dict) or set(entry) != {*_PLACE, "frames"}:
        raise BadRequest("a region has top_row, left_column, row_count, column_count and frames")
    place, frames = [entry[name] for name in _PLACE], entry["frames"]
    if not all(type(number) is int for number in place) or min(place) < 0 or min(place[2:]) < 1:
        raise BadRequest("a region's place is told in whole samples")
    if frames is not None and (not isinstance(frames, list) or not frames or not all(map(_is_frame, frames))):
        raise BadRequest("frames are null, or a list of frame numbers from 1")
    return Region(
        kind=RegionKind.MANUAL,
        top_row=place[0],
        left_column=place[1],
        row_count=place[2],
        column_count=place[3],
        frames=None if frames is None else frozenset(frames),
        detector=REVIEW,
    )


def _is_frame(value: object) -> bool:
    return type(value) is int and value >= 1


def _lift(entry: object) -> tuple[int, LiftReason]:
    if not isinstance(entry, dict) or set(entry) != {"region", "reason"} or type(entry["region"]) is not int:
        raise BadRequest("what is lifted is a region's index, with a reason")
    if entry["reason"] not in list(LiftReason):
        raise BadRequest(f"a reason for lifting is one of {', '.join(LiftReason)}")
    return entry["region"], LiftReason(entry["reason"])
