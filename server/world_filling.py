"""Preparing the studies of a world: filling it a step at a time, keeping up with what changes, sealing its entries."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server.admit import View
from server.catalog.kept import Bodies
from server.catalog.lines import Line, Told, Who
from server.catalog.listing import Held, Listing
from server.catalog.worlds import Filled, World
from server.errors import SealBroken
from server.metadata.deidentify import Shared
from server.metadata.match import searchable, value_keys
from server.model import Caller, StudyRecord
from server.policy.facts import Unusable, study_facts
from server.policy.mentions import STUDY_ATTRIBUTES
from server.policy.words import PolicyBundle, Sight
from server.rows import Candidate, Contents, order_of, study_row
from server.services import Services
from server.vault.envelope import derive
from server.vault.rows import RowSealer

MOST = 1_000_000
"""Above so many studies there is no world of them."""
STEP = 2_000
"""How many studies one search prepares at most, beside its own work."""
CHUNK = 250
_PENDING = 64
_ENTRY_BYTES = 4096
_LENGTHS = struct.Struct(">II")
_HEAD = 32 + _LENGTHS.size
_UNUSABLE = "unusable"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One search in one world."""

    services: Services
    bundle: PolicyBundle
    caller: Caller
    view: View
    world: World
    sealer: RowSealer


def asked_in(services: Services, bundle: PolicyBundle, caller: Caller, view: View) -> Asked:
    """The name and the key of a world both come from the project's key, so that they end with it."""
    level = f"{view.level.name}/{view.level.fingerprint}/{bundle.fingerprint}/{services.settings.public_url}"
    key = derive(view.domain or services.digest_key, f"safelight searches/5/{level}")
    project = caller.project if view.domain is not None else None
    return Asked(
        services=services,
        bundle=bundle,
        caller=caller,
        view=view,
        world=services.catalog.world(derive(key, "name"), project),
        sealer=RowSealer(derive(key, "entries"), services.randomness),
    )


def listing_of(asked: Asked, held: Held) -> Listing | None:
    """The world in memory, as of now. None while it is not complete."""
    catalog = asked.services.catalog
    listing = held.listing
    changes = catalog.count_changes()
    if listing is None or changes < listing.changes or listing.dead > len(listing) + CHUNK:
        held.listing, held.pending, held.bodies = None, {}, Bodies()
        state = catalog.filled(asked.world) or catalog.begin_world(asked.world)
        if state.total > MOST:
            return None
        if changes < state.changes:
            raise SealBroken("a world knows of more than there is")
        filled = _filled(asked, state)
        if filled is None:
            return None
        listing = held.listing = _read(asked, filled)
        if len(listing) < filled.total:
            raise SealBroken("entries of a world are missing")
    if listing.changes < changes:
        _keep_up(asked, held, listing, changes)
    return listing


def fill(asked: Asked) -> Iterator[Filled]:
    """Prepare all studies of a world, telling after each step how far it is. Raises `SealBroken`, `Busy`."""
    catalog = asked.services.catalog
    state: Filled | None = catalog.filled(asked.world) or catalog.begin_world(asked.world)
    while state is not None and state.done < state.total <= MOST:
        _filled(asked, state)
        state = catalog.filled(asked.world)
        if state is not None:
            yield state


def _filled(asked: Asked, state: Filled) -> Filled | None:
    """Go on filling, `STEP` studies at most. None if the world is not complete then."""
    catalog = asked.services.catalog
    stop = state.done + STEP
    while state.done < min(stop, state.total):
        done = min(state.done + CHUNK, stop, state.total)
        entries = {token: sealed for token, sealed, _ in _entries(asked, catalog.stored(state.done, done))}
        after = Filled(done=done, total=state.total, changes=state.changes)
        known = catalog.advance_world(asked.world, state, after, entries)
        if known is None:
            return None
        state = known
    return state if state.done == state.total else None


def _keep_up(asked: Asked, held: Held, listing: Listing, changes: int) -> None:
    """Prepare the studies anew that have changed since, and write them once they are many."""
    catalog = asked.services.catalog
    changed = {row: listing.changes + at for at, row in enumerate(catalog.changed(listing.changes, changes))}
    rows = list(changed)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        for row, (_, sealed, line) in zip(chunk, _entries(asked, chunk), strict=True):
            listing.add(line)
            held.pending[row] = (changed[row], sealed)
    listing.changes = changes
    if len(held.pending) < _PENDING:
        return
    state = catalog.filled(asked.world)
    if state is not None and state.changes < changes:
        entries = {catalog.entry_token(asked.world, row): sealed for row, (_, sealed) in held.pending.items()}
        after = Filled(done=state.done, total=state.total, changes=changes)
        state = catalog.advance_world(asked.world, state, after, entries)
    if state is not None:
        # Somebody else may have written some of them.
        held.pending = {row: one for row, one in held.pending.items() if one[0] >= state.changes}


def _read(asked: Asked, state: Filled) -> Listing:
    """Read a complete world into memory."""
    listing = Listing(changes=state.changes, told_apart=told_apart(asked), keys=value_keys)
    for token, sealed in asked.services.catalog.world_entries(asked.world):
        listing.load(opened(asked, token, sealed).line)
    return listing


def told_apart(asked: Asked) -> dict[str, Told]:
    """The roles that search in this world, with what the rules for each look at; without those for whom time plays a
    part, since what depends on the hour is decided at the hour."""
    roles = (role for role in asked.bundle.ladders if asked.view.level.name in asked.bundle.ladders[role])
    told = {role: asked.bundle.book.sights[role] for role in roles}
    return {
        role: Told(
            whole=frozenset(name for name, sight in sights.items() if sight is Sight.VALUE) | {_UNUSABLE},
            own=frozenset(name for name, sight in sights.items() if sight is Sight.OWN),
        )
        for role, sights in told.items()
        if "age_hours" not in sights
    }


def who(asked: Asked) -> Who:
    """The caller as a world tells them apart, with all of theirs that studies are held against."""
    caller = asked.caller
    patient = caller.patient
    own = {
        "departments": sorted(caller.departments),
        "care_team": [caller.subject],
        "stored_by": [caller.subject],
        "patient": [_patient((patient.issuer, patient.patient_id))] if patient else [],
    }
    return Who(role=caller.acting_role or "", caller=caller, own=own)


def _patient(patient: Sequence[str]) -> str:
    """Lengths first, so that no two patients are written alike."""
    return "".join(f"{len(part)}:{part}" for part in patient)


def drop(asked: Asked, held: Held) -> None:
    held.listing, held.pending, held.bodies = None, {}, Bodies()
    asked.services.catalog.drop_world(asked.world)


def _entries(asked: Asked, rows: Sequence[bytes]) -> Iterator[tuple[bytes, bytes, Line]]:
    """Token, sealed entry and line of each study."""
    catalog, url = asked.services.catalog, asked.services.settings.public_url
    found = catalog.studies_at(rows)
    if any(row not in found for row in rows):
        raise SealBroken("a list names a study that is not there")
    outlines = catalog.outlines([one.record for one in found.values()])
    shared = Shared()
    for row in rows:
        record, outline = found[row].record, outlines[found[row].record.row]
        contents = Contents(series=outline.series, count=len(outline.instances), instances=sum(outline.instances))
        one = Candidate(view=asked.view, study=record, shared=shared)
        masked, body = study_row(url, one, contents)
        order = f"{found[row].sequence:016x}" if asked.view.domain is None else order_of(one)[0]
        facts = _facts(asked, record)
        line = Line(
            row=row,
            revision=record.revision,
            order=order,
            values=searchable(masked.elements),
            facts=_frozen(facts),
            members=_members(facts),
            series=contents.count,
            instances=contents.instances,
        )
        values = [[tag, vr, found] for tag, (vr, found) in line.values.items()]
        told = orjson.dumps([order, values, facts, line.series, line.instances])
        token = catalog.entry_token(asked.world, row)
        written = orjson.dumps(body)
        plain = row + record.revision + _LENGTHS.pack(len(told), len(written)) + told + written
        size = _ENTRY_BYTES
        while size < len(plain):
            size *= 2
        yield token, asked.sealer.seal("world_entries", token.hex(), plain.ljust(size, b" ")), line


@dataclass(frozen=True)
class Entered:
    """An entry as it is sealed: a row, and what is read of it where it is asked for."""

    _plain: bytes

    @property
    def row(self) -> bytes:
        return self._plain[:16]

    @property
    def revision(self) -> bytes:
        return self._plain[16:32]

    @property
    def body(self) -> bytes:
        told, written = _LENGTHS.unpack_from(self._plain, 32)
        return self._plain[_HEAD + told : _HEAD + told + written]

    @property
    def line(self) -> Line:
        told, _ = _LENGTHS.unpack_from(self._plain, 32)
        order, values, facts, series, instances = orjson.loads(memoryview(self._plain)[_HEAD : _HEAD + told])
        return Line(
            row=self.row,
            revision=self.revision,
            order=order,
            values={tag: (vr, found) for tag, vr, found in values},
            facts=_frozen(facts),
            members=_members(facts),
            series=series,
            instances=instances,
        )


def opened(asked: Asked, token: bytes, sealed: bytes) -> Entered:
    """What was entered under a token. Raises `SealBroken`."""
    return Entered(asked.sealer.open("world_entries", token.hex(), sealed))


def _facts(asked: Asked, record: StudyRecord) -> dict[str, Any]:
    """What the rules may look at but the age; a record that they cannot be asked about is of a kind of its own."""
    names = sorted(STUDY_ATTRIBUTES - {"age_hours"})
    try:
        facts = study_facts(record, asked.services.clock())
    except Unusable:
        return dict.fromkeys(names, record.row) | {_UNUSABLE: record.row}
    return {name: getattr(facts, name) for name in names} | {_UNUSABLE: ""}


def _members(facts: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """What the rules may hold against the caller's own, value by value."""
    if facts[_UNUSABLE]:
        return {}
    several = {name: facts[name] for name in ("departments", "care_team")}
    return several | {"stored_by": [facts["stored_by"]], "patient": [_patient(facts["patient"])]}


def _frozen(facts: Mapping[str, Any]) -> dict[str, Hashable]:
    return {name: tuple(value) if isinstance(value, list | tuple) else value for name, value in facts.items()}
