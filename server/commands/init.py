"""`safelight init`: make the keys, the tables and the journal of a new server."""

from __future__ import annotations

import os

import click

from server.services import SystemRandomness, initialise
from server.settings import check_production, read_settings


@click.command()
def command() -> None:
    """Make keyring, data directory, tables and journal for the configured server.

    Keep a copy of the keyring in a safe place: without it every film is lost, and there is no other way in.
    """
    settings = check_production(read_settings(os.environ))
    initialise(settings, SystemRandomness())
    click.echo(f"keyring: {settings.keyring}")
    click.echo(f"data: {settings.data}")
    click.echo("Copy the keyring to a safe place now: whoever loses it loses every film.")
