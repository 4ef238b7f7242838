"""Who has logged out at the issuer: tokens and sessions from before that are refused from the next request on.

A mark is kept in the catalogue for as long as any token from before may live, so it holds for every process.
"""

from __future__ import annotations

import json

from server.auth.identity import LoggedOut, logout_mark
from server.errors import Unauthenticated
from server.services import Services

_REPLAY_SECONDS = 900.0


def note(services: Services, issuer: str, logout: LoggedOut) -> None:
    """Mark a session, or all of a subject, as logged out now. Raises `Unauthenticated` for a token seen before."""
    now = services.clock()
    seen = logout_mark(issuer, "token", logout.token_id)
    if services.catalog.get_session(seen, now) is not None:
        raise Unauthenticated("the logout token was seen before")
    services.catalog.put_session(seen, b"{}", now + _REPLAY_SECONDS)
    until = now + services.tokens.all[issuer].settings.longest_token_seconds + 60
    kind, name = ("session", logout.session) if logout.session else ("subject", logout.subject)
    services.catalog.put_session(logout_mark(issuer, kind, name), json.dumps(now).encode(), until)


def check(services: Services, *, issuer: str, subject: str, session: str, since: float) -> None:
    """Raise `Unauthenticated` if the subject or the issuer's session has logged out at or after `since`."""
    settings = services.tokens.all[issuer].settings if issuer in services.tokens.all else None
    if settings is None:
        raise Unauthenticated("the issuer is not ours any more", error="")
    if not settings.client_id:
        return  # nobody signs in there by this server, so nobody tells it of a logout
    marks = [logout_mark(issuer, kind, name) for kind, name in (("subject", subject), ("session", session)) if name]
    for at in services.catalog.get_sessions(marks, services.clock()):
        # A token of the very second of the logout may be from before it.
        if at is not None and since <= float(json.loads(at)):
            raise Unauthenticated("the person has logged out at the issuer")
