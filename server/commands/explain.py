"""`safelight explain`: what a level does with each attribute and why; for a file, before and after."""

from __future__ import annotations

from pathlib import Path

import click

from server.errors import ConfigurationError
from server.metadata.comparison import compared
from server.metadata.deidentify import deidentify
from server.metadata.elements import Elements, first_text
from server.metadata.identifiers import identifiers, patient_identifier
from server.metadata.iod_types import SOP_CLASSES
from server.metadata.part10 import read
from server.metadata.pseudonyms import ROW_KEY_BYTES, IdentityMapping, Pseudonyms, domain_key
from server.metadata.required import OPTIONAL, chosen, need
from server.model import MaskingLevel
from server.policy.bundle import load
from server.policy.describe import in_words, pixel_switches
from server.policy.outline import Reason, outline, reason, remainder
from server.services import SystemRandomness

_SOP_CLASS_UID = 0x00080016
_DIRECTORY = Path(__file__).resolve().parents[2] / "policies"


@click.command()
@click.argument("level")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--policies", type=click.Path(path_type=Path, file_okay=False), default=_DIRECTORY, help="The policy directory."
)
def command(level: str, file: Path | None, policies: Path) -> None:
    """Say in words what LEVEL does, then with each attribute; with FILE, what becomes of that DICOM object.

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
    for sentence in in_words(level):
        click.echo(sentence)
    for one in outline(level).values():
        click.echo(f"{_tag(one.tag)}\t{one.keyword}\t{one.action}\t{one.why}")
    for sentence in (*remainder(level), *pixel_switches(level)):
        click.echo(sentence)


def _compare(level: MaskingLevel, elements: Elements) -> None:
    masked = deidentify(elements, level, _names(level, elements), pixels_masked=False)
    named = outline(level)
    sop_class = first_text(elements, _SOP_CLASS_UID)
    click.echo("attribute\tbefore\tafter\taction\twhy")
    for line in compared(elements, masked.elements):
        because = _typed(level, reason(level, named, line.tag), sop_class, _parent(line.path))
        name = f"{line.path}{_tag(line.tag)} {because.keyword}".rstrip()
        added = not line.before and line.after
        why = "says what was done, or is wanted in every object" if added else because.why
        click.echo(f"{name}\t{line.before}\t{line.after or '—'}\t{because.action}\t{why}")


def _typed(level: MaskingLevel, because: Reason, sop_class: str, parent: int) -> Reason:
    """The reason with the action that the attribute's Type in this object's IOD chose, where the row offers several."""
    profile, tag = level.elements.profile, because.tag
    row = tag & 0xFF00FFFF if tag >> 24 in (0x50, 0x60) else tag
    choices = () if profile is None else profile.choices.get(row, ())
    if len(choices) < 2 or because.action is not choices[0]:
        return because
    needed = need(sop_class, parent, tag)
    kind = SOP_CLASSES.get(sop_class) or "an object of no known kind"
    known = "3 or unknown" if needed == OPTIONAL else str(needed)
    action = chosen(choices, needed)
    return because._replace(action=action, why=f"{because.why}; Type {known} in {kind}: {action}")


def _parent(path: str) -> int:
    """The tag of the sequence in whose item an element lies, 0 at the top."""
    return int(path.rstrip(".").rpartition(".")[2][:8], 16) if path else 0


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
