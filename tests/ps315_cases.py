"""The cases of PS3.15 Table E.1-1: every row under the Basic Profile and under each option, and the table of them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag

from server.model.ps315_2026d import ATTRIBUTES, COLUMNS, EDITION

BASIC = "basic-profile"
ALL_COLUMNS = (BASIC, *COLUMNS)


class Row(NamedTuple):
    """One row, with a tag and a VR to make an element of."""

    tag: int
    vr: str
    name: str
    basic: str
    columns: str

    def letters(self, column: str) -> str:
        """The action code under one option: its own where it has one, else the Basic Profile's."""
        own = "." if column == BASIC else self.columns[COLUMNS.index(column)]
        return self.basic if own == "." else own


def _row(line: tuple[str, str, str, str]) -> Row:
    word, name, basic, columns = line
    tag = 0x00110010 if word == "PRIVATE" else int(word.replace("xxxxxx", "123000").replace("xx", "1E"), 16)
    known = dictionary_has_tag(tag) or repeater_has_tag(tag)
    vr = dictionary_VR(tag).split(" or ")[0] if known else "LO"
    return Row(tag, vr, name, basic, columns)


ROWS = tuple(map(_row, ATTRIBUTES))
CASES = tuple((row, column) for column in ALL_COLUMNS for row in ROWS)


def table() -> str:
    """How many cases there are of each column, and what they ask for; `test_row` asks every one of them."""
    lines = [
        f"| PS3.15 {EDITION}, Table E.1-1 | rows passed | X | Z | D | U | K | C |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for column in ALL_COLUMNS:
        rows = [row for row, asked in CASES if asked == column]
        letters = Counter(row.letters(column)[0] for row in rows)
        counts = " | ".join(str(letters[letter]) for letter in "XZDUKC")
        lines.append(f"| `{column}` | {len(rows)} of {len(ROWS)} | {counts} |")
    return "\n".join(lines) + "\n"
