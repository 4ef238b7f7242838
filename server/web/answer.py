"""What every route does around its one use case: identify, call, turn the outcome into HTTP, record refusals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass

from flask import Response, current_app, g, request

from server import record
from server.auth.dpop import ALGORITHMS
from server.errors import AuditUnavailable, RangeNotSatisfiable, SafelightError, StepUp, TooMany, Unauthenticated
from server.model import Act, Action, Ask, Representation
from server.services import Services
from server.web.coding import coded
from server.web.errors import error_response, status_of
from server.web.identify import identify, nobody, request_id
from server.web.limits import Limits, address_of

_LOG = logging.getLogger("safelight.web")
_LONGEST_PATH = 2048


@dataclass(frozen=True, kw_only=True)
class Route:
    """One row of the router: a rule below its prefix, a method, the Action it is, and the handler."""

    rule: str
    method: str
    action: Action
    handler: Callable[..., Representation]


def services() -> Services:
    """The services, with the policy that is in force when the request asks for them first: it is decided by one."""
    found: Services = current_app.extensions["safelight"]
    if "services" not in g:
        g.services = found.pinned()
    pinned: Services = g.services
    return pinned


def limits() -> Limits:
    found: Limits = current_app.extensions["safelight.limits"]
    return found


def respond(route: Route, parameters: dict[str, str]) -> Response:
    """Answer one request by one route."""
    house = services()
    ask = nobody(request)
    try:
        ask = identify(request, house)
        limits().asked(f"{ask.caller.issuer}#{ask.caller.subject}", house.clock())
        fresh_enough(house, ask, route.action)
        representation = route.handler(house, ask, **parameters)
    except TooMany as error:
        return not_now(error)
    except SafelightError as error:
        return refuse(house, ask, route.action, error)
    return to_response(representation)


def not_now(error: TooMany) -> Response:
    """The answer to what is too much. No entry of its own: a flood would only move on into the journal."""
    response = error_response(429, error.public)
    response.headers["Retry-After"] = str(error.seconds)
    return finish(response)


def refuse(house: Services, ask: Ask, action: Action | Act, error: SafelightError) -> Response:
    """The answer to a request that failed: recorded first; if it can't be recorded, that is the answer."""
    status = status_of(error)
    # Cut off, so that no path is too long to be recorded.
    subject = record.Subject(action=action, object=request.path[:_LONGEST_PATH])
    try:
        record.refusal(house, ask, subject, status, error)
        if isinstance(error, Unauthenticated) and error.error and not isinstance(error, StepUp):
            _count_failure(house, ask, subject)
    except AuditUnavailable as unrecorded:
        error, status = unrecorded, 503
    if status >= 500:
        _LOG.error("request %s failed: %s", request_id(request), type(error).__name__)
    response = error_response(status, error.public)
    if isinstance(error, Unauthenticated):
        for one in challenges(house, error):
            response.headers.add("WWW-Authenticate", one)
    if isinstance(error, RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.length}"
    return finish(response)


def _count_failure(house: Services, ask: Ask, subject: record.Subject) -> None:
    """Count wrong credentials, and say in the journal, once, that an address is not listened to any more."""
    if limits().failed(address_of(request, house.settings), house.clock()):
        record.refusal(house, ask, subject, 429, TooMany())


def fresh_enough(house: Services, ask: Ask, action: Action) -> None:
    """Raise `StepUp` unless the person signed in as lately, and in such a way, as the act wants (RFC 9470)."""
    wanted = house.settings.step_up.get(action.value)
    if wanted is None:
        return
    recent = 0 <= house.clock() - ask.authenticated_at + 30 <= wanted.max_age + 30 and ask.authenticated_at > 0
    if not recent or (wanted.contexts and ask.context not in wanted.contexts):
        raise StepUp(max_age=wanted.max_age, contexts=wanted.contexts)


def challenges(house: Services, error: Unauthenticated) -> tuple[str, str]:
    """The challenges of RFC 6750 section 3, RFC 9449 section 7.1 and RFC 9470 section 3, with the metadata of RFC 9728.

    The error is said of the scheme that it is about.
    """
    metadata = f'resource_metadata="{house.settings.public_url}/.well-known/oauth-protected-resource"'
    code = f', error="{error.error}"' if error.error else ""
    if isinstance(error, StepUp):
        contexts = f', acr_values="{" ".join(error.contexts)}"' if error.contexts else ""
        code += f", max_age={error.max_age}{contexts}"
    proof = f'DPoP algs="{" ".join(ALGORITHMS)}"'
    if error.error == "invalid_dpop_proof":
        return f"Bearer {metadata}", f"{proof}{code}"
    return f"Bearer {metadata}{code}", proof


def to_response(representation: Representation) -> Response:
    """A representation as a response; a streamed body is sent as it is developed."""
    representation = coded(request, representation)
    body = representation.body
    if request.method == "HEAD" and isinstance(body, Generator):
        # Nobody will read it: its closing entry is written now.
        body.close()
        body = iter(())
    # All of them at once: each that is set later is looked for among those that are there.
    fields = {"Content-Type": representation.media_type}
    if representation.etag:
        fields["ETag"] = representation.etag
    if representation.level:
        fields["Safelight-Level"] = representation.level
    response = Response(body, status=representation.status, headers={**fields, **representation.headers, **_carried()})
    if representation.status in (204, 304):
        del response.headers["Content-Type"]
    return response


def finish(response: Response) -> Response:
    """What every answer carries. Answers differ by caller, so no cache may keep one (RFC 9111 section 5.2.2.5)."""
    for name, value in _carried().items():
        response.headers[name] = value
    return response


def _carried() -> dict[str, str]:
    return {
        "Cache-Control": "private, no-store",
        "Vary": "Authorization, Cookie, Accept, Accept-Encoding, Safelight-Role",
        "Safelight-Request": request_id(request),
    }
