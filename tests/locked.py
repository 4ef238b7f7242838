"""What the lock installs, what of it the server needs, and under which licence each is."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


@cache
def locked() -> frozenset[str]:
    """The names that the lock installs on this system."""
    lines = (ROOT / "requirements" / "lock.txt").read_text("utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and line[0].isalnum()]
    return frozenset(canonicalize_name(one.name) for one in wanted if one.marker is None or one.marker.evaluate())


@cache
def left_out() -> frozenset[str]:
    """What the image leaves out although something in it asks for it: of its code only data is read."""
    lines = (ROOT / "requirements" / "runtime-overrides.txt").read_text("utf-8").splitlines()
    return frozenset(canonicalize_name(Requirement(line).name) for line in lines if line and line[0].isalnum())


def needed_at_run_time() -> dict[str, Distribution]:
    """The locked distributions that safelight needs without its extras, directly or not."""
    found: dict[str, Distribution] = {}
    waiting = ["safelight"]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            wanted = Requirement(text)
            name = canonicalize_name(wanted.name)
            applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
            if applies and name in locked() - found.keys() - left_out():
                found[name] = distribution(name)
                waiting.append(name)
    return found


def declared(one: Distribution) -> list[str]:
    """What a distribution says of its licence; where that is nothing, the beginning of its licence files."""
    fields = one.metadata
    told = [text for text in fields.get_all("Classifier", []) if text.startswith("License ::")]
    told += [text for name in ("License-Expression", "License") for text in fields.get_all(name, [])]
    files = [file for file in one.files or () if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING"))]
    return told or [file.read_text() for file in files]


def is_gpl(licence: list[str]) -> bool:
    """Whether a declared licence (PEP 639 expression, classifier, short text) is the GPL or the AGPL; not the LGPL."""
    return any(re.search(r"\bA?GPL|(?<!Lesser )General Public|Affero", text[:200], re.IGNORECASE) for text in licence)
