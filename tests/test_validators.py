"""Somebody else's validator: a masked film has no error that its original did not have.

`dciodvfy` (Debian's dicom3tools) knows the modules of each IOD. Where it is not installed there is nothing to compare;
`tests/needs.sh` installs it, and in CI fails without.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pydicom
import pytest
from builders import RGB, PixelFormat, chest_film, part10_bytes
from house import House

VALIDATOR = shutil.which("dciodvfy")
WHEEL = Path(pydicom.__file__).parent / "data" / "test_files"
MORE = Path(str(distribution("pydicom-data").locate_file("data_store/data")))
FILMS = {
    "CT": WHEEL / "CT_small.dcm",
    "MR": WHEEL / "MR_small_implicit.dcm",
    "MR, J2K": MORE / "MR2_J2KR.dcm",
    "CR": MORE / "RG1_J2KR.dcm",
    "CR, odd": MORE / "RG3_UNCR.dcm",
    "CT, J2K": MORE / "693_J2KR.dcm",
    "US": MORE / "US1_J2KR.dcm",
    "US, palette": MORE / "OBXXXX1A_rle.dcm",
    "US, YBR": WHEEL / "examples_ybr_color.dcm",
    "SC": WHEEL / "SC_rgb_rle.dcm",
    "SC, odd": WHEEL / "SC_rgb_small_odd.dcm",
    "NM": WHEEL / "JPEG2000.dcm",
    "dose": WHEEL / "rtdose_1frame.dcm",
    "report": WHEEL / "reportsi.dcm",
    "report, measured": WHEEL / "test-SR.dcm",
}
_TITLE, _CONTENT = "ConceptNameCodeSequence", "ContentSequence"
REPORT = {
    f"Error - {_TITLE} is required for root content item (in top level dataset) - attribute <{_TITLE}>",
    f"Error - Empty attribute (no value) Type 1C Conditional Element=<{_CONTENT}> Module=<DocumentRelationshipMacro>",
}
REMAINING = {
    # Frames are sent as they are decoded, and module US Image lists YBR_FULL for RLE alone (PS3.3 C.8.5.6.1.2).
    "US, YBR": {
        "Error - Unrecognized enumerated value <0> for value 1 of attribute <Planar Configuration>",
        "Error - Unrecognized enumerated value <YBR_FULL> for value 1 of attribute <Photometric Interpretation>",
    },
    # Title and items are named by codes of somebody's own; what such a code says nobody knows, and nothing is left.
    "report": REPORT,
    "report, measured": REPORT,
}
"""What is left, so that it is seen when it goes."""
_VALUE = re.compile(r" = <[^>]*>|\[[0-9]+\]")


def bodies() -> Iterator[tuple[str, bytes]]:
    yield "DX, made", part10_bytes(chest_film(study=1))
    yield "SC, made", part10_bytes(chest_film(RGB, study=2))
    yield "SC, one bit, made", part10_bytes(chest_film(PixelFormat(bits_allocated=1, bits_stored=1), study=3))
    yield from ((name, path.read_bytes()) for name, path in FILMS.items())


def errors(validator: str, file: Path) -> set[str]:
    """The validator's errors, without the values that they quote. It tells success and failure by them alone."""
    done = subprocess.run([validator, str(file)], capture_output=True, check=False)
    lines = (done.stderr + done.stdout).decode("latin-1").splitlines()
    return {_VALUE.sub("", line) for line in lines if line.startswith("Error")}


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, bytes, bytes]]]:
    """Name, original and masked instance of every film, after its screening."""
    with House(tmp_path_factory.mktemp("validators")) as house:
        known: set[str] = set()
        films = []
        for name, body in bodies() if VALIDATOR else ():
            assert house.store(body).status_code == 200, name
            (path,) = set(house.instances("researcher", query_string={"limit": 1000})) - known
            known.add(path)
            films.append((name, body, path))
        house.screen()
        sent = [(name, body, house.get(path, "researcher", "application/dicom")) for name, body, path in films]
        assert {answer.status_code for _, _, answer in sent} <= {200}
        yield [(name, body, answer.get_data()) for name, body, answer in sent]


def test_a_masked_film_has_no_error_that_its_original_had_not(
    masked: list[tuple[str, bytes, bytes]], tmp_path: Path
) -> None:
    new: dict[str, set[str]] = {}
    for name, original, sent in masked:
        assert VALIDATOR is not None
        before, after = tmp_path / "before.dcm", tmp_path / "after.dcm"
        before.write_bytes(original)
        after.write_bytes(sent)
        more = errors(VALIDATOR, after) - errors(VALIDATOR, before)
        if more != REMAINING.get(name, set()):
            new[name] = more ^ REMAINING.get(name, set())
    assert not new, "\n".join(f"{name}: {line}" for name, lines in new.items() for line in sorted(lines))
