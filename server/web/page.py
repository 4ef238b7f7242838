"""The first page: sign in, see the studies and one film at your level, and which level that is and why.

Everything it shows comes from the same use cases as DICOMweb, for the same caller, with the same decision.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from server import record, retrieve, search, status
from server.auth.dpop import ALGORITHMS
from server.errors import BadRequest, Forbidden, SafelightError, Unauthenticated
from server.model import RECIPIENT, Act, Action, Ask
from server.services import Services
from server.web import session
from server.web.answer import finish, refuse, services
from server.web.identify import identify, whoever

blueprint = Blueprint("page", __name__)
# What the journal calls a refusal at each page; where a page is a transaction, it is that one.
ACTS: dict[str, Action | Act] = {
    "page.home": Action.SEARCH,
    "page.film": Action.RETRIEVE_RENDERED,
    "page.choose_role": Act.CHOOSE_ROLE,
    "sign_in.begin": Act.SIGN_IN,
    "sign_in.callback": Act.SIGN_IN,
    "sign_in.sign_out": Act.SIGN_OUT,
    "sign_in.told_of_logout": Act.SIGN_OUT,
}
_ROWS = 200


def _page(template: str, **values: object) -> Response:
    response = Response(render_template(template, **values), mimetype="text/html")
    return finish(response)


def to(url: str) -> Response:
    response = Response(status=303)
    response.headers["Location"] = url
    return finish(response)


def signed_in(house: Services) -> tuple[Ask, session.Session] | None:
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
        found = signed_in(house)
        if found is None:
            labels = [one.label for one in house.settings.all_issuers if one.client_id]
            return _page("welcome.html", labels=labels)
        ask, current = found
        role = ask.requested_role
        roles = _roles(current, role)
        try:
            rows = search.table(house, ask, limit=_ROWS)
            refused = ""
        except Forbidden as error:
            rows, refused = [], error.public
            record.refusal(house, ask, record.Subject(action=Action.SEARCH, object="/"), 403, error)
        screening = status.for_page(house, ask) if role or len(roles) == 1 else ""
    except SafelightError as error:
        return refuse(house, whoever(request, house), Action.SEARCH, error)
    return _page(
        "studies.html",
        rows=rows,
        refused=refused,
        screening=screening,
        roles=roles,
        role=role,
        session=current,
        named=_named(role),
    )


@blueprint.get("/films/<study>/<series>/<instance>")
def film(study: str, series: str, instance: str) -> AnyResponse:
    house = services()
    try:
        found = signed_in(house)
        if found is None:
            return to("/")
        ask, current = found
        shown = retrieve.film(house, ask, study=study, series=series, instance=instance)
    except SafelightError as error:
        return refuse(house, whoever(request, house), Action.RETRIEVE_RENDERED, error)
    roles = _roles(current, shown.role)
    address = f"/dicomweb/studies/{study}/series/{series}/instances/{instance}/rendered"
    role = shown.role
    picture = f"{address}?{urlencode({'viewport': '1024,1024', session.NAMED_ROLE: role})}"
    return _page("film.html", film=shown, picture=picture, roles=roles, role=role, session=current, named=_named(role))


def _roles(current: session.Session, role: str | None) -> list[str]:
    """The roles to choose from: those of the token, and that of a recipient for who acts in it."""
    return sorted(current.caller.roles | ({RECIPIENT} if role == RECIPIENT else set()))


def _named(role: str | None) -> str:
    """What an address of this page ends with, so that every request says in which role it is made."""
    return f"?{urlencode({session.NAMED_ROLE: role})}" if role else ""


def form_session(house: Services) -> tuple[str, session.Session, float]:
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
        cookie, current, expires = form_session(house)
        role = request.form.get("role", "") or None
        if role is not None and role not in current.caller.roles | {RECIPIENT}:
            raise Forbidden
        session.save(house, cookie, replace(current, role=role), expires)
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.CHOOSE_ROLE, error)
    return to(f"/?{urlencode({session.NAMED_ROLE: role})}" if role else "/")


@blueprint.get("/share")
def share() -> AnyResponse:
    """Where the link of a share leads: the same page for every link. Its secret stays in the browser's address until a
    script takes it from there, and is sent in the body of the exchange alone."""
    return _page("share.html", named="")


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
        authorization_servers=[one.issuer for one in settings.all_issuers],
        bearer_methods_supported=["header"],
        dpop_signing_alg_values_supported=list(ALGORITHMS),
        resource_name="Safelight",
    )
