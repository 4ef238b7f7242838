"""What this server can do, told to anybody who asks: of resources as such, never of what is or is not there."""

from __future__ import annotations

from functools import partial

import orjson
from flask import Flask, Response, render_template, request

from server import conformance, openapi
from server.capabilities import CAPABILITIES, TABLE
from server.errors import SafelightError
from server.model import Act
from server.negotiate import Offer, choose
from server.web.answer import finish, refuse, services
from server.web.identify import whoever

_STATEMENT = (Offer(media_type="text/html"), Offer(media_type="application/json"))


def add(app: Flask) -> None:
    """Add OPTIONS to every DICOMweb resource, the conformance statement and the OpenAPI description."""
    described = {row.template for row in TABLE if row.method == "OPTIONS"}
    rules = {template_of(rule.rule): rule.rule for rule in app.url_map.iter_rules()}
    for template in sorted(described):
        view = partial(_options, template)
        app.add_url_rule(
            rules.get(template, template), endpoint=f"OPTIONS {template}".replace(".", "_"), view_func=view,
            methods=["OPTIONS"],
        )  # fmt: skip
    app.add_url_rule("/conformance", endpoint="conformance", view_func=_conformance, methods=["GET"])
    app.add_url_rule("/openapi.json", endpoint="openapi", view_func=_openapi, methods=["GET"])


def template_of(rule: str) -> str:
    """A rule of the router as the template (RFC 6570) that the table writes."""
    return "/".join(
        "{" + part[1:-1].rpartition(":")[2] + "}" if part.startswith("<") else part for part in rule.split("/")
    )


def _wanted(*offers: Offer) -> str:
    """The media type to answer in; the first where the request does not say."""
    header = request.headers.get("Accept", "*/*")
    return choose(header, request.args.getlist("accept"), offers).media_type


def _options(template: str, **_: str) -> Response:
    """PS3.18 section 8.9. The path's variables are not looked at, so every UID has the same answer."""
    house = services()
    try:
        media_type = _wanted(*CAPABILITIES)
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.DESCRIBE, error)
    if media_type == "application/json":
        return _answer(orjson.dumps(conformance.capabilities(house, template)), media_type)
    return _answer(conformance.wadl(house, template), media_type)


def _conformance() -> Response:
    house = services()
    try:
        media_type = _wanted(*_STATEMENT)
    except SafelightError as error:
        return refuse(house, whoever(request, house), Act.DESCRIBE, error)
    told = conformance.statement(house)
    if media_type == "application/json":
        return _answer(orjson.dumps(told), media_type)
    return _answer(render_template("conformance.html", told=told).encode(), "text/html; charset=utf-8")


def _openapi() -> Response:
    return _answer(orjson.dumps(openapi.description(services())), "application/json")


def _answer(body: bytes, content_type: str) -> Response:
    response = Response(body, content_type=content_type)
    return finish(response)
