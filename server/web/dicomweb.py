"""DICOMweb (PS3.18 chapter 10): the router of the Studies service, one row a transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from server import assemble, ingest, rendered, retrieve, search, telling
from server.errors import BadRequest, TooLarge, UnsupportedMediaType
from server.model import Action, Ask, Representation, check_uid
from server.model.readable import Readable
from server.multipart import read as read_multipart
from server.negotiate import (
    EXPLICIT_LITTLE_ENDIAN,
    LOSSLESS_SYNTAXES,
    NATIVE_SYNTAXES,
    Choice,
    Offer,
    check_charset,
    choose,
    parse_media_type,
)
from server.outcomes import NotStored, response
from server.query import SearchLevel, parse_query
from server.services import Services
from server.spool import received
from server.web.answer import Route
from server.web.render_parameters import render_parameters

PREFIX = "/dicomweb"
_JSON = (Offer(media_type="application/dicom+json"), Offer(media_type="application/json"))
_REPORTS = (*_JSON, Offer(media_type="application/dicom+xml"))
_METADATA = (*_JSON, Offer(media_type="application/dicom+xml", multipart=True))
_SYNTAXES = (*NATIVE_SYNTAXES, *LOSSLESS_SYNTAXES)
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
    Offer(media_type="image/jpeg", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.4.70",)),
    Offer(media_type="image/jls", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.4.80",)),
    Offer(media_type="image/jp2", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.4.90",)),
    Offer(media_type="image/jphc", multipart=True, transfer_syntaxes=("1.2.840.10008.1.2.4.201",)),
    _OCTETS[1],
)
_SMALL = tuple(Offer(media_type=one) for one in ("image/jpeg", "image/png", "image/gif"))
_PICTURES = tuple(
    Offer(media_type=media_type, multipart=multipart)
    for multipart in (False, True)
    for media_type in ("image/jpeg", "image/png", "image/gif", "image/jp2")
)
_TEXTS = tuple(
    Offer(media_type=media_type, multipart=multipart)
    for multipart in (False, True)
    for media_type in ("text/html", "text/plain", "text/xml")
)


def _choose(*offers: Offer) -> Choice:
    header = request.headers.get("Accept")
    if "charset" in request.args:
        check_charset(request.args["charset"])
    return choose(header, request.args.getlist("accept"), offers)


def _store(services: Services, ask: Ask, study: str | None = None) -> Representation:
    ask, storer = ingest.storer_of(services, ask)
    if request.args:
        raise BadRequest("a store takes no query parameters")
    if study is not None:
        check_uid(study)
    # Known before anything is stored, so that no store ends in 406.
    choice = choose(request.headers.get("Accept", "*/*"), (), _REPORTS)
    media_type, parameters = parse_media_type(request.headers.get("Content-Type", ""))
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType
    body = _body(services)
    if media_type == assemble.DICOM:
        objects: Iterable[assemble.Assembled | NotStored] = (assemble.Assembled(body=body),)
    elif media_type == "multipart/related":
        parts = read_multipart(body, parameters.get("boundary", ""))
        objects = assemble.objects(parameters.get("type", assemble.DICOM).lower(), parts)
    else:
        raise UnsupportedMediaType
    outcomes = ingest.store_all(services, ask, storer, objects, study=study)
    return response(services.settings.public_url, outcomes, study, xml=choice.media_type == assemble.XML)


def _body(services: Services) -> Readable:
    """The whole body of the request, sealed on the disk if it is large. Raises `TooLarge`, which unlike werkzeug's own
    error is recorded, and `StorageUnavailable`."""
    limit = services.settings.max_request_bytes
    try:
        told = request.content_length or 0
        body = received(request.stream.read, limit, services.settings.data, services.randomness, told=told)
    except RequestEntityTooLarge as error:
        raise TooLarge from error
    if request.content_length is None and len(body) >= limit:
        # werkzeug cuts a chunked body off at the limit without a word.
        raise TooLarge
    return body


def _metadata(services: Services, ask: Ask, **path: str) -> Representation:
    return retrieve.metadata(services, ask, _choose(*_METADATA), **path)


def _instances(services: Services, ask: Ask, **path: str) -> Representation:
    return retrieve.instances(services, ask, _choose(*_DICOM), **path)


def _bulkdata(services: Services, ask: Ask, **path: str) -> Representation:
    return retrieve.bulkdata(services, ask, _choose(*_OCTETS), **path)


def _pixeldata(services: Services, ask: Ask, **path: str) -> Representation:
    return retrieve.pixeldata(services, ask, _choose(*_OCTETS), **path)


def _bulkdata_element(services: Services, ask: Ask, element: str, **path: str) -> Representation:
    return retrieve.bulkdata_element(services, ask, _choose(*reversed(_OCTETS)), element=element, **path)


def _frames(services: Services, ask: Ask, frames: str, **path: str) -> Representation:
    return retrieve.frames(services, ask, _choose(*_FRAMES), numbers=frame_list(frames), **path)


def _rendered(services: Services, ask: Ask, frames: str | None = None, **path: str) -> Representation:
    if frames is not None:
        return rendered.rendered(services, ask, _choose(*_PICTURES), _wanted(frames), _among, **path)
    return rendered.rendered(services, ask, _choose(*_PICTURES, *_TEXTS), _wanted(frames), _among, **path)


def _among(texts: bool) -> Choice:
    """The choice among the media types of texts, or among those of pictures."""
    return _choose(*(_TEXTS if texts else _PICTURES))


def _thumbnail(services: Services, ask: Ask, frames: str | None = None, **path: str) -> Representation:
    wanted = _wanted(frames, thumbnail=True)
    return rendered.thumbnail(services, ask, _choose(*_SMALL), wanted, **path)


def _masked_regions(services: Services, ask: Ask, **path: str) -> Representation:
    return telling.masked_regions(services, ask, _choose(_JSON[1]), **path)


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
        choice = _choose(*_METADATA)
        query = parse_query(level, list(request.args.items(multi=True)))
        found = search.search(services, ask, query, xml=choice.multipart, **path)
        return found if choice.multipart else replace(found, media_type=choice.media_type)

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
    ("/pixeldata", Action.RETRIEVE_BULKDATA, _pixeldata),
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
    Route(
        rule=f"{_INSTANCE}/masked-regions",
        method="GET",
        action=Action.RETRIEVE_METADATA,
        handler=_masked_regions,
    ),
    Route(rule=_FRAME_LIST, method="GET", action=Action.RETRIEVE_FRAMES, handler=_frames),
    Route(rule=f"{_FRAME_LIST}/rendered", method="GET", action=Action.RETRIEVE_RENDERED, handler=_rendered),
    Route(rule=f"{_FRAME_LIST}/thumbnail", method="GET", action=Action.RETRIEVE_THUMBNAIL, handler=_thumbnail),
)
