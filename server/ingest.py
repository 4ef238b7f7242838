"""Store: from the bytes of one Part 10 object to a sealed, catalogued, queued original — or to nothing at all."""

from __future__ import annotations

import errno
import hashlib
import hmac
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from server import record
from server.admit import acting, forbidden
from server.catalog.register import Duplicate, NewInstance
from server.cut import description_of, layout_of, segments
from server.develop import CONTENT, manifest
from server.errors import (
    Busy,
    Conflict,
    Forbidden,
    KeyUnavailable,
    SafelightError,
    SealBroken,
    StorageUnavailable,
    TooLarge,
    UnreadableObject,
    UnsupportedPixels,
)
from server.metadata.attributes import Attributes, dataset_from_attributes, level_attributes
from server.metadata.cleaning import identifying, worth_keeping
from server.metadata.elements import first_text
from server.metadata.identifiers import identifiers, patient_identity
from server.metadata.parse import Limits
from server.metadata.part10 import StoredObject, read
from server.metadata.rejection import Rejection, rejection_of
from server.model import (
    Action,
    Ask,
    Caller,
    Deny,
    Identifier,
    StudyLabels,
)
from server.model.kinds import DIRECTORY
from server.model.readable import Readable
from server.outcomes import FailureReason, NotStored, Stored
from server.pixels.frames import FrameLayout
from server.policy.decide import govern
from server.same import same_data_set
from server.services import Services
from server.spool import pieces

_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002


@dataclass(frozen=True, kw_only=True)
class Storer:
    """On whose account a study is stored: fixed by the first store, together with the patient."""

    subject: str
    department: str
    departments: frozenset[str] = frozenset()
    care_team: frozenset[str] = frozenset()


def storer_of(services: Services, ask: Ask) -> tuple[Ask, Storer]:
    """The acting role's right to store. Raises `Forbidden` for every role that the policy does not let store."""
    bundle = services.policy.current
    caller = acting(services, bundle, ask)
    decision = govern(bundle, caller, Action.STORE)
    if isinstance(decision, Deny):
        raise forbidden(decision)
    return replace(ask, caller=caller), Storer(subject=caller.subject, department=_department(caller))


def _department(caller: Caller) -> str:
    """The one department that a store counts for. Raises `Forbidden` where it is not one."""
    if len(caller.departments) != 1:
        raise Forbidden("storing needs a token with exactly one department")
    return next(iter(caller.departments))


def store(
    services: Services, ask: Ask, storer: Storer, body: Readable, *, study: str | None = None
) -> Stored | NotStored:
    """Store one object. A refusal is a value with its reason, and both are in the journal.

    `study` is the study of the request's path, if it names one (PS3.18 section 10.5.1).
    """
    try:
        outcome: Stored | NotStored = _store(services, storer, body, study)
    except _Refused as refused:
        outcome = refused.outcome
    return noted(services, ask, outcome)


def noted(services: Services, ask: Ask, outcome: Stored | NotStored) -> Stored | NotStored:
    """Put into the journal what became of one object."""
    name = outcome.path.instance if isinstance(outcome, Stored) else outcome.sop_instance_uid
    if isinstance(outcome, Stored):
        reason = f"stored, rejecting {outcome.rejects} instances" if outcome.rejects else "stored"
    else:
        reason = f"{outcome.reason.name}: {outcome.explanation}"
    status = 200 if isinstance(outcome, Stored) else 409 if outcome.unavailable is None else 503
    subject = record.Subject(action=Action.STORE, object=name)
    services.journal.append(record.event(ask, subject, "store", status, reason=reason))
    return outcome


class _Refused(SafelightError):
    """Carries a `NotStored` from where it was noticed to where it is recorded."""

    def __init__(self, outcome: NotStored) -> None:
        super().__init__(outcome.explanation)
        self.outcome = outcome


def _store(services: Services, storer: Storer, body: Readable, study: str | None) -> Stored:
    stored = _parse(services, body)
    path = stored.path

    def refuse(reason: FailureReason, explanation: str, unavailable: SafelightError | None = None) -> _Refused:
        return _Refused(
            NotStored(
                reason=reason,
                explanation=explanation,
                sop_class_uid=stored.sop_class_uid,
                sop_instance_uid=path.instance,
                unavailable=unavailable,
            )
        )

    if study is not None and study != path.study:
        raise refuse(FailureReason.DATA_SET_MISMATCH, "the object belongs to another study than the request names")
    if DIRECTORY in (stored.sop_class_uid, first_text(stored.file_meta, _MEDIA_STORAGE_SOP_CLASS_UID)):
        raise refuse(FailureReason.SOP_CLASS, "a directory of other objects is not stored")
    try:
        layout = layout_of(stored)
    except UnsupportedPixels as error:
        raise refuse(FailureReason.TRANSFER_SYNTAX, str(error)) from error
    digest = _digest(services.digest_key, body)
    try:
        rejection = rejection_of(stored.sop_class_uid, stored.elements)
        if rejection is not None and any(one.study != path.study for one in rejection.paths):
            raise refuse(FailureReason.DATA_SET_MISMATCH, "a rejection note names what is not of its own study")
        _seal(services, storer, stored, layout, digest, rejection)
    except Conflict as error:
        raise refuse(FailureReason.DUPLICATE_INSTANCE, str(error)) from error
    except UnreadableObject as error:
        raise refuse(FailureReason.CANNOT_UNDERSTAND, str(error)) from error
    except (Busy, KeyUnavailable, SealBroken, StorageUnavailable) as error:
        # Ours and not the object's: what was stored before it in the same request stays stored, and is told.
        full = isinstance(error, StorageUnavailable)
        reason = FailureReason.OUT_OF_RESOURCES if full else FailureReason.PROCESSING_FAILURE
        raise refuse(reason, type(error).__name__, error) from error
    return Stored(path=path, sop_class_uid=stored.sop_class_uid, rejects=len(rejection.paths) if rejection else 0)


def _digest(key: bytes, body: Readable) -> bytes:
    running = hmac.new(key, digestmod=hashlib.sha256)
    for piece in pieces(body):
        running.update(piece)
    return running.digest()


def _parse(services: Services, body: Readable) -> StoredObject:
    try:
        return read(body, Limits(inflated=services.settings.max_object_bytes))
    except UnreadableObject as error:
        reason = NotStored(reason=FailureReason.CANNOT_UNDERSTAND, explanation=str(error))
        raise _Refused(reason) from error
    except TooLarge as error:
        reason = NotStored(reason=FailureReason.OUT_OF_RESOURCES, explanation=str(error))
        raise _Refused(reason) from error


def _seal(
    services: Services,
    storer: Storer,
    stored: StoredObject,
    layout: FrameLayout | None,
    digest: bytes,
    rejection: Rejection | None,
) -> None:
    """Seal the object and catalogue it. Nothing is visible before the last step, which is one transaction.

    What a crash leaves behind is a sealed file without a row, which the next start sweeps away.
    """
    catalog, path = services.catalog, stored.path
    if (known := catalog.exists(path.instance)) is not None:
        if known[0] == path and (hmac.compare_digest(known[1], digest) or _is_same(services, stored, layout)):
            return
        raise Conflict("another object is stored under this SOP Instance UID")
    patient = patient_identity(stored.elements)
    # The catalogue checks again when it registers; looking first leaves nothing at all of what it would refuse.
    found = catalog.find_study(path.study)
    if found is not None and (found.patient != patient or found.labels.stored_department != storer.department):
        raise Conflict("the study is another patient's or was first stored by another department")
    if rejection is not None and any((at := catalog.exists(one.instance)) and at[0] != one for one in rejection.paths):
        raise Conflict("a rejection note names what is not of its own study")
    study, series, instance = level_attributes(stored.elements)
    wanted = identifiers(stored.elements)
    named = [_named(*levels) for levels in ((study,), (study, series), (study, instance))]
    if not all(found <= wanted.keys() for found in named):
        # A row that names what the object does not (an ID under the VR of a number, say) could never be masked.
        raise UnreadableObject("what identifies the object cannot be catalogued as it stands")
    row_keys = catalog.row_keys(wanted, study_uid=path.study)
    first = manifest(row_keys, layout, stored.pixel_keyword)
    study_key = services.study_key(path.study)
    try:
        content = services.objects.put(study_key, CONTENT, segments(stored, layout, first))
    except OSError as error:
        raise StorageUnavailable(f"sealing failed: {errno.errorcode.get(error.errno or 0, '?')}") from error
    try:
        outcome = catalog.register(
            NewInstance(
                path=path,
                patient=patient,
                labels=StudyLabels(
                    stored_by=storer.subject,
                    stored_department=storer.department,
                    stored_at=services.clock(),
                    departments=storer.departments,
                    care_team=storer.care_team,
                ),
                study_attributes=study,
                series_attributes=series,
                instance_attributes=instance,
                study_row_keys={one: row_keys[one] for one in named[0]},
                series_row_keys={one: row_keys[one] for one in named[1]},
                instance_row_keys={one: row_keys[one] for one in named[2]},
                sop_class_uid=stored.sop_class_uid,
                transfer_syntax_uid=stored.transfer_syntax_uid,
                number_of_frames=frames.number_of_frames if (frames := description_of(stored)) else 0,
                content=content,
                body_digest=digest,
                identifies=worth_keeping(identifying(stored.elements)),
                rejection=rejection.code if rejection else 0,
                rejects=rejection.paths if rejection else frozenset(),
            )
        )
    except SafelightError:
        services.objects.delete(content)
        raise
    if isinstance(outcome, Duplicate):
        services.objects.delete(content)


def _is_same(services: Services, stored: StoredObject, layout: FrameLayout | None) -> bool:
    """Whether it is the stored data set in another transfer syntax, which contradicts nothing; the first copy stays."""
    record = services.catalog.find_instance(stored.path)
    return record is not None and same_data_set(services, record, stored, layout)


def _named(*levels: Attributes) -> AbstractSet[Identifier]:
    """What the catalogue's rows identify: what a search will have to find row keys for."""
    return identifiers(dataset_from_attributes(*levels)).keys()
