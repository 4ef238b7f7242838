"""Ways in and out of a browser's session: sign-in at an issuer, sign-out here and there, logout told by the issuer."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from server import record, signed_out
from server.auth.identity import SignedIn, verify_id_token, verify_logout_token
from server.auth.issuers import Issuer
from server.auth.sessions import SignIn, new_sign_in
from server.auth.tokens import claimed_issuer
from server.errors import BadRequest, Busy, SafelightError, Unauthenticated
from server.model import Act, Ask, Caller
from server.services import Services
from server.web import session
from server.web.answer import finish, refuse, services
from server.web.identify import NOBODY, nobody, request_id, whoever
from server.web.page import form_session, to

blueprint = Blueprint("sign_in", __name__)
_SIGN_IN_SECONDS = 600.0


@blueprint.get("/sign-in")
def begin() -> AnyResponse:
    """Remember the attempt on the server, send the browser to the issuer (`with`, a label; the first by default).

    `for` names an action that wants a fresher or stronger sign-in: then that is asked for (RFC 9470 section 4).
    """
    house = services()
    try:
        chosen = _chosen(house, request.args.get("with", ""))
        attempt = new_sign_in(house.randomness)
        expires = house.clock() + _SIGN_IN_SECONDS
        value = json.dumps([attempt.nonce, attempt.verifier, chosen.settings.issuer]).encode()
        house.catalog.delete_expired(house.clock())
        house.catalog.put_session(_attempt_name(attempt.state), value, expires)
        url = attempt.authorization_url(
            chosen.provider.endpoints().authorization,
            client=chosen.settings.client_id,
            redirect_uri=_redirect_uri(house),
            scope=chosen.settings.scope,
        )
        if wanted := house.settings.step_up.get(request.args.get("for", "")):
            asked = {"max_age": str(wanted.max_age), "acr_values": " ".join(wanted.contexts)}
            url += f"&{urlencode({name: value for name, value in asked.items() if value})}"
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.SIGN_IN, error)
    response = to(url)
    # Binds the attempt to this browser, so that nobody is signed in to another's session by a forged link.
    response.set_cookie(
        _cookie_name(house), attempt.state, max_age=int(_SIGN_IN_SECONDS), httponly=True, samesite="Lax",
        secure=_over_tls(house), path="/",
    )  # fmt: skip
    return response


def _chosen(house: Services, label: str) -> Issuer:
    for one in house.tokens.all.values():
        if one.settings.client_id and label in ("", one.settings.label):
            return one
    raise BadRequest("there is no such way to sign in")


def _over_tls(house: Services) -> bool:
    return house.settings.public_url.startswith("https:")


def _cookie_name(house: Services) -> str:
    """As the session's: over TLS a name that no other host can set (RFC 6265bis section 4.1.3.2)."""
    return "__Host-safelight-sign-in" if _over_tls(house) else "safelight-sign-in"


def _attempt_name(state: str) -> bytes:
    return hashlib.sha256(b"sign-in\x00" + state.encode()).digest()


def _redirect_uri(house: Services) -> str:
    return f"{house.settings.public_url}/callback"


@blueprint.get("/callback")
def callback() -> AnyResponse:
    """Exchange the code, verify the access token as any other, begin a session under a new identifier."""
    house = services()
    ask = nobody(request)
    try:
        state = request.cookies.get(_cookie_name(house), "")
        name = _attempt_name(state)
        found = house.catalog.get_session(name, house.clock())
        if found is None:
            raise Unauthenticated("no such sign-in", error="")
        house.catalog.delete_session(name)
        nonce, verifier, named = json.loads(found)
        caller, signed_in, token_expires = _exchanged(house, named, SignIn(state=state, nonce=nonce, verifier=verifier))
        ask = Ask(caller=caller, request=request_id(request))
        expires = min(house.clock() + house.settings.session_seconds, token_expires)
        fresh = session.Session(
            caller=caller,
            role=next(iter(caller.roles)) if len(caller.roles) == 1 else None,
            form_token=house.randomness.bytes(16, "form-token").hex(),
            issuer_session=signed_in.session,
            authenticated_at=signed_in.authenticated_at,
            context=signed_in.context,
        )
        house.journal.append(record.event(ask, record.Subject(action=Act.SIGN_IN, object=""), "sign-in", 200))
        # What this browser was signed in as before ends here.
        if former := request.cookies.get(session.cookie_name(house)):
            session.end_if_any(house, former)
        cookie = session.start(house, fresh, expires)
    except SafelightError as error:
        return refuse(house, ask, Act.SIGN_IN, error)
    # A page of ours, not one more redirect: what follows a redirect from another site counts as that site's request.
    response = finish(Response(render_template("signed-in.html"), mimetype="text/html"))
    response.headers["Refresh"] = "0; url=/"
    session.set_cookie(response, house, cookie, expires - house.clock())
    response.delete_cookie(_cookie_name(house), path="/", secure=_over_tls(house), httponly=True, samesite="Lax")
    return response


def _exchanged(house: Services, named: str, attempt: SignIn) -> tuple[Caller, SignedIn, float]:
    issuer = house.tokens.all.get(named)
    if issuer is None:
        raise Unauthenticated("the sign-in began at an issuer that is not ours any more", error="")
    if "iss" not in request.args and issuer.provider.endpoints().names_itself:
        raise Unauthenticated("the issuer names itself in its answers, and this one does not", error="")
    code = attempt.code(request.args.to_dict(), named)
    tokens = issuer.provider.exchange(code, attempt.verifier, _redirect_uri(house))
    now = house.clock()
    claims = house.tokens.verify(tokens.access, now)
    if claims["iss"] != named:
        raise Unauthenticated("the issuer gave a token of another", error="")
    caller = house.tokens.caller(claims, house.policy.current.roles)
    signed_in = verify_id_token(
        tokens.identity,
        issuer=named,
        client=issuer.settings.client_id,
        algorithms=issuer.settings.algorithms,
        keys=issuer.keys,
        nonce=attempt.nonce,
        now=now,
    )
    if signed_in.subject != caller.subject:
        raise Unauthenticated("the two tokens are of two persons", error="")
    return caller, signed_in, float(str(claims["exp"]))


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """End the session here, and lead on to the issuer to end it there (OpenID Connect RP-Initiated Logout 1.0).

    No token is in that address: the issuer knows the browser by its own cookie.
    """
    house = services()
    try:
        cookie, current, _ = form_session(house)
        session.end(house, cookie)
        issuer = house.tokens.all.get(current.caller.issuer)
        try:
            there = issuer.provider.endpoints().end_session if issuer else ""
        except Busy:
            there = ""  # signed out here all the same
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.SIGN_OUT, error)
    home = f"{house.settings.public_url}/"
    query = urlencode({"client_id": issuer.settings.client_id if issuer else "", "post_logout_redirect_uri": home})
    onward = f"{there}{'&' if '?' in there else '?'}{query}" if there else "/"
    # No redirect: a browser holds the target of a form to form-action, redirects included, and that is this site alone.
    response = finish(Response(render_template("signed-out.html", onward=onward), mimetype="text/html"))
    response.headers["Refresh"] = f"0; url={onward}"
    session.set_cookie(response, house, "", 0)
    # What a browser keeps of pages and pictures goes with the session.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@blueprint.post("/backchannel-logout")
def told_of_logout() -> AnyResponse:
    """OpenID Connect Back-Channel Logout 1.0 section 2.5: the issuer says who has logged out."""
    house = services()
    ask = nobody(request)
    try:
        # Nobody has said yet who they are: what does not say its length is not waited for.
        length = request.content_length
        token = request.form.get("logout_token", "") if length is not None and length <= 64 * 1024 else ""
        issuer = house.tokens.all.get(claimed_issuer(token) or "")
        if issuer is None or not issuer.settings.client_id:
            raise Unauthenticated("not a logout token of an issuer of ours")
        logout = verify_logout_token(
            token,
            issuer=issuer.settings.issuer,
            client=issuer.settings.client_id,
            algorithms=issuer.settings.algorithms,
            keys=issuer.keys,
            now=house.clock(),
        )
        subject = NOBODY if not logout.subject else Caller(
            subject=logout.subject, issuer=issuer.settings.issuer, client="", roles=frozenset()
        )  # fmt: skip
        ask = Ask(caller=subject, request=ask.request)
        event = record.event(ask, record.Subject(action=Act.SIGN_OUT, object=""), "sign-out", 200)
        house.journal.append(event)
        signed_out.note(house, issuer.settings.issuer, logout)
    except Unauthenticated as error:
        return refuse(house, ask, Act.SIGN_OUT, BadRequest(f"not a logout token: {error}"))
    except SafelightError as error:
        return refuse(house, ask, Act.SIGN_OUT, error)
    return finish(Response(status=200))
