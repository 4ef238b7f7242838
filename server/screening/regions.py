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
from server.model import Region, RegionKind

# More rectangles than this on one frame are one: the whole frame.
MOST_PER_FRAME = 2000
_FORMAT = "safelight-regions-1"
_FIELDS = ("kind", "top_row", "left_column", "row_count", "column_count", "frames", "confidence")


@dataclass(frozen=True, kw_only=True)
class RegionSet:
    """All regions of one instance and the `version` of the detector that found them."""

    version: str
    regions: tuple[Region, ...]


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
    return orjson.dumps(
        {
            "format": _FORMAT,
            "version": regions.version,
            "regions": [
                {
                    "kind": region.kind.value,
                    "top_row": region.top_row,
                    "left_column": region.left_column,
                    "row_count": region.row_count,
                    "column_count": region.column_count,
                    "frames": None if region.frames is None else sorted(region.frames),
                    "confidence": float(region.confidence),
                }
                for region in regions.regions
            ],
        }
    )


def decode_regions(body: bytes) -> RegionSet:
    """The set that `encode_regions` made. Raises `SealBroken` for anything else."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SealBroken("a region set is not JSON") from None
    if not isinstance(content, dict) or set(content) != {"format", "version", "regions"}:
        raise SealBroken("a region set has the wrong members")
    version, regions = content["version"], content["regions"]
    if content["format"] != _FORMAT or not isinstance(version, str) or not isinstance(regions, list):
        raise SealBroken("a region set has the wrong form")
    return RegionSet(version=version, regions=tuple(_region(entry) for entry in regions))


def _region(entry: object) -> Region:
    if not isinstance(entry, dict) or set(entry) != set(_FIELDS):
        raise SealBroken("a region has the wrong members")
    numbers = [entry[name] for name in ("top_row", "left_column", "row_count", "column_count")]
    frames, confidence = entry["frames"], entry["confidence"]
    if not all(_whole(number, 0) for number in numbers) or numbers[2] < 1 or numbers[3] < 1:
        raise SealBroken("a region's place is not one")
    if frames is not None and not _frame_numbers(frames):
        raise SealBroken("a region's frames are not frame numbers")
    if type(confidence) is not float or not math.isfinite(confidence) or not 0 <= confidence <= 1:
        raise SealBroken("a region's confidence is not one")
    if entry["kind"] not in list(RegionKind):
        raise SealBroken("a region's kind is unknown")
    return Region(
        kind=RegionKind(entry["kind"]),
        top_row=numbers[0],
        left_column=numbers[1],
        row_count=numbers[2],
        column_count=numbers[3],
        frames=None if frames is None else frozenset(frames),
        confidence=confidence,
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
    if one.kind != other.kind or one.frames != other.frames:
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
