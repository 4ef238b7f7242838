"""`safelight explain`: what a level does with each attribute and why; for a file, before and after."""

from __future__ import annotations

from pathlib import Path

import click

from server.errors import ConfigurationError
from server.metadata.comparison import compared
from server.metadata.deidentify import deidentify
from server.metadata.elements import Elements
from server.metadata.identifiers import identifiers, patient_identifier
from server.metadata.part10 import read
from server.metadata.pseudonyms import ROW_KEY_BYTES, IdentityMapping, Pseudonyms, domain_key
from server.model import MaskingLevel
from server.policy.bundle import load
from server.policy.outline import outline, reason, remainder
from server.services import SystemRandomness

_DIRECTORY = Path(__file__).resolve().parents[2] / "policies"


@click.command()
@click.argument("level")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--policies", type=click.Path(path_type=Path, file_okay=False), default=_DIRECTORY, help="The policy directory."
)
def command(level: str, file: Path | None, policies: Path) -> None:
    """Say what LEVEL does with each attribute, tab-separated; with FILE, what becomes of that DICOM object.

    Needs no server. Pseudonyms and the shift of dates are made with a key that is thrown away.
    """
    levels = load(policies).levels
    if level not in levels:
        raise ConfigurationError(f"no such level; there are {', '.join(sorted(levels))}")
    chosen = levels[level]
    if file is None:
        _explain(chosen)
    else:
        _compare(chosen, read(file.read_bytes()).elements)


def _explain(level: MaskingLevel) -> None:
    for one in outline(level).values():
        click.echo(f"{_tag(one.tag)}\t{one.keyword}\t{one.action}\t{one.why}")
    for sentence in remainder(level):
        click.echo(sentence)


def _compare(level: MaskingLevel, elements: Elements) -> None:
    masked = deidentify(elements, level, _names(level, elements), pixels_masked=False)
    named = outline(level)
    click.echo("attribute\tbefore\tafter\taction\twhy")
    for line in compared(elements, masked.elements):
        because = reason(level, named, line.tag)
        name = f"{line.path}{_tag(line.tag)} {because.keyword}".rstrip()
        added = not line.before and line.after
        why = "says what was done, or is wanted in every object" if added else because.why
        click.echo(f"{name}\t{line.before}\t{line.after or '—'}\t{because.action}\t{why}")


def _names(level: MaskingLevel, elements: Elements) -> Pseudonyms | IdentityMapping:
    """Names of a domain that nobody will ever have the key of."""
    if not level.pseudonyms:
        return IdentityMapping()
    randomness = SystemRandomness()
    row_keys = {one: randomness.bytes(ROW_KEY_BYTES, label) for one, label in identifiers(elements).items()}
    return Pseudonyms(
        domain_key=domain_key(randomness.bytes(32, "explain"), level.name),
        row_keys=row_keys,
        patient_row_key=row_keys[patient_identifier(elements)],
    )


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
