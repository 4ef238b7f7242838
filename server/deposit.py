"""A few objects together from the hand to the shelf: one look, each sealed by itself, one transaction for all.

The order is what a crash may not break: first the sealed files are durable with their names, then the rows that refer
to them. In between there are files without rows, which the sweep removes; never the other way round. What one object is
refused for keeps no other out: it is found out before the transaction, or each is registered by itself.
"""

from __future__ import annotations

import errno
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from server.catalog.identifiers import Keys
from server.catalog.keys import WrappedKey
from server.catalog.known import Known
from server.catalog.new_instance import Duplicate, NewInstance
from server.cut import segments
from server.develop import CONTENT, manifest
from server.errors import (
    Busy,
    Conflict,
    Overtaken,
    SafelightError,
    SealBroken,
    StorageUnavailable,
    UnreadableObject,
)
from server.incoming import Incoming, Storer
from server.metadata.attributes import Attributes, dataset_from_attributes, level_attributes
from server.metadata.cleaning import identifying, worth_keeping
from server.metadata.identifiers import identifiers, may_identify, patient_identity
from server.model import Identifier, ObjectReference, StudyLabels
from server.outcomes import NotStored, Stored
from server.same import same_data_set
from server.services import Services

_ATTEMPTS = 3


def deposit(services: Services, storer: Storer, coming: Sequence[Incoming]) -> list[Stored | NotStored]:
    """Seal these objects, of different SOP Instance UIDs, and catalogue them; what became of each, in order."""
    return [one.accepted() if error is None else one.refused(error) for one, error in _tried(services, storer, coming)]


def _tried(
    services: Services, storer: Storer, coming: Sequence[Incoming], attempt: int = 1
) -> list[tuple[Incoming, SafelightError | None]]:
    batch = _Deposit(services, storer)
    try:
        batch.seal(coming)
    except SafelightError as error:
        return [(one, error) for one in coming]
    batch.register()
    return [
        _tried(services, storer, [one], attempt + 1)[0]
        if isinstance(error, Overtaken) and attempt < _ATTEMPTS
        else (one, error)
        for one in coming
        for error in (batch.errors.get(id(one)),)
    ]


@dataclass(frozen=True, kw_only=True)
class _StudyKey:
    """The key of a study; `new` is it as it is to be written down, where it is not yet."""

    key: bytes
    new: WrappedKey | None = None


class _Deposit:
    """One attempt. `errors` says what kept objects out, by the identity of the object."""

    def __init__(self, services: Services, storer: Storer) -> None:
        self._services = services
        self._storer = storer
        self._drawn: dict[Identifier, bytes] = {}
        self._study_keys: dict[str, _StudyKey] = {}
        self._named: dict[bytes, frozenset[Identifier]] = {}
        self._sealed: list[tuple[Incoming, NewInstance]] = []
        self.errors: dict[int, SafelightError] = {}

    def seal(self, coming: Sequence[Incoming]) -> None:
        """Seal each that may be stored, and make all of them durable. Raises `Busy`, `SealBroken`."""
        paths = [one.stored.path for one in coming]
        known = self._services.catalog.look(
            instance_uids={path.instance for path in paths},
            study_uids={path.study for path in paths},
            wanted={identifier for one in coming for identifier in one.wanted},
        )
        for one in coming:
            try:
                if not self._is_stored(one, known):
                    self._sealed.append((one, self._sealed_one(one, known)))
            except SafelightError as error:
                self.errors[id(one)] = error
        try:
            self._services.objects.settle(new.content for _, new in self._sealed)
        except OSError as error:
            self._drop(self._sealed, _unavailable(error))
            self._sealed = []

    def register(self) -> None:
        """Catalogue what is sealed, all at once; one by one where something is in the way of one of them."""
        if not self._sealed or self._register(self._sealed) or len(self._sealed) == 1:
            return
        for one in self._sealed:
            del self.errors[id(one[0])]
            self._register([one])

    def _register(self, sealed: Sequence[tuple[Incoming, NewInstance]]) -> bool:
        """Whether that is settled, one way or the other. What is kept out leaves no file behind."""
        services = self._services
        try:
            outcomes = services.catalog.register_all([new for _, new in sealed])
        except SafelightError as error:
            settled = len(sealed) == 1 or (isinstance(error, Busy) and not isinstance(error, Overtaken))
            if settled:
                self._drop(sealed, error)
            else:
                self.errors.update((id(one), error) for one, _ in sealed)
            return settled
        for (_, new), outcome in zip(sealed, outcomes, strict=True):
            if isinstance(outcome, Duplicate):
                services.objects.delete(new.content)
        return True

    def _drop(self, sealed: Sequence[tuple[Incoming, NewInstance]], error: SafelightError) -> None:
        self.errors.update((id(one), error) for one, _ in sealed)
        landed: frozenset[str] = frozenset()
        if isinstance(error, Busy) and not isinstance(error, Overtaken):
            try:
                landed = self._services.catalog.landed([new.path.instance for _, new in sealed])
            except (Busy, SealBroken):
                # Rows may refer to the files: the sweep will see.
                return
        for _, new in sealed:
            if new.content.name not in landed:
                self._services.objects.delete(new.content)

    def _is_stored(self, one: Incoming, known: Known) -> bool:
        """Whether the object is here already. Raises `Conflict` for one that may not come here."""
        stored, services = one.stored, self._services
        path = stored.path
        if (before := known.stored.get(path.instance)) is not None:
            if before[0] == path and (hmac.compare_digest(before[1], one.digest) or _is_same(services, one)):
                return True
            raise Conflict("another object is stored under this SOP Instance UID")
        # The catalogue checks again when it registers; looking first leaves nothing at all of what it would refuse.
        study = known.studies.get(path.study)
        patient = patient_identity(stored.elements)
        if study is not None and (
            study.patient != patient or study.labels.stored_department != self._storer.department
        ):
            raise Conflict("the study is another patient's or was first stored by another department")
        rejected = one.rejection.paths if one.rejection is not None else ()
        if any((at := services.catalog.exists(each.instance)) and at[0] != each for each in rejected):
            raise Conflict("a rejection note names what is not of its own study")
        return False

    def _sealed_one(self, one: Incoming, known: Known) -> NewInstance:
        """Raises `UnreadableObject`, `KeyUnavailable`, `SealBroken`, `StorageUnavailable`, `Conflict`."""
        services, stored, path = self._services, one.stored, one.stored.path
        study, series, instance = level_attributes(stored.elements)
        named = [self._identified(*levels) for levels in ((study,), (study, series), (study, instance))]
        if not all(found <= one.wanted.keys() for found in named):
            # A row that names what the object does not (an ID under the VR of a number, say) could never be masked.
            raise UnreadableObject("what identifies the object cannot be catalogued as it stands")
        keys = services.catalog.draw(one.wanted, known.row_keys, self._drawn)
        study_key = self._study_key(path.study, known)
        content = self._write(one, keys, study_key.key)
        return NewInstance(
            path=path,
            patient=patient_identity(stored.elements),
            labels=StudyLabels(
                stored_by=self._storer.subject,
                stored_department=self._storer.department,
                stored_at=services.clock(),
                departments=self._storer.departments,
                care_team=self._storer.care_team,
            ),
            study_attributes=study,
            series_attributes=series,
            instance_attributes=instance,
            study_row_keys={each: keys.every[each] for each in named[0]},
            series_row_keys={each: keys.every[each] for each in named[1]},
            instance_row_keys={each: keys.every[each] for each in named[2]},
            sop_class_uid=stored.sop_class_uid,
            transfer_syntax_uid=stored.transfer_syntax_uid,
            number_of_frames=one.description.number_of_frames if one.description else 0,
            content=content,
            body_digest=one.digest,
            identifies=worth_keeping(identifying(stored.elements)),
            rejection=one.rejection.code if one.rejection else 0,
            rejects=one.rejection.paths if one.rejection else frozenset(),
            keys=keys,
            study_key=study_key.new,
        )

    def _write(self, one: Incoming, keys: Keys, study_key: bytes) -> ObjectReference:
        first = manifest(keys.every, one.layout, one.stored.pixel_keyword)
        beside = self._sealed[0][1].content if self._sealed else None
        try:
            cut = segments(one.stored, one.layout, first)
            return self._services.objects.write(study_key, CONTENT, cut, beside=beside)
        except OSError as error:
            raise _unavailable(error) from error

    def _study_key(self, study: str, known: Known) -> _StudyKey:
        if study not in self._study_keys:
            stored, new = known.study_keys.get(study), None
            if stored is None:
                stored = new = self._services.new_study_key(study)
            self._study_keys[study] = _StudyKey(key=self._services.unwrapped(stored), new=new)
        return self._study_keys[study]

    def _identified(self, *levels: Attributes) -> frozenset[Identifier]:
        """What the catalogue's rows identify: what a search will have to find row keys for."""
        looked_at = [
            {tag: one for tag, one in level.items() if may_identify(int(tag, 16), str(one["vr"]))} for level in levels
        ]
        name = orjson.dumps(looked_at)
        if name not in self._named:
            self._named[name] = frozenset(identifiers(dataset_from_attributes(*looked_at)))
        return self._named[name]


def _is_same(services: Services, one: Incoming) -> bool:
    """Whether it is the stored data set in another transfer syntax, which contradicts nothing; the first copy stays."""
    found = services.catalog.find_instance(one.stored.path)
    return found is not None and same_data_set(services, found, one.stored, one.layout)


def _unavailable(error: OSError) -> StorageUnavailable:
    return StorageUnavailable(f"sealing failed: {errno.errorcode.get(error.errno or 0, '?')}")
