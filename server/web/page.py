"""The first page: sign in, see the studies and one film at your level, and which level that is and why.

Everything it shows comes from the same use cases as DICOMweb, for the same caller, with the same decision.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from server import record, retrieve, search, status
from server.auth.claims import caller_from_claims
from server.auth.sessions import SignIn, new_sign_in, session_digest
from server.errors import BadRequest, Forbidden, SafelightError, Unauthenticated
from server.model import Act, Action, Ask
from server.services import Services
from server.web import session
from server.web.answer import finish, refuse, services
from server.web.identify import identify, nobody, request_id, whoever

blueprint = Blueprint("page", __name__)
# What the journal calls a refusal at each page; where a page is a transaction, it is that one.
ACTS: dict[str, Action | Act] = {
    "page.home": Action.SEARCH,
    "page.film": Action.RETRIEVE_RENDERED,
    "page.sign_in": Act.SIGN_IN,
    "page.callback": Act.SIGN_IN,
    "page.choose_role": Act.CHOOSE_ROLE,
    "page.sign_out": Act.SIGN_OUT,
}
_SIGN_IN_SECONDS = 600.0
_ROWS = 200


def _page(template: str, **values: object) -> Response:
    response = Response(render_template(template, **values), mimetype="text/html")
    return finish(response)


def _to(url: str) -> Response:
    response = Response(status=303)
    response.headers["Location"] = url
    return finish(response)


def _signed_in(house: Services) -> tuple[Ask, session.Session] | None:
    """The browser's session; None where there is none or it has ended."""
    cookie = request.cookies.get(session.cookie_name(house))
    if not cookie:
        return None
    try:
        return identify(request, house), session.load(house, cookie)
    except Unauthenticated:
        return None


@blueprint.get("/")
def home() -> AnyResponse:
    house = services()
    try:
        found = _signed_in(house)
        if found is None:
            return _page("welcome.html")
        ask, current = found
        roles = sorted(current.caller.roles)
        try:
            rows = search.table(house, ask, limit=_ROWS)
            refused = ""
        except Forbidden as error:
            rows, refused = [], error.public
            record.refusal(house, ask, record.Subject(action=Action.SEARCH, object="/"), 403, error)
        screening = status.for_page(house, ask) if current.role or len(roles) == 1 else ""
    except SafelightError as error:
        return refuse(house, whoever(request, house), Action.SEARCH, error)
    return _page(
        "studies.html",
        rows=rows,
        refused=refused,
        screening=screening,
        roles=roles,
        role=current.role,
        session=current,
    )


@blueprint.get("/films/<study>/<series>/<instance>")
def film(study: str, series: str, instance: str) -> AnyResponse:
    house = services()
    try:
        found = _signed_in(house)
        if found is None:
            return _to("/")
        ask, current = found
        shown = retrieve.film(house, ask, study=study, series=series, instance=instance)
    except SafelightError as error:
        return refuse(house, whoever(request, house), Action.RETRIEVE_RENDERED, error)
    roles = sorted(current.caller.roles)
    address = f"/dicomweb/studies/{study}/series/{series}/instances/{instance}/rendered"
    picture = f"{address}?{urlencode({'viewport': '1024,1024'})}"
    return _page("film.html", film=shown, picture=picture, roles=roles, role=current.role, session=current)


@blueprint.get("/sign-in")
def sign_in() -> AnyResponse:
    """Begin: remember the attempt on the server, send the browser to the issuer."""
    house = services()
    try:
        attempt = new_sign_in(house.randomness)
        expires = house.clock() + _SIGN_IN_SECONDS
        value = json.dumps([attempt.nonce, attempt.verifier]).encode()
        house.catalog.put_session(_attempt_name(attempt.state), value, expires)
        url = attempt.authorization_url(
            house.provider.endpoints().authorization,
            client=house.settings.client_id,
            redirect_uri=_redirect_uri(house),
        )
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.SIGN_IN, error)
    response = _to(url)
    # Binds the attempt to this browser, so that nobody is signed in to another's session by a forged link.
    response.set_cookie(
        "safelight-sign-in", attempt.state, max_age=int(_SIGN_IN_SECONDS), httponly=True, samesite="Lax",
        secure=house.settings.public_url.startswith("https:"), path="/callback",
    )  # fmt: skip
    return response


def _attempt_name(state: str) -> bytes:
    return hashlib.sha256(b"sign-in\x00" + state.encode()).digest()


def _redirect_uri(house: Services) -> str:
    return f"{house.settings.public_url}/callback"


@blueprint.get("/callback")
def callback() -> AnyResponse:
    """End: exchange the code, verify the access token as any other, begin a session under a new identifier."""
    house = services()
    ask = nobody(request)
    try:
        state = request.cookies.get("safelight-sign-in", "")
        name = _attempt_name(state)
        found = house.catalog.get_session(name, house.clock())
        if found is None:
            raise Unauthenticated("no such sign-in", error="")
        house.catalog.delete_session(name)
        nonce, verifier = json.loads(found)
        attempt = SignIn(state=state, nonce=nonce, verifier=verifier)
        code = attempt.code(request.args.to_dict(), house.settings.issuer)
        claims = house.tokens.verify(house.provider.exchange(code, verifier, _redirect_uri(house)), house.clock())
        caller = caller_from_claims(claims, house.claim_paths, house.policy.current.roles)
        ask = Ask(caller=caller, request=request_id(request))
        expires = min(house.clock() + session.LIFETIME, float(str(claims["exp"])))
        role = next(iter(caller.roles)) if len(caller.roles) == 1 else None
        fresh = session.Session(caller=caller, role=role, form_token=house.randomness.bytes(16, "form-token").hex())
        subject = record.Subject(action=Act.SIGN_IN, object="")
        house.journal.append(record.event(ask, subject, "sign-in", 200))
        cookie = session.start(house, fresh, expires)
    except SafelightError as error:
        return refuse(house, ask, Act.SIGN_IN, error)
    response = _to("/")
    session.set_cookie(response, house, cookie, expires - house.clock())
    response.delete_cookie("safelight-sign-in", path="/callback")
    return response


def _form_session(house: Services) -> tuple[str, session.Session, float]:
    """The session of a form that our own page made. Raises `BadRequest` for any other."""
    cookie = request.cookies.get(session.cookie_name(house), "")
    current, expires = session.load_with_expiry(house, cookie)
    session.require_same_origin(request, house)
    if not hmac.compare_digest(request.form.get("form_token", ""), current.form_token):
        raise BadRequest("the form is not from this session")
    return cookie, current, expires


@blueprint.post("/role")
def choose_role() -> AnyResponse:
    """Act in another of the roles held from now on."""
    house = services()
    try:
        cookie, current, expires = _form_session(house)
        role = request.form.get("role", "") or None
        if role is not None and role not in current.caller.roles:
            raise Forbidden
        session.save(house, cookie, replace(current, role=role), expires)
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.CHOOSE_ROLE, error)
    return _to("/")


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    house = services()
    try:
        cookie, _, _ = _form_session(house)
        house.catalog.delete_session(bytes.fromhex(session_digest(cookie)))
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.SIGN_OUT, error)
    response = _to("/")
    session.set_cookie(response, house, "", 0)
    return response


@blueprint.get("/healthz")
def healthy() -> AnyResponse:
    """200 when the catalogue answers and the journal can be written; nothing else is said."""
    house = services()
    try:
        house.catalog.pending()
    except SafelightError:
        return Response("unavailable\n", status=503, mimetype="text/plain")
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/.well-known/oauth-protected-resource")
def protected_resource() -> AnyResponse:
    """RFC 9728: where a client gets a token for this resource."""
    settings = services().settings
    return jsonify(
        resource=settings.audience,
        authorization_servers=[settings.issuer],
        bearer_methods_supported=["header"],
        resource_name="Safelight",
    )
