"""The JSON that goes in and out, as schemas (JSON Schema 2020-12) for the OpenAPI description. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from server.glass import GlassReason
from server.glass_review import Finding
from server.model import Choice, LiftReason, Purpose, RegionKind, RegionStyle, ReviewReason, ScreeningState, StudyLabel

Schema = Mapping[str, object]


def _one_of(words: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [one.value for one in words]}


def _whole(least: int, most: int | None = None) -> Schema:
    return {"type": "integer", "minimum": least} | ({} if most is None else {"maximum": most})


def _list(items: Schema, **more: object) -> Schema:
    return {"type": "array", "items": items, **more}


def _form(**properties: Schema) -> Schema:
    """An object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
UID: Schema = {"type": "string", "maxLength": 64, "pattern": r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+$"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 256}
_NAMES = _list({"type": "string", "minLength": 1})
_DAY: Schema = {"type": "string", "pattern": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"}
_CONSENT = _form(disclosure=_one_of(Choice), research=_one_of(Choice))
_PLACE = {
    "top_row": _whole(0), "left_column": _whole(0), "row_count": _whole(1), "column_count": _whole(1),
    "frames": _or_null(_list(_whole(1), minItems=1)),
}  # fmt: skip
_FOUND = {**_PLACE, "kind": _one_of(RegionKind), "confidence": {"type": "number"}, "detector": TEXT}
_WAITING = {
    "state": _one_of(ScreeningState), "reason": _or_null(_one_of(ReviewReason)), "since": _or_null(TEXT),
    "frames": _whole(0),
}  # fmt: skip
_ATTRIBUTES: Schema = {
    "type": "object",
    "patternProperties": {"^[0-9A-F]{8}$": {"type": "object", "required": ["vr"]}},
    "additionalProperties": False,
}
# The whole of a hash is in `digest`; names that a journal of a later edition may add are not known here.
_ENTRY: Schema = {
    "type": "object",
    "properties": {
        "seq": _whole(1), "time": TEXT, "kind": TEXT, "action": TEXT, "status": _whole(0), "request": TEXT,
        "acting_role": TEXT, "level": TEXT, "reason": TEXT, "rules": _list(TEXT), "subject": {"const": ""},
        "client": {"const": ""}, "object": {"const": ""},
    },
    "required": ["seq", "time", "kind", "action", "status"],
}  # fmt: skip

SCHEMAS: Mapping[str, Schema] = {
    "Error": _form(error={"type": "string", "minLength": 1}),
    "Attributes": _ATTRIBUTES,
    "Results": _list(_ATTRIBUTES),
    "Relation": {
        **_form(departments=_NAMES, care_team=_NAMES, labels=_list(_one_of(StudyLabel))),
        "required": ["departments", "care_team"],
    },
    "Labels": _form(departments=_NAMES, care_team=_NAMES, labels=_list(_one_of(StudyLabel)), consent=_CONSENT),
    "Consent": _CONSENT,
    "Approval": _form(approved_until=_DAY),
    "Projects": _list(_form(project=TEXT, approved_until={"type": "string", "format": "date"})),
    "Glass": _form(
        reason=_one_of(GlassReason),
        text={"type": "string", "minLength": 10, "maxLength": 1000, "pattern": r"^\S[\s\S]{8,}\S$"},
    ),
    "Opened": _form(until=TEXT),
    "Broken": _list(
        _form(
            seq=_whole(1), time=TEXT, reason=_one_of(GlassReason),
            review=_or_null(_form(seq=_whole(1), time=TEXT, finding=_one_of(Finding))),
        )
    ),
    "Reviewed": _form(
        finding=_one_of(Finding),
        text={"type": "string", "minLength": 10, "maxLength": 1000, "pattern": r"^\S[\s\S]{8,}\S$"},
    ),
    "NewShare": _form(
        study=UID, level={"type": "string", "minLength": 1, "maxLength": 256}, purpose=_one_of(Purpose),
        recipient={
            "type": "object", "properties": {"issuer": _NAME, "subject": _NAME}, "required": ["subject"],
            "additionalProperties": False,
        },
        until={"type": "string", "format": "date-time"},
    ),
    "Shared": _form(share=TEXT, link=TEXT, until=TEXT),
    "Link": _form(link=TEXT),
    "Journal": _list(_ENTRY),
    "Queue": _form(
        films=_list(_form(study=UID, series=UID, instance=UID, kinds=_or_null({"type": "object"}), **_WAITING))
    ),
    "Film": _form(
        settled={"type": "boolean"},
        regions=_or_null(_list(_form(**_FOUND))),
        lifted=_list(_form(**_FOUND, reason=_one_of(LiftReason))),
        residual=_or_null({"type": "object"}),
        **_WAITING,
    ),
    "Verdict": {
        "oneOf": [
            _form(verdict={"const": "accept"}),
            _form(verdict={"const": "mask-wholly"}),
            _form(
                verdict={"const": "regions"},
                add=_list(_form(**_PLACE), maxItems=500),
                lift=_list(_form(region=_whole(0), reason=_one_of(LiftReason)), maxItems=500),
            ),
        ]
    },
    "MaskedRegions": _form(
        rows=_whole(1), columns=_whole(1), coarse=_or_null(_list(_whole(1))),
        regions=_list(
            _form(
                kind={"enum": [*(one.value for one in RegionKind), "frame"]}, style=_one_of(RegionStyle),
                frames=_or_null(_list(_whole(1))), row=_whole(0), column=_whole(0), rows=_whole(1), columns=_whole(1),
            )
        ),
    ),
    "Told": {"type": ["object", "array"]},
}  # fmt: skip

TAKEN: Mapping[str, str] = {
    "Set Labels": "Relation",
    "Record Consent": "Consent",
    "Approve Project": "Approval",
    "Break Glass": "Glass",
    "Settle Film": "Verdict",
    "Review Glass": "Reviewed",
    "Share": "NewShare",
    "Accept Share": "Link",
}
"""By the name of a row: the schema of the JSON that it takes."""

ANSWERED: Mapping[str, str] = {
    "Labels": "Labels",
    "Projects": "Projects",
    "Break Glass": "Opened",
    "Broken Glass": "Broken",
    "Share": "Shared",
    "Shares": "Told",
    "Accept Share": "Told",
    "Read Journal": "Journal",
    "Review Queue": "Queue",
    "Review Film": "Film",
    "Settle Film": "Film",
    "Retrieve Masked Regions": "MaskedRegions",
    "Conformance Statement": "Told",
    "OpenAPI Description": "Told",
    "Protected Resource": "Told",
    "Retrieve Capabilities": "Told",
}
"""By the name of a row: the schema of the JSON that it answers with."""

QUERIES: Mapping[str, Schema] = {
    "limit": _whole(0),
    "offset": _whole(0),
    "fuzzymatching": {"type": "string", "enum": ["true", "false"]},
    "emptyvaluematching": {"type": "string", "enum": ["true", "false"]},
    "multiplevaluematching": {"type": "string", "enum": ["true", "false"]},
    "charset": {"type": "string", "enum": ["utf-8"]},
    "iccprofile": {"type": "string", "enum": ["no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"]},
    "quality": _whole(1, 100),
    "imageQuality": _whole(1, 100),
    "rows": _whole(1, 16384),
    "columns": _whole(1, 16384),
    "frameNumber": _whole(1, 999_999_999),
    "requestType": {"type": "string", "enum": ["WADO"]},
    "studyUID": UID,
    "seriesUID": UID,
    "objectUID": UID,
}
"""By its name: what a query parameter may hold, where more is known than that it is text."""

COUNTED: Mapping[str, Schema] = {"limit": _whole(1, 1000), "after": _whole(0)}
"""As `QUERIES`, of the lists of review and journal."""

NEEDED = frozenset({"requestType", "studyUID", "seriesUID", "objectUID"})
"""Query parameters without which a request is malformed."""

_PICTURE = "A window is centre, width and function, all three; a viewport is two numbers, or six with the part to show."
_STORED = "All objects of a study are of one patient. An instance that is there is stored again only as it is."
TOGETHER: Mapping[str, str] = {
    "Store Instances": _STORED,
    "Store Study Instances": f"{_STORED} Every object is of the study in the address.",
    **{f"Retrieve Rendered {what}": _PICTURE for what in ("Study", "Series", "Instance", "Frames")},
    **{f"Retrieve {what} Thumbnail": "A thumbnail has no window and no annotation, and a viewport of two numbers."
       for what in ("Study", "Series", "Instance", "Frames")},
    "Retrieve by URI": "windowCenter and windowWidth go together, and neither they nor a region with a presentation "
    "state, which is named by two UIDs. What is of pictures does not go with application/dicom, nor what is of objects "
    "with a picture.",
    "Settle Film": "If-Match is the entity tag of the film as it was looked at. Only the verdict `regions` adds and "
    "lifts; what is added lies within the film, and what is lifted is a region of it, named once.",
    "Review Glass": "The entry is one of a broken glass that has no review yet.",
    "Share": "The recipient is somebody else than the giver, of an issuer that is known here; the level is no less "
    "masked than the giver's own; the purpose is one of care; the end lies ahead, by 30 days at most.",
    "Share Form": "As of a share by programs, with its end in whole days from 1 to 30.",
    "Accept Share": "The link is one for the caller, not used before, and for the purpose that the "
    "caller's token names, if any.",
}  # fmt: skip
"""What values have to fit together, by the transaction."""

VARIABLES: Mapping[str, Schema] = {
    "study": UID,
    "series": UID,
    "instance": UID,
    "entry": {"type": "string", "pattern": "^[1-9][0-9]{0,14}$"},
    "frames": {"type": "string", "pattern": "^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
}
"""By its name: what a variable of a path may hold."""
