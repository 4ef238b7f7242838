"""The demo's users, one per role, and the tokens that its provider signs for them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from server.model import PatientIdentity, Randomness

ALGORITHM = "ES256"
TOKEN_LIFETIME = 3600
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, kw_only=True)
class DemoUser:
    """A made-up user of the demo; `purpose` is an HL7 v3 PurposeOfUse code."""

    name: str
    roles: tuple[str, ...]
    departments: tuple[str, ...] = ()
    project: str | None = None
    patient: PatientIdentity | None = None
    purpose: str | None = None

    @property
    def subject(self) -> str:
        return f"demo-{self.name}"


def demo_users() -> Mapping[str, DemoUser]:
    """Return the demo's users by name: one for each role, and one who holds two."""
    radiology, project = ("radiology",), "demo-project"
    own_films = PatientIdentity(issuer="SAFELIGHT-DEMO", patient_id="DEMO-0001")
    users = (
        DemoUser(name="clinician", roles=("clinician",), departments=radiology, purpose="TREAT"),
        DemoUser(name="patient", roles=("patient",), patient=own_films, purpose="PATRQT"),
        DemoUser(name="researcher", roles=("researcher",), project=project, purpose="HRESCH"),
        DemoUser(name="teacher", roles=("teacher",), project=project, purpose="TRAIN"),
        DemoUser(name="front-desk", roles=("front-desk",), purpose="PATADMIN"),
        DemoUser(name="technologist", roles=("technologist",), departments=radiology, purpose="TREAT"),
        DemoUser(name="privacy-reviewer", roles=("privacy-reviewer",), project="review", purpose="HOPERAT"),
        DemoUser(name="system-administrator", roles=("system-administrator",)),
        DemoUser(name="security-administrator", roles=("security-administrator",)),
        DemoUser(name="security-auditor", roles=("security-auditor",)),
        DemoUser(
            name="clinician-researcher", roles=("clinician", "researcher"), departments=radiology, project=project
        ),
    )
    return {user.name: user for user in users}


def new_signing_key(randomness: Randomness) -> dict[str, str]:
    """Return a fresh private ES256 key as a JWK (RFC 7518 section 6.2) with its thumbprint (RFC 7638) as key ID.

    The private number is drawn with 128 extra bits (FIPS 186-5 A.2.1), so that its bias is negligible.
    """
    number = int.from_bytes(randomness.bytes(48, "demo-signing-key")) % (_P256_ORDER - 1) + 1
    point = ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers()
    members = {"kty": "EC", "crv": "P-256", "x": _coordinate(point.x), "y": _coordinate(point.y)}
    key = ECKey.import_key({**members, "d": _coordinate(number)})
    return {**members, "d": _coordinate(number), "alg": ALGORITHM, "use": "sig", "kid": key.thumbprint()}


def public_key_set(signing_key: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return the JWK set (RFC 7517 section 5) to publish for a signing key: its public half."""
    return {"keys": [{name: value for name, value in signing_key.items() if name != "d"}]}


def sign(signing_key: Mapping[str, str], claims: Mapping[str, object], kind: str) -> str:
    """Return `claims` as a JWT of type `kind` ("at+jwt" or "JWT"), signed with ES256."""
    header = {"typ": kind, "alg": ALGORITHM, "kid": signing_key["kid"]}
    return jwt.encode(header, dict(claims), ECKey.import_key(dict(signing_key)), algorithms=[ALGORITHM])


def mint_token(
    signing_key: Mapping[str, str],
    user: DemoUser,
    *,
    issuer: str,
    audience: str,
    now: float,
    randomness: Randomness,
    project: str | None = None,
    lifetime: int = TOKEN_LIFETIME,
    client: str = "safelight-command",
    scope: str = "",
) -> str:
    """Return an access token (RFC 9068) for `user`, valid from `now` for `lifetime` seconds.

    `project` replaces the user's own. Raises `ValueError` for a lifetime that is not positive.
    """
    if lifetime <= 0:
        raise ValueError("a token's lifetime is positive")
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": audience,
        "sub": user.subject,
        "client_id": client,
        "jti": randomness.bytes(16, "token-id").hex(),
        "iat": int(now),
        "exp": int(now) + lifetime,
        "roles": list(user.roles),
        "departments": list(user.departments),
    }
    optional = {"scope": scope, "project": project or user.project, "purpose_of_use": user.purpose}
    claims |= {name: value for name, value in optional.items() if value}
    if user.patient is not None:
        claims["patient"] = {"issuer": user.patient.issuer, "id": user.patient.patient_id}
    return sign(signing_key, claims, "at+jwt")


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32)).rstrip(b"=").decode("ascii")
