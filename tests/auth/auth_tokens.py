"""Builds tokens and keys, right and wrong ones, for the tests of this directory."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

from server.auth.keys import FixedKeys
from server.auth.tokens import TokenVerifier
from server.demo.users import new_signing_key, public_key_set
from server.errors import Unauthenticated

NOW = 1_800_000_000.0
ISSUER = "https://issuer.example.org/realms/hospital"
AUDIENCE = "https://safelight.example.org"


class CountedBytes:
    """A fixed source of bytes that never repeats."""

    def __init__(self, seed: str = "seed") -> None:
        self._seed = seed
        self._count = 0

    def bytes(self, count: int, label: str) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._seed}/{label}/{self._count}".encode()).digest(count)


SIGNING_KEY = new_signing_key(CountedBytes("issuer"))
OTHER_KEY = new_signing_key(CountedBytes("stranger"))
RSA_KEY = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
JWKS: dict[str, list[object]] = {
    "keys": [*public_key_set(SIGNING_KEY)["keys"], RSA_KEY.as_dict(private=False, use="sig")]
}


def verifier(**settings: object) -> TokenVerifier:
    usual: dict[str, object] = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ("ES256",),
        "keys": FixedKeys(json.dumps(JWKS).encode()),
    }
    return TokenVerifier(**{**usual, **settings})  # type: ignore[arg-type]


def claims(**changes: object) -> dict[str, object]:
    """Claims that verify; a change to None takes the claim out."""
    usual: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-1",
        "client_id": "viewer",
        "jti": "token-1",
        "iat": NOW - 10,
        "exp": NOW + 600,
        "roles": ["clinician"],
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def header(**changes: object) -> dict[str, object]:
    usual: dict[str, object] = {"alg": "ES256", "typ": "at+jwt", "kid": SIGNING_KEY["kid"]}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def raw_token(head: Mapping[str, object] | bytes, payload: Mapping[str, object] | bytes, key: Key | None = None) -> str:
    """A token of exactly this header and payload, signed with `key` (ours if None) by the algorithm that fits it."""
    head_bytes = head if isinstance(head, bytes) else json.dumps(head).encode()
    payload_bytes = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signing = key or _key(SIGNING_KEY)
    algorithm = {"RSA": "RS256", "EC": "ES256"}[signing.key_type]
    signed = f"{encoded(head_bytes)}.{encoded(payload_bytes)}"
    signature = jws.JWSRegistry.algorithms[algorithm].sign(signed.encode(), signing)
    return f"{signed}.{encoded(signature)}"


def _key(members: Mapping[str, str]) -> Key:
    return ECKey.import_key(dict(members))


def other_key() -> Key:
    return _key(OTHER_KEY)


def refused(token: str, checker: TokenVerifier | None = None, now: float = NOW) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        (checker or verifier()).verify(token, now)
    return caught.value
