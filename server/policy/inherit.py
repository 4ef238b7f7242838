"""A level file that takes over what another one says: one parent at most, and no grandparent."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from server.policy.words import BundleProblems

INHERITS = "inherits"
_OWN = ("name", "description")


def inherited(name: str, content: bytes, files: Mapping[str, bytes]) -> Mapping[str, object]:
    """The tables of `levels/<name>.toml` with those of its parent below them; `files` are all level files by name.

    A key of the child's takes the place of the parent's, table by table, lists as a whole; `name` and `description` are
    never inherited. Raises `BundleProblems`.
    """
    own = _read(name, content)
    parent = own.pop(INHERITS, None)
    if parent is None:
        return own
    if not isinstance(parent, str) or parent not in files or parent == name:
        raise BundleProblems((f"levels/{name}.toml: `{INHERITS}` names no other level",))
    below = _read(parent, files[parent])
    if INHERITS in below:
        raise BundleProblems((f"levels/{name}.toml: its parent `{parent}` inherits itself; one step is all there is",))
    return _over({key: value for key, value in below.items() if key not in _OWN}, own)


def _over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        former = merged.get(key)
        both = isinstance(former, dict) and isinstance(value, dict)
        merged[key] = _over(former, value) if both else value  # type: ignore[arg-type]
    return merged


def _read(name: str, content: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        raise BundleProblems((f"levels/{name}.toml: not readable as UTF-8 TOML",)) from None
