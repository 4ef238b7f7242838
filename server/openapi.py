"""The table of capabilities as an OpenAPI 3.1 description, exact enough to be tested against the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.capabilities import TABLE, Row
from server.conformance import spelled
from server.model import Act
from server.openapi_forms import ANSWERED, COUNTED, NEEDED, QUERIES, SCHEMAS, TAKEN, TEXT, TOGETHER, VARIABLES, Schema
from server.services import Services

_JSON = "application/json"
_DICOM_JSON = "application/dicom+json"
_ERRORS = frozenset(range(400, 600))
_EMPTY = frozenset({204, 303, 304})
_STATUS = {
    200: "answered", 201: "made", 202: "stored in part, or with warnings", 204: "done, or nothing is found",
    206: "a part of it", 303: "see there", 304: "not modified", 400: "the request is malformed",
    401: "no valid token",
    403: "the acting role never has this", 404: "nothing here that this caller may see",
    406: "no such representation", 409: "nothing was stored", 412: "it has changed since it was read",
    413: "too large", 415: "media type not taken", 416: "no such range",
    429: "too many wrong credentials from this address, or too many requests of this person: try again later",
    500: "the answer could not be made", 503: "try again later",
}  # fmt: skip
_HEADERS: Mapping[int, Mapping[str, object]] = {
    401: {"WWW-Authenticate": {"description": "RFC 6750, RFC 9449 and RFC 9470", "required": True, "schema": TEXT}},
    429: {"Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}},
    503: {"Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}},
}


def description(services: Services) -> dict[str, object]:
    """The whole table, with the roles that the policy in force knows."""
    roles: Schema = {"type": "string", "enum": sorted(services.policy.current.roles)}
    paths: dict[str, dict[str, object]] = {}
    for row in TABLE:
        # What a template variable may hold is not said there; `filename` and `element` may hold slashes.
        paths.setdefault(row.template, {})[row.method.lower()] = _operation(row, roles)
    settings = services.settings
    discovery = f"{settings.issuer}/.well-known/openid-configuration"
    return {
        "openapi": "3.1.0",
        "info": {"title": "Safelight", "version": "1", "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": settings.public_url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "openIdConnect", "openIdConnectUrl": discovery}},
        },
    }


def is_open(row: Row) -> bool:
    """Whether nobody needs a token there: it is open, or a page that asks to sign in."""
    page = row.template == "/" or row.template.startswith(("/films/", "/governance"))
    return row.action is None or isinstance(row.action, Act) or page


def _operation(row: Row, roles: Schema) -> dict[str, object]:
    unique = f"{row.identifier}-{row.template}" if row.method == "OPTIONS" else row.identifier
    found: dict[str, object] = {
        "operationId": unique,
        "summary": row.name,
        "tags": [row.service],
        "parameters": _parameters(row, roles),
        "responses": {str(status): _response(row, status) for status in row.statuses},
    }
    if row.takes:
        found["requestBody"] = {"required": True, "content": {media_type: {} for media_type in row.takes}}
    if row.name in TAKEN:
        found["requestBody"] = {"required": True, "content": {_JSON: {"schema": _named(TAKEN[row.name])}}}
    if row.name in TOGETHER:
        found["description"] = TOGETHER[row.name]
    if is_open(row):
        found["security"] = []
    return found


def _parameters(row: Row, roles: Schema) -> Sequence[Mapping[str, object]]:
    variables = [part[1:-1] for part in row.template.split("/") if part.startswith("{")]
    found: list[Mapping[str, object]] = [
        {"name": name, "in": "path", "required": True, "schema": VARIABLES.get(name, TEXT)} for name in variables
    ]
    for one in row.parameters:
        if one.name.startswith("{"):
            # Any number of them, each under the name of an attribute.
            values = {"type": "object", "additionalProperties": TEXT}
            more = {"style": "form", "explode": True, "schema": values}
            found.append({"name": one.name.strip("{}"), "in": "query", "description": one.says, **more})
            continue
        schema = (COUNTED if row.service == "Own" else QUERIES).get(one.name, TEXT)
        needed = one.name in NEEDED
        found.append({"name": one.name, "in": "query", "description": one.says, "required": needed, "schema": schema})
    if not is_open(row):
        says = "the acting role, where the token holds several"
        found.append({"name": "Safelight-Role", "in": "header", "description": says, "schema": roles})
    if row.name == "Settle Film":
        says = "the entity tag of the film as it was looked at"
        found.append({"name": "If-Match", "in": "header", "description": says, "required": True, "schema": TEXT})
    return found


def _response(row: Row, status: int) -> dict[str, object]:
    found: dict[str, object] = {"description": _STATUS[status]}
    if status in _HEADERS:
        found["headers"] = _HEADERS[status]
    offered = {spelled(one): _body(row, one.media_type) for one in row.offers}
    if row.service == "Store" and status == 409:
        # What was stored of nothing: the report of PS3.18 section 10.5.3, and no error.
        found["content"] = offered
    elif status in _ERRORS and not (row.name == "Health" and status == 503):
        found["content"] = {_JSON: {"schema": _named("Error")}}
    elif status not in _EMPTY and offered:
        found["content"] = offered
    return found


def _body(row: Row, media_type: str) -> Mapping[str, object]:
    if media_type == _JSON and row.name in ANSWERED:
        return {"schema": _named(ANSWERED[row.name])}
    if media_type in (_JSON, _DICOM_JSON) and row.service in ("Search", "Retrieve metadata"):
        return {"schema": _named("Results")}
    if media_type in (_JSON, _DICOM_JSON) and row.service == "Store":
        return {"schema": _named("Attributes")}
    return {}


def _named(name: str) -> Mapping[str, object]:
    return {"$ref": f"#/components/schemas/{name}"}
