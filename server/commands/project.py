"""`safelight project`: what there is to do about a research or teaching project."""

from __future__ import annotations

from pathlib import Path

import click

from server.commands.opening import data_option, services_of
from server.model import AuditEvent


@click.group()
def command() -> None:
    """End projects."""


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
