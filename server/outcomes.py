"""What became of the objects of a store, and how it is told: the Store Instances Response Module (PS3.18 annex I)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import orjson

from server.errors import SafelightError
from server.metadata.xml_model import from_json
from server.model import InstancePath, Representation

Attribute = dict[str, object]


class FailureReason(IntEnum):
    """Why an object was not stored: the values of Failure Reason (0008,1197), PS3.18 Table I.2-2 and PS3.4 Annex B."""

    PROCESSING_FAILURE = 0x0110
    NOT_AUTHORIZED = 0x0124
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX = 0xC122
    SOP_CLASS = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DUPLICATE_INSTANCE = 0x0111


class WarningReason(IntEnum):
    """What is to be said of an object that was stored: Warning Reason (0008,1196), PS3.18 Table I.2-1."""

    ELEMENTS_DISCARDED = 0xB006


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object is in the store, now or already; its UIDs as they were sent. `rejects` counts what it hides."""

    path: InstancePath
    sop_class_uid: str
    warning: WarningReason | None = None
    rejects: int = 0


@dataclass(frozen=True, kw_only=True)
class NotStored:
    """One object was refused; UIDs as far as they could be read ("" otherwise). `unavailable` is the error that kept
    us from storing it where that was not the object's doing."""

    reason: FailureReason
    explanation: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    unavailable: SafelightError | None = None


def response(
    public_url: str, outcomes: Sequence[Stored | NotStored], study: str | None, *, xml: bool = False
) -> Representation:
    """The module and its status: 200, 202 (failures or warnings beside what was stored) or 409.

    Raises what `unavailable` says where nothing was stored and nothing could have been: that is a 503, say.
    """
    stored = [one for one in outcomes if isinstance(one, Stored)]
    refused = [one for one in outcomes if isinstance(one, NotStored)]
    ours = [one.unavailable for one in refused if one.unavailable is not None]
    if ours and len(ours) == len(outcomes):
        raise ours[0]
    base = f"{public_url}/dicomweb"
    module: dict[str, Attribute] = {"00081190": _study_url(base, stored, study)}
    # A reference names class and instance; of what has none, only the reason can be told.
    named = [one for one in refused if one.sop_class_uid and one.sop_instance_uid]
    nameless = [one for one in refused if one not in named]
    if named:
        module["00081198"] = {"vr": "SQ", "Value": [_failed(one) for one in named]}
    if stored:
        module["00081199"] = {"vr": "SQ", "Value": [_referenced(base, one) for one in stored]}
    if nameless:
        module["0008119A"] = {"vr": "SQ", "Value": [_reason(one) for one in nameless]}
    complete = not refused and all(one.warning is None for one in stored)
    return Representation(
        media_type="application/dicom+xml" if xml else "application/dicom+json",
        body=from_json(module) if xml else orjson.dumps(module),
        status=200 if complete else 202 if stored else 409,
    )


def _study_url(base: str, stored: Sequence[Stored], study: str | None) -> Attribute:
    """Where the study is that was stored to; empty where there are several."""
    studies = {study} if study else {one.path.study for one in stored}
    return {"vr": "UR", "Value": [f"{base}/studies/{studies.pop()}"]} if len(studies) == 1 else {"vr": "UR"}


def _reason(one: NotStored) -> dict[str, Attribute]:
    return {"00081197": {"vr": "US", "Value": [int(one.reason)]}}


def _failed(one: NotStored) -> dict[str, Attribute]:
    return {
        "00081150": {"vr": "UI", "Value": [one.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [one.sop_instance_uid]},
        **_reason(one),
    }


def _referenced(base: str, one: Stored) -> dict[str, Attribute]:
    path = one.path
    url = f"{base}/studies/{path.study}/series/{path.series}/instances/{path.instance}"
    item: dict[str, Attribute] = {
        "00081150": {"vr": "UI", "Value": [one.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [path.instance]},
        "00081190": {"vr": "UR", "Value": [url]},
    }
    if one.warning is not None:
        item["00081196"] = {"vr": "US", "Value": [int(one.warning)]}
    return item
