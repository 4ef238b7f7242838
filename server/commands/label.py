"""`safelight label`: set a study's care relation."""

from __future__ import annotations

from pathlib import Path

import click

from server.commands.opening import data_option, services_of
from server.model import Action, AuditEvent, check_uid


@click.command()
@click.argument("study")
@click.option("--department", "departments", multiple=True, help="A department that cares for the patient; repeatable.")
@click.option("--care-team", multiple=True, help="The subject of a clinician who cares for the patient; repeatable.")
@data_option
def command(study: str, departments: tuple[str, ...], care_team: tuple[str, ...], data: Path | None) -> None:
    """Replace the care relation of STUDY (its original Study Instance UID)."""
    check_uid(study)
    with services_of(data) as services:
        event = AuditEvent(
            kind="label",
            action=Action.LABEL.value,
            status=0,
            request=services.randomness.bytes(16, "request").hex(),
            subject="command",
            object=study,
            reason="care relation set by command",
        )
        services.journal.append(event)
        services.catalog.set_labels(study, departments=departments, care_team=care_team)
    click.echo("labelled")
