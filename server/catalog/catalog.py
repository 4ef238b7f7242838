"""The catalogue as the use cases see it: one object, every operation a method, each explained where it is defined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from copy import copy

from sqlalchemy import Engine

from server.catalog import (
    identifiers,
    keys,
    known,
    reads,
    register,
    rescreening,
    retired,
    review_queue,
    screening_queue,
    uses,
    worlds,
)
from server.catalog import labels as study_labels
from server.catalog.access import Access, RowSealer
from server.catalog.identifiers import Keys
from server.catalog.keys import KeyPurpose, WrappedKey
from server.catalog.known import Known
from server.catalog.new_instance import Duplicate, NewInstance, Registered
from server.catalog.people import People
from server.catalog.screening_queue import Outcome
from server.catalog.searching import Searching
from server.catalog.share_book import ShareBook
from server.catalog.tokens import Tokens
from server.model import (
    Consent,
    Identifier,
    InstancePath,
    InstanceRecord,
    ObjectReference,
    Randomness,
    ReviewReason,
    ScreeningState,
    SeriesRecord,
    StudyLabel,
    StudyRecord,
)


class Catalog(People, Searching, ShareBook):
    """`index_key` (at least 32 bytes) and the sealer's key must lie apart from the database.

    Threads may share a catalogue; processes open one each. Every method may raise `Busy` when the database does not
    answer and `SealBroken` when a row was tampered with.
    """

    def __init__(self, engine: Engine, *, sealer: RowSealer, index_key: bytes, randomness: Randomness) -> None:
        self._access = Access(engine=engine, sealer=sealer, tokens=Tokens(index_key), randomness=randomness)

    def close(self) -> None:
        """Give the database's connections back."""
        self._access.engine.dispose()

    @contextmanager
    def at_once(self) -> Iterator[Catalog]:
        """This catalogue as it is at one moment, for several looks in one transaction, and short ones.

        What is written meanwhile is not seen. Writing goes by a transaction of its own, as ever.
        """
        with self._access.at_once() as access:
            catalog = copy(self)
            catalog._access = access
            yield catalog

    # Registration

    def look(
        self, *, instance_uids: Collection[str], study_uids: Collection[str], wanted: Iterable[Identifier]
    ) -> Known:
        return known.look(self._access, instance_uids=instance_uids, study_uids=study_uids, wanted=wanted)

    def draw(
        self,
        wanted: Mapping[Identifier, str],
        known: Mapping[Identifier, bytes],
        drawn: MutableMapping[Identifier, bytes],
    ) -> Keys:
        return identifiers.draw(self._access, wanted, known, drawn)

    def new_study_key(self, study_uid: str, make: Callable[[str], bytes]) -> WrappedKey:
        return keys.new_key(self._access, KeyPurpose.STUDY, study_uid, make)

    def register(self, new: NewInstance) -> Registered | Duplicate:
        return register.register(self._access, new)

    def register_all(self, news: Sequence[NewInstance]) -> list[Registered | Duplicate]:
        return register.register_all(self._access, news)

    def landed(self, uids: Collection[str]) -> frozenset[str]:
        return register.landed(self._access, uids)

    def exists(self, sop_instance_uid: str) -> tuple[InstancePath, bytes] | None:
        """Where a SOP Instance UID is stored, and the keyed digest of its body; for a look before sealing anew."""
        found = reads.find_stored(self._access, sop_instance_uid)
        return None if found is None else (found.record.path, found.body_digest)

    def set_labels(
        self,
        study_uid: str,
        *,
        departments: Collection[str],
        care_team: Collection[str],
        labels: Collection[StudyLabel] | None = None,
    ) -> StudyRecord:
        return study_labels.set_labels(
            self._access, study_uid, departments=departments, care_team=care_team, labels=labels
        )

    def set_consent(self, study_uid: str, consent: Consent) -> int:
        return study_labels.set_consent(self._access, study_uid, consent)

    # Reading

    def find_study(self, uid: str) -> StudyRecord | None:
        return reads.find_study(self._access, uid)

    def find_series(self, study_uid: str, uid: str) -> SeriesRecord | None:
        return reads.find_series(self._access, study_uid, uid)

    def find_instance(self, path: InstancePath) -> InstanceRecord | None:
        return reads.find_instance(self._access, path)

    def series_of(self, study_uid: str, series_uid: str | None = None) -> list[SeriesRecord]:
        return reads.series_of(self._access, study_uid, series_uid)

    def series_at(self, row: str) -> SeriesRecord | None:
        return reads.series_at(self._access, row)

    def instances_of(self, study_uid: str, series_uid: str | None = None) -> list[InstanceRecord]:
        return reads.instances_of(self._access, study_uid, series_uid)

    def count_instances(self, series: SeriesRecord) -> int:
        return reads.count_instances(self._access, series)

    def object_names(self) -> Iterator[str]:
        return reads.object_names(self._access)

    # Identifiers

    def find_row_keys(self, wanted: Iterable[Identifier]) -> dict[Identifier, bytes]:
        return identifiers.find_row_keys(self._access, wanted)

    def identifier_of(self, row_key: bytes) -> Identifier | None:
        return identifiers.identifiers_of(self._access, [row_key])[0]

    def identifiers_of(self, row_keys: Sequence[bytes]) -> list[Identifier | None]:
        return identifiers.identifiers_of(self._access, row_keys)

    # Keys

    def study_key(self, study_uid: str, make: Callable[[str], bytes]) -> WrappedKey:
        return keys.get_or_make(self._access, KeyPurpose.STUDY, study_uid, make)

    def find_study_key(self, study_uid: str) -> WrappedKey | None:
        return keys.find_key(self._access, KeyPurpose.STUDY, study_uid)

    def purpose_key(self, purpose: str, make: Callable[[str], bytes]) -> WrappedKey:
        return keys.get_or_make(self._access, KeyPurpose.PURPOSE, purpose, make)

    def project_key(self, project: str, make: Callable[[str], bytes]) -> WrappedKey:
        return keys.get_or_make(self._access, KeyPurpose.PROJECT, project, make)

    def end_project(self, project: str) -> bool:
        """Forget a project's key, and with it everything that was sealed or computed under it."""
        ended = keys.delete_key(self._access, KeyPurpose.PROJECT, project)
        worlds.drop_owned(self._access, worlds.owner_token(self._access, project))
        return ended

    def all_wrapped(self) -> Iterator[WrappedKey]:
        return keys.all_wrapped(self._access)

    def replace_wrapped(self, old: WrappedKey, wrapped: bytes) -> bool:
        return keys.replace_wrapped(self._access, old, wrapped)

    # Screening

    def claim(self, worker: str, now: float, lease: float, series: str = "") -> InstanceRecord | None:
        return screening_queue.claim(self._access, worker, now, lease, series)

    def extend(self, row: str, worker: str, until: float) -> bool:
        return screening_queue.extend(self._access, row, worker, until)

    def release(self, worker: str, *, attempted: bool, fault: ReviewReason | None = None) -> int:
        return screening_queue.release(self._access, worker, attempted=attempted, fault=fault)

    def finish(self, row: str, worker: str, outcome: Outcome) -> InstanceRecord | None:
        return screening_queue.finish(self._access, row, worker, outcome)

    def pending(self) -> int:
        return screening_queue.pending(self._access)

    def requeue(self, row: str) -> ObjectReference | None:
        return screening_queue.requeue(self._access, row)

    def look_again(self, row: str, now: float) -> None:
        screening_queue.look_again(self._access, row, now)

    def outdated(self, version: str) -> list[str]:
        return rescreening.outdated(self._access, version)

    def claim_again(self, row: str, worker: str, now: float, lease: float, version: str) -> InstanceRecord | None:
        return rescreening.claim_again(self._access, row, worker, now, lease, version)

    def again(self, states: Collection[ScreeningState], now: float) -> int:
        return rescreening.again(self._access, states, now)

    def counts(self) -> dict[ScreeningState, int]:
        return rescreening.counts(self._access)

    def oldest_pending(self) -> float | None:
        return rescreening.oldest_pending(self._access)

    def note_use(self, study_row: str, now: float) -> bool:
        return uses.note_use(self._access, study_row, now)

    # Review

    def waiting_for_a_person(self, *, limit: int) -> tuple[list[InstanceRecord], int]:
        return review_queue.waiting_for_a_person(self._access, limit=limit)

    def instance_at(self, row: str) -> InstanceRecord:
        return review_queue.instance_at(self._access, row)

    def settle(self, row: str, revision: bytes, outcome: Outcome) -> InstanceRecord:
        return review_queue.settle(self._access, row, revision, outcome)

    def retired_names(self, *, before: float) -> list[str]:
        return retired.retired_names(self._access, before=before)

    def forget_retired(self, names: Collection[str]) -> None:
        retired.forget_retired(self._access, names)
