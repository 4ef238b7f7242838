"""Attributes packed together: what comes out is what went in, shared where it is equal, refused where it is broken."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from builders import all_canaries, chest_film, part10_bytes
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SealBroken, UnreadableObject
from server.metadata.elements import Element, Elements
from server.metadata.forms import pack, unpack
from server.metadata.part10 import read

WHEEL = Path(pydicom.__file__).parent / "data" / "test_files"

_tags = st.integers(0x00080000, 0x7FDFFFFF)
_plain = st.builds(Element, _tags, st.sampled_from(["LO", "UN", "OW"]), st.binary(max_size=8), st.none(), st.booleans())
_sets = st.recursive(
    st.lists(_plain, max_size=4).map(lambda found: {one.tag: one for one in found}),
    lambda inner: st.tuples(_tags, st.lists(inner, max_size=3)).map(
        lambda pair: {pair[0]: Element(pair[0], "SQ", b"", tuple(pair[1]))}
    ),
    max_leaves=6,
)


@given(st.lists(_sets, max_size=5))
def test_whatever_is_packed_comes_out_the_same(objects: list[Elements]) -> None:
    assert unpack(pack(objects)) == objects


def test_real_objects_come_out_the_same() -> None:
    read_ones = []
    for path in sorted(WHEEL.glob("*.dcm")):
        try:
            read_ones.append(read(path.read_bytes()).elements)
        except UnreadableObject:
            continue
    assert len(read_ones) > 40
    assert unpack(pack(read_ones)) == read_ones


def test_equal_elements_are_one_object_and_written_once() -> None:
    film = read(part10_bytes(chest_film())).elements
    one, other = unpack(pack([film, dict(film)]))
    assert all(one[tag] is other[tag] for tag in film)
    assert len(pack([film] * 20)) < 3 * len(pack([film]))
    # Equal values of different VR or form are different elements.
    a, b = Element(0x00091001, "LO", b"x "), Element(0x00091001, "UN", b"x ")
    assert unpack(pack([{a.tag: a}, {b.tag: b}])) == [{a.tag: a}, {b.tag: b}]


def test_what_is_broken_is_refused() -> None:
    whole = pack([read(part10_bytes(chest_film())).elements])
    for length in range(0, len(whole), 97):
        with pytest.raises(SealBroken):
            unpack(whole[:length])
    with pytest.raises(SealBroken):
        unpack(whole + bytes(4))


def test_the_canaries_are_all_in_it() -> None:
    """The control for whoever looks for them in the sealed form."""
    film = chest_film()
    packed = pack([read(part10_bytes(film)).elements])
    assert any(canary.encode() in packed for canary in all_canaries(film).values())
