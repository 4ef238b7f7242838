"""WADO-URI (PS3.18 chapter 9): the same use cases as DICOMweb behind the older spelling."""

from __future__ import annotations

import re

from flask import request
from werkzeug.datastructures import MultiDict

from server import rendered, retrieve
from server.errors import BadRequest, NotAcceptable
from server.model import Action, Ask, Representation
from server.negotiate import LOSSLESS_SYNTAXES, NATIVE_SYNTAXES, Choice, Offer, check_charset, preferred
from server.services import Services
from server.web.answer import Route
from server.web.dicomweb import frame_list
from server.web.render_parameters import render_parameters

_DICOM = "application/dicom"
_SYNTAXES = (*NATIVE_SYNTAXES, *LOSSLESS_SYNTAXES)
_PICTURES = tuple(Offer(media_type=one) for one in ("image/jpeg", "image/png", "image/gif", "image/jp2"))
_TEXTS = tuple(Offer(media_type=one) for one in ("text/html", "text/plain", "text/xml"))
_STATE = ("presentationSeriesUID", "presentationUID")
_IDENTIFYING = ("studyUID", "seriesUID", "objectUID")
_OF_OBJECTS = {"transferSyntax", "anonymize"}
_OF_PICTURES = {"frameNumber", "rows", "columns", "region", "windowCenter", "windowWidth", "imageQuality"}
_OF_PICTURES |= {"annotation", "iccprofile", *_STATE}
_KNOWN = {"requestType", *_IDENTIFYING, "contentType", "charset", *_OF_OBJECTS, *_OF_PICTURES}
_FRACTION = re.compile(r"(0(\.[0-9]{1,12})?|\.[0-9]{1,12}|1(\.0{1,12})?)", re.ASCII)


def _retrieve(services: Services, ask: Ask) -> Representation:
    arguments = request.args
    _check(arguments)
    path = dict(zip(("study", "series", "instance"), (arguments[name] for name in _IDENTIFYING), strict=True))
    asked = set(arguments)
    if "contentType" in asked:
        choice = preferred(arguments["contentType"], (_dicom(arguments), *_PICTURES, *_TEXTS))
    elif asked & (_OF_PICTURES | _OF_OBJECTS):
        choice = Choice(media_type="image/jpeg", multipart=False)
    else:
        choice = _by_default(rendered.form_of(services, ask, **path), arguments)
    if choice is None:
        raise NotAcceptable
    foreign = _OF_PICTURES if choice.media_type == _DICOM else _OF_OBJECTS
    if choice in map(_alone, _TEXTS):
        foreign = _OF_PICTURES | _OF_OBJECTS
    if asked & foreign:
        raise BadRequest("a query parameter does not go with the content type")
    if choice.media_type == _DICOM:
        use_case = retrieve.anonymised_instances if "anonymize" in asked else retrieve.instances
        return use_case(services, ask, choice, **path)
    return rendered.rendered(services, ask, choice, _wanted(arguments), _no_other, **path)


def _by_default(form: str, arguments: MultiDict[str, str]) -> Choice | None:
    if form == "object":
        return preferred(_DICOM, (_dicom(arguments),))
    return _alone(_TEXTS[0] if form == "text" else _PICTURES[0])


def _alone(offer: Offer) -> Choice:
    return Choice(media_type=offer.media_type, multipart=False)


def _no_other(texts: bool) -> Choice:  # noqa: ARG001
    """A content type is what was asked for, and nothing takes its place."""
    raise NotAcceptable


def _check(arguments: MultiDict[str, str]) -> None:
    """Raise `BadRequest` for what no request may say, whatever it is for."""
    for name in arguments:
        if len(arguments.getlist(name)) > 1:
            raise BadRequest("a query parameter is given twice")
        if name not in _KNOWN:
            # A switch that somebody hoped would change the masking never silently does nothing (a.C2).
            raise BadRequest("a query parameter that is not supported")
    if arguments.get("requestType") != "WADO" or any(name not in arguments for name in _IDENTIFYING):
        raise BadRequest("requestType=WADO, studyUID, seriesUID and objectUID are required")
    if arguments.get("anonymize", "yes") != "yes":
        raise BadRequest("anonymize is yes or absent")
    if "charset" in arguments:
        check_charset(arguments["charset"])


def _dicom(arguments: MultiDict[str, str]) -> Offer:
    """The object in the syntax that is asked for; in none that is not made here, which no default stands in for."""
    syntax = arguments.get("transferSyntax", "*")
    # An offer of no syntax at all would match any.
    syntaxes = _SYNTAXES if syntax == "*" else tuple(one for one in _SYNTAXES if one == syntax)
    if not syntaxes:
        raise NotAcceptable
    return Offer(media_type=_DICOM, transfer_syntaxes=syntaxes)


def _wanted(arguments: MultiDict[str, str]) -> rendered.Wanted:
    parameters, quality = render_parameters(_as_rendered(arguments))
    # A GIF of the first frame, unless somebody asks for the animation at the DICOMweb resource.
    said = arguments.get("frameNumber", "1" if "gif" in arguments.get("contentType", "") else None)
    numbers = None if said is None else frame_list(said)
    if numbers is not None and len(numbers) > 1:
        raise BadRequest("frameNumber is one number")
    region = _region(arguments["region"]) if "region" in arguments else None
    return rendered.Wanted(
        numbers=numbers, parameters=parameters, quality=quality, region=region, state=_state(arguments)
    )


def _state(arguments: MultiDict[str, str]) -> tuple[str, str] | None:
    """PS3.18 section 9.5: both UIDs of a presentation state, and nothing that it says itself."""
    named = [name for name in _STATE if name in arguments]
    if not named:
        return None
    if len(named) < len(_STATE) or {"windowCenter", "region"} & set(arguments):
        raise BadRequest("a presentation state is named by two UIDs, and has region and window of its own")
    return arguments[_STATE[0]], arguments[_STATE[1]]


def _region(text: str) -> tuple[float, float, float, float]:
    """PS3.18 section 9.5: left, top, right and bottom, each 0.0 to 1.0 of the frame's side."""
    items = text.split(",")
    if len(items) != 4 or not all(map(_FRACTION.fullmatch, items)):
        raise BadRequest("region is left,top,right,bottom, each from 0 to 1")
    left, top, right, bottom = map(float, items)
    if not (left < right and top < bottom):
        raise BadRequest("the region shows no part of the picture")
    return left, top, right, bottom


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
    for name, spelling in (("imageQuality", "quality"), ("annotation", "annotation"), ("iccprofile", "iccprofile")):
        if name in arguments:
            spelled[spelling] = arguments[name]
    return spelled


# One URL serves two transactions; it is listed under the one that gives more away, and each use case checks its own.
ROUTES: tuple[Route, ...] = (Route(rule="/wado", method="GET", action=Action.RETRIEVE_INSTANCE, handler=_retrieve),)
