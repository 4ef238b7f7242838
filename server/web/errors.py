"""The whole map from what can go wrong to HTTP. A body says the public sentence of the error and nothing else."""

from __future__ import annotations

from flask import Response, jsonify

from server import errors

STATUS: dict[type[errors.SafelightError], int] = {
    errors.BadRequest: 400,
    errors.InvalidUID: 400,
    errors.Unauthenticated: 401,
    errors.StepUp: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.UnsupportedPixels: 406,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.RangeNotSatisfiable: 416,
    errors.TooMany: 429,
    errors.UnreadableObject: 500,
    errors.DecodeFailed: 500,
    errors.DetectorNonsense: 500,
    errors.SealBroken: 500,
    errors.PolicyError: 500,
    errors.ConfigurationError: 500,
    errors.KeyUnavailable: 503,
    errors.StorageUnavailable: 503,
    errors.AuditUnavailable: 503,
    errors.Busy: 503,
    errors.Overtaken: 503,
}


def status_of(error: errors.SafelightError) -> int:
    """The status of an error; 500 for one that the table does not name."""
    return STATUS.get(type(error), 500)


def error_response(status: int, public: str) -> Response:
    """One shape for every error body: {"error": a sentence without identity}."""
    response = jsonify({"error": public})
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response
