"""`safelight policy`: check a bundle, explain a decision, run its cases."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from server.commands.opening import data_option, services_of
from server.errors import ConfigurationError
from server.model import Action, Caller, PatientIdentity
from server.policy.bundle import load
from server.policy.cases import run_cases
from server.policy.explain import explain
from server.screening.devices import DEVICES_FILE, read_devices

_DIRECTORY = Path(__file__).resolve().parents[2] / "policies"
_policies = click.option(
    "--policies",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DIRECTORY,
    envvar="SAFELIGHT_POLICIES",
    help="The policy directory.",
)


@click.group()
def command() -> None:
    """Check, explain and test the access policy."""


@command.command("check")
@_policies
def check(policies: Path) -> None:
    """Check rules, levels, ladders, cases and the list of devices; exits with 1 and names everything that is wrong."""
    bundle = load(policies)
    devices = read_devices(_devices(policies))
    click.echo(
        f"valid: {len(bundle.book.rules)} rules, {len(bundle.levels)} levels, {len(devices)} device rules, "
        f"{bundle.fingerprint}"
    )


def _devices(policies: Path) -> bytes:
    try:
        return (policies / DEVICES_FILE).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{DEVICES_FILE} cannot be read: {error.strerror}") from None


@command.command("test")
@_policies
def test(policies: Path) -> None:
    """Run the cases of the bundle, one a line."""
    bundle = load(policies)
    failed = 0
    for outcome in run_cases(bundle, bundle.cases):
        failed += not outcome.passed
        click.echo(f"{'ok' if outcome.passed else 'FAILED'}\t{outcome.case.title}\t{outcome.action}: {outcome.got}")
    sys.exit(1 if failed else 0)


@command.command("explain")
@click.option("--role", required=True, help="The acting role.")
@click.option("--subject", default="someone", show_default=True)
@click.option("--department", "departments", multiple=True)
@click.option("--project")
@click.option("--patient", help="Patient binding, ISSUER|ID.")
@click.option("--action", type=click.Choice([one.value for one in Action]), default=Action.RETRIEVE_RENDERED.value)
@click.option("--study", required=True, help="The original Study Instance UID.")
@data_option
def explain_decision(
    role: str,
    subject: str,
    departments: tuple[str, ...],
    project: str | None,
    patient: str | None,
    action: str,
    study: str,
    data: Path | None,
) -> None:
    """Say at which level a caller would see STUDY, and why."""
    issuer, _, identifier = (patient or "").partition("|")
    with services_of(data) as services:
        caller = Caller(
            subject=subject,
            issuer=services.settings.issuer,
            client="command",
            roles=frozenset({role}),
            acting_role=role,
            project=project,
            patient=PatientIdentity(issuer=issuer, patient_id=identifier) if patient else None,
            departments=frozenset(departments),
        )
        record = services.catalog.find_study(study)
        if record is None:
            click.echo("no such study", err=True)
            sys.exit(1)
        click.echo(explain(services.policy.current, caller, Action(action), record, now=time.time()))
