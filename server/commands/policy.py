"""`safelight policy`: check a bundle, run its cases, prove its claims, compare two, explain a decision."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from server.circumstances import placed
from server.commands.opening import data_option, services_of
from server.demo.users import DemoUser, demo_users
from server.errors import ConfigurationError
from server.model import Action, Ask, Caller, PatientIdentity, Zone
from server.policy.bundle import load
from server.policy.cases import run_cases
from server.policy.check import oddities, remarks
from server.policy.claims import cells, prove_all, try_all
from server.policy.difference import differences, ladders
from server.policy.explain import explain
from server.screening.devices import DEVICES_FILE, read_devices
from server.settings import DEMO_MARK

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
    """Check, test, prove, compare and explain the access policy."""


@command.command("check")
@_policies
def check(policies: Path) -> None:
    """Check schema, rules, levels, ladders, cases, claims and the list of devices.

    Exits with 1 and names all that is wrong: rules that never apply, acts that nobody may do, what no case shows.
    """
    bundle = load(policies)
    devices = read_devices(_devices(policies))
    found = [*oddities(bundle)]
    for sentence in found:
        click.echo(sentence, err=True)
    if found:
        sys.exit(1)
    click.echo(
        f"valid: {len(bundle.book.rules)} rules, {len(bundle.levels)} levels, {len(bundle.cases)} cases, "
        f"{len(bundle.claims)} claims, {len(devices)} device rules, "
        f"{bundle.fingerprint}"
    )
    for sentence in remarks(bundle):
        click.echo(f"note: {sentence}")


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


@command.command("diff")
@click.argument("old", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("new", type=click.Path(path_type=Path, file_okay=False, exists=True))
def diff(old: Path, new: Path) -> None:
    """Say which role gains or loses what, and in which situations, where the policy NEW takes the place of OLD.

    Exits with 1 if there is a difference.
    """
    before, after = load(old), load(new)
    told = [*map(str, differences(before, after)), *ladders(before, after)]
    for line in told:
        click.echo(line)
    click.echo(f"{len(told)} differences")
    sys.exit(1 if told else 0)


@command.command("prove")
@_policies
def prove(policies: Path) -> None:
    """Put every situation that the rules can tell apart to the engine, and prove every claim for all there are.

    Needs z3 (`pip install safelight[verify]`). Exits with 1 if a claim does not hold.
    """
    bundle = load(policies)
    begun = time.monotonic()
    tried = try_all(bundle, cells(bundle))
    click.echo(
        f"{tried.situations} situations in {tried.cells} cells of role and action put to the engine, "
        f"{tried.permitted} permitted, {time.monotonic() - begun:.1f} s"
    )
    begun = time.monotonic()
    proved = {verdict.identifier: verdict for verdict in prove_all(bundle)}
    for verdict in tried.verdicts:
        formal = proved.get(verdict.identifier)
        broken = (*verdict.broken[:3], *(formal.broken[:3] if formal else ()))
        word = "REFUTED" if broken else "proved" if formal else "holds"
        click.echo(f"{word}\t{verdict.identifier}\t{verdict.note}")
        for where in broken:
            click.echo(f"\t\t{where}")
    click.echo(f"{len(proved)} claims put to z3, {time.monotonic() - begun:.1f} s")
    failed = [*tried.verdicts, *proved.values()]
    sys.exit(1 if any(verdict.broken for verdict in failed) else 0)


@command.command("explain")
@click.option("--as", "user", default="someone", help="A user of the demo, a role, or a subject (with --role).")
@click.option("--role", help="The acting role.")
@click.option("--department", "departments", multiple=True)
@click.option("--project")
@click.option("--purpose", help="Purpose of use, an HL7 v3 code.")
@click.option("--patient", help="Patient binding, ISSUER|ID.")
@click.option("--zone", type=click.Choice([one.value for one in Zone]), default=Zone.UNKNOWN.value, show_default=True)
@click.option("--broken-glass", is_flag=True, help="As if the glass were broken for the study's patient.")
@click.option("--action", type=click.Choice([one.value for one in Action]), default=Action.RETRIEVE_RENDERED.value)
@click.option("--study", required=True, help="The original Study Instance UID.")
@data_option
def explain_decision(
    *,
    user: str,
    role: str | None,
    departments: tuple[str, ...],
    project: str | None,
    purpose: str | None,
    patient: str | None,
    zone: str,
    broken_glass: bool,
    action: str,
    study: str,
    data: Path | None,
) -> None:
    """Say at which level a user would see STUDY, by which rule, and what would change it."""
    with services_of(data) as services:
        bundle = services.policy.current
        demo = demo_users().get(user) if (services.settings.data / DEMO_MARK).exists() else None
        known = demo or DemoUser(name=user, roles=(role or user,))
        if unknown := sorted({*known.roles, *filter(None, [role])} - bundle.roles):
            raise ConfigurationError(f"no such role; with --role, one of {', '.join(sorted(bundle.roles))}: {unknown}")
        issuer, _, identifier = (patient or "").partition("|")
        caller = Caller(
            subject=demo.subject if demo else user,
            issuer=services.settings.issuer,
            client="command",
            roles=frozenset(known.roles),
            project=project or known.project,
            purpose=purpose or known.purpose,
            patient=PatientIdentity(issuer=issuer, patient_id=identifier) if patient else known.patient,
            departments=frozenset(departments or known.departments),
        )
        record = services.catalog.find_study(study)
        if record is None:
            click.echo("no such study", err=True)
            sys.exit(1)
        caller = placed(services, Ask(caller=caller, request="", zone=Zone(zone)), caller)
        if broken_glass:
            opened = replace(caller.circumstances, broken_glass=frozenset({record.patient}))
            caller = replace(caller, circumstances=opened)
        click.echo(explain(bundle, caller, Action(action), record, now=services.clock(), requested=role))
