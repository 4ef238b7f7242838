"""Who asks: a bearer token for programs, a server-side session for people's browsers; never both, never by URL."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from urllib.parse import quote

from flask import Request

from server import signed_out
from server.auth.dpop import PROOF_SECONDS, verify_proof
from server.auth.issuers import authentication
from server.errors import BadRequest, SafelightError, Unauthenticated
from server.model import Ask, Caller
from server.services import Services
from server.settings import zone_of
from server.web import session
from server.web.coding import uncoded
from server.web.limits import peer_of

ROLE_HEADER = "Safelight-Role"
_ETAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_SAFE = "/!$&'()*+,;=:@-._~"
NOBODY = Caller(subject="", issuer="", client="", roles=frozenset())


def nobody(request: Request) -> Ask:
    """What the journal says of a request whose caller is not known."""
    return Ask(caller=NOBODY, request=request_id(request))


def whoever(request: Request, services: Services) -> Ask:
    """Who asks, for the journal alone: `nobody` where that can't be told. Never a ground for an answer.

    Takes a session's word for it even from another site's page: the entry is about a refusal.
    """
    try:
        return identify(request, services)
    except SafelightError:
        pass
    cookie = request.cookies.get(session.cookie_name(services))
    if not cookie or "Authorization" in request.headers:
        return nobody(request)
    try:
        return Ask(caller=session.load(services, cookie).caller, request=request_id(request))
    except SafelightError:
        return nobody(request)


def request_id(request: Request) -> str:
    """A random id for this request, made once; a client's own is not taken, so that nobody writes into the journal."""
    known = request.environ.get("safelight.request_id")
    if known is None:
        known = request.environ["safelight.request_id"] = secrets.token_hex(16)
    return str(known)


def identify(request: Request, services: Services) -> Ask:
    """The verified caller and the role they ask to act in.

    Raises `Unauthenticated`, or `BadRequest` for two kinds of credentials or two roles in one request.
    """
    environ = request.environ
    authorization, named = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_SAFELIGHT_ROLE")
    cookie = request.cookies.get(session.cookie_name(services)) if "HTTP_COOKIE" in environ else None
    if authorization is not None and cookie:
        raise BadRequest("send a bearer token or a session cookie, not both")
    requested = None if named is None else named.strip()
    if authorization is not None:
        caller, (authenticated_at, context) = _by_token(request, authorization, requested, services)
    elif cookie:
        found = session.load(services, cookie)
        session.require_same_origin(request, services)
        caller, requested = found.caller, found.role if requested is None else requested
        authenticated_at, context = found.authenticated_at, found.context
    else:
        raise Unauthenticated("no credentials", error="")
    return Ask(
        caller=caller,
        request=request_id(request),
        requested_role=requested,
        held_etags=_etags(request),
        # RFC 9110 section 14.2: of all methods only GET has ranges.
        byte_range=_field(request, "Range") if request.method == "GET" else "",
        if_range=_field(request, "If-Range"),
        zone=zone_of(peer_of(request, services.settings), services.settings.zones),
        authenticated_at=authenticated_at,
        context=context,
    )


def _by_token(
    request: Request, header: str, requested: str | None, services: Services
) -> tuple[Caller, tuple[float, str]]:
    """The caller of a token, sent alone or with a proof of the key that it is bound to, and when they signed in."""
    scheme, _, token = header.partition(" ")
    token, now = token.strip(), services.clock()
    if scheme.lower() not in ("bearer", "dpop") or not token:
        raise Unauthenticated("neither a bearer token nor one with a proof", error="invalid_request")
    proved = _proved(request, token, services) if scheme.lower() == "dpop" else None
    claims = services.tokens.verify(token, now, proved)
    caller = services.tokens.caller(claims, services.policy.current.roles)
    signed_out.check(
        services,
        issuer=caller.issuer,
        subject=caller.subject,
        session=str(claims.get("sid", "")),
        since=float(str(claims["iat"])),
    )
    if proved is None:
        kept = caller.roles - set(services.settings.proof_roles)
        if kept != caller.roles and (not kept or requested in caller.roles - kept):
            raise Unauthenticated("this role wants a token that is bound to a key", error="invalid_token")
        caller = caller if kept == caller.roles else replace(caller, roles=kept)
    return caller, authentication(claims, now)


def _proved(request: Request, token: str, services: Services) -> str:
    """The thumbprint of the key that the request proves to hold, by a proof that is used for the first time."""
    proofs, now = request.headers.getlist("DPoP"), services.clock()
    if len(proofs) != 1 or not token.isascii():
        raise Unauthenticated("one proof belongs to a request", error="invalid_dpop_proof")
    url = f"{services.settings.public_url}{request.environ.get('SCRIPT_NAME', '')}{quote(request.path, safe=_SAFE)}"
    proof = verify_proof(proofs[0], method=request.method, url=url, token=token, now=now)
    if not services.catalog.note_once(proof.once, now, now + 2 * PROOF_SECONDS + 1):
        raise Unauthenticated("the proof was used before", error="invalid_dpop_proof")
    return proof.thumbprint


def _etags(request: Request) -> frozenset[str]:
    """The tags of If-None-Match: `*`, or opaque tags compared weakly and of whatever content coding."""
    value = _field(request, "If-None-Match")
    return frozenset({"*"} if value == "*" else map(uncoded, _ETAG.findall(value)))


def _field(request: Request, name: str) -> str:
    """A header field as one value: WSGI knows no other, in however many lines it came."""
    return str(request.environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")).strip()
