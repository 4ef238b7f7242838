"""`safelight screen`: the screening worker, in a process of its own, watched over by another."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from server import status
from server.commands.opening import data_option, services_of
from server.commands.supervise import Supervisor, worker_words
from server.commands.working import PATIENCE_SECONDS, Shift, work
from server.model import AuditEvent, ReviewReason, ScreeningState
from server.services import Services

AGAIN = {"failed": ScreeningState.FAILED, "in-review": ScreeningState.IN_REVIEW, "screened": ScreeningState.SCREENED}


@click.command()
@click.option("--drain", "until_empty", is_flag=True, help="Return when nothing is left to screen.")
@click.option("--status", "only_status", is_flag=True, help="Say how far screening has come, and return.")
@click.option(
    "--again",
    "states",
    multiple=True,
    type=click.Choice(sorted(AGAIN)),
    help="Put what is in this state back into the queue, and return; what people have settled is kept. Repeatable.",
)
@click.option("--with-parent", "parent", type=int, help="End when this process, which began this one, has ended.")
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=PATIENCE_SECONDS,
    show_default=True,
    help="Seconds that looking at one frame may take.",
)
@click.option("--looking", is_flag=True, hidden=True)
@click.option("--ended", "how", hidden=True)
@data_option
def command(
    until_empty: bool,
    only_status: bool,
    states: tuple[str, ...],
    parent: int | None,
    patience: int,
    looking: bool,
    how: str | None,
    data: Path | None,
) -> None:
    """Find what has to be hidden in the films that have come in."""
    if only_status or states:
        with services_of(data) as services:
            if states:
                click.echo(f"{_again(services, states)} films wait again")
            if only_status:
                for line in status.lines(status.status(services)):
                    click.echo(line)
        return
    if looking:
        work(data, Shift(until_empty=until_empty, parent=parent, patience=patience, ended=_ended(how)))
        return
    arguments = [
        *(("--drain",) if until_empty else ()),
        *("--patience", str(patience)),
        *(("--data", str(data)) if data else ()),
    ]
    sys.exit(Supervisor(worker_words(arguments), parent).run())


def _again(services: Services, states: tuple[str, ...]) -> int:
    reason = f"screened again by command: {', '.join(sorted(states))}"
    request = services.randomness.bytes(16, "request").hex()
    services.journal.append(
        AuditEvent(kind="screening", action="again", status=0, request=request, subject="command", reason=reason)
    )
    return services.catalog.again([AGAIN[state] for state in states], time.time())


def _ended(how: str | None) -> dict[int, ReviewReason]:
    """Which worker ended how, as the supervisor says it."""
    pid, _, reason = (how or "").partition(":")
    return {int(pid): ReviewReason(reason)} if pid.isdigit() and reason in list(ReviewReason) else {}
