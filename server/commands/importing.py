"""`safelight import`: store files, folders and zips; says what was stored, what was refused, and why."""

from __future__ import annotations

import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from tqdm import tqdm

from server.commands.opening import data_option, services_of
from server.importing import Imported, import_object
from server.incoming import Storer
from server.services import Services


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--department", default="radiology", show_default=True, help="The department that stores.")
@click.option("--care-department", multiple=True, help="A department that cares for the patients; repeatable.")
@click.option("--care-team", multiple=True, help="The subject of a clinician who cares for them; repeatable.")
@data_option
def command(
    paths: tuple[Path, ...],
    department: str,
    care_department: tuple[str, ...],
    care_team: tuple[str, ...],
    data: Path | None,
) -> None:
    """Store everything under PATHS: DICOM files, folders, zips. Exits with 1 if anything was refused."""
    storer = Storer(
        subject="import",
        department=department,
        departments=frozenset(care_department),
        care_team=frozenset(care_team),
    )
    with services_of(data) as services:
        refused = run(services, storer, paths)
    sys.exit(1 if refused else 0)


def run(services: Services, storer: Storer, paths: tuple[Path, ...]) -> int:
    """Import behind a progress bar, print the summary, return the number of refusals."""
    limit = services.settings.max_request_bytes
    outcomes: Counter[str] = Counter()
    refused: list[tuple[str, Imported]] = []
    sources = list(_sources(paths))
    with tqdm(desc="storing", unit=" objects", total=len(sources)) as bar:
        for name, opener in sources:
            outcome = import_object(services, storer, opener, limit)
            outcomes["stored" if outcome.stored else "refused"] += 1
            if not outcome.stored:
                refused.append((name, outcome))
            bar.update()
    click.echo(f"stored {outcomes['stored']}, refused {outcomes['refused']}")
    for name, outcome in refused:
        click.echo(f"  refused {name}: {outcome.reason}")
    return len(refused)


def _sources(paths: tuple[Path, ...]) -> Iterator[tuple[str, Path | tuple[Path, str]]]:
    """Every object to read: a file, or a member of a zip. Members are never unpacked to disk."""
    for path in paths:
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for file in files:
            members = _members(file)
            if members is None:
                yield file.name, file
            else:
                yield from ((f"{file.name}: member {number}", (file, name)) for number, name in enumerate(members, 1))


def _members(file: Path) -> list[str] | None:
    """The names of a zip's members; None for what is no zip, though it may end like one."""
    if not zipfile.is_zipfile(file):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            return [one.filename for one in archive.infolist() if not one.is_dir()]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None
