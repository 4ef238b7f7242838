"""What a keyring holds, and the JSON text it is written as. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.errors import ConfigurationError
from server.vault.envelope import KEY_BYTES

KEY_ID_BYTES = 8
_KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_FORMAT = "safelight-keyring-1"


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """Key-encryption keys (32 bytes) by id (16 hexadecimal digits), the id of the one in use, the ids destroyed."""

    active: str
    keys: Mapping[str, bytes] = field(repr=False)
    destroyed: frozenset[str]


def serialise_keyring(keyring: Keyring) -> bytes:
    """Return the keyring as JSON text, keys in base64."""
    keys = {key_id: base64.b64encode(key).decode() for key_id, key in keyring.keys.items()}
    content = {
        "format": _FORMAT,
        "active": keyring.active,
        "keys": keys,
        "destroyed": sorted(keyring.destroyed),
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def parse_keyring(text: bytes) -> Keyring:
    """Return the keyring that `text` holds. Raises `ConfigurationError` for anything `serialise_keyring` never writes.

    No error carries or refers to the text: it holds keys.
    """
    content = _json(text)
    if not isinstance(content, dict) or content.keys() != {"format", "active", "keys", "destroyed"}:
        raise _malformed()
    encoded, destroyed, active = content["keys"], content["destroyed"], content["active"]
    if content["format"] != _FORMAT or not isinstance(encoded, dict) or not isinstance(destroyed, list):
        raise _malformed()
    if not all(isinstance(key_id, str) and _KEY_ID.fullmatch(key_id) for key_id in [*encoded, *destroyed]):
        raise _malformed()
    if not isinstance(active, str) or active not in encoded or not encoded.keys().isdisjoint(destroyed):
        raise _malformed()
    keys = {key_id: _key(value) for key_id, value in encoded.items()}
    return Keyring(active=active, keys=keys, destroyed=frozenset(destroyed))


def _json(text: bytes) -> object:
    try:
        return json.loads(text.decode("ascii"))
    except (ValueError, RecursionError):
        pass
    # Raised outside the handler, or the decoder's error, which holds the text, would hang on to this one.
    raise _malformed()


def _key(encoded: object) -> bytes:
    key = b""
    if isinstance(encoded, str):
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
    if len(key) != KEY_BYTES:
        raise _malformed()
    return key


def _malformed() -> ConfigurationError:
    return ConfigurationError("the keyring is malformed")
