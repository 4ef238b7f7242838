"""`safelight consent`: record what a patient said to the use of their films."""

from __future__ import annotations

from pathlib import Path

import click

from server.commands.opening import data_option, services_of
from server.model import Action, AuditEvent, Choice, Consent, check_uid

_choice = click.Choice([one.value for one in Choice])


@click.command()
@click.argument("study")
@click.option("--disclosure", type=_choice, required=True, help="To disclosure within the hospital.")
@click.option("--research", type=_choice, required=True, help="To research and teaching.")
@data_option
def command(study: str, disclosure: str, research: str, data: Path | None) -> None:
    """Record what the patient of STUDY (its original Study Instance UID) said, for all studies of that patient."""
    check_uid(study)
    with services_of(data) as services:
        event = AuditEvent(
            kind="label",
            action=Action.RECORD_CONSENT.value,
            status=0,
            request=services.randomness.bytes(16, "request").hex(),
            subject="command",
            object=study,
            reason=f"consent recorded by command: disclosure {disclosure}, research {research}",
        )
        services.journal.append(event)
        consent = Consent(disclosure=Choice(disclosure), research=Choice(research))
        count = services.catalog.set_consent(study, consent)
    click.echo(f"recorded for {count} studies")
