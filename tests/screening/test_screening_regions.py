from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SealBroken
from server.model import Region, RegionKind
from server.screening.regions import MOST_PER_FRAME, RegionSet, decode_regions, encode_regions, merged, whole_frame

REGIONS = st.builds(
    Region,
    kind=st.sampled_from(RegionKind),
    top_row=st.integers(0, 90),
    left_column=st.integers(0, 90),
    row_count=st.integers(1, 40),
    column_count=st.integers(1, 40),
    frames=st.none() | st.frozensets(st.integers(1, 100), min_size=1, max_size=4),
    confidence=st.floats(0, 1),
)


@given(st.lists(REGIONS, max_size=6))
def test_a_region_set_comes_back_as_it_was(regions: list[Region]) -> None:
    stored = RegionSet(version="v", regions=tuple(regions))
    assert decode_regions(encode_regions(stored)) == stored


ONE = Region(kind=RegionKind.TEXT, top_row=1, left_column=2, row_count=3, column_count=4, frames=frozenset({1, 3}))
GOOD: dict[str, Any] = orjson.loads(encode_regions(RegionSet(version="v", regions=(ONE,))))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "nothing"),
        ("kind", ["text"]),
        ("top_row", -1),
        ("top_row", 1.0),
        ("top_row", True),
        ("row_count", 0),
        ("column_count", "4"),
        ("frames", []),
        ("frames", [0]),
        ("frames", [1, "2"]),
        ("frames", [1, 1]),
        ("frames", [3, 1]),
        ("frames", 1),
        ("confidence", 1.5),
        ("confidence", None),
        ("confidence", 1),
    ],
)
def test_an_unexpected_value_breaks_the_seal(field: str, value: object) -> None:
    altered = {**GOOD, "regions": [{**GOOD["regions"][0], field: value}]}
    with pytest.raises(SealBroken):
        decode_regions(orjson.dumps(altered))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        encode_regions(RegionSet(version="v", regions=(ONE,)))[:-1],
        encode_regions(RegionSet(version="v", regions=(ONE,))) + b"{}",
        orjson.dumps({**GOOD, "format": "safelight-regions-0"}),
        orjson.dumps({**GOOD, "version": 1}),
        orjson.dumps({**GOOD, "regions": {}}),
        orjson.dumps({**GOOD, "regions": [None]}),
        orjson.dumps({**GOOD, "more": 1}),
        orjson.dumps({**GOOD, "regions": [{**GOOD["regions"][0], "more": 1}]}),
        orjson.dumps({"format": GOOD["format"], "version": "v"}),
    ],
)
def test_an_unexpected_form_breaks_the_seal(body: bytes) -> None:
    with pytest.raises(SealBroken):
        decode_regions(body)


@given(st.lists(REGIONS, max_size=25))
def test_merging_never_uncovers_anything(regions: list[Region]) -> None:
    regions = [dataclasses.replace(region, kind=RegionKind.TEXT, frames=frozenset({2})) for region in regions]
    result = merged(regions, 200, 200, 2)
    assert np.all(_covered(result) >= _covered(regions))
    assert merged(regions[::-1], 200, 200, 2) == result


def test_regions_inside_others_disappear() -> None:
    outer = dataclasses.replace(ONE, top_row=0, left_column=0, row_count=50, column_count=50)
    inner = dataclasses.replace(outer, top_row=10, left_column=10, row_count=5, column_count=5)
    assert merged([inner, outer], 100, 100, 1) == [outer]


def test_distant_regions_stay_apart() -> None:
    far = dataclasses.replace(ONE, top_row=500)
    assert merged([far, ONE], 1000, 1000, 1) == [ONE, far]


def test_too_many_regions_become_the_whole_frame() -> None:
    many = [dataclasses.replace(ONE, top_row=10 * index) for index in range(MOST_PER_FRAME + 1)]
    assert merged(many, 30_000, 100, 7) == [whole_frame(30_000, 100, 7)]
    assert merged(many * 5, 30_000, 100, 7) == [whole_frame(30_000, 100, 7)]


def _covered(regions: list[Region]) -> np.ndarray[Any, Any]:
    mask = np.zeros((200, 200), bool)
    for region in regions:
        rows = slice(region.top_row, region.top_row + region.row_count)
        mask[rows, region.left_column : region.left_column + region.column_count] = True
    return mask
