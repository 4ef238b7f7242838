"""Capability links: one study, shared with one person, at a level no less masked than the giver's own, for a time.

The link holds a secret that is good for one exchange, by the one person it was made for; what it is exchanged for is
a right of that person, which the rules decide about at every request and which ends with the giver's own.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import orjson

from server import record
from server.admit import acting, admit
from server.errors import BadRequest, Forbidden, NotFound, TooMany
from server.glass import opened
from server.govern import allowed
from server.model import RECIPIENT, Action, Ask, Caller, Deny, Permit, Purpose, Representation, Share
from server.policy.decide import choose_role, decide, govern
from server.policy.words import PolicyBundle
from server.services import Services
from server.sharing import forget_over, with_share, world_of

LONGEST_SECONDS = 30 * 86400.0
"""How long a share can last."""

_SECRET_BYTES = 32


def share(
    services: Services, ask: Ask, *, study: str, level: str, purpose: Purpose, issuer: str, subject: str, until: float
) -> Representation:
    """Share a study, named as the caller's own view names it, with the person that `issuer` calls `subject`.

    `until` in seconds since the epoch. Raises `NotFound` where the caller does not see the study, `Forbidden` where the
    rules would not show it to the recipient at that level for that purpose, `BadRequest`, `TooMany`.
    """
    allowed(services, ask, Action.SHARE)
    found = admit(services, ask, Action.RETRIEVE_RENDERED, study=study).instances[0].study
    bundle, now = services.policy.current, services.clock()
    giver = acting(services, bundle, ask)
    if issuer not in services.tokens.all:
        raise BadRequest("the recipient's issuer is not one of ours")
    if (issuer, subject) == (giver.issuer, giver.subject):
        raise BadRequest("a share is with somebody else")
    if not now < until <= now + LONGEST_SECONDS:
        raise BadRequest(f"a share ends within {int(LONGEST_SECONDS // 86400)} days")
    secret = base64.urlsafe_b64encode(services.randomness.bytes(_SECRET_BYTES, "share-secret")).decode().rstrip("=")
    made = Share(
        identifier=services.randomness.bytes(16, "share").hex(),
        study=found.study_instance_uid,
        study_row=found.row,
        level=level,
        purpose=purpose.value,
        giver=giver,
        recipient_issuer=issuer,
        recipient=subject,
        secret=_digest(secret),
        made=now,
        until=until,
    )
    recipient = Caller(subject=subject, issuer=issuer, client="", roles=frozenset(), circumstances=giver.circumstances)
    chosen = choose_role(bundle, recipient, RECIPIENT)
    if isinstance(chosen, Deny):
        raise Forbidden("the policy knows no recipients")
    given = with_share(services, bundle, chosen, made, Action.RETRIEVE_RENDERED, found)
    if not isinstance(decide(bundle, given, Action.RETRIEVE_RENDERED, found, now), Permit):
        raise Forbidden("the rules do not share this at that level and for that purpose")
    # Recorded before it takes effect, as every change of who sees what.
    told = f"share {made.identifier}: {level} for {purpose} until {_time(until)}"
    _record(services, ask, Action.SHARE, f"{made.study} {issuer}#{subject}", told)
    if not services.catalog.put_share(made):
        # What is over holds its place until somebody has time to forget it, or needs it.
        forget_over(services, now)
        if not services.catalog.put_share(made):
            raise TooMany
    body = orjson.dumps(
        {
            "share": made.identifier,
            "link": f"{services.settings.public_url}/share#{made.identifier}.{secret}",
            "until": _time(until),
        }
    )
    return Representation(media_type="application/json", body=body, status=201)


def accept(services: Services, ask: Ask, *, identifier: str, secret: str) -> Representation:
    """Exchange the secret of a link, once, by the person it is for. Whatever is wrong with it, it is `NotFound`.

    Raises `Forbidden`, and the link stays good, where that person is signed in for another purpose than the share's.
    """
    allowed(services, ask, Action.ACCEPT_SHARE)
    now, caller = services.clock(), ask.caller
    found = services.catalog.share(identifier, now)
    meant = found is not None and (found.recipient_issuer, found.recipient) == (caller.issuer, caller.subject)
    if found is None or not meant or found.secret != _digest(secret):
        raise NotFound
    if caller.purpose not in (None, found.purpose):
        raise Forbidden("this was shared for another purpose of use than the one you are signed in for")
    _record(services, ask, Action.ACCEPT_SHARE, found.study, f"share {identifier} accepted")
    if services.catalog.accept_share(identifier, _digest(secret), now) is None:
        raise NotFound
    return Representation(media_type="application/json", body=orjson.dumps(_told(found)))


def listed(services: Services, ask: Ask) -> Representation:
    """What was shared with a recipient, what a giver shares, or, for who does neither, all that is shared."""
    allowed(services, ask, Action.READ_SHARES)
    bundle, now = services.policy.current, services.clock()
    caller = acting(services, bundle, ask)
    rows: list[dict[str, object]]
    if caller.acting_role == RECIPIENT:
        received = services.catalog.shares_received(caller.issuer, caller.subject, now)
        rows = [_told(one) for one in received if one.accepted]
    elif _gives(bundle, caller):
        given = services.catalog.shares_given(caller.issuer, caller.subject, now)
        rows = [_told(one) | _with_whom(one) | _of_what(services, bundle, caller, one) for one in given]
    else:
        every = services.catalog.all_shares(now)
        rows = [_told(one) | _with_whom(one) | {"giver": _person(one.giver.issuer, one.giver.subject)} for one in every]
    answer = Representation(media_type="application/json", body=orjson.dumps(rows))
    return record.answer(services, ask, record.Subject(action=Action.READ_SHARES, object=""), answer)


def end(services: Services, ask: Ask, *, identifier: str) -> Representation:
    """End a share, from the next request on: givers their own, who shares nothing but may end shares any.

    The key of its pseudonyms goes with it. Raises `NotFound`.
    """
    allowed(services, ask, Action.END_SHARE)
    bundle = services.policy.current
    caller = acting(services, bundle, ask)
    found = services.catalog.share(identifier, services.clock())
    if found is None:
        raise NotFound
    own = (found.giver.issuer, found.giver.subject) == (caller.issuer, caller.subject)
    if _gives(bundle, caller) and not own:
        raise NotFound
    _record(services, ask, Action.END_SHARE, found.study, f"share {identifier} ended")
    services.catalog.end_share(identifier)
    services.catalog.end_project(world_of(found))
    return Representation(media_type="application/json", body=b"", status=204)


def _gives(bundle: PolicyBundle, caller: Caller) -> bool:
    return not isinstance(govern(bundle, caller, Action.SHARE), Deny)


def _record(services: Services, ask: Ask, action: Action, named: str, told: str) -> None:
    subject = record.Subject(action=action, object=named)
    services.journal.append(record.event(ask, subject, "share", 200, reason=told))


def _told(one: Share) -> dict[str, object]:
    return {"share": one.identifier, "level": one.level, "purpose": one.purpose, "until": _time(one.until)}


def _with_whom(one: Share) -> dict[str, object]:
    return {"recipient": _person(one.recipient_issuer, one.recipient), "accepted": one.accepted}


def _of_what(services: Services, bundle: PolicyBundle, caller: Caller, one: Share) -> dict[str, object]:
    """Which study it is, for a giver who still sees it as stored; what is shared of another has ended with that."""
    found = services.catalog.find_study(one.study)
    if found is None or found.row != one.study_row:
        return {}
    sees = decide(bundle, opened(services, caller, found), Action.SEARCH, found, services.clock())
    return {"study": one.study} if isinstance(sees, Permit) and not sees.level.pseudonyms else {}


def _person(issuer: str, subject: str) -> dict[str, str]:
    return {"issuer": issuer, "subject": subject}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
