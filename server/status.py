"""How far screening has come: numbers without identity, for the command, the page and the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from server import record
from server.errors import Forbidden
from server.govern import allowed
from server.model import Action, Ask, Representation, ScreeningState
from server.services import Services
from server.workers import paces

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Status:
    """`counts` of instances by state; `rate` in films a second, of all `workers` on this machine together.

    `oldest` is how long the longest waiting one has waited, `remaining` how long the queue will take, both in seconds;
    None where there is nothing to say.
    """

    counts: Mapping[ScreeningState, int]
    workers: int
    rate: float
    oldest: float | None
    remaining: float | None


def status(services: Services) -> Status:
    """The numbers of this moment. Raises `Busy`."""
    counts, working = services.catalog.counts(), paces(services)
    rate = sum(pace.rate for pace in working)
    pending = counts[ScreeningState.PENDING]
    stored = services.catalog.oldest_pending() if pending else None
    return Status(
        counts=counts,
        workers=len(working),
        rate=rate,
        oldest=None if stored is None else max(0.0, services.clock() - stored),
        remaining=pending / rate if pending and rate else None,
    )


def for_page(services: Services, ask: Ask) -> str:
    """One sentence for the first page; empty for a role that may not read it."""
    try:
        allowed(services, ask, Action.READ_STATUS)
    except Forbidden:
        return ""
    found = status(services)
    told = ", ".join(f"{found.counts[state]} {state.value}" for state in ScreeningState)
    left = f"; the queue takes {_span(found.remaining)} more" if found.remaining is not None else ""
    return f"Screening: {told}{left}."


def lines(found: Status) -> Iterator[str]:
    """For a terminal."""
    yield from (f"{state.value:<12}{found.counts[state]:>9}" for state in ScreeningState)
    yield f"{'workers':<12}{found.workers:>9}"
    yield f"{'rate':<12}{60 * found.rate:>9.1f} films a minute"
    if found.oldest is not None:
        yield f"{'oldest':<12}{_span(found.oldest):>9}"
    if found.remaining is not None:
        yield f"{'remaining':<12}{_span(found.remaining):>9}"


def metrics(services: Services, ask: Ask) -> Representation:
    """The same in the text format of Prometheus, for a role that may read it."""
    allowed(services, ask, Action.READ_STATUS)
    body = "".join(f"{line}\n" for line in _exposition(status(services))).encode()
    subject = record.Subject(action=Action.READ_STATUS, object="")
    return record.answer(services, ask, subject, Representation(media_type=MEDIA_TYPE, body=body))


def _exposition(found: Status) -> Iterator[str]:
    yield "# HELP safelight_instances Instances by the state of their screening."
    yield "# TYPE safelight_instances gauge"
    for state, number in found.counts.items():
        yield f'safelight_instances{{state="{state.value}"}} {number}'
    gauges = (
        ("safelight_screening_workers", "Screening workers at work on this machine.", found.workers),
        ("safelight_screening_films_per_second", "Films screened a second, all workers together.", found.rate),
        ("safelight_screening_oldest_seconds", "How long the longest waiting film has waited.", found.oldest or 0),
    )
    for name, text, value in gauges:
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} gauge"
        yield f"{name} {value:g}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
