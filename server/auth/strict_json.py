"""JSON as a security decision needs it: one meaning for every reader, or refused."""

from __future__ import annotations

import json


def parse_object(data: bytes) -> dict[str, object]:
    """Return the JSON object in `data` (UTF-8, RFC 8259).

    Raises `ValueError` for anything else: a member name given twice at any depth (RFC 7519 section 4 leaves the
    choice between refusing and the last one, and two readers may differ), NaN and Infinity, lone surrogates, a byte
    order mark, nesting too deep to read.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name is given twice")
    return members


def _no_constant(_name: str) -> object:
    raise ValueError("not a JSON number")
