"""`safelight prepare`: the studies as the masked levels show them, worked out before anybody searches."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from server.admit import View
from server.commands.opening import data_option, services_of
from server.metadata.pseudonyms import domain_key
from server.model import Action, Caller
from server.world_filling import asked_in, fill


@click.command()
@click.option("--project", "projects", multiple=True, help="Levels with pseudonyms too, for this project; repeatable.")
@data_option
def command(projects: tuple[str, ...], data: Path | None) -> None:
    """Prepare searches: every level that searches, and those with pseudonyms for each project that is named.

    Searching prepares by itself, a little each time; of a large archive that takes long, and until it is done a search
    by pseudonym is answered with 503. Can be broken off and begun again.
    """
    with services_of(data) as services:
        bundle = services.policy.current
        for level in bundle.levels.values():
            if Action.SEARCH not in level.transactions:
                continue
            for project in projects if level.pseudonyms else (None,):
                key = None if project is None else domain_key(services.project_key(project), level.name)
                nobody = Caller(subject="", issuer="", client="", roles=frozenset(), project=project)
                asked = asked_in(services, bundle, nobody, View(level=level, domain=key))
                name = level.name if project is None else f"{level.name}, {project}"
                with tqdm(desc=name, unit=" studies", disable=None) as bar:
                    for state in fill(asked):
                        bar.total = state.total
                        bar.update(state.done - bar.n)
                done = services.catalog.filled(asked.world)
                click.echo(f"{name}: {done.done if done else 0} studies prepared")
