"""From verified claims to a `Caller`: configured claim paths, exact comparison, nothing from anywhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from server.errors import ConfigurationError, Unauthenticated
from server.model import Caller, PatientIdentity

MAXIMUM_TEXT_LENGTH = 256

_PATH = re.compile(r'(?:"[^"]+"|[^".\s]+)(?:\.(?:"[^"]+"|[^".\s]+))*')
_SEGMENT = re.compile(r'"([^"]+)"|([^".\s]+)')


@dataclass(frozen=True, kw_only=True)
class ClaimPaths:
    """Where the issuer puts what a decision needs: member names joined by dots, as in `realm_access.roles`.

    A segment in double quotes may hold dots: `"https://example.org/claims".roles`. Raises `ConfigurationError` for a
    path that cannot be read.
    """

    roles: str = "roles"
    project: str = "project"
    purpose: str = "purpose_of_use"
    patient: str = "patient"
    departments: str = "departments"

    def __post_init__(self) -> None:
        for setting in fields(self):
            if not _PATH.fullmatch(getattr(self, setting.name)):
                raise ConfigurationError(f"the claim path for {setting.name} cannot be read")


def caller_from_claims(
    claims: Mapping[str, object],
    paths: ClaimPaths,
    known_roles: frozenset[str],
    role_names: Mapping[str, str] | None = None,
    *,
    clientless: bool = False,
) -> Caller:
    """Return the caller that verified `claims` describe, its acting role not chosen yet.

    Roles are compared code point by code point and unknown ones dropped; where `role_names` is given and not empty, a
    role is what it maps one of them to. A claim that is absent gives nothing; `clientless`: the issuer's tokens do not
    say for which client they are, and nothing is taken for it. Roles
    and departments are a list of strings or one string without white space; a patient is
    `{"issuer": …, "id": …}` or `issuer|id`. Raises `Unauthenticated` for a claim of any other type or form: null,
    empty, not printable, longer than 256 characters or with white space at an end.
    """
    roles = _texts(_at(claims, paths.roles))
    if role_names:
        roles = frozenset(role_names[one] for one in roles if one in role_names)
    return Caller(
        subject=_text(claims.get("sub")),
        issuer=_text(claims.get("iss")),
        client="" if clientless else _text(claims.get("client_id")),
        roles=roles & known_roles,
        project=_optional_text(_at(claims, paths.project)),
        purpose=_optional_text(_at(claims, paths.purpose)),
        patient=_patient(_at(claims, paths.patient)),
        departments=_texts(_at(claims, paths.departments)),
    )


class _Absent:
    """The type of a claim that is not there, apart from one that is null."""


_ABSENT = _Absent()


def _at(claims: Mapping[str, object], path: str) -> object:
    value: object = claims
    for quoted, plain in _SEGMENT.findall(path):
        if not isinstance(value, Mapping):
            raise Unauthenticated("a claim on a configured path is not an object")
        if (quoted or plain) not in value:
            return _ABSENT
        value = value[quoted or plain]
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAXIMUM_TEXT_LENGTH:
        raise Unauthenticated("a claim is missing, empty, too long or not a string")
    if not value.isprintable() or value != value.strip():
        raise Unauthenticated("a claim holds characters that no name has")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is _ABSENT else _text(value)


def _texts(value: object) -> frozenset[str]:
    if value is _ABSENT:
        return frozenset()
    if isinstance(value, str):
        # One string with spaces might be a list in the manner of `scope`, or one odd name: not ours to guess.
        if len(value.split()) != 1:
            raise Unauthenticated("a claim holds several names in one string")
        return frozenset((_text(value),))
    if not isinstance(value, list):
        raise Unauthenticated("a claim is neither a list nor a string")
    return frozenset(_text(item) for item in value)


def _patient(value: object) -> PatientIdentity | None:
    if value is _ABSENT:
        return None
    if isinstance(value, str):
        if value.count("|") != 1:
            raise Unauthenticated("the patient binding is not issuer|id")
        issuer, _, patient_id = value.partition("|")
    elif isinstance(value, Mapping) and set(value) == {"issuer", "id"}:
        issuer, patient_id = value["issuer"], value["id"]
    else:
        raise Unauthenticated("the patient binding cannot be read")
    # Films without an issuer of the patient ID exist, and only an empty issuer matches them.
    return PatientIdentity(issuer=issuer if issuer == "" else _text(issuer), patient_id=_text(patient_id))


def claim_at(path: str) -> str:
    """Return the top-level claim that a path begins at."""
    (quoted, plain), *_ = _SEGMENT.findall(path)
    return str(quoted or plain)
