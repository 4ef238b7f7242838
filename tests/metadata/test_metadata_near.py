"""Where a value that matches is looked for: never too narrow, and sure only where it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.metadata.match import How, key_inside, key_intervals, value_keys, value_test

VALUES = {
    "PN": st.text(st.sampled_from("aAbß^= é"), max_size=7),
    "LO": st.text(st.sampled_from("aAb ä"), max_size=6),
    "CS": st.text(st.sampled_from("AB_"), max_size=4),
    "DA": st.text(st.sampled_from("12"), max_size=4),
    "TM": st.text(st.sampled_from("12"), max_size=4),
    "UI": st.text(st.sampled_from("1.2"), max_size=3),
    "IS": st.text(st.sampled_from("12 "), max_size=3),
}
ASKED = {
    "PN": st.text(st.sampled_from("aAbß^= é*?"), min_size=1, max_size=6),
    "LO": st.text(st.sampled_from("aAb ä*?"), min_size=1, max_size=6),
    "CS": st.text(st.sampled_from("AB_*?"), min_size=1, max_size=4),
    "DA": st.text(st.sampled_from("12-"), min_size=1, max_size=5),
    "TM": st.text(st.sampled_from("12-"), min_size=1, max_size=5),
    "UI": st.text(st.sampled_from("1.2,\\"), min_size=1, max_size=6),
    "IS": st.text(st.sampled_from("12 "), min_size=1, max_size=3),
}


@pytest.mark.parametrize("vr", VALUES)
@settings(max_examples=400)
@given(data=st.data())
def test_what_matches_is_near_and_what_is_sure_matches(vr: str, data: st.DataObject) -> None:
    asked = data.draw(ASKED[vr])
    found = data.draw(VALUES[vr].filter(bool) | st.just(asked.strip("*?,-\\ ") or "1"))
    how = data.draw(st.sampled_from((How.PLAIN, How.PLAIN, How.FUZZY)))
    inside, sure = key_inside(vr, asked, how)
    keys = value_keys(vr, found)
    near = any(low <= key <= high and inside in key for low, high in key_intervals(vr, asked, how) for key in keys)
    matches = value_test(vr, asked, how)(found)
    assert near or not matches
    assert matches or not (near and sure)
