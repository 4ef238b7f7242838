"""DICOMweb (PS3.18 chapter 10): the router of the Studies service, one row a transaction."""

from __future__ import annotations

from collections.abc import Iterable

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from server import ingest, rendered, retrieve, search
from server.errors import BadRequest, TooLarge, UnsupportedMediaType
from server.model import Action, Ask, Representation, check_uid
from server.multipart import read as read_multipart
from server.negotiate import EXPLICIT_LITTLE_ENDIAN, LOSSLESS_SYNTAXES, Choice, Offer, choose, parse_media_type
from server.query import SearchLevel, parse_query
from server.services import Services
from server.web.answer import Route
from server.web.render_parameters import render_parameters

PREFIX = "/dicomweb"
_JSON = (Offer(media_type="application/dicom+json"), Offer(media_type="application/json"))
_SYNTAXES = (EXPLICIT_LITTLE_ENDIAN, *LOSSLESS_SYNTAXES)
_DICOM = (
    Offer(media_type="application/dicom", multipart=True, transfer_syntaxes=_SYNTAXES),
    Offer(media_type="application/dicom", transfer_syntaxes=_SYNTAXES),
)
_OCTETS = (
    Offer(media_type="application/octet-stream", multipart=True, transfer_syntaxes=(EXPLICIT_LITTLE_ENDIAN,)),
    Offer(media_type="application/octet-stream", transfer_syntaxes=(EXPLICIT_LITTLE_ENDIAN,)),
)
_FRAMES = (
    _OCTETS[0],
    Offer(media_type="image/dicom-rle", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.5",)),
    Offer(media_type="image/jls", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.4.80",)),
    Offer(media_type="image/jp2", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.4.90",)),
    Offer(media_type="image/jphc", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.4.201",)),
    _OCTETS[1],
)
_PICTURES = tuple(
    Offer(media_type=media_type, multipart=multipart)
    for multipart in (False, True)
    for media_type in ("image/jpeg", "image/png", "image/gif")
)


def _choose(*offers: Offer) -> Choice:
    header = request.headers.get("Accept")
    return choose(header, request.args.getlist("accept"), offers)


def _store(services: Services, ask: Ask, study: str | None = None) -> Representation:
    ask, storer = ingest.storer_of(services, ask)
    if request.args:
        raise BadRequest("a store takes no query parameters")
    if study is not None:
        check_uid(study)
    media_type, parameters = parse_media_type(request.headers.get("Content-Type", ""))
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType
    body = _body(services.settings.max_request_bytes)
    if media_type == "application/dicom":
        objects: Iterable[bytes] = (body,)
    elif media_type == "multipart/related":
        if parameters.get("type", "application/dicom").lower() != "application/dicom":
            raise UnsupportedMediaType
        parts = read_multipart(body, parameters.get("boundary", ""))
        if any(parse_media_type(part.media_type)[0] != "application/dicom" for part in parts):
            raise UnsupportedMediaType
        # One at a time, so that the request is in memory once and not twice.
        objects = (bytes(part.body) for part in parts if isinstance(part.body, memoryview))
    else:
        raise UnsupportedMediaType
    outcomes = [ingest.store(services, ask, storer, one, study=study) for one in objects]
    return ingest.response(services, outcomes, study)


def _body(limit: int) -> bytes:
    """The whole body of the request. Raises `TooLarge`, which unlike werkzeug's own error is recorded."""
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise TooLarge from error
    if request.content_length is None and len(body) >= limit:
        # werkzeug cuts a chunked body off at the limit without a word.
        raise TooLarge
    return body


def _metadata(services: Services, ask: Ask, **path: str) -> Representation:
    return retrieve.metadata(services, ask, _choose(*_JSON), **path)


def _instances(services: Services, ask: Ask, **path: str) -> Representation:
    return retrieve.instances(services, ask, _choose(*_DICOM), **path)


def _bulkdata(services: Services, ask: Ask, **path: str) -> Representation:
    return retrieve.bulkdata(services, ask, _choose(*_OCTETS), **path)


def _bulkdata_element(services: Services, ask: Ask, element: str, **path: str) -> Representation:
    return retrieve.bulkdata_element(services, ask, _choose(*reversed(_OCTETS)), element=element, **path)


def _frames(services: Services, ask: Ask, frames: str, **path: str) -> Representation:
    return retrieve.frames(services, ask, _choose(*_FRAMES), numbers=frame_list(frames), **path)


def _rendered(services: Services, ask: Ask, frames: str | None = None, **path: str) -> Representation:
    return rendered.rendered(services, ask, _choose(*_PICTURES), _wanted(frames), **path)


def _thumbnail(services: Services, ask: Ask, frames: str | None = None, **path: str) -> Representation:
    wanted = _wanted(frames, thumbnail=True)
    return rendered.thumbnail(services, ask, _choose(*_PICTURES[:3]), wanted, **path)


def _wanted(frames: str | None, *, thumbnail: bool = False) -> rendered.Wanted:
    parameters, quality = render_parameters(request.args, thumbnail=thumbnail)
    numbers = frame_list(frames) if frames else None
    return rendered.Wanted(numbers=numbers, parameters=parameters, quality=quality)


def frame_list(text: str) -> tuple[int, ...]:
    """Frame numbers as PS3.18 section 10.1.3 lists them, in the asked order. Raises `BadRequest`."""
    items = text.split(",")
    if not all(item.isascii() and item.isdigit() and len(item) <= 9 and int(item) >= 1 for item in items):
        raise BadRequest("frame numbers are whole numbers from 1")
    return tuple(int(item) for item in items)


def _search(level: SearchLevel) -> search.SearchHandler:
    def handler(services: Services, ask: Ask, **path: str) -> Representation:
        _choose(*_JSON)
        query = parse_query(level, list(request.args.items(multi=True)))
        return search.search(services, ask, query, **path)

    return handler


_STUDY = f"{PREFIX}/studies/<study>"
_SERIES = f"{_STUDY}/series/<series>"
_INSTANCE = f"{_SERIES}/instances/<instance>"
_FRAME_LIST = f"{_INSTANCE}/frames/<frames>"

SEARCHES = (
    (f"{PREFIX}/studies", SearchLevel.STUDY),
    (f"{PREFIX}/series", SearchLevel.SERIES),
    (f"{PREFIX}/instances", SearchLevel.INSTANCE),
    (f"{_STUDY}/series", SearchLevel.SERIES),
    (f"{_STUDY}/instances", SearchLevel.INSTANCE),
    (f"{_SERIES}/instances", SearchLevel.INSTANCE),
)
_RETRIEVALS = (
    ("", Action.RETRIEVE_INSTANCE, _instances),
    ("/metadata", Action.RETRIEVE_METADATA, _metadata),
    ("/bulkdata", Action.RETRIEVE_BULKDATA, _bulkdata),
    ("/rendered", Action.RETRIEVE_RENDERED, _rendered),
    ("/thumbnail", Action.RETRIEVE_THUMBNAIL, _thumbnail),
)
ROUTES: tuple[Route, ...] = (
    Route(rule=f"{PREFIX}/studies", method="POST", action=Action.STORE, handler=_store),
    Route(rule=_STUDY, method="POST", action=Action.STORE, handler=_store),
    *(Route(rule=rule, method="GET", action=Action.SEARCH, handler=_search(level)) for rule, level in SEARCHES),
    *(
        Route(rule=base + suffix, method="GET", action=action, handler=handler)
        for base in (_STUDY, _SERIES, _INSTANCE)
        for suffix, action, handler in _RETRIEVALS
    ),
    Route(
        rule=f"{_INSTANCE}/bulkdata/<path:element>",
        method="GET",
        action=Action.RETRIEVE_BULKDATA,
        handler=_bulkdata_element,
    ),
    Route(rule=_FRAME_LIST, method="GET", action=Action.RETRIEVE_FRAMES, handler=_frames),
    Route(rule=f"{_FRAME_LIST}/rendered", method="GET", action=Action.RETRIEVE_RENDERED, handler=_rendered),
    Route(rule=f"{_FRAME_LIST}/thumbnail", method="GET", action=Action.RETRIEVE_THUMBNAIL, handler=_thumbnail),
)
