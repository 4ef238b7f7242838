"""WADO-URI (PS3.18 chapter 9): the same use cases as DICOMweb behind the older spelling."""

from __future__ import annotations

from flask import request
from werkzeug.datastructures import MultiDict

from server import rendered, retrieve
from server.errors import BadRequest, NotAcceptable
from server.model import Action, Ask, Representation
from server.negotiate import EXPLICIT_LITTLE_ENDIAN, LOSSLESS_SYNTAXES, Choice
from server.services import Services
from server.web.answer import Route
from server.web.dicomweb import frame_list
from server.web.render_parameters import render_parameters

_PICTURES = ("image/jpeg", "image/png", "image/gif")
_IDENTIFYING = ("studyUID", "seriesUID", "objectUID")
_KNOWN = {
    "requestType", *_IDENTIFYING, "contentType", "charset", "transferSyntax", "frameNumber", "rows", "columns",
    "windowCenter", "windowWidth", "imageQuality",
}  # fmt: skip


def _retrieve(services: Services, ask: Ask) -> Representation:
    arguments = request.args
    for name in arguments:
        if len(arguments.getlist(name)) > 1:
            raise BadRequest("a query parameter is given twice")
        if name not in _KNOWN:
            # Above all `anonymize`: the caller's role masks already, and a switch is not silently passed over.
            raise BadRequest("a query parameter that is not supported")
    if arguments.get("requestType") != "WADO" or any(name not in arguments for name in _IDENTIFYING):
        raise BadRequest("requestType=WADO, studyUID, seriesUID and objectUID are required")
    path = dict(zip(("study", "series", "instance"), (arguments[name] for name in _IDENTIFYING), strict=True))
    wanted = [item.split(";")[0].strip() for item in arguments.get("contentType", "image/jpeg").split(",")]
    if "application/dicom" in wanted:
        syntax = arguments.get("transferSyntax", "*")
        if syntax == "*":
            syntax = EXPLICIT_LITTLE_ENDIAN
        if syntax not in (EXPLICIT_LITTLE_ENDIAN, *LOSSLESS_SYNTAXES):
            raise NotAcceptable
        choice = Choice(media_type="application/dicom", multipart=False, transfer_syntax=syntax)
        return retrieve.instances(services, ask, choice, **path)
    picture = next((item for item in wanted if item in _PICTURES), None)
    if picture is None:
        raise NotAcceptable
    parameters, quality = render_parameters(_as_rendered(arguments))
    numbers = frame_list(arguments.get("frameNumber", "1"))
    if len(numbers) > 1:
        raise BadRequest("frameNumber is one number")
    asked = rendered.Wanted(numbers=numbers, parameters=parameters, quality=quality)
    return rendered.rendered(services, ask, Choice(media_type=picture, multipart=False), asked, **path)


def _as_rendered(arguments: MultiDict[str, str]) -> MultiDict[str, str]:
    """The parameters in the spelling of the rendered resources."""
    spelled: MultiDict[str, str] = MultiDict()
    if ("windowCenter" in arguments) != ("windowWidth" in arguments):
        raise BadRequest("windowCenter and windowWidth go together")
    if "windowCenter" in arguments:
        spelled["window"] = f"{arguments['windowCenter']},{arguments['windowWidth']},linear"
    if "rows" in arguments or "columns" in arguments:
        rows, columns = (arguments.get(name, "16384") for name in ("rows", "columns"))
        spelled["viewport"] = f"{columns},{rows}"
    if "imageQuality" in arguments:
        spelled["quality"] = arguments["imageQuality"]
    return spelled


# One URL serves two transactions; it is listed under the one that gives more away, and each use case checks its own.
ROUTES: tuple[Route, ...] = (Route(rule="/wado", method="GET", action=Action.RETRIEVE_INSTANCE, handler=_retrieve),)
