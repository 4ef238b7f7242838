"""What a text of the settings file or the environment means: numbers, lists, tables, issuers; for `server.settings`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from server.errors import ConfigurationError
from server.model.issuers import Freshness, Introspection, IssuerSettings
from server.model.lists import Action

CLAIMS = frozenset({"roles", "project", "purpose", "patient", "departments"})
_PATHS = frozenset({"data", "keyring", "policies", "certificate", "certificate_key"})
_WORDS = frozenset({"algorithms", "token_types", "viewer_origins", "proof_roles", "proxies"})
_TABLES = frozenset({"claims", "must_say", "role_names"})
_WHOLE = frozenset({
    "port", "workers", "threads", "max_request_bytes", "max_object_bytes", "decoder_bytes", "decodes", "cache_bytes",
    "answer_bytes", "base_bytes", "failures_per_minute", "requests_per_minute", "slowest_bytes_per_second",
})  # fmt: skip
_SECONDS = frozenset({
    "decoder_seconds", "decode_wait_seconds", "policy_reload_seconds", "token_cache_seconds", "session_seconds",
    "session_idle_seconds", "longest_token_seconds", "head_seconds", "stall_seconds",
})  # fmt: skip
_TEXTS = frozenset({
    "issuer", "audience", "label", "audience_claim", "client_claim", "token_id_claim", "client_id", "client_secret",
    "scope",
})  # fmt: skip


def step_up(value: object) -> Mapping[str, Freshness]:
    """Tables by action: `max_age` in seconds, and `acr`, a list, where not every kind of sign-in will do.

    Raises `ConfigurationError`, as all of these do.
    """
    table = _table("step_up", value)
    if not set(table) <= set(Action):
        raise ConfigurationError("step_up is a table by action")
    found = {}
    for action, wanted in table.items():
        if not isinstance(wanted, dict) or not {"max_age"} <= set(wanted) <= {"max_age", "acr"}:
            raise ConfigurationError("step_up says max_age and may say acr for each action")
        contexts = tuple(str(one) for one in _list("acr", wanted.get("acr", [])))
        found[action] = Freshness(max_age=int(_number("max_age", wanted["max_age"], int)), contexts=contexts)
    return found


def issuers(value: object) -> tuple[IssuerSettings, ...]:
    """The tables of the file (in the environment: a JSON array of objects)."""
    try:
        tables = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ConfigurationError("issuers is a JSON array when it is given in the environment") from error
    return tuple(map(_issuer, _list("issuers", tables)))


def _issuer(table: object) -> IssuerSettings:
    known = {item.name for item in fields(IssuerSettings)}
    if not isinstance(table, dict) or not {"issuer", "audience"} <= table.keys() <= known:
        raise ConfigurationError(f"each of issuers names issuer and audience, and of the rest only {sorted(known)}")
    values = {name: _of_issuer(name, value) for name, value in table.items()}
    made = IssuerSettings(**values)  # type: ignore[arg-type]
    if unknown := sorted(set(made.claims) - CLAIMS):
        raise ConfigurationError(f"unknown claims: {', '.join(unknown)}")
    return made


def _of_issuer(name: str, value: object) -> object:
    """One value of an issuer's table; the rest is read as the settings of the same name are."""
    if name in _TEXTS or name == "roles_from_userinfo":
        kind = bool if name == "roles_from_userinfo" else str
        if not isinstance(value, kind):
            raise ConfigurationError(f"{name} of an issuer is a {'choice: true or false' if kind is bool else 'text'}")
        return value
    if name == "introspection":
        if value not in set(Introspection):
            raise ConfigurationError(f"introspection is one of {', '.join(Introspection)}")
        return Introspection(str(value))
    return convert(name, value)


def convert(name: str, value: object) -> object:
    """One value of the file or the environment as the type that its setting has."""
    if name in _PATHS:
        return Path(str(value)).resolve()
    if name in _WORDS:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(map(str, _list(name, value)))
    if name in _TABLES:
        table = _table(name, value)
        if not all(isinstance(one, str) for one in table.values()):
            raise ConfigurationError(f"{name} is a table from a name to a text")
        return table
    if name == "zones":
        return {key: tuple(map(str, _list(name, networks))) for key, networks in _table(name, value).items()}
    if name in _WHOLE or name in _SECONDS:
        return _number(name, value, int if name in _WHOLE else float)
    return str(value)


def _table(name: str, value: object) -> dict[str, object]:
    try:
        table = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ConfigurationError(f"{name} is a JSON object when it is given in the environment") from error
    if not isinstance(table, dict):
        raise ConfigurationError(f"{name} is a table")
    return {str(key): item for key, item in table.items()}


def _list(name: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{name} is a list")
    return value


def _number(name: str, value: object, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(str(value))
    except ValueError as error:
        raise ConfigurationError(f"{name} is a number") from error
    if number <= 0:
        raise ConfigurationError(f"{name} is a number above 0")
    return number
