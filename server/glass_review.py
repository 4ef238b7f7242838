"""Who broke the glass, and what an auditor found of it: both stand in the journal, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson

from server import record
from server.audit.show import read
from server.errors import Conflict, NotFound
from server.govern import allowed
from server.model import Action, Ask, Representation
from server.services import Services

BROKEN, REVIEWED = "break-glass", "glass-review"


class Finding(StrEnum):
    """What a review found. A closed list."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not-justified"


@dataclass(frozen=True, kw_only=True)
class Review:
    """When an auditor looked, and what they found; `seq` is the entry that says so."""

    seq: int
    time: str
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One broken glass: its entry in the journal, and its review, None as long as it is due.

    Who it was, for whom and why in words is sealed in the entry; `safelight audit show` opens it.
    """

    seq: int
    time: str
    reason: str
    review: Review | None


def broken(services: Services) -> list[Broken]:
    """All of them, the latest first."""
    struck: list[tuple[int, str, str]] = []
    reviews: dict[int, Review] = {}
    for entry in read(services.settings.journal, None):
        event = entry.event
        if event.kind == BROKEN and event.status == 200:
            struck.append((entry.seq, entry.time, event.reason))
        elif event.kind == REVIEWED:
            number, _, finding = event.reason.partition(": ")
            # The first one stands: a later one can only have come of two at once.
            reviews.setdefault(int(number), Review(seq=entry.seq, time=entry.time, finding=Finding(finding)))
    return [Broken(seq=seq, time=time, reason=why, review=reviews.get(seq)) for seq, time, why in reversed(struck)]


def listed(services: Services, ask: Ask) -> Representation:
    """The list, for who may review."""
    allowed(services, ask, Action.REVIEW_GLASS)
    body = orjson.dumps([_told(one) for one in broken(services)])
    answer = Representation(media_type="application/json", body=body)
    return record.answer(services, ask, record.Subject(action=Action.REVIEW_GLASS, object=""), answer)


def review(services: Services, ask: Ask, *, seq: int, finding: Finding, text: str) -> Representation:
    """Note what was found of one broken glass. Raises `NotFound`, `Conflict` where it was reviewed before."""
    allowed(services, ask, Action.REVIEW_GLASS)
    found = next((one for one in broken(services) if one.seq == seq), None)
    if found is None:
        raise NotFound
    if found.review is not None:
        raise Conflict("this was reviewed before")
    # The text may speak of somebody, so it is sealed.
    subject = record.Subject(action=Action.REVIEW_GLASS, object=text)
    services.journal.append(record.event(ask, subject, REVIEWED, 204, reason=f"{seq}: {finding}"))
    return Representation(media_type="application/json", body=b"", status=204)


def _told(one: Broken) -> Mapping[str, object]:
    seen = one.review
    return {
        "seq": one.seq,
        "time": one.time,
        "reason": one.reason,
        "review": {"seq": seen.seq, "time": seen.time, "finding": seen.finding} if seen else None,
    }
