"""What was shared with a recipient, and what of it is in force: decided by the giver's rights of this moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.circumstances import placed
from server.glass import opened
from server.model import RECIPIENT, Action, Ask, AuditEvent, Caller, Decision, Permit, Share, Shared, StudyRecord
from server.policy.decide import decide
from server.policy.words import PolicyBundle
from server.services import Services


def world_of(share: Share) -> str:
    """The name of the project whose pseudonyms a share has: no token can name it, since no claim holds a line break."""
    return f"\nshare/{share.identifier}"


# A request that began while a share was in force may still ask for its key, and would make it anew.
LONGEST_REQUEST_SECONDS = 300.0


def forget_over(services: Services, before: float) -> int:
    """Destroy the keys of the pseudonyms of all shares that were over at that time, then the shares; how many.

    Raises `SealBroken`, `AuditUnavailable`, `Busy`; what is left is left for the next time.
    """
    found = services.catalog.shares_over(before)
    if found:
        reason = f"{len(found)} shares are over; the keys of their pseudonyms are destroyed"
        request = services.randomness.bytes(16, "request").hex()
        services.journal.append(
            AuditEvent(kind="sweep", action="sweep", status=0, request=request, reason=reason, subject="worker")
        )
    for one in found:
        # The key first: of what is interrupted here, the share is found again.
        services.catalog.end_project(world_of(one))
        services.catalog.end_share(one.identifier)
    return len(found)


def accepted(services: Services, caller: Caller) -> list[Share]:
    """What the caller accepted and has not ended, without what is for another purpose than the token names."""
    received = services.catalog.shares_received(caller.issuer, caller.subject, services.clock())
    return [one for one in received if one.accepted and caller.purpose in (None, one.purpose)]


def decided(
    services: Services,
    bundle: PolicyBundle,
    caller: Caller,
    shares: Sequence[Share],
    action: Action,
    record: StudyRecord,
) -> Decision:
    """The decision about one study: for a recipient by each of `shares`, until one permits it."""
    now = services.clock()
    decision = decide(bundle, opened(services, caller, record), action, record, now)
    if caller.acting_role != RECIPIENT:
        return decision
    for share in shares:
        given = with_share(services, bundle, caller, share, action, record)
        decision = decide(bundle, given, action, record, now)
        if isinstance(decision, Permit):
            return replace(decision, reason=f"{decision.reason} Share {share.identifier} for {share.purpose}.")
    return decision


def with_share(
    services: Services, bundle: PolicyBundle, caller: Caller, share: Share, action: Action, record: StudyRecord
) -> Caller:
    """The recipient with what was shared, for its purpose; without it where the giver does not see the study any more.

    The giver is asked about as they were when they shared, in the circumstances of now: what the server knows of the
    study, of the rules and of a broken glass is of this moment, what their token said is of that one.
    """
    around = share.giver.circumstances
    then = Ask(caller=share.giver, request="", zone=around.zone, context=around.acr or "")
    giver = opened(services, placed(services, then, share.giver), record)
    sees = decide(bundle, giver, action, record, services.clock())
    if not isinstance(sees, Permit):
        return caller
    shared = Shared(study=share.study_row, level=share.level, giver=sees.level.name)
    return replace(caller, purpose=share.purpose, circumstances=replace(caller.circumstances, share=shared))
