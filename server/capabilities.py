"""The transactions that this server claims, one row each: the router is tested against this table, and it is published.

Out of it come the answers to OPTIONS (PS3.18 section 8.9), the conformance statement, the OpenAPI description and the
README's table, so that none of them can say what the others do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.model import Act, Action
from server.negotiate import EXPLICIT_LITTLE_ENDIAN, LOSSLESS_SYNTAXES, NATIVE_SYNTAXES, Offer
from server.parameters import ACCEPT, CHARSET, RENDER, SEARCH, THUMBNAIL, WADO, Parameter

PREFIX = "/dicomweb"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One transaction: a resource template (RFC 6570, level 1), a method, and what goes in and comes out.

    `offers` are the media types answered, the default first; `takes` those of the request's body; `section` is of
    PS3.18 or another standard. `action` None: anybody may ask, and nothing is recorded but a refusal.
    """

    name: str
    service: str
    section: str
    method: str
    template: str
    action: Action | Act | None
    offers: tuple[Offer, ...] = ()
    takes: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = ()

    @property
    def identifier(self) -> str:
        return "".join(word.capitalize() for word in self.name.split())


def _plain(*media_types: str) -> tuple[Offer, ...]:
    return tuple(Offer(media_type=one) for one in media_types)


_SYNTAXES = (*NATIVE_SYNTAXES, *LOSSLESS_SYNTAXES)
_JSON = _plain("application/dicom+json", "application/json")
_REPORTS = _plain("application/dicom+json", "application/json", "application/dicom+xml")
_METADATA = (*_JSON, Offer(media_type="application/dicom+xml", multipart=True))
_DICOM = (
    Offer(media_type="application/dicom", multipart=True, transfer_syntaxes=_SYNTAXES),
    Offer(media_type="application/dicom", transfer_syntaxes=_SYNTAXES),
)
_OCTETS = (
    Offer(media_type="application/octet-stream", multipart=True, transfer_syntaxes=(EXPLICIT_LITTLE_ENDIAN,)),
    Offer(media_type="application/octet-stream", transfer_syntaxes=(EXPLICIT_LITTLE_ENDIAN,)),
)
_CODED = (
    ("image/dicom-rle", "1.2.840.10008.1.2.5"),
    ("image/jpeg", "1.2.840.10008.1.2.4.70"),
    ("image/jls", "1.2.840.10008.1.2.4.80"),
    ("image/jp2", "1.2.840.10008.1.2.4.90"),
    ("image/jphc", "1.2.840.10008.1.2.4.201"),
)
_FRAMES = (
    _OCTETS[0],
    *(Offer(media_type=name, multipart=True, transfer_syntaxes=(syntax,)) for name, syntax in _CODED),
    _OCTETS[1],
)
_SMALL_PICTURES = _plain("image/jpeg", "image/png", "image/gif")
_PICTURES = (*_SMALL_PICTURES, *_plain("image/jp2"))
_TEXTS = _plain("text/html", "text/plain", "text/xml")


def _in_parts(offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    return tuple(Offer(media_type=one.media_type, multipart=True) for one in offers)


_TAKEN = (
    *('multipart/related; type="application/dicom"', "application/dicom"),
    *('multipart/related; type="application/dicom+json"', 'multipart/related; type="application/dicom+xml"'),
)

_READ = (200, 304, 400, 401, 403, 404, 406, 500, 503)
_IN_PARTS = (200, 206, 304, 400, 401, 403, 404, 406, 416, 500, 503)
_BYTES = frozenset({Action.RETRIEVE_INSTANCE, Action.RETRIEVE_FRAMES, Action.RETRIEVE_BULKDATA})
_FOUND = (200, 204, 400, 401, 403, 406, 500, 503)
_STORED = (200, 202, 400, 401, 403, 409, 413, 415, 503)
_STUDY = f"{PREFIX}/studies/{{study}}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
_FRAME_LIST = f"{_INSTANCE}/frames/{{frames}}"
_LEVELS = (("Study", _STUDY), ("Series", _SERIES), ("Instance", _INSTANCE))


def _search(name: str, template: str) -> Row:
    return Row(
        name=f"Search for {name}", service="Search", section="10.6", method="GET", template=template,
        action=Action.SEARCH, offers=_METADATA, parameters=SEARCH, statuses=_FOUND,
    )  # fmt: skip


def _retrieve(
    name: str,
    template: str,
    action: Action,
    offers: tuple[Offer, ...],
    parameters: tuple[Parameter, ...] = (ACCEPT, CHARSET),
) -> Row:
    return Row(
        name=f"Retrieve {name}", service=_SERVICES[action], section="10.4", method="GET", template=template,
        action=action, offers=offers, parameters=parameters, statuses=_IN_PARTS if action in _BYTES else _READ,
    )  # fmt: skip


def _store(name: str, template: str) -> Row:
    return Row(
        name=name, service="Store", section="10.5", method="POST", template=template, action=Action.STORE,
        offers=_REPORTS, takes=_TAKEN, statuses=_STORED,
    )  # fmt: skip


_SERVICES = {
    Action.RETRIEVE_INSTANCE: "Retrieve",
    Action.RETRIEVE_METADATA: "Retrieve metadata",
    Action.RETRIEVE_BULKDATA: "Retrieve bulkdata",
    Action.RETRIEVE_FRAMES: "Retrieve frames",
    Action.RETRIEVE_RENDERED: "Retrieve rendered",
    Action.RETRIEVE_THUMBNAIL: "Retrieve thumbnail",
}
_MEASURED: tuple[Row, ...] = (
    _search("Studies", f"{PREFIX}/studies"),
    _search("Series", f"{PREFIX}/series"),
    _search("Instances", f"{PREFIX}/instances"),
    _search("Study Series", f"{_STUDY}/series"),
    _search("Study Instances", f"{_STUDY}/instances"),
    _search("Series Instances", f"{_SERIES}/instances"),
    _store("Store Instances", f"{PREFIX}/studies"),
    _store("Store Study Instances", _STUDY),
    *(_retrieve(name, at, Action.RETRIEVE_INSTANCE, _DICOM) for name, at in _LEVELS),
    *(_retrieve(f"{name} Metadata", f"{at}/metadata", Action.RETRIEVE_METADATA, _METADATA) for name, at in _LEVELS),
    *(_retrieve(f"{name} Bulkdata", f"{at}/bulkdata", Action.RETRIEVE_BULKDATA, _OCTETS) for name, at in _LEVELS),
    *(_retrieve(f"{name} Pixeldata", f"{at}/pixeldata", Action.RETRIEVE_BULKDATA, _OCTETS) for name, at in _LEVELS),
    _retrieve("Bulkdata", f"{_INSTANCE}/bulkdata/{{element}}", Action.RETRIEVE_BULKDATA, _OCTETS[::-1]),
    _retrieve("Masked Regions", f"{_INSTANCE}/masked-regions", Action.RETRIEVE_METADATA, _plain("application/json")),
    _retrieve("Frames", _FRAME_LIST, Action.RETRIEVE_FRAMES, _FRAMES),
    *(
        _retrieve(f"Rendered {name}", f"{at}/rendered", Action.RETRIEVE_RENDERED, offers, RENDER)
        for name, at in (*_LEVELS, ("Frames", _FRAME_LIST))
        for texts in [() if at == _FRAME_LIST else _TEXTS + _in_parts(_TEXTS)]
        for offers in [_PICTURES + _in_parts(_PICTURES) + texts]
    ),
    *(
        _retrieve(f"{name} Thumbnail", f"{at}/thumbnail", Action.RETRIEVE_THUMBNAIL, _SMALL_PICTURES, THUMBNAIL)
        for name, at in (*_LEVELS, ("Frames", _FRAME_LIST))
    ),
    Row(
        name="Retrieve by URI", service="WADO-URI", section="9.4", method="GET", template="/wado",
        action=Action.RETRIEVE_INSTANCE, offers=(*_PICTURES, *_TEXTS, *_plain("application/dicom")),
        parameters=WADO, statuses=_READ,
    ),
)  # fmt: skip


def _whole(row: Row) -> Row:
    """A row with what each may answer besides: an address that is not listened to, a person who asks too much, a film
    or a journal that cannot be opened for now."""
    more = {429} if row.action is None else {400, 401, 429, 500, 503}
    return replace(row, statuses=tuple(sorted({*row.statuses, *more})))


_DICOMWEB = tuple(map(_whole, _MEASURED))
CAPABILITIES = _plain("application/vnd.sun.wadl+xml", "application/json")
_PUBLISHED = tuple(dict.fromkeys((PREFIX, f"{PREFIX}/", *(row.template for row in _DICOMWEB))))


_REVIEWED = "/review/studies/{study}/series/{series}/instances/{instance}"


_UP_TO = Parameter(name="limit", says="at most so many, up to 1 000", example="10")
_ASKED = {
    "Review Queue": (_UP_TO,),
    "Read Journal": (
        _UP_TO,
        Parameter(name="after", says="only entries after this number", example="0"),
        Parameter(name="kind", says="only entries of this kind, e.g. break-glass", example="refusal"),
    ),
}


def _own(name: str, method: str, template: str, action: Action | Act | None, media_type: str, *more: int) -> Row:
    """A resource that no DICOM standard describes: pages, governance, health."""
    return Row(
        name=name, service="Own", section="", method=method, template=template, action=action,
        offers=_plain(media_type) if media_type else (), statuses=more, parameters=_ASKED.get(name, ()),
    )  # fmt: skip


_HTML = "text/html"
_OTHERS: tuple[Row, ...] = (
    *(
        Row(
            name="Retrieve Capabilities", service="Capabilities", section="8.9", method="OPTIONS", template=template,
            action=None, offers=CAPABILITIES, statuses=(200, 406),
        )
        for template in _PUBLISHED
    ),
    Row(
        name="Conformance Statement", service="Own", section="PS3.2", method="GET", template="/conformance",
        action=None, offers=_plain(_HTML, "application/json"), statuses=(200, 406),
    ),
    _own("OpenAPI Description", "GET", "/openapi.json", None, "application/json", 200),
    _own("Review Queue", "GET", "/review", Action.READ_QUEUE, "application/json", 200, 400, 401, 403),
    _own("Review Film", "GET", _REVIEWED, Action.READ_QUEUE, "application/json", 200, 400, 401, 403, 404),
    _own("Settle Film", "PUT", _REVIEWED, Action.SETTLE, "application/json", 200, 400, 401, 403, 404, 409, 412),
    _own("Metrics", "GET", "/metrics", Action.READ_STATUS, "text/plain", 200, 401, 403),
    _own("Set Labels", "PUT", "/labels/studies/{study}", Action.LABEL, "", 204, 400, 401, 403, 404),
    _own("Labels", "GET", "/labels/studies/{study}", Action.LABEL, "application/json", 200, 400, 401, 403, 404),
    _own("Record Consent", "PUT", "/consents/studies/{study}", Action.RECORD_CONSENT, "", 204, 400, 401, 403, 404),
    _own("Approve Project", "PUT", "/projects/{project}", Action.APPROVE_PROJECT, "", 204, 400, 401, 403),
    _own("Projects", "GET", "/projects", Action.APPROVE_PROJECT, "application/json", 200, 401, 403),
    _own(
        "Break Glass", "POST", "/break-glass/studies/{study}", Action.BREAK_GLASS, "application/json",
        200, 400, 401, 403, 404,
    ),
    _own("Broken Glass", "GET", "/break-glass", Action.REVIEW_GLASS, "application/json", 200, 403),
    _own("Review Glass", "POST", "/break-glass/{entry}/review", Action.REVIEW_GLASS, "", 204, 403, 404, 409),
    _own("Share", "POST", "/shares", Action.SHARE, "application/json", 201, 400, 401, 403, 404, 429),
    _own("Shares", "GET", "/shares", Action.READ_SHARES, "application/json", 200, 401, 403),
    _own("Accept Share", "POST", "/accepted-shares", Action.ACCEPT_SHARE, "application/json", 200, 400, 401, 403, 404),
    _own("End Share", "DELETE", "/shares/{share}", Action.END_SHARE, "", 204, 401, 403, 404),
    _own("Share Page", "GET", "/share", None, _HTML, 200),
    _own("Read Journal", "GET", "/audit/entries", Action.READ_AUDIT, "application/json", 200, 400, 401, 403),
    _own("Studies Page", "GET", "/", Action.SEARCH, _HTML, 200, 400),
    _own("Film Page", "GET", "/films/{study}/{series}/{instance}", Action.RETRIEVE_RENDERED, _HTML, 200, 303, 403, 404),
    _own("Governance Page", "GET", "/governance", Act.GOVERN, _HTML, 200, 303, 403),
    _own("Label Form", "POST", "/governance/labels", Action.LABEL, "", 303, 403, 404, 413),
    _own("Consent Form", "POST", "/governance/consents", Action.RECORD_CONSENT, "", 303, 403, 404, 413),
    _own("Approval Form", "POST", "/governance/projects", Action.APPROVE_PROJECT, "", 303, 403, 413),
    _own("Review Form", "POST", "/governance/reviews", Action.REVIEW_GLASS, "", 303, 403, 404, 409, 413),
    _own("Share Form", "POST", "/governance/shares", Action.SHARE, _HTML, 200, 400, 403, 404, 413, 429),
    _own("End Share Form", "POST", "/governance/ended-shares", Action.END_SHARE, "", 303, 403, 404, 413),
    _own("Sign In", "GET", "/sign-in", Act.SIGN_IN, "", 303, 400, 503),
    _own("Sign In Answer", "GET", "/callback", Act.SIGN_IN, _HTML, 200, 400, 401),
    _own("Choose Role", "POST", "/role", Act.CHOOSE_ROLE, "", 303, 400, 401, 403, 413),
    _own("Sign Out", "POST", "/sign-out", Act.SIGN_OUT, _HTML, 200, 400, 401, 413),
    _own("Back-Channel Logout", "POST", "/backchannel-logout", Act.SIGN_OUT, "", 200, 400, 413),
    _own("Health", "GET", "/healthz", None, "text/plain", 200, 503),
    _own("Protected Resource", "GET", "/.well-known/oauth-protected-resource", None, "application/json", 200),
    _own("Static File", "GET", "/static/{filename}", None, "", 200, 404),
)  # fmt: skip
TABLE: tuple[Row, ...] = (*_DICOMWEB, *map(_whole, _OTHERS))


def described(template: str) -> tuple[Row, ...]:
    """The transactions of a resource and of those below it; of the capabilities themselves nothing (PS3.18 annex H)."""
    root = template.rstrip("/")
    return tuple(row for row in _DICOMWEB if row.template == root or row.template.startswith(f"{root}/"))
