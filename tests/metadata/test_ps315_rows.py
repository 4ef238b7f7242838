"""Every row of PS3.15 Table E.1-1 under the Basic Profile and under each option, at the top and in a sequence."""

from __future__ import annotations

import importlib
import json
import os
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from ps315_cases import ALL_COLUMNS, CASES, ROWS, Row, table
from ps315_kit import CANARY, UID, level_under, synthesised, through, through_all
from pydicom.datadict import dictionary_has_tag, repeater_has_tag

from server.metadata.elements import VRS, Element, definition, texts
from server.metadata.encode import encode_elements
from server.metadata.generate_ps315 import module

DATES = {"DA": 8, "DT": 8}
# Read from the object by the writer or never sent, whatever a rule says: group 0002 and 0004, command elements, padding
# and signatures.
NEVER = {0x00001000, 0x00001001, 0x00020003, 0x00041511, 0xFFFAFFFA, 0xFFFCFFFC}
UTF8 = ("ISO_IR 192",)
MODIFYING_DEVICE_ID = 0x00203401


def judged(row: Row, column: str, made: Element, done: Element | None, days: int) -> str:
    """Which action was carried out, in the letters of Table E.1-1a; "?" for none of them."""
    if done is None:
        return "X"
    if done.vr != made.vr:
        return "?"
    told = b"".join(encode_elements({done.tag: done}))
    if done.items is None and done.value == made.value:
        return "K" if row.vr != "TM" or column != "retain-long-modified-dates" else "C"
    if CANARY.encode() in told or UID.encode() in told:
        return "?"
    if not done.value and not done.items:
        return "Z"
    if done.items is not None:
        return "K" if b"CT" in told else "D"
    values = texts(done, UTF8)
    if row.vr == "UI":
        return "U" if values[0].startswith("2.25.") else "?"
    if row.vr in DATES and days:
        moved = f"{date(2020, 2, 29) + timedelta(days=days):%Y%m%d}"
        if values[0] == moved + texts(made, UTF8)[0][8:]:
            return "C"
        return "?" if "20200229" in values[0] else "D"
    return "C" if values == ["CHEST"] else "D"


def allowed(row: Row, column: str) -> set[str]:
    """The actions that satisfy the row where the attribute's Type is not known: the first, and what is as strict."""
    letters = row.letters(column)
    first = letters[0]
    known = dictionary_has_tag(row.tag) or repeater_has_tag(row.tag)
    if row.tag in NEVER or not known:
        return {"X"}
    without = column == "retain-uids"
    if row.vr == "UI":
        return {"K"} if first == "K" and without else {"X"} if without or first == "X" else {"U"}
    if first == "C":
        # What cannot be cleaned falls back on the Basic Profile; sequences are cleaned inside.
        basic = {"X": {"X"}, "Z": {"Z"}, "D": {"D"}}[row.basic[0]]
        cleaned = row.vr in ("DA", "DT", "TM", "SQ") or (column == "clean-descriptors" and row.vr in _TEXTS)
        content = {0x0040A730: {"X"}, 0x00400555: {"Z"}}
        # Texts that name a place take their own words out of every text.
        own = {"C"} | (basic if row.vr in _TEXTS else set())
        if row.tag in content:
            return content[row.tag]
        if row.vr == "SQ":
            # An annotation of which nothing clean is left is replaced as in the Basic Profile.
            return {"K"} | (basic if column == "clean-graphics" else set())
        return own if cleaned else basic
    if row.tag == MODIFYING_DEVICE_ID and first == "K":
        return {"X"}  # retired, so that no list of its terms says which value is one
    # Z allows a dummy value (Table E.1-1a); the names and IDs of a patient get a pseudonym that way.
    return {"Z", "D"} if first == "Z" else {first}


_TEXTS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})


@pytest.mark.parametrize(("row", "column"), CASES, ids=lambda one: one if isinstance(one, str) else f"{one.tag:08X}")
def test_row(row: Row, column: str) -> None:
    for nested in (False, True):
        made, done, days = through(row, level_under(column), nested=nested)
        assert judged(row, column, made, done, days) in allowed(row, column), (row, column, nested, done)


def test_all_rows_are_there() -> None:
    """The published table counts the cases above: each row in each column once."""
    assert len(CASES) == len(set(CASES)) == 657 * 11
    counted = re.findall(r"\| `([a-z-]+)` \| 657 of 657 \| ([0-9 |]+) \|\n", table())
    assert [column for column, _ in counted] == list(ALL_COLUMNS)
    assert all(sum(map(int, numbers.split(" | "))) == 657 for _, numbers in counted)


@pytest.mark.parametrize("column", ALL_COLUMNS)
@pytest.mark.parametrize("vr", sorted(VRS))
def test_every_row_in_every_vr(vr: str, column: str) -> None:
    """An element of each row's tag in each VR: where PS3.6 does not know it so, it goes; else nothing is told."""
    made = {row.tag: synthesised(row._replace(vr=vr)) for row in ROWS}
    for nested in (False, True):
        out = through_all(made, level_under(column), nested=nested)
        for row in ROWS:
            known, done = definition(row.tag), out.get(row.tag)
            needle = made[row.tag].value.strip(b" 0\0") or CANARY.encode()
            told = done is not None and needle in b"".join(encode_elements({done.tag: done}))
            if known is None or vr not in known.vrs:
                # Type 2 attributes are there, empty or with a pseudonym, whatever the object has in their place.
                assert done is None or done.vr == row.vr != vr, (row, column, nested)
                assert not told, (row, column, nested)
            elif row.letters(column)[0] in "XZD":
                assert not told, (row, column, nested, done)


def shared_tables() -> list[Path]:
    """The tables that the module is generated from, where a copy of them is at hand."""
    path = Path(os.environ.get("SAFELIGHT_SHARED_DATA", "")) / "ps315" / "ps315_tables_E.1-1_and_E.3.4-1_2026d.json"
    return [path] if path.is_file() else []


def test_the_generated_module_is_what_the_generator_makes() -> None:
    generated = importlib.import_module("server.model.ps315_2026d")
    for path in shared_tables():
        assert Path(str(generated.__file__)).read_text("utf-8") == module(json.loads(path.read_text("utf-8")))


TABLES = {
    "source": {"edition": "2000a"},
    "option_keys": ["retain_uids", "retain_longitudinal_full_dates"],
    "rules": [
        {"tag": "00080018", "name": "B", "basic": "X/Z/U*", "options": {"retain_uids": "K"}},
        {"tag": "PRIVATE", "name": "P", "basic": "X", "options": {}},
    ],
    "content_option_keys": ["clean_descriptors"],
    "content_items": [
        {"code": "1", "scheme": "DCM", "meaning": "M", "value_type": "TEXT", "basic": "D", "options": {}},
    ],
}


def test_the_generator_writes_python() -> None:
    found: dict[str, object] = {}
    exec(module(TABLES), found)
    assert found["EDITION"] == "2000a"
    assert found["COLUMNS"] == ("retain-uids", "retain-long-full-dates")
    assert found["ATTRIBUTES"] == (("00080018", "B", "X/Z/U*", "K."), ("PRIVATE", "P", "X", ".."))
    assert found["CONTENT_ITEMS"] == (("1", "DCM", "TEXT", "M", "D", "."),)


@pytest.mark.parametrize(
    "change",
    [
        {"tag": "0008"},
        {"basic": "Q"},
        {"basic": "Z/X"},
        {"options": {"retain_everything": "K"}},
        {"options": {"retain_uids": "D"}},
        {"tag": "PRIVATE", "name": "P", "basic": "X"},
    ],
)
def test_the_generator_refuses_what_it_does_not_know(change: dict[str, object]) -> None:
    rules = [{**TABLES["rules"][0], **change}, TABLES["rules"][1]]  # type: ignore[index]
    with pytest.raises(ValueError):
        module({**TABLES, "rules": rules})
