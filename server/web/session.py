"""A browser's session: an opaque random cookie here, everything else sealed on the server. No token reaches a browser.

On https the cookie has the `__Host-` prefix (RFC 6265bis section 4.1.3.2). Reads have effects too (the journal), so
requests that carry it must come from our own pages, GET included.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request, Response

from server.auth.sessions import new_session_id, session_digest
from server.errors import BadRequest, Unauthenticated
from server.model import Caller, PatientIdentity
from server.services import Services

LIFETIME = 8 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Session:
    """A signed-in person: the verified caller, the role chosen in the page (None: not chosen), a token for forms."""

    caller: Caller
    role: str | None
    form_token: str


def cookie_name(services: Services) -> str:
    secure = services.settings.public_url.startswith("https:")
    return "__Host-safelight" if secure else "safelight-demo"


def start(services: Services, session: Session, expires: float) -> str:
    """Store a session and return the value for its cookie."""
    identifier = new_session_id(services.randomness)
    save(services, identifier, session, expires)
    return identifier


def save(services: Services, identifier: str, session: Session, expires: float) -> None:
    """Store a session under its digest, sealed; `expires` in seconds since the epoch."""
    digest = session_digest(identifier)
    caller = session.caller
    value = {
        "expires": expires,
        "role": session.role,
        "form_token": session.form_token,
        "caller": {
            "subject": caller.subject,
            "issuer": caller.issuer,
            "client": caller.client,
            "roles": sorted(caller.roles),
            "project": caller.project,
            "purpose": caller.purpose,
            "patient": [caller.patient.issuer, caller.patient.patient_id] if caller.patient else None,
            "departments": sorted(caller.departments),
        },
    }
    services.catalog.put_session(bytes.fromhex(digest), json.dumps(value).encode(), expires)


def load(services: Services, identifier: str) -> Session:
    """The session of a cookie. Raises `Unauthenticated` for an unknown or expired one."""
    return load_with_expiry(services, identifier)[0]


def load_with_expiry(services: Services, identifier: str) -> tuple[Session, float]:
    digest = bytes.fromhex(session_digest(identifier))
    found = services.catalog.get_session(digest, services.clock())
    if found is None:
        raise Unauthenticated("no such session, or it has expired", error="")
    value = json.loads(found)
    caller = value["caller"]
    patient = caller.pop("patient")
    session = Session(
        caller=Caller(
            subject=caller["subject"],
            issuer=caller["issuer"],
            client=caller["client"],
            roles=frozenset(caller["roles"]),
            project=caller["project"],
            purpose=caller["purpose"],
            patient=PatientIdentity(issuer=patient[0], patient_id=patient[1]) if patient else None,
            departments=frozenset(caller["departments"]),
        ),
        role=value["role"],
        form_token=value["form_token"],
    )
    return session, float(value["expires"])


def require_same_origin(request: Request, services: Services) -> None:
    """Refuse a cookie request that did not come from our own page (Fetch Metadata; Origin where that is missing)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site in ("same-origin", "none"):
        return
    if site is None and request.headers.get("Origin") == services.settings.public_url:
        return
    raise BadRequest("a session cookie is only taken from this site's own pages")


def set_cookie(response: Response, services: Services, value: str, lifetime: float) -> None:
    """Set or (lifetime 0) delete the cookie: HttpOnly, SameSite=Lax for the way back from the provider, Path=/."""
    response.set_cookie(
        cookie_name(services),
        value,
        max_age=int(lifetime),
        secure=urlsplit(services.settings.public_url).scheme == "https",
        httponly=True,
        samesite="Lax",
        path="/",
    )
