"""`safelight project`: what there is to do about a research or teaching project."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from server.commands.opening import data_option, services_of
from server.model import Action, AuditEvent


@click.group()
def command() -> None:
    """Approve projects until a day, list them, end them."""


@command.command("approve")
@click.argument("name")
@click.argument("until", type=click.DateTime(["%Y-%m-%d"]))
@data_option
def approve(name: str, until: datetime, data: Path | None) -> None:
    """Enter UNTIL (YYYY-MM-DD), the last day on which the project NAME is approved; a day in the past closes it."""
    day = until.date()
    with services_of(data) as services:
        services.journal.append(
            AuditEvent(
                kind="label",
                action=Action.APPROVE_PROJECT.value,
                status=0,
                request=services.randomness.bytes(16, "request").hex(),
                subject="command",
                object=name,
                reason=f"project approved until {day.isoformat()} by command",
            )
        )
        services.catalog.approve_project(name, day)
    click.echo(f"approved until {day.isoformat()}")


@command.command("list")
@data_option
def listed(data: Path | None) -> None:
    """List the projects that were entered, with the last day of each."""
    with services_of(data) as services:
        for name, day in services.catalog.projects().items():
            click.echo(f"{day.isoformat()}\t{name}")


@command.command("end")
@click.argument("name")
@data_option
def end(name: str, data: Path | None) -> None:
    """Destroy the pseudonym key of the project NAME: its UIDs and IDs lead nowhere any more.

    A token that names the project afterwards finds the films under new pseudonyms, which nothing joins to the old ones;
    whoever is to find nothing must no longer be given the role.
    """
    with services_of(data) as services:
        services.journal.append(
            AuditEvent(
                kind="keys",
                action="end-project",
                status=0,
                request=services.randomness.bytes(16, "request").hex(),
                subject="command",
                project=name,
                reason="the pseudonym key of a project destroyed by command",
            )
        )
        ended = services.catalog.end_project(name)
    click.echo("ended" if ended else "there was nothing to end: the project has no pseudonyms")
