"""`safelight audit`: check the journal's chain, read its entries."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from server.audit.head import Head
from server.audit.keys import read_public
from server.audit.show import cell, read
from server.audit.verify import verify
from server.commands.opening import data_option, services_of, settings_of


@click.group()
def command() -> None:
    """Check and read the audit journal."""


@command.command("verify")
@data_option
@click.option("--journal", type=click.Path(path_type=Path, file_okay=False), help="The journal directory itself.")
@click.option("--noted", help="The head that an earlier check printed: it must still be part of this journal.")
def verify_journal(data: Path | None, journal: Path | None, noted: str | None) -> None:
    """Check every entry. Needs no key but the public one; names the first broken entry, then exits with 1.

    Note the head that it prints where nobody who can write the journal can, and give it to the next check.
    """
    directory = journal or settings_of(data).journal
    result = verify(directory, read_public(directory), noted=_head(noted) if noted else None)
    if result.problem is not None:
        click.echo(f"broken: {result.problem}", err=True)
        sys.exit(1)
    head = result.head
    click.echo(f"head {head.seq}:{head.hash}:{head.file}:{head.size}")
    click.echo(f"{result.entries} entries, unbroken")


def _head(noted: str) -> Head:
    """Read what `audit verify` printed. Raises `BadParameter`."""
    try:
        seq, digest, file, size = noted.removeprefix("head ").split(":")
        return Head(seq=int(seq), hash=digest, file=int(file), size=int(size))
    except ValueError as error:
        raise click.BadParameter("a head is number:hash:file:size") from error


@command.command("show")
@data_option
@click.option("--identities", is_flag=True, help="Open the sealed subjects and objects (needs the keyring).")
@click.option("--last", default=50, show_default=True, help="How many entries.")
def show_journal(data: Path | None, identities: bool, last: int) -> None:
    """Print the last entries, one a line."""
    with services_of(data) as services:
        key = services.journal_seal_key if identities else None
        entries = list(read(services.settings.journal, key))[-last:]
    for entry in entries:
        event = entry.event
        words = [
            str(entry.seq), entry.time, event.kind, event.action, str(event.status), event.acting_role, event.level,
            ",".join(event.rules), event.subject, event.object, event.reason,
        ]  # fmt: skip
        click.echo("\t".join(cell(word) for word in words))
