"""`safelight review`: list and settle the films that wait for a person, on the server itself.

Films are called by the number of their row, which is random and says nothing.
"""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path

import click

from server import review
from server.commands.opening import data_option, services_of
from server.develop import region_set
from server.model import Action, AuditEvent, LiftReason
from server.services import Services
from server.verdict import read_verdict

_PLACE = re.compile(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})(?:@(\d{1,9}(?:,\d{1,9})*))?", re.ASCII)
_LIFT = re.compile(r"(\d{1,9})=([a-z-]+)", re.ASCII)
_ROW = re.compile(r"[0-9a-f]{32}", re.ASCII)


@click.group()
def command() -> None:
    """Look through what the detectors could not finish or be sure of."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@data_option
def list_waiting(limit: int, data: Path | None) -> None:
    """Print what waits for a person, longest first: film, state, reason, since when, how many regions of which kind."""
    with services_of(data) as services:
        _record(services, Action.READ_QUEUE, "", "the review queue listed by command")
        for one in review.waiting(services, limit):
            film = one.instance
            kinds = ", ".join(f"{number} {kind}" for kind, number in sorted((one.kinds or {}).items()))
            reason = film.review.value if film.review else ""
            click.echo("\t".join((film.row, film.screening.value, reason, review.since(film) or "", kinds)))


@command.command("show")
@click.argument("film")
@data_option
def show(film: str, data: Path | None) -> None:
    """Print what was found of FILM, and the revision that settling it has to name."""
    with services_of(data) as services:
        one = services.catalog.instance_at(_row(film))
        _record(services, Action.READ_QUEUE, one.path.instance, "the regions of a film shown by command")
        found = region_set(services, services.study_key(one.path.study), one)
    shown = {
        "state": one.screening.value,
        "reason": one.review.value if one.review else None,
        "revision": one.revision.hex(),
        "frames": one.number_of_frames,
        "regions": [review.told(region) for region in found.regions] if found else None,
    }
    click.echo(json.dumps(shown, indent=1))


@command.command("settle")
@click.argument("film")
@click.option("--revision", required=True, help="What `show` printed: it must still be so.")
@click.option("--accept", is_flag=True, help="All as found.")
@click.option("--mask-wholly", is_flag=True, help="Every frame from edge to edge.")
@click.option("--add", multiple=True, metavar="TOP,LEFT,ROWS,COLUMNS[@FRAME,…]", help="Hide this too; repeatable.")
@click.option("--lift", multiple=True, metavar="INDEX=REASON", help=f"REASON: {', '.join(LiftReason)}. Repeatable.")
@click.option("--nothing-to-hide", is_flag=True, help="Neither add nor lift: what is there is all there is.")
@data_option
def settle(
    film: str,
    revision: str,
    accept: bool,
    mask_wholly: bool,
    add: tuple[str, ...],
    lift: tuple[str, ...],
    nothing_to_hide: bool,
    data: Path | None,
) -> None:
    """Settle FILM."""
    if accept + mask_wholly + bool(add or lift) + nothing_to_hide != 1:
        raise click.UsageError("say one of --accept, --mask-wholly, --add and --lift, --nothing-to-hide")
    body: dict[str, object] = {"verdict": "accept" if accept else "mask-wholly"}
    if not accept and not mask_wholly:
        body = {"verdict": "regions", "add": list(map(_region, add)), "lift": list(map(_lifted, lift))}
    verdict = read_verdict(body)
    with services_of(data) as services:
        one = services.catalog.instance_at(_row(film))
        if one.revision.hex() != revision:
            raise click.UsageError("the film has changed in the meantime: show it again")
        changed, found = review.settle_one(
            services, one, verdict, lambda said: _event(services, Action.SETTLE, one.path.instance, said)
        )
    click.echo(f"{changed.screening.value}, {len(found.regions)} regions, revision {changed.revision.hex()}")


def _row(text: str) -> str:
    if not _ROW.fullmatch(text):
        raise click.BadParameter("a film is called by 32 hexadecimal digits, as `list` prints them")
    return text


def _region(text: str) -> dict[str, object]:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise click.BadParameter("a region is TOP,LEFT,ROWS,COLUMNS or TOP,LEFT,ROWS,COLUMNS@FRAME,…")
    top, left, rows, columns, frames = found.groups()
    return {
        "top_row": int(top),
        "left_column": int(left),
        "row_count": int(rows),
        "column_count": int(columns),
        "frames": [int(frame) for frame in frames.split(",")] if frames else None,
    }


def _lifted(text: str) -> dict[str, object]:
    found = _LIFT.fullmatch(text)
    if found is None:
        raise click.BadParameter("what is lifted is INDEX=REASON")
    return {"region": int(found[1]), "reason": found[2]}


def _event(services: Services, action: Action, name: str, reason: str) -> AuditEvent:
    return AuditEvent(
        kind="review",
        action=action.value,
        status=0,
        request=services.randomness.bytes(16, "request").hex(),
        subject=f"command:{getpass.getuser()}",
        object=name,
        reason=reason,
    )


def _record(services: Services, action: Action, name: str, reason: str) -> None:
    services.journal.append(_event(services, action, name, reason))
