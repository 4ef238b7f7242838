"""What every retrieve transaction has in common: admitted first, answered last, one entity tag for one view."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from server import record
from server.admit import Admission, View, admit, admit_whole, instances_of, leaves
from server.anonymize import anonymised
from server.errors import Busy, NotAcceptable
from server.metadata.deidentify import Shared
from server.metadata.pseudonyms import Names
from server.model import Action, Ask, InstanceRecord, Representation
from server.multipart import Part, write
from server.negotiate import Choice
from server.ranges import content_range, selected
from server.services import Services
from server.vault.envelope import derive

_DIGEST_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Developed:
    """A body, and what the journal says of it."""

    body: bytes
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """One admitted request for `action` on the resource at `path`, to be answered as `choice`."""

    services: Services
    ask: Ask
    action: Action
    choice: Choice
    path: Mapping[str, str]
    admission: Admission
    study_key: bytes
    shared: Shared = field(default_factory=Shared)

    @classmethod
    def begin(
        cls,
        services: Services,
        ask: Ask,
        action: Action,
        choice: Choice,
        path: Mapping[str, str],
        *,
        anonymous: bool = False,
        whole: bool = False,
    ) -> Transaction:
        """Find and decide. Raises as `admit` and, if `anonymous`, as `anonymised`, and `NotAcceptable` where only
        attributes of it leave. With `whole`, the instances of whole series are read when they are first needed."""
        with services.at_once() as house:
            admission = (admit_whole if whole else admit)(house, ask, action, **path)
            if anonymous:
                admission = anonymised(house, admission, action)
            admission = _leaving(admission, action)
            study_key = house.study_key(admission.study.study_instance_uid)
        return cls(
            services=services,
            ask=ask,
            action=action,
            choice=choice,
            path=path,
            admission=admission,
            study_key=study_key,
        )

    @property
    def view(self) -> View:
        return self.admission.view

    @cached_property
    def instances(self) -> tuple[InstanceRecord, ...]:
        """What is under the path. Raises `NotFound` where all of it was rejected since the series were looked at."""
        return instances_of(self.services, self.admission) if self.admission.series else self.admission.instances

    def key_of(self, study: str) -> bytes:
        """The key of a study: this one's is at hand. Raises `KeyUnavailable`, `SealBroken`."""
        return self.study_key if study == self.admission.study.study_instance_uid else self.services.study_key(study)

    def url(self, one: InstanceRecord, names: Names | None = None) -> str:
        """An instance's address in this world, from the configured origin, never from the request's Host."""
        names = names or self.view.names(one.study, {**one.series.row_keys, **one.row_keys})
        return address(self.services.settings.public_url, one, names)

    def answer(
        self, develop: Callable[[], bytes | Developed], *, extra: str = "", ranges: bool = False
    ) -> Representation:
        """One body, developed unless the caller holds this very view already; recorded either way.

        `extra` is whatever else the body depends on, for the entity tag; with `ranges` a part of it may be asked for.
        Raises `RangeNotSatisfiable`.
        """
        etag = self._etag(extra)
        held = self._held(etag)
        media_type = self.choice.media_type
        if self.choice.transfer_syntax:
            media_type += f"; transfer-syntax={self.choice.transfer_syntax}"
        headers = {"Accept-Ranges": "bytes"} if ranges else {}
        if held:
            held_already = Representation(media_type=media_type, body=b"", status=304, etag=etag, headers=headers)
            return self._record(held_already)
        developed, status = develop(), 200
        body = developed.body if isinstance(developed, Developed) else developed
        digest = developed.digest if isinstance(developed, Developed) else b""
        # A weak tag or a date in If-Range is never this strong tag: then the whole is sent.
        part = selected(self.ask.byte_range, len(body)) if ranges and self.ask.if_range in ("", etag) else None
        if part is not None:
            headers["Content-Range"] = content_range(part, len(body))
            body, digest, status = body[part.start : part.stop], b"", 206
        answered = Representation(media_type=media_type, body=body, status=status, etag=etag, headers=headers)
        return self._record(answered, digest)

    def answer_parts(self, parts: Iterator[Part], *, extra: str = "") -> Representation:
        """A streamed multipart body. The first part is developed before the answer begins, so its failure is told."""
        etag = self._etag(extra)
        if self._held(etag):
            return self._record(Representation(media_type="", body=b"", status=304, etag=etag))
        first = next(parts)
        boundary = self.services.randomness.bytes(16, "multipart-boundary").hex()

        def all_parts() -> Iterator[Part]:
            yield first
            yield from parts

        media_type = f'multipart/related; type="{self.choice.media_type}"; boundary={boundary}'
        return self._record(Representation(media_type=media_type, body=write(all_parts(), boundary), etag=etag))

    def _record(self, representation: Representation, digest: bytes = b"") -> Representation:
        permit, left_out = self.admission.permit, self.admission.left_out
        if left_out:
            told = f'299 safelight "{left_out} objects of kinds that are not sent here were left out"'
            representation = replace(representation, headers={**representation.headers, "Warning": told})
        subject = record.Subject(action=self.action, object="/".join(self.path.values()), permit=permit)
        answer = record.answer(self.services, self.ask, subject, representation, digest)
        # Only the order of screening again depends on it, so a busy database is no reason to fail.
        with suppress(Busy):
            self.services.catalog.note_use(self.admission.study.row, self.services.clock())
        return answer

    def kept(self, develop: Callable[[], bytes], extra: str = "") -> Developed:
        """What `develop` gives, from the sealed cache if this very view was developed before.

        Its digest is sealed with it. Its key is of the study and of the world: with the project's key the project's
        answers are gone too. Every level has room of its own, so that what is kept of one view tells nothing of the
        sizes of another's.
        """
        name = self._digest(extra)
        levels = self.services.policy.current.levels
        answers = self.services.answers.of(self.view.level.name, len(levels))
        key = derive(self.study_key, f"answer/{self.view.level.name}", self.view.domain or b"")
        found = answers.get_pair(key, name, _DIGEST_BYTES)
        if found is not None:
            return Developed(body=found[1], digest=found[0])
        body = develop()
        digest = record.body_digest(self.services, body)
        answers.put_pair(key, name, digest, body)
        return Developed(body=body, digest=digest)

    def _held(self, etag: str) -> bool:
        """Whether If-None-Match names this view: then nothing of it is sent, nor developed."""
        return etag in self.ask.held_etags or "*" in self.ask.held_etags

    def _etag(self, extra: str) -> str:
        return f'"{self._digest(extra)[:40]}"'

    def _digest(self, extra: str) -> str:
        """A keyed digest of all that the answer depends on, by random revision, never of what it contains."""
        permit, caller = self.admission.permit, self.ask.caller
        parts = [
            self.services.code, self.services.settings.public_url, self.action.value,
            permit.policy, permit.level.fingerprint, permit.acting_role,
            caller.project or "", (self.view.domain or b"").hex(), repr(caller.patient), repr(self.choice), extra,
            *sorted(one.row + one.revision.hex() + one.study.revision.hex() for one in self.admission.series),
            *(one.row + one.revision.hex() + one.study.revision.hex() for one in self.admission.instances),
        ]  # fmt: skip
        return hmac.new(self.services.etag_key, "\x00".join(parts).encode(), hashlib.sha256).hexdigest()


def address(origin: str, one: InstanceRecord, names: Names) -> str:
    """Where an instance lies in the world of these names, on the server at `origin`."""
    study, series, instance = (names.uid(uid) for uid in (one.path.study, one.path.series, one.path.instance))
    return f"{origin}/dicomweb/studies/{study}/series/{series}/instances/{instance}"


def _leaving(admission: Admission, action: Action) -> Admission:
    """The admission without the objects that do not leave at its level, unless attributes are all that is asked for."""
    if action is Action.RETRIEVE_METADATA:
        return admission
    level = admission.permit.level
    left = tuple(one for one in admission.instances if leaves(level, one))
    if not left:
        raise NotAcceptable(f"objects of this kind do not leave at {level.name}")
    left_out = len(admission.instances) - len(left)
    return replace(admission, instances=left, left_out=left_out) if left_out else admission
