"""`safelight label`: set a study's care relation and its labels."""

from __future__ import annotations

from pathlib import Path

import click

from server.commands.opening import data_option, services_of
from server.model import Action, AuditEvent, StudyLabel, check_uid


@click.command()
@click.argument("study")
@click.option("--department", "departments", multiple=True, help="A department that cares for the patient; repeatable.")
@click.option("--care-team", multiple=True, help="The subject of a clinician who cares for the patient; repeatable.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=click.Choice([*(one.value for one in StudyLabel), "none"]),
    help="What holds the study more closely; repeatable. Without it the labels stay; `none` takes all away.",
)
@data_option
def command(
    study: str, departments: tuple[str, ...], care_team: tuple[str, ...], labels: tuple[str, ...], data: Path | None
) -> None:
    """Replace the care relation of STUDY (its original Study Instance UID), and its labels where any are named."""
    if "none" in labels and len(labels) > 1:
        raise click.UsageError("`none` stands alone")
    wanted = frozenset(StudyLabel(one) for one in labels if one != "none") if labels else None
    check_uid(study)
    with services_of(data) as services:
        event = AuditEvent(
            kind="label",
            action=Action.LABEL.value,
            status=0,
            request=services.randomness.bytes(16, "request").hex(),
            subject="command",
            object=study,
            reason=f"care relation{' and labels' if labels else ''} set by command",
        )
        services.journal.append(event)
        services.catalog.set_labels(study, departments=departments, care_team=care_team, labels=wanted)
    click.echo("labelled")
