"""Find, then decide: from a path in a URL to the instances a caller may see, and at which level.

No sealed object is opened here (house rule 4). A path is read in the world of one level at a time: a level with
pseudonyms knows only the UIDs of its own project, a level without them only the original ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from server.circumstances import placed
from server.errors import Forbidden, NotFound
from server.glass import patient_of
from server.metadata.pseudonyms import IdentityMapping, Names, Pseudonyms, domain_key, row_keys_of_uids
from server.model import (
    RECIPIENT,
    Action,
    Ask,
    Caller,
    Deny,
    ElementAction,
    Identifier,
    IdentifierKind,
    InstancePath,
    InstanceRecord,
    MaskingLevel,
    Permit,
    SeriesRecord,
    Share,
    StudyRecord,
    check_uid,
)
from server.model.kinds import kind_of
from server.policy.decide import candidates, choose_role, may_ever
from server.policy.words import PolicyBundle
from server.services import Services
from server.sharing import accepted, decided, world_of

SERIES_NUMBER, INSTANCE_NUMBER = 0x00200011, 0x00200013


@dataclass(frozen=True, kw_only=True)
class View:
    """The world of one level: how its identifiers are written. `domain` is the pseudonym key, None without pseudonyms.

    The key depends on project and level, so no two projects and no two levels share an identifier. `shares` are what
    was shared with a recipient in it: nothing else is there. Every share that has pseudonyms is a world of its own.
    """

    level: MaskingLevel
    domain: bytes | None
    shares: tuple[Share, ...] = ()

    def names(self, record: StudyRecord, row_keys: Mapping[Identifier, bytes]) -> Names:
        """How this world writes the identifiers of one object of the study, whose row keys are `row_keys`."""
        if self.domain is None:
            return IdentityMapping()
        keys = {**record.row_keys, **row_keys}
        return Pseudonyms(domain_key=self.domain, row_keys=keys, patient_row_key=keys.get(patient_of(record), b""))


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A permit, the world it was found in, and the instances under the path, in the order of that world.

    `left_out` is how many more are there, of kinds that do not leave at the level. `series` are those under a path that
    was only looked at as a whole: their instances are not read yet, and some are there.
    """

    permit: Permit
    view: View
    instances: tuple[InstanceRecord, ...]
    left_out: int = 0
    series: tuple[SeriesRecord, ...] = ()

    @property
    def study(self) -> StudyRecord:
        return (self.series or self.instances)[0].study


def forbidden(denied: Deny) -> Forbidden:
    """The error for a refusal that depends on no object; its hint, if any, may be shown."""
    return Forbidden(denied.hint) if denied.hint else Forbidden()


def acting(services: Services, bundle: PolicyBundle, ask: Ask) -> Caller:
    """The caller in the one role that is in force, in the circumstances of the request.

    Raises `Forbidden`, with a hint where naming a role would help.
    """
    chosen = choose_role(bundle, ask.caller, ask.requested_role)
    if isinstance(chosen, Deny):
        raise forbidden(chosen)
    return placed(services, ask, chosen)


def views(services: Services, bundle: PolicyBundle, caller: Caller, action: Action) -> list[View]:
    """The worlds in which the acting role may use this action, least masked first.

    Raises `Forbidden` if there is none: that a role never has an action depends on no object.
    """
    if denied := may_ever(bundle, caller, action):
        raise forbidden(denied)
    found = []
    if caller.acting_role == RECIPIENT:
        shares = accepted(services, caller)
        return [one for level in candidates(bundle, RECIPIENT, action) for one in _given_views(services, level, shares)]
    for level in candidates(bundle, caller.acting_role or "", action):
        if not level.pseudonyms:
            found.append(View(level=level, domain=None))
        elif caller.project and caller.project.strip():
            found.append(View(level=level, domain=domain_key(services.project_key(caller.project), level.name)))
    return found


def _given_views(services: Services, level: MaskingLevel, shares: Sequence[Share]) -> Iterator[View]:
    """The worlds of what was shared at a level."""
    given = tuple(one for one in shares if one.level == level.name)
    if not level.pseudonyms:
        yield from [View(level=level, domain=None, shares=given)] if given else ()
        return
    for one in given:
        yield View(level=level, domain=domain_key(services.project_key(world_of(one)), level.name), shares=(one,))


def original_uid(services: Services, view: View, uid: str) -> str | None:
    """The stored UID that this world writes as `uid`; None if it writes none so."""
    return original_uids(services, view, [uid])[0]


def original_uids(services: Services, view: View, uids: Sequence[str]) -> list[str | None]:
    """As `original_uid`, of several in one look."""
    for uid in uids:
        check_uid(uid)
    if view.domain is None:
        return list(uids)
    row_keys = row_keys_of_uids(view.domain, uids)
    known = [key for key in row_keys if key]
    found = dict(zip(known, services.catalog.identifiers_of(known), strict=True)) if known else {}
    identifiers = [found.get(key) if key else None for key in row_keys]
    return [one.value if one and one.kind is IdentifierKind.UID else None for one in identifiers]


def admit(
    services: Services, ask: Ask, action: Action, *, study: str, series: str | None = None, instance: str | None = None
) -> Admission:
    """Find what a path names and decide about it.

    Raises `InvalidUID`, `Forbidden` (the role never has this action) or `NotFound` (there is nothing here for this
    caller, whether or not something exists).
    """
    return _admit(services, ask, action, (study, series, instance), whole=False)


def admit_whole(
    services: Services, ask: Ask, action: Action, *, study: str, series: str | None = None, instance: str | None = None
) -> Admission:
    """As `admit`; but of a path to no instance only its series are read, see `Admission.series`."""
    return _admit(services, ask, action, (study, series, instance), whole=instance is None)


def _admit(
    services: Services, ask: Ask, action: Action, path: tuple[str, str | None, str | None], *, whole: bool
) -> Admission:
    for uid in path:
        if uid is not None:
            check_uid(uid)
    bundle = services.policy.current
    caller = acting(services, bundle, ask)
    for view in views(services, bundle, caller, action):
        originals = _originals(services, view, *path)
        if originals is None:
            continue
        parents: list[SeriesRecord] = []
        found: list[InstanceRecord] = []
        if whole:
            parents = services.catalog.series_of(originals[0], originals[1] or None)
        else:
            found = _instances(services, *originals)
        if not parents and not found:
            continue
        record = (parents or found)[0].study
        decision = decided(services, bundle, caller, view.shares, action, record)
        if isinstance(decision, Permit) and decision.level.name == view.level.name:
            instances = tuple(in_view_order(view, found)) if found else ()
            return Admission(permit=decision, view=view, instances=instances, series=tuple(parents))
    raise NotFound


def instances_of(services: Services, admission: Admission) -> tuple[InstanceRecord, ...]:
    """The instances of an admission of whole series, as they are now. Raises `NotFound` where none is left."""
    alone = admission.series[0].series_instance_uid if len(admission.series) == 1 else None
    rows = {one.row for one in admission.series}
    every = services.catalog.instances_of(admission.study.study_instance_uid, alone)
    found = [one for one in every if one.series.row in rows]
    if not found:
        raise NotFound
    return tuple(in_view_order(admission.view, found))


def leaves(level: MaskingLevel, one: InstanceRecord) -> bool:
    """Whether an object is of a kind that leaves at a level; of any other only masked attributes are told.

    Goes by what every level shows of an object (its class) and by how it is written, never by what it contains.
    """
    return kind_of(one.sop_class_uid, one.transfer_syntax_uid) in level.objects


def in_view_order(view: View, found: Sequence[InstanceRecord]) -> list[InstanceRecord]:
    """Instances of one study in the order that this world may know.

    The catalogue settles equal numbers by original UID, which would join two worlds (a.M12, a.Q6); here their
    pseudonyms settle it, and numbers count only where the level keeps them.
    """
    if view.domain is None or len(found) < 2:
        return list(found)

    row_keys = {key: row for one in found for key, row in {**one.series.row_keys, **one.row_keys}.items()}
    names = view.names(found[0].study, row_keys)
    uid = cache(names.uid)

    def place(one: InstanceRecord) -> tuple[object, ...]:
        return (
            *shown_number(view.level, one.series.attributes, SERIES_NUMBER),
            uid(one.path.series),
            *shown_number(view.level, one.attributes, INSTANCE_NUMBER),
            uid(one.path.instance),
        )

    return sorted(found, key=place)


def shown_number(level: MaskingLevel, attributes: Mapping[str, Mapping[str, object]], tag: int) -> tuple[bool, float]:
    """A number as the level shows it; absent, odd and hidden ones come last."""
    rules = level.elements
    values = attributes.get(f"{tag:08X}", {}).get("Value")
    value = values[0] if isinstance(values, list) and values else None
    if rules.by_tag.get(tag, rules.default) is not ElementAction.KEEP or not isinstance(value, int | float):
        return True, 0.0
    return False, float(value)


def _originals(
    services: Services, view: View, study: str, series: str | None, instance: str | None
) -> tuple[str, str, str] | None:
    """The stored UIDs that this world writes so, "" for what the path does not name; None where it writes none so."""
    named = [uid for uid in (study, series, instance) if uid is not None]
    found = iter(original_uids(services, view, named))
    known = ["" if uid is None else next(found) for uid in (study, series, instance)]
    if any(uid is None for uid in known):
        return None
    return known[0] or "", known[1] or "", known[2] or ""


def _instances(services: Services, study: str, series: str, instance: str) -> list[InstanceRecord]:
    if instance:
        one = services.catalog.find_instance(InstancePath(study=study, series=series, instance=instance))
        return [one] if one else []
    return services.catalog.instances_of(study, series or None)
