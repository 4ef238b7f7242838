"""SECURITY.md says what the code does: every key, every kind of entry, every place where data lies."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from house import House
from house_rules import Trees, read_house

from server.auth.keys import MINIMUM_RSA_BITS
from server.catalog.keys import KeyPurpose
from server.settings import Settings
from server.shares import LONGEST_SECONDS

PAGE = (Path(__file__).resolve().parents[1] / "SECURITY.md").read_text("utf-8")
# What is derived of a key's own for the parts of one use.
MAKERS = frozenset({"derive", "_derive"})


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


def named(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def labels(trees: Trees) -> set[str]:
    """The labels under which keys are derived; of those that end in a number or a value the part before it."""
    found = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                label = node.args[1]
                if isinstance(label, ast.JoinedStr):
                    label = label.values[0]
                if isinstance(label, ast.Constant):
                    found.add(re.sub(r"\d+/$", "", str(label.value)))
    return found


def kinds(trees: Trees) -> set[str]:
    """The kinds of entries that anything writes."""
    found = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                given = [one.value for one in node.keywords if one.arg == "kind"] if name == "AuditEvent" else []
                given += node.args[2:3] if name == "event" else []
                found |= {str(one.value) for one in given if isinstance(one, ast.Constant)}
    return found


def test_every_key_is_in_its_table() -> None:
    told = named(section("Keys"))
    found = labels(read_house())
    assert {"rows", "journal signature", "fast copy", "safelight pseudonyms/"} <= found
    assert found | set(KeyPurpose) <= told
    assert f"RSA from {MINIMUM_RSA_BITS} bits" in section("Keys")


def test_a_key_that_is_not_told_of_is_seen() -> None:
    more = {
        "server.more": ast.parse('derive(root, "another use")\nderive(root, f"more/{name}")\nAuditEvent(kind="odd")')
    }
    assert labels(more) == {"another use", "more/"}
    assert not labels(more) & named(section("Keys"))
    assert kinds(more) == {"odd"}


def test_every_kind_of_entry_is_told() -> None:
    found = kinds(read_house())
    assert {"label", "share", "screening", "sweep", "break-glass"} <= found
    assert found <= named(section("What is recorded"))


def test_every_place_where_data_lies_is_in_a_class(tmp_path_factory: pytest.TempPathFactory) -> None:
    with House(tmp_path_factory.mktemp("places")) as house:
        places = {one.name for one in house.settings.data.iterdir() if one.is_dir()}
    assert {"objects", "journal"} <= places
    assert places - {"wishes", "workers", "spool"} <= named(section("Classes of data"))


def test_the_stated_times_are_those_in_force() -> None:
    defaults = Settings.__dataclass_fields__
    assert defaults["session_seconds"].default == 8 * 3600
    assert LONGEST_SECONDS == 30 * 86400
    assert {"session_seconds", "session_idle_seconds"} <= named(PAGE) & set(defaults)


def test_how_soon_what_is_vulnerable_is_replaced_is_told() -> None:
    text = section("Vulnerabilities")
    assert re.findall(r"within (\d+)", text) == ["3", "14", "90"]
    assert "make audit" in named(text)
