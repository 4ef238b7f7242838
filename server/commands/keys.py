"""`safelight keys`: the key-encryption keys."""

from __future__ import annotations

from pathlib import Path

import click

from server.commands.opening import data_option, services_of
from server.model import AuditEvent
from server.services import rotate


@click.group()
def command() -> None:
    """Rotate the key-encryption keys."""


@command.command("rotate")
@data_option
def rotate_keys(data: Path | None) -> None:
    """Make a new key-encryption key and wrap every key anew; films and pseudonyms stay as they are."""
    with services_of(data) as services:
        services.journal.append(
            AuditEvent(
                kind="keys",
                action="rotate",
                status=0,
                request=services.randomness.bytes(16, "request").hex(),
                subject="command",
                reason="a new key-encryption key, set by command",
            )
        )
        count = rotate(services)
    click.echo(f"{count} keys wrapped anew")
