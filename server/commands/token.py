"""`safelight token`: a bearer token of the running demo, for scripts. There is no such thing for a real server."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import click

from server.commands.opening import PROVIDER_KEY, demo_port, demo_settings, keys_of
from server.demo.users import DemoUser, demo_users, mint_token
from server.errors import ConfigurationError
from server.model import PatientIdentity
from server.services import SystemRandomness


@click.command()
@click.argument("role")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="The demo's directory.")
@click.option("--user", help="The subject, instead of the demo's own user for the role.")
@click.option("--project", help="The research project, instead of the user's own.")
@click.option("--department", "departments", multiple=True, help="Departments, instead of the user's own; repeatable.")
@click.option("--patient", help="Patient binding as ISSUER|ID, instead of the user's own.")
def command(
    role: str,
    data: Path,
    user: str | None,
    project: str | None,
    departments: tuple[str, ...],
    patient: str | None,
) -> None:
    """Print a bearer token for ROLE (or for a demo user of that name) as the last line."""
    settings = demo_settings(data, demo_port(data))
    known = demo_users()
    chosen = known.get(role) or DemoUser(name=role, roles=(role,))
    if user:
        chosen = replace(chosen, name=user)
    if departments:
        chosen = replace(chosen, departments=departments)
    if patient:
        issuer, _, identifier = patient.partition("|")
        chosen = replace(chosen, patient=PatientIdentity(issuer=issuer, patient_id=identifier))
    try:
        key = json.loads((keys_of(data) / PROVIDER_KEY).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError("the demo's provider key cannot be read") from error
    token = mint_token(
        key,
        chosen,
        issuer=settings.issuer,
        audience=settings.audience,
        now=time.time(),
        randomness=SystemRandomness(),
        project=project,
    )
    click.echo(token)
