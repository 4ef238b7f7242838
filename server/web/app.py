"""The application: the routers joined, and the few headers that every response has."""

from __future__ import annotations

import logging
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from server.errors import SafelightError
from server.model import Action
from server.services import Services
from server.web import dicomweb, governance, page, wado
from server.web.answer import Route, refuse, respond
from server.web.answer import services as found_services
from server.web.errors import error_response
from server.web.identify import nobody

_LOG = logging.getLogger("safelight.web")

ROUTES: tuple[Route, ...] = (*dicomweb.ROUTES, *wado.ROUTES, *governance.ROUTES)
_CONTENT_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def create_app(services: Services) -> Flask:
    """A flask application over open services."""
    app = Flask("server.web", static_folder="static", template_folder="templates")
    app.extensions["safelight"] = services
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_request_bytes
    for route in ROUTES:
        _add(app, route)
    app.register_blueprint(page.blueprint)
    app.after_request(_harden)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    return app


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


def _harden(response: Response) -> Response:
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    # "no-referrer" would take the Origin from our own forms too.
    headers["Referrer-Policy"] = "same-origin"
    headers["X-Frame-Options"] = "DENY"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers.setdefault("Content-Security-Policy", _CONTENT_POLICY)
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return response


def _http_error(error: HTTPException) -> Response:
    """Routing's own errors in our one shape; their texts may repeat the path, so they are not used."""
    status = error.code or 500
    public = {404: "not found", 405: "the method is not allowed", 413: "the request is too large"}.get(
        status, "the request is malformed" if status < 500 else "the request could not be answered"
    )
    response = error_response(status, public)
    if status == 405 and (allowed := getattr(error, "valid_methods", None)):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    response.headers["Cache-Control"] = "no-store"
    return response


def _unexpected(error: Exception) -> Response:
    """A defect of ours: the kind goes into log and journal, without the text, which may carry identity. No image."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown"
    kind = f"{type(error).__name__} at {place}"
    _LOG.error("unexpected %s", kind)
    return refuse(found_services(), nobody(request), Action.SEARCH, SafelightError(kind))
