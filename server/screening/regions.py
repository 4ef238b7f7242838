"""Region sets: merged, bounded, and as bytes for the vault.

The bytes come back out of an authenticated object, so anything unexpected in them means that the object is not what
was stored, and is treated as a broken seal: never as "no regions".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from server.errors import SealBroken
from server.model import LiftReason, Region, RegionKind

# More rectangles than this on one frame are one: the whole frame.
MOST_PER_FRAME = 2000
REVIEW, RESIDUAL, DEVICE = "review", "residual", "device"
"""Who found a region, where it is not the detectors that the set's version names: a person, the second look, or the
site's list of devices."""
_FORMAT, _FIRST_FORMAT = "safelight-regions-2", "safelight-regions-1"
_FIRST_FIELDS = ("kind", "top_row", "left_column", "row_count", "column_count", "frames", "confidence")
_FIELDS = (*_FIRST_FIELDS, "detector", "content")
# What a region's text can be said to be, "" where that is not certain.
# What the second look marks and cannot read, so that nobody need be called.
UNREAD = "unread"
# The letter of a laterality marker, cut out of a plate of which the rest is hidden.
SIDE = "side"
_CONTENTS = ("", "marker", "technique", SIDE, UNREAD)
_FIRST_MEMBERS = {"format", "version", "regions"}
_MEMBERS = {*_FIRST_MEMBERS, "lifted", "residual", "settled"}


@dataclass(frozen=True, kw_only=True)
class Lifted:
    """A region that a detector found and a person has lifted, and why."""

    region: Region
    reason: LiftReason


@dataclass(frozen=True, kw_only=True)
class Residual:
    """What the second look at the masked frames gave: by which version, on how many frames, how many lines it read."""

    version: str
    frames: int
    lines: int


@dataclass(frozen=True, kw_only=True)
class RegionSet:
    """All regions of one instance and the `version` of the detectors that found them.

    `lifted` are regions that a person has taken off. `settled`: a person has looked, so that what the detectors cannot
    be sure of is decided. `residual` is None where there was no second look.
    """

    version: str
    regions: tuple[Region, ...]
    lifted: tuple[Lifted, ...] = ()
    residual: Residual | None = None
    settled: bool = False


def whole_frame(rows: int, columns: int, frame_number: int, kind: RegionKind = RegionKind.TEXT) -> Region:
    """One region over the whole of one frame."""
    return Region(
        kind=kind,
        top_row=0,
        left_column=0,
        row_count=rows,
        column_count=columns,
        frames=frozenset({frame_number}),
    )


def merged(regions: Sequence[Region], rows: int, columns: int, frame_number: int) -> list[Region]:
    """Overlapping rectangles of one frame and kind joined where their union is hardly larger; sorted by place.

    A rectangle inside another disappears. More than `MOST_PER_FRAME` become the whole frame.
    """
    if len(regions) > 2 * MOST_PER_FRAME:
        return [whole_frame(rows, columns, frame_number)]
    result: list[Region] = []
    for region in sorted(regions, key=lambda r: (-r.row_count * r.column_count, _place(r))):
        candidate, index = region, 0
        while index < len(result):
            union = _joined(candidate, result[index])
            if union is None:
                index += 1
            else:
                candidate, index = union, 0
                result = [other for other in result if not _inside(other, union)]
        result.append(candidate)
    if len(result) > MOST_PER_FRAME:
        return [whole_frame(rows, columns, frame_number)]
    return sorted(result, key=_place)


def encode_regions(regions: RegionSet) -> bytes:
    """The set as JSON. `decode_regions` gives an equal set back."""
    residual = regions.residual
    return orjson.dumps(
        {
            "format": _FORMAT,
            "version": regions.version,
            "regions": [_entry(region) for region in regions.regions],
            "lifted": [{"region": _entry(one.region), "reason": one.reason.value} for one in regions.lifted],
            "residual": None if residual is None else [residual.version, residual.frames, residual.lines],
            "settled": regions.settled,
        }
    )


def _entry(region: Region) -> dict[str, object]:
    return {
        "kind": region.kind.value,
        "top_row": region.top_row,
        "left_column": region.left_column,
        "row_count": region.row_count,
        "column_count": region.column_count,
        "frames": None if region.frames is None else sorted(region.frames),
        "confidence": float(region.confidence),
        "detector": region.detector,
        "content": region.content,
    }


def decode_regions(body: bytes) -> RegionSet:
    """The set that `encode_regions` made, now or in its first format. Raises `SealBroken` for anything else."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SealBroken("a region set is not JSON") from None
    first = isinstance(content, dict) and content.get("format") == _FIRST_FORMAT
    if not isinstance(content, dict) or set(content) != (_FIRST_MEMBERS if first else _MEMBERS):
        raise SealBroken("a region set has the wrong members")
    version, regions = content["version"], content["regions"]
    known = first or content["format"] == _FORMAT
    if not known or not isinstance(version, str) or not isinstance(regions, list):
        raise SealBroken("a region set has the wrong form")
    if first:
        whole = [{**entry, "detector": "", "content": ""} if _has(entry, _FIRST_FIELDS) else None for entry in regions]
        return RegionSet(version=version, regions=tuple(map(_region, whole)))
    lifted, settled = content["lifted"], content["settled"]
    if not isinstance(lifted, list) or type(settled) is not bool:
        raise SealBroken("a region set has the wrong form")
    return RegionSet(
        version=version,
        regions=tuple(map(_region, regions)),
        lifted=tuple(map(_lifted, lifted)),
        residual=_residual(content["residual"]),
        settled=settled,
    )


def _lifted(entry: object) -> Lifted:
    if not isinstance(entry, dict) or set(entry) != {"region", "reason"} or entry["reason"] not in list(LiftReason):
        raise SealBroken("a lifted region is not one")
    return Lifted(region=_region(entry["region"]), reason=LiftReason(entry["reason"]))


def _residual(value: object) -> Residual | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
        raise SealBroken("a second look is not one")
    if not _whole(value[1], 0) or not _whole(value[2], 0):
        raise SealBroken("a second look is not one")
    return Residual(version=value[0], frames=value[1], lines=value[2])


def _has(entry: object, fields: Sequence[str]) -> bool:
    return isinstance(entry, dict) and set(entry) == set(fields)


def _region(entry: object) -> Region:
    if not isinstance(entry, dict) or not _has(entry, _FIELDS):
        raise SealBroken("a region has the wrong members")
    numbers = [entry[name] for name in ("top_row", "left_column", "row_count", "column_count")]
    frames, confidence = entry["frames"], entry["confidence"]
    if not all(_whole(number, 0) for number in numbers) or numbers[2] < 1 or numbers[3] < 1:
        raise SealBroken("a region's place is not one")
    if frames is not None and not _frame_numbers(frames):
        raise SealBroken("a region's frames are not frame numbers")
    if type(confidence) is not float or not math.isfinite(confidence) or not 0 <= confidence <= 1:
        raise SealBroken("a region's confidence is not one")
    if entry["kind"] not in list(RegionKind) or not isinstance(entry["detector"], str):
        raise SealBroken("a region's kind is unknown")
    if entry["content"] not in _CONTENTS:
        raise SealBroken("a region's content is unknown")
    return Region(
        kind=RegionKind(entry["kind"]),
        top_row=numbers[0],
        left_column=numbers[1],
        row_count=numbers[2],
        column_count=numbers[3],
        frames=None if frames is None else frozenset(frames),
        confidence=confidence,
        detector=entry["detector"],
        content=entry["content"],
    )


def _frame_numbers(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(_whole(number, 1) for number in value)
        and value == sorted(set(value))
    )


def _whole(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def _place(region: Region) -> tuple[int, int, int, int]:
    return region.top_row, region.left_column, region.row_count, region.column_count


def _inside(inner: Region, outer: Region) -> bool:
    return (
        inner.kind == outer.kind
        and inner.frames == outer.frames
        and inner.top_row >= outer.top_row
        and inner.left_column >= outer.left_column
        and inner.top_row + inner.row_count <= outer.top_row + outer.row_count
        and inner.left_column + inner.column_count <= outer.left_column + outer.column_count
    )


def _joined(one: Region, other: Region) -> Region | None:
    if one.kind != other.kind or one.frames != other.frames or one.content or other.content:
        # What is said of a region is true of it alone.
        return None
    top, left = min(one.top_row, other.top_row), min(one.left_column, other.left_column)
    bottom = max(one.top_row + one.row_count, other.top_row + other.row_count)
    right = max(one.left_column + one.column_count, other.left_column + other.column_count)
    both = one.row_count * one.column_count + other.row_count * other.column_count
    if (bottom - top) * (right - left) > both:
        return None
    return Region(
        kind=one.kind,
        top_row=top,
        left_column=left,
        row_count=bottom - top,
        column_count=right - left,
        frames=one.frames,
        confidence=max(one.confidence, other.confidence),
    )
