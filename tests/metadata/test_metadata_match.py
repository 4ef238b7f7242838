"""Matching of search keys, against a slow reference where there is one."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_films import DEIDENTIFIED, film, names, stored

from server.metadata.deidentify import deidentify
from server.metadata.elements import Element, string_element
from server.metadata.match import matches
from server.model.patterns import glob


def _one(vr: str, value: bytes | str, key: str) -> bool:
    element = string_element(0x00091001, vr, value) if isinstance(value, str) else Element(0x00091001, vr, value)
    charset = string_element(0x00080005, "CS", "ISO_IR 192")
    return matches({0x00080005: charset, 0x00091001: element}, (0x00091001,), key)


@pytest.mark.parametrize(
    ("vr", "value", "key", "expected"),
    [
        ("LO", "ABC", "ABC", True),
        ("LO", "ABC", "abc", False),
        ("LO", "ABC", "A*", True),
        ("LO", "ABC", "?B?", True),
        ("LO", "ABC", "?B", False),
        ("LO", "A[B]C", "A[B]C", True),
        ("LO", "ABC", "A[B]C", False),
        ("LO", "A\\B", "B", True),
        ("LO", "", "*", False),
        ("LO", "", "", True),
        ("PN", "MUSTER^MAXIMA", "muster^maxima", True),
        ("PN", "MUSTER^MAXIMA", "muster*", True),
        ("PN", "MUSTER^MAXIMA", "muster", False),
        ("PN", "MUSTER^MAXIMA^^", "MUSTER^MAXIMA", True),
        ("PN", "Wang=王^小东=x", "王*", True),
        ("PN", "Wang=王^小东=x", "X", True),
        ("PN", "Wang=王^小东=x", "李*", False),
        ("CS", "CT", "C?", True),
        ("UI", "1.2.3", "1.2.3", True),
        ("UI", "1.2.3", "1.2.4,1.2.3", True),
        ("UI", "1.2.3", "1.2.4\\1.2.3", True),
        ("UI", "1.2.3", "1.2.*", False),
        ("DA", "20200229", "20200229", True),
        ("DA", "20200229", "20200101-20200229", True),
        ("DA", "20200229", "20200301-", False),
        ("DA", "20200229", "-20200228", False),
        ("DA", "20200229", "-20200229", True),
        ("DA", "20200229", "2020*", False),
        ("TM", "101112.5", "10-11", True),
        ("TM", "101112.5", "10-10", True),
        ("TM", "101112.5", "1012-", False),
        ("TM", "101112.5", "1011", True),
        ("DT", "20200229101112+0100", "20200229-20200301", True),
        ("DT", "20200229101112+0100", "20200301-", False),
        ("IS", "1 ", "1", True),
        ("IS", "1 ", "2", False),
        ("DS", "1.50", "1.5", True),
        ("US", b"\x01\x00", "1", True),
        ("US", b"\x01\x00", "x", False),
        ("AT", b"\x08\x00\x18\x00", "00080018", True),
        ("OB", b"ab", "ab", False),
        ("LT", "A*B", "A*B", True),
    ],
)
def test_single_values(vr: str, value: bytes | str, key: str, expected: bool) -> None:
    assert _one(vr, value, key) is expected


def test_keys_through_sequences() -> None:
    inner = [film(SeriesDescription="ONE"), film(SeriesDescription="TWO")]
    elements = stored(film(ReferencedSeriesSequence=inner)).elements
    assert matches(elements, (0x00081115, 0x0008103E), "TWO")
    assert not matches(elements, (0x00081115, 0x0008103E), "THREE")
    assert not matches(elements, (0x00081115, 0x0008103E, 0x00080018), "TWO")
    assert not matches(elements, (0x0008103E,), "TWO")


def test_what_the_level_removed_matches_nothing() -> None:
    elements = stored(film()).elements
    masked = deidentify(elements, DEIDENTIFIED, names(elements), pixels_masked=True).elements
    assert matches(elements, (0x00100010,), "MUSTER*")
    for key, value in ((0x00100010, "MUSTER*"), (0x00081030, "*"), (0x00100030, "19600607"), (0x0020000D, "1.2.3.4.2")):
        assert not matches(masked, (key,), value)
    assert matches(masked, (0x00081030,), "")


@settings(max_examples=300, deadline=None)
@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_glob_is_the_reference(pattern: str, found: str) -> None:
    assert glob(pattern, found) is bool(re.match(fnmatch.translate(pattern), found))


def test_glob_cannot_be_made_slow() -> None:
    start = time.process_time()
    assert not glob("*a" * 100 + "b", "a" * 20_000)
    assert time.process_time() - start < 5
