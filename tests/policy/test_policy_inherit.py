"""Level files take over one parent at most, and every switch of a complete one is told in words."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

import pytest
from policy_helpers import shipped, shipped_files

from server.model import MaskingLevel
from server.policy.bundle import build
from server.policy.describe import in_words
from server.policy.inherit import inherited
from server.policy.levels import read_level
from server.policy.words import BundleProblems

LEVELS = {
    path.removeprefix("levels/").removesuffix(".toml"): content
    for path, content in shipped_files().items()
    if path.startswith("levels/") and path != "levels/order.toml"
}


def level(name: str, text: str, **more: str) -> MaskingLevel:
    files = {**LEVELS, name: text.encode(), **{key: value.encode() for key, value in more.items()}}
    return read_level(name, text.encode(), (), files)


def test_what_is_not_said_is_the_parents() -> None:
    parent = shipped().levels["deidentified"]
    child = level("copy", 'name = "copy"\ninherits = "deidentified"\ndescription = "A copy."')
    assert child.fingerprint != parent.fingerprint
    for name in {one.name for one in fields(MaskingLevel)} - {"name", "description", "fingerprint"}:
        assert getattr(child, name) == getattr(parent, name), name


def test_what_is_said_takes_the_place_of_the_parents_key_by_key() -> None:
    teaching, parent = shipped().levels["teaching"], shipped().levels["deidentified"]
    assert (teaching.longest_side, parent.longest_side) == (1024, None)
    assert teaching.elements == parent.elements
    assert teaching.regions == parent.regions
    assert len(teaching.transactions) < len(parent.transactions)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('name = "copy"\ninherits = "nothing"\ndescription = "x"', "names no other level"),
        ('name = "copy"\ninherits = "copy"\ndescription = "x"', "names no other level"),
        ('name = "copy"\ninherits = ["original", "patient"]\ndescription = "x"', "names no other level"),
        ('name = "copy"\ninherits = "teaching"\ndescription = "x"', "one step is all there is"),
        ('name = "copy"\ninherits = "original"', "`description` is missing"),
        ('inherits = "original"\ndescription = "x"', "`name` is missing"),
        ('name = "copy"\ninherits = "original"\ndescription = "x"\nodd = 1', "unknown key `odd`"),
        ('name = "copy"\ninherits = "deidentified"\ndescription = "x"\n[identifiers]\npseudonyms = false', "copy"),
    ],
)
def test_one_step_and_nothing_unsafe(text: str, problem: str) -> None:
    with pytest.raises(BundleProblems, match=problem):
        level("copy", text)


def test_a_parent_that_cannot_be_read_is_a_problem() -> None:
    with pytest.raises(BundleProblems, match="levels/broken"):
        level("copy", 'name = "copy"\ninherits = "broken"\ndescription = "x"', broken="[")


def test_a_change_of_the_parent_changes_the_child() -> None:
    text = shipped_files()["levels/deidentified.toml"].decode().replace("masked_notice = true", "masked_notice = false")
    changed = build({**shipped_files(), "levels/deidentified.toml": text.encode()})
    assert not changed.levels["teaching"].masked_notice
    assert changed.levels["teaching"].fingerprint != shipped().levels["teaching"].fingerprint


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_every_switch_is_explained_in_its_file(name: str) -> None:
    """A remark beside a key of [pixels], or above the table or list; inherited ones are explained in the parent."""
    text = LEVELS[name].decode()
    own = tomllib.loads(text)
    for key in own.get("pixels", {}):
        assert key == "regions" or re.search(rf"^{key} = [^#\n]+# \S", text, re.MULTILINE), key
    for key in {"transactions", "objects", "elements", "profile"} & set(own):
        head = rf"\[{key}\]" if isinstance(own[key], dict) else rf"{key} ="
        assert re.search(rf"^(?:#[^\n]*\n{head}|{head}[^\n]*#)", text, re.MULTILINE), key
    assert set(inherited(name, LEVELS[name], LEVELS)) == set(tomllib.loads(LEVELS["original"].decode()))


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_a_level_is_told_in_words(name: str) -> None:
    one = shipped().levels[name]
    told = in_words(one)
    assert told[0] == f"{name}: {one.description}"
    assert [line.partition(":")[0] for line in told[1:6]] == [
        "answers", "kinds of objects that leave", "identifiers", "attributes", "pixels",
    ]  # fmt: skip
    assert all(line.isprintable() and line for line in told)
