"""Every line of the checklist that names a test names one that is there and runs."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from checklist import LINES, NOT_YET, table

HERE = Path(__file__).parent


@cache
def collected(name: str) -> frozenset[str]:
    """The test functions that pytest collects of a file: those at the top of a module whose name begins with test_."""
    path = HERE / name
    if not path.name.startswith("test_") or not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text("utf-8")).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"))


def missing(nodes: set[str]) -> list[str]:
    return sorted(one for one in nodes if one.partition("::")[2] not in collected(one.partition("::")[0]))


def test_every_named_test_is_there() -> None:
    assert missing({line.test for line in LINES} - {NOT_YET}) == []


@pytest.mark.parametrize(
    "node", ["test_checklist.py::test_nothing", "test_nowhere.py::test_x", "checklist.py::table", "test_checklist.py"]
)
def test_a_test_that_is_not_there_is_seen(node: str) -> None:
    assert missing({node, "test_checklist.py::test_every_named_test_is_there"}) == [node]


def test_no_line_comes_twice_and_the_table_counts_them() -> None:
    assert len({(line.part, line.fact) for line in LINES}) == len(LINES)
    text = table()
    assert f"| all | {len(LINES)} | {sum(line.test != NOT_YET for line in LINES)} |" in text
    assert all(line.fact in text for line in LINES if line.test == NOT_YET)
