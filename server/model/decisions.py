"""Who asks, what a masking level does, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.model.kinds import ObjectKind
from server.model.lists import Action, Approval, ElementAction, RegionKind, RegionStyle, Zone
from server.model.profile import Profile
from server.model.records import PatientIdentity


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What was shared with a recipient, as the rules see it: one study (its row), at one level.

    `giver` is the level at which the giver of it sees that study at this moment.
    """

    study: str
    level: str
    giver: str


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What the server itself found out about a request; the defaults are what is true of nobody in particular.

    `approval` is where the caller's project stands today, None as long as nobody has looked. `hour` (0 to 23) and
    `weekday` (1 Monday to 7 Sunday) are local, None where no clock was asked. `acr` is how the caller was
    authenticated (RFC 9470), `broken_glass` the patients whose films the caller has opened for a time. `share` is what
    a recipient was given and may be shown now.
    """

    approval: Approval | None = None
    zone: Zone = Zone.UNKNOWN
    hour: int | None = None
    weekday: int | None = None
    acr: str | None = None
    broken_glass: frozenset[PatientIdentity] = frozenset()
    share: Shared | None = None


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, from a verified token and nothing else but the `circumstances`.

    `roles` are the roles held that the policy knows; `acting_role` is the one in force, None until it is chosen.
    `project` is the research grant, `purpose` an HL7 v3 PurposeOfUse code, `patient` the patient binding.
    """

    subject: str
    issuer: str
    client: str
    roles: frozenset[str]
    acting_role: str | None = None
    project: str | None = None
    purpose: str | None = None
    patient: PatientIdentity | None = None
    departments: frozenset[str] = frozenset()
    circumstances: Circumstances = Circumstances()


@dataclass(frozen=True, kw_only=True)
class ElementRules:
    """Which PS3.15 action applies to which attribute; `default` to all the rest.

    `by_tag` is keyed by the 32-bit tag, repeating groups by their first group. `private` applies to every private
    element and wins over `default`; C keeps those that `profile` lists as safe. `profile` is None where the level does
    not apply the Basic Profile; else `by_tag` holds its rows, too.
    """

    default: ElementAction
    private: ElementAction
    by_tag: Mapping[int, ElementAction]
    profile: Profile | None


@dataclass(frozen=True, kw_only=True)
class MaskingLevel:
    """One file of `policies/levels/`: everything that happens to an original on its way to a caller.

    `transactions` are the retrieve and search actions whose answers may leave at this level. `whole_frame` is what
    happens to every frame whatever was found, `unscreened` to the frames of an instance whose screening has not
    finished; `longest_side` bounds rendered pictures in pixels (None: as stored). `pseudonyms` replaces identifiers
    per project, `shift_dates` moves all dates of a patient together. `coarse_blocks` is how many blocks the longer side
    of a coarse frame has. `keep_markers` leaves text that is certainly a view or laterality marker and touches nothing
    else that is hidden, `keep_machine_text` lines that are certainly technique or scale and nothing else;
    `tell_regions` tells viewers what was hidden where; `masked_notice` writes into every rendered picture that it is
    masked; `outline_regions` draws a line around everything that was found. `objects` are the kinds that leave as
    objects, frames, pictures and bulk data; of every other object only masked attributes are told.
    """

    name: str
    description: str
    transactions: frozenset[Action]
    objects: frozenset[ObjectKind]
    elements: ElementRules
    pseudonyms: bool
    shift_dates: bool
    regions: Mapping[RegionKind, RegionStyle]
    unscreened: RegionStyle
    whole_frame: RegionStyle
    keep_unused_bits: bool
    longest_side: int | None
    fingerprint: str
    coarse_blocks: int
    keep_markers: bool
    keep_machine_text: bool
    tell_regions: bool
    masked_notice: bool
    outline_regions: bool

    @property
    def alters_samples(self) -> bool:
        """Whether any sample of any frame may differ from the stored one."""
        styles = {*self.regions.values(), self.unscreened, self.whole_frame}
        return styles != {RegionStyle.KEEP} or not self.keep_unused_bits


@dataclass(frozen=True, kw_only=True)
class Permit:
    """A decision to answer: at which level, for which acting role, by which rules of which policy bundle."""

    level: MaskingLevel
    acting_role: str
    rules: tuple[str, ...]
    policy: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Deny:
    """A decision not to answer. `forbidden`: the role never has this action (403); else the object is not there (404).

    `hint` may be shown to the caller and never speaks of the object; `rules` are those that forbade it, if any did.
    """

    forbidden: bool
    policy: str
    reason: str
    hint: str = ""
    acting_role: str | None = None
    rules: tuple[str, ...] = ()


Decision = Permit | Deny
