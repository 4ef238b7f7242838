"""The application: the routers joined, and the few headers that every response has."""

from __future__ import annotations

import logging
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from server.errors import BadRequest, MethodNotAllowed, NotFound, SafelightError, TooLarge, TooMany
from server.model import Act, Action
from server.services import Services
from server.web import (
    capabilities,
    cors,
    dicomweb,
    govern_page,
    governance,
    page,
    review,
    session,
    shares,
    sign_in,
    wado,
)  # fmt: skip
from server.web.answer import Route, limits, not_now, refuse, respond
from server.web.answer import services as found_services
from server.web.identify import whoever
from server.web.limits import Limits, address_of

_LOG = logging.getLogger("safelight.web")

ROUTES: tuple[Route, ...] = (*dicomweb.ROUTES, *wado.ROUTES, *governance.ROUTES, *review.ROUTES, *shares.ROUTES)
PAGES: dict[str, Action | Act] = {**page.ACTS, **govern_page.ACTS}
_CONTENT_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

# What is not a page of ours is never a document: a film that is HTML as well runs nothing (a.C16).
_DATA_POLICY = "default-src 'none'; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HARDENING = (
    ("X-Content-Type-Options", "nosniff"),
    # "no-referrer" would take the Origin from our own forms too.
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_FILES = {
    "application/dicom": "safelight.dcm",
    "application/octet-stream": "safelight.bin",
    "multipart/related": "safelight.mime",
}
"""What is saved as a file, under a name that tells nothing of it."""


def create_app(services: Services) -> Flask:
    """A flask application over open services."""
    app = Flask("server.web", static_folder=None, template_folder="templates")
    app.extensions["safelight"] = services
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_request_bytes
    # What is not spelled exactly as a rule is nothing: no path is led to another, no method answered by itself.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.static_folder = "static"
    app.add_url_rule("/static/<filename>", endpoint="static", view_func=app.send_static_file)
    for route in ROUTES:
        _add(app, route)
    app.register_blueprint(page.blueprint)
    app.register_blueprint(sign_in.blueprint)
    app.register_blueprint(govern_page.blueprint)
    capabilities.add(app)
    app.after_request(_harden)
    app.extensions["safelight.limits"] = Limits(
        failures=services.settings.failures_per_minute, requests=services.settings.requests_per_minute
    )
    app.before_request(_locked_out)
    cors.add(app, services)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    app.wsgi_app = session.NamedRole(app.wsgi_app, session.cookie_name(services))  # type: ignore[method-assign]
    return app


def _locked_out() -> Response | None:
    house = found_services()
    try:
        limits().check(address_of(request, house.settings), house.clock())
    except TooMany as error:
        return not_now(error)
    return None


def endpoint(route: Route) -> str:
    return f"{route.method} {route.rule}".replace(".", "_")


def _add(app: Flask, route: Route) -> None:
    def view(**parameters: str) -> Response:
        return respond(route, parameters)

    app.add_url_rule(
        route.rule, endpoint=endpoint(route), view_func=view, methods=[route.method], provide_automatic_options=False
    )


def action_of(method: str, rule: str) -> Action | None:
    """The Action of a rule, for the test that every route names one."""
    return next((item.action for item in ROUTES if (item.method, item.rule) == (method, rule)), None)


def _act() -> Action | Act:
    """What the journal calls the request at hand: by its route, or `unrouted`."""
    rule = request.url_rule.rule if request.url_rule else ""
    method = "GET" if request.method == "HEAD" else request.method
    return action_of(method, rule) or PAGES.get(request.endpoint or "", Act.UNROUTED)


def _harden(response: Response) -> Response:
    headers = response.headers
    page = request.blueprint in ("page", "sign_in", "govern_page") or request.endpoint in ("conformance", "static")
    headers.setdefault("Content-Security-Policy", _CONTENT_POLICY if page else _DATA_POLICY)
    if response.mimetype in _FILES:
        # Whoever opens the address of a film in a browser saves it; nothing in it is shown or run.
        headers.setdefault("Content-Disposition", f'attachment; filename="{_FILES[response.mimetype]}"')
    # To look for each among all the others takes longer than all else that is done here.
    said = {name.lower() for name, _ in headers}
    for name, value in _HARDENING:
        if name.lower() in said:
            headers[name] = value
        else:
            headers.add(name, value)
    # By the address that clients see: behind a proxy the request itself comes in plain.
    if found_services().settings.public_url.startswith("https:"):
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return response


def _http_error(error: HTTPException) -> Response:
    """Routing's own errors, recorded and in our one shape; their texts may repeat the path, so they are not used."""
    status = error.code or 500
    known: dict[int, type[SafelightError]] = {404: NotFound, 405: MethodNotAllowed, 413: TooLarge}
    kind = known.get(status, BadRequest if status < 500 else SafelightError)
    house = found_services()
    response = refuse(house, whoever(request, house), _act(), kind())
    if response.status_code == 405 and (allowed := getattr(error, "valid_methods", None)):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unexpected(error: Exception) -> Response:
    """A defect of ours: the kind goes into log and journal, without the text, which may carry identity. No image."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown"
    kind = f"{type(error).__name__} at {place}"
    _LOG.error("unexpected %s", kind)
    house = found_services()
    return refuse(house, whoever(request, house), _act(), SafelightError(kind))
