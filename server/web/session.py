"""A browser's session: an opaque random cookie here, everything else sealed on the server. No token reaches a browser.

On https the cookie has the `__Host-` prefix (RFC 6265bis section 4.1.3.2). Reads have effects too (the journal), so
requests that carry it must come from our own pages, GET included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Request, Response

from server import signed_out
from server.auth.sessions import new_session_id, session_digest
from server.errors import BadRequest, Unauthenticated
from server.model import Caller, PatientIdentity
from server.services import Services

_Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

NAMED_ROLE = "safelight-role"
"""The query parameter by which an address of our own page names the acting role; see `NamedRole`."""
# How often the last use of a session is written down, at most.
_TOUCH_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Session:
    """A signed-in person: the verified caller, the role chosen in the page (None: not chosen), a token for forms.

    `started`, `used` and `authenticated_at` are in seconds since the epoch; the last is when the person proved to the
    issuer who they are, 0 where it does not say. `context` says how (`acr`), `issuer_session` is the issuer's `sid`.
    """

    caller: Caller
    role: str | None
    form_token: str
    started: float = 0.0
    used: float = 0.0
    issuer_session: str = ""
    authenticated_at: float = 0.0
    context: str = ""


def cookie_name(services: Services) -> str:
    secure = services.settings.public_url.startswith("https:")
    return "__Host-safelight" if secure else "safelight-demo"


def start(services: Services, session: Session, expires: float) -> str:
    """Store a session under a new identifier and return it, for its cookie; `expires` in seconds since the epoch."""
    identifier = new_session_id(services.randomness)
    now = services.clock()
    fresh = replace(session, started=now, used=now)
    services.catalog.put_session(_digest(identifier), _written(fresh, expires), expires)
    return identifier


def save(services: Services, identifier: str, session: Session, expires: float) -> None:
    """Change a session that is still there. Raises `Unauthenticated` if it has ended meanwhile."""
    if not services.catalog.replace_session(_digest(identifier), _written(session, expires), expires):
        raise Unauthenticated("the session has ended", error="")


def end(services: Services, identifier: str) -> None:
    services.catalog.delete_session(_digest(identifier))


def end_if_any(services: Services, cookie: str) -> None:
    """End whatever session a cookie is of; one that is no identifier of ours is of none."""
    try:
        end(services, cookie)
    except Unauthenticated:
        return


def load(services: Services, identifier: str) -> Session:
    """The session of a cookie. Raises `Unauthenticated` for one that is unknown, expired, idle or logged out."""
    return load_with_expiry(services, identifier)[0]


def load_with_expiry(services: Services, identifier: str) -> tuple[Session, float]:
    now = services.clock()
    found = services.catalog.get_session(_digest(identifier), now)
    if found is None:
        raise Unauthenticated("no such session, or it has expired", error="")
    session, expires = _read(json.loads(found))
    if not 0 <= now - session.used < services.settings.session_idle_seconds:
        raise Unauthenticated("the session was not used for too long", error="")
    caller = session.caller
    signed_out.check(
        services,
        issuer=caller.issuer,
        subject=caller.subject,
        session=session.issuer_session,
        since=session.started,
    )
    if now - session.used > _TOUCH_SECONDS:
        session = replace(session, used=now)
        save(services, identifier, session, expires)
    return session, expires


def _digest(identifier: str) -> bytes:
    return bytes.fromhex(session_digest(identifier))


def _written(session: Session, expires: float) -> bytes:
    caller = session.caller
    value = {
        "expires": expires,
        "role": session.role,
        "form_token": session.form_token,
        "started": session.started,
        "used": session.used,
        "issuer_session": session.issuer_session,
        "authenticated_at": session.authenticated_at,
        "context": session.context,
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
    return json.dumps(value).encode()


def _read(value: dict[str, Any]) -> tuple[Session, float]:
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
        started=float(value["started"]),
        used=float(value["used"]),
        issuer_session=value["issuer_session"],
        authenticated_at=float(value["authenticated_at"]),
        context=value["context"],
    )
    return session, float(value["expires"])


def require_same_origin(request: Request, services: Services) -> None:
    """Refuse a cookie request that did not come from our own page, GET included.

    Taken are what Fetch Metadata calls same-origin, an address that the person typed or kept (`none`, of a navigation
    by GET), and, of a browser without Fetch Metadata, our own Origin together with a header that no form can send.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site == "same-origin":
        return
    if site == "none" and request.method in ("GET", "HEAD"):
        if request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            return
    elif site is None and request.headers.get("Origin") == services.settings.public_url:
        form = request.method == "POST" and request.mimetype == "application/x-www-form-urlencoded"
        # Our own forms carry a token of their own.
        if form or "Safelight-Role" in request.headers:
            return
    raise BadRequest("a session cookie is only taken from this site's own pages")


class NamedRole:
    """Takes the acting role out of an address of our own page and says it in its header, where programs say it.

    A picture in a page can send no header, and two tabs of one session must not act in each other's role. Only where
    there is a session cookie, and no such header already.
    """

    def __init__(self, application: _Wsgi, cookie: str) -> None:
        self._application = application
        self._cookie = f"{cookie}="

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        named = [part for part in query.split("&") if part.startswith(f"{NAMED_ROLE}=")]
        if len(named) == 1 and self._cookie in environ.get("HTTP_COOKIE", "") and "HTTP_SAFELIGHT_ROLE" not in environ:
            environ["QUERY_STRING"] = "&".join(part for part in query.split("&") if part not in named)
            environ["HTTP_SAFELIGHT_ROLE"] = unquote(named[0].partition("=")[2])
        return self._application(environ, start_response)


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
