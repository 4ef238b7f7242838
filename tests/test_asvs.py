"""The security checklist names evidence that exists, leaves no requirement out, and its page is up to date."""

from __future__ import annotations

from collections import Counter

import pytest
from asvs import PAGE, TABLE, Item, items, page
from test_checklist import HERE, missing

ITEMS = items(TABLE.read_text("utf-8"))
# How many requirements each chapter of ASVS 5.0.0 has at levels 1 and 2.
CHAPTERS = (27, 11, 19, 10, 9, 35, 18, 7, 7, 29, 14, 9, 13, 9, 13, 16, 7)


def without(found: list[Item]) -> list[str]:
    """Evidence that is not there: a test that nothing collects, a file that holds no test."""
    named = {one for item in found for one in item.evidence}
    files = {one for one in named if "::" not in one}
    return missing(named - files) + sorted(one for one in files if not (HERE / one).is_file())


def test_every_evidence_is_there() -> None:
    assert without(ITEMS) == []
    assert all(item.evidence for item in ITEMS if item.state == "met")


@pytest.mark.parametrize("why", ["test_nowhere.py", "test_asvs.py::test_that_is_not_there", "audit/test_no.py::test_x"])
def test_evidence_that_is_not_there_is_seen(why: str) -> None:
    assert without([Item(number="V1.1.1", level=1, asks="", state="met", why=why)]) == [why]


def test_every_requirement_of_both_levels_has_its_line_once() -> None:
    assert len({item.number for item in ITEMS}) == len(ITEMS)
    assert Counter(item.level for item in ITEMS) == {1: 70, 2: 183}
    assert tuple(Counter(item.chapter for item in ITEMS)[number] for number in range(1, 18)) == CHAPTERS
    order = [tuple(map(int, item.number.removeprefix("V").split("."))) for item in ITEMS]
    assert order == sorted(order)


def test_a_line_says_its_state_and_why() -> None:
    assert all(len(item.why) > 10 for item in ITEMS)
    for wrong in ("V1.1.1 | 1 | a | perhaps | b", "V1.1.1 | 1 | a | met | ", "V1.1.1 | 1 | a"):
        with pytest.raises(ValueError, match=r"."):
            items(wrong)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(ITEMS)
