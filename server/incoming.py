"""One object on its way in: taken apart and looked at by itself, before anything is asked or sealed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from server.cut import description_of, layout_of
from server.errors import (
    Busy,
    Conflict,
    KeyUnavailable,
    SafelightError,
    SealBroken,
    StorageUnavailable,
    TooLarge,
    UnreadableObject,
    UnsupportedPixels,
)
from server.metadata.elements import first_text
from server.metadata.identifiers import identifiers
from server.metadata.parse import Limits
from server.metadata.part10 import StoredObject, read
from server.metadata.rejection import Rejection, rejection_of
from server.model import Identifier
from server.model.kinds import DIRECTORY
from server.model.readable import Readable
from server.outcomes import FailureReason, NotStored, Stored, WarningReason
from server.pixels.description import PixelDescription
from server.pixels.frames import FrameLayout
from server.services import Services
from server.spool import pieces

_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_REASONS = {
    Conflict: FailureReason.DUPLICATE_INSTANCE,
    UnreadableObject: FailureReason.CANNOT_UNDERSTAND,
    UnsupportedPixels: FailureReason.TRANSFER_SYNTAX,
}


@dataclass(frozen=True, kw_only=True)
class Storer:
    """On whose account a study is stored: fixed by the first store, together with the patient."""

    subject: str
    department: str
    departments: frozenset[str] = frozenset()
    care_team: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """An object that nothing but what is stored already can keep out.

    `digest` is the keyed digest of its body, `wanted` what it identifies, each with the label that a row key is drawn
    under.
    """

    stored: StoredObject
    description: PixelDescription | None
    layout: FrameLayout | None
    digest: bytes
    rejection: Rejection | None
    wanted: Mapping[Identifier, str]
    warning: WarningReason | None = None

    def accepted(self) -> Stored:
        return Stored(
            path=self.stored.path,
            sop_class_uid=self.stored.sop_class_uid,
            warning=self.warning,
            rejects=len(self.rejection.paths) if self.rejection else 0,
        )

    def refused(self, error: SafelightError) -> NotStored:
        """What is told of an object that this error kept out. Raises the error if no object can cause it."""
        return _refused(self.stored, error)


def taken(
    services: Services, body: Readable, study: str | None, warning: WarningReason | None = None
) -> Incoming | NotStored:
    """Take the bytes of one object apart; a refusal is a value with its reason.

    `study` is the study of the request's path, if it names one (PS3.18 section 10.5.1).
    """
    try:
        stored = read(body, Limits(inflated=services.settings.max_object_bytes))
    except (UnreadableObject, TooLarge) as error:
        unreadable = isinstance(error, UnreadableObject)
        reason = FailureReason.CANNOT_UNDERSTAND if unreadable else FailureReason.OUT_OF_RESOURCES
        return NotStored(reason=reason, explanation=str(error))
    try:
        _check(stored, study)
        description = description_of(stored)
        layout = layout_of(stored, description)
        rejection = rejection_of(stored.sop_class_uid, stored.elements)
        if rejection is not None and any(one.study != stored.path.study for one in rejection.paths):
            raise _Unfit(FailureReason.DATA_SET_MISMATCH, "a rejection note names what is not of its own study")
        wanted = identifiers(stored.elements)
    except SafelightError as error:
        return _refused(stored, error)
    return Incoming(
        stored=stored,
        description=description,
        layout=layout,
        digest=_digest(services.digest_key, body),
        rejection=rejection,
        wanted=wanted,
        warning=warning,
    )


class _Unfit(SafelightError):
    """What is wrong with an object by itself, with the reason that is told."""

    def __init__(self, reason: FailureReason, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason


def _check(stored: StoredObject, study: str | None) -> None:
    if study is not None and study != stored.path.study:
        raise _Unfit(FailureReason.DATA_SET_MISMATCH, "the object belongs to another study than the request names")
    if DIRECTORY in (stored.sop_class_uid, first_text(stored.file_meta, _MEDIA_STORAGE_SOP_CLASS_UID)):
        raise _Unfit(FailureReason.SOP_CLASS, "a directory of other objects is not stored")


def _refused(stored: StoredObject, error: SafelightError) -> NotStored:
    if isinstance(error, _Unfit):
        return _not(stored, error.reason, str(error))
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return _not(stored, reason, str(error))
    if not isinstance(error, Busy | KeyUnavailable | SealBroken | StorageUnavailable):
        raise error
    # Ours and not the object's: what was stored before it in the same request stays stored, and is told.
    full = isinstance(error, StorageUnavailable)
    ours = FailureReason.OUT_OF_RESOURCES if full else FailureReason.PROCESSING_FAILURE
    return _not(stored, ours, type(error).__name__, error)


def _not(
    stored: StoredObject, reason: FailureReason, explanation: str, unavailable: SafelightError | None = None
) -> NotStored:
    return NotStored(
        reason=reason,
        explanation=explanation,
        sop_class_uid=stored.sop_class_uid,
        sop_instance_uid=stored.path.instance,
        unavailable=unavailable,
    )


def _digest(key: bytes, body: Readable) -> bytes:
    running = hmac.new(key, digestmod=hashlib.sha256)
    for piece in pieces(body):
        running.update(piece)
    return running.digest()
