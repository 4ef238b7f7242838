"""Where the issuer's public keys come from: a fixed set, or OpenID discovery with a cache.

What is fetched is checked and never trusted further: the document must name our issuer, keys must be public,
asymmetric and long enough, and a key ID must mean one key.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from joserfc.util import base64_to_int

from server.auth.strict_json import parse_object
from server.errors import Busy, ConfigurationError, Unauthenticated

DEMO_MARK = "safelight_demo_provider"
"""The member that marks the discovery document of the embedded demo provider, whose users need no password."""

MINIMUM_RSA_BITS = 2048


class KeySource(Protocol):
    """Finds the issuer's public key by its ID; raises `Unauthenticated` for an unknown one, `Busy` without keys."""

    def find(self, key_id: str) -> Key: ...


def public_keys(document: bytes) -> Mapping[str, Key]:
    """Return the signature keys of a JWK set (RFC 7517 section 5) by key ID.

    Left out are keys that are symmetric, private, not for signatures, without an ID, malformed, RSA below 2048 bits,
    and all keys that share an ID. Raises `ValueError` if the set cannot be read or nothing is left.
    """
    entries = parse_object(document).get("keys")
    if not isinstance(entries, list):
        raise ValueError("not a JWK set")
    keys = [key for key in map(_public_key, entries) if key is not None]
    uses = Counter(key.kid for key in keys)
    found = {key.kid: key for key in keys if key.kid is not None and uses[key.kid] == 1}
    if not found:
        raise ValueError("no usable key")
    return found


def _public_key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or not entry["kid"]:
        return None
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        if not _is_acceptable(entry):
            return None
        key = import_key(entry)
    except (JoseError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) and not key.is_private else None


def proof_key(members: dict[str, object]) -> Key | None:
    """Return the public key that a proof carries (RFC 9449 section 4.2), None for one that proves nothing.

    Held to what an issuer's keys are held to; it needs no name.
    """
    return _public_key({**members, "kid": "proof"})


def _is_acceptable(entry: Mapping[str, object]) -> bool:
    """Whether an accepted algorithm uses such a key, and it is long enough; asked before anything parses it."""
    match entry.get("kty"), entry.get("crv"):
        case ("RSA", _):
            return base64_to_int(str(entry.get("n"))).bit_length() >= MINIMUM_RSA_BITS
        case ("EC", "P-256" | "P-384" | "P-521") | ("OKP", "Ed25519"):
            return True
    return False


class FixedKeys:
    """A set of keys that never changes, from a JWK set document. Raises `ValueError` as `public_keys`."""

    def __init__(self, document: bytes) -> None:
        self._keys = public_keys(document)

    def find(self, key_id: str) -> Key:
        return _named(self._keys, key_id)


@dataclass(frozen=True, kw_only=True)
class _Snapshot:
    keys: Mapping[str, Key]
    fetched_at: float


class DiscoveredKeys:
    """The keys that the issuer publishes (OpenID Connect Discovery 1.0 section 4), cached, safe to share by threads.

    Times are in seconds, on `clock`. Keys are fetched anew once they are `lifetime` old, and earlier for an unknown
    key ID, but never twice within `minimum_interval`, whether or not the first attempt succeeded. While the issuer
    cannot be reached, old keys serve for `grace` beyond their lifetime; after that there are none. A key that the
    issuer withdraws is therefore dead after `lifetime`, or `lifetime + grace` if somebody cuts the line.

    `fetch` returns the body at a URL and raises `OSError` or `ValueError`. The demo provider is never discovered: who
    wants it passes its keys to `FixedKeys`.
    """

    def __init__(
        self,
        issuer: str,
        *,
        fetch: Callable[[str], bytes],
        clock: Callable[[], float],
        minimum_interval: float = 30.0,
        lifetime: float = 600.0,
        grace: float = 120.0,
    ) -> None:
        if not 0 < minimum_interval <= lifetime or grace < 0:
            raise ConfigurationError("the key cache's times contradict each other")
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._minimum_interval = minimum_interval
        self._lifetime = lifetime
        self._grace = grace
        self._refreshing = threading.Lock()
        self._attempted_at: float | None = None
        self._snapshot: _Snapshot | None = None

    def find(self, key_id: str) -> Key:
        """Return the public key `key_id`. Raises `Unauthenticated` if the issuer has none such, `Busy` without keys."""
        snapshot = self._usable(self._lifetime)
        if snapshot is None or key_id not in snapshot.keys:
            old = self._usable(self._lifetime + self._grace)
            # Nobody waits for another's attempt while there is an old key to use.
            self._refresh(wait=old is None or key_id not in old.keys)
            snapshot = self._usable(self._lifetime + self._grace)
        if snapshot is None:
            raise Busy("the issuer's keys cannot be fetched")
        return _named(snapshot.keys, key_id)

    def _usable(self, age: float) -> _Snapshot | None:
        snapshot = self._snapshot
        # An age below zero is a clock that was set back; the true age is then unknown.
        return snapshot if snapshot and 0 <= self._clock() - snapshot.fetched_at < age else None

    def _refresh(self, *, wait: bool) -> None:
        if not self._refreshing.acquire(blocking=wait):
            return
        try:
            now = self._clock()
            if self._attempted_at is None or not 0 <= now - self._attempted_at < self._minimum_interval:
                self._attempted_at = now
                self._snapshot = _Snapshot(keys=self._discover(), fetched_at=now)
        except (OSError, ValueError):
            return
        finally:
            self._refreshing.release()

    def _discover(self) -> Mapping[str, Key]:
        document = parse_object(self._fetch(self._issuer.rstrip("/") + "/.well-known/openid-configuration"))
        if document.get("issuer") != self._issuer:
            raise ValueError("the discovery document is of another issuer")
        if DEMO_MARK in document:
            raise ValueError("the issuer is a demo provider")
        location = document.get("jwks_uri")
        if not isinstance(location, str) or urlsplit(location).scheme not in {"https", urlsplit(self._issuer).scheme}:
            raise ValueError("the discovery document names no acceptable key set")
        return public_keys(self._fetch(location))


def _named(keys: Mapping[str, Key], key_id: str) -> Key:
    key = keys.get(key_id)
    if key is None:
        raise Unauthenticated("the issuer has no such key")
    return key
