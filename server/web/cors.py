"""Viewers of other origins (the Fetch standard's CORS protocol): those of a list, with a bearer token of their own.

Cookies never take part: no answer says `Access-Control-Allow-Credentials`, and none says `*`.
"""

from __future__ import annotations

from flask import Flask, Request, Response, request

from server.services import Services

_PATHS = ("/dicomweb", "/wado")
_METHODS = "GET, HEAD, POST, OPTIONS"
_ALLOWED = "Accept, Authorization, Content-Type, DPoP, If-None-Match, If-Range, Range, Safelight-Role"
_EXPOSED = "Content-Range, ETag, Safelight-Level, Safelight-Request, Warning, WWW-Authenticate"
_SECONDS = 600


def add(app: Flask, services: Services) -> None:
    """Answer preflights without asking who it is, and let listed origins read what they were given."""
    origins = frozenset(services.settings.viewer_origins)
    if not origins:
        return

    def listed(asked: Request) -> str:
        origin = asked.headers.get("Origin", "")
        return origin if origin in origins and asked.path.startswith(_PATHS) else ""

    def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not listed(request):
            return None
        answer = Response(status=204)
        answer.headers["Access-Control-Allow-Methods"] = _METHODS
        answer.headers["Access-Control-Allow-Headers"] = _ALLOWED
        answer.headers["Access-Control-Max-Age"] = str(_SECONDS)
        return answer

    def permit(response: Response) -> Response:
        response.vary.add("Origin")
        if origin := listed(request):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return response

    app.before_request(preflight)
    app.after_request(permit)
