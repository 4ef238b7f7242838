"""`anonymize=yes` (PS3.18 section 9.4): a view that shows less than the caller's own, under names of one request."""

from __future__ import annotations

from dataclasses import replace

from server.admit import Admission, View
from server.errors import Busy, NotAcceptable
from server.model import Action
from server.services import KEY_BYTES, Services


def anonymised(services: Services, admission: Admission, action: Action) -> Admission:
    """The admission at the most masked level with pseudonyms that has `action` and is declared to show less.

    Its pseudonym key is drawn for this request and forgotten with it, so no two answers can be joined and no name in
    one leads anywhere. A level that has pseudonyms is left as it is. Raises `NotAcceptable` where no level is known to
    show less: nothing is ever sent at a level that only might.
    """
    permit = admission.permit
    if permit.level.pseudonyms:
        return admission
    bundle = services.policy.current
    if bundle.fingerprint != permit.policy:
        raise Busy("the policy changed between decision and answer")
    order = bundle.order
    found = [
        level
        for level in bundle.levels.values()
        if level.pseudonyms and action in level.transactions and order.is_more_masked(level.name, permit.level.name)
    ]
    most = [one for one in found if not any(order.is_more_masked(other.name, one.name) for other in found)]
    if not most:
        raise NotAcceptable("no level is known to be a more masked one with pseudonyms")
    level = min(most, key=lambda one: one.name)
    return replace(
        admission,
        permit=replace(permit, level=level, reason=f"{permit.reason} Anonymized on request."),
        view=View(level=level, domain=services.randomness.bytes(KEY_BYTES, "anonymize")),
    )
