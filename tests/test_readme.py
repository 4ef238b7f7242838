"""What the README says of levels, roles, settings, commands and routes is what the code does."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from readme_tables import README, generated

from server.cli import COMMANDS
from server.metadata.deidentify import ORIGINAL_EXCEPTIONS
from server.settings import Settings

TEXT = README.read_text("utf-8")


def test_the_tables_are_those_of_the_policy() -> None:
    assert generated(TEXT) == TEXT


def test_a_changed_table_is_noticed() -> None:
    changed = TEXT.replace("| `deidentified`", "| `anonymous`")
    assert changed != TEXT
    assert generated(changed) != changed


@pytest.mark.parametrize("name", [item.name for item in fields(Settings)])
def test_every_setting_is_in_its_table(name: str) -> None:
    assert re.search(rf"^\|[^|]*`{name}`", TEXT, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_named(name: str) -> None:
    assert f"safelight {name}" in TEXT or re.search(rf"^\| `safelight [^|]*`{name}", TEXT, re.MULTILINE)


def test_the_two_commands_come_first() -> None:
    first = re.search(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert first is not None
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == ["make demo", "make test"]


def test_what_original_leaves_out_is_published() -> None:
    words = {"signature": "signatures", "encrypt": "encrypted", "written anew": "offset tables"}
    for reason in ORIGINAL_EXCEPTIONS.values():
        assert any(word in TEXT for key, word in words.items() if key in reason.lower()), reason
