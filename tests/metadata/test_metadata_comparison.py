"""Before and after: every element of either, paired in sequences; and the command that prints it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from metadata_films import film, part10, stored

from server.commands.explain import command
from server.metadata.comparison import compared
from server.metadata.elements import Element, in_order, sequence_element, string_element


def test_lines() -> None:
    item = in_order([string_element(0x00100010, "PN", "A"), string_element(0x00080060, "CS", "CT")])
    before = in_order(
        [
            sequence_element(0x00081115, [item]),
            sequence_element(0x00081140, [item, item]),
            string_element(0x00081030, "LO", "x" * 60),
            string_element(0x00081040, "LO", "a\nb"),
            Element(0x00280010, "US", b"\x02\x00"),
            Element(0x60003000, "OW", bytes(100)),
        ]
    )
    left = in_order([string_element(0x00080060, "CS", "CT")])
    after = in_order([sequence_element(0x00081115, [left]), string_element(0x00120062, "CS", "YES")])
    lines = {(line.path, line.tag): (line.before, line.after) for line in compared(before, after)}
    assert lines["", 0x00081115] == ("<1 items>", "<1 items>")
    assert lines["00081115[1].", 0x00100010] == ("A", "")
    assert lines["00081115[1].", 0x00080060] == ("CT", "CT")
    assert lines["", 0x00081140] == ("<2 items>", "")
    assert lines["", 0x00120062] == ("", "YES")
    assert lines["", 0x00081040] == ("a?b", "")
    assert lines["", 0x00280010] == ("<0200>", "")
    assert lines["", 0x60003000] == ("<100 bytes>", "")
    assert len(lines["", 0x00081030][0]) == 48


def test_the_command_explains_a_level() -> None:
    result = CliRunner().invoke(command, ["deidentified"])
    assert result.exit_code == 0
    assert "(0010,0010)\tPatientName\tD\tthe file lists it under D; PS3.15 2026d Table E.1-1: Z" in result.output
    assert "all other attributes: X" in result.output


def test_the_command_compares_a_file(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(part10(film(StudyDescription="CHEST PA Mr Canary")))
    first = CliRunner().invoke(command, ["deidentified", str(path)]).output
    second = CliRunner().invoke(command, ["deidentified", str(path)]).output
    assert "PatientName\tMUSTER^MAXIMA\t" in first
    assert first != second  # another key each time
    lines = {line.split("\t")[0]: line.split("\t")[1:] for line in first.splitlines()}
    assert lines["(0008,1030) StudyDescription"][:2] == ["CHEST PA Mr Canary", "CHEST PA"]
    assert lines["(0012,0062) PatientIdentityRemoved"][:2] == ["", "YES"]
    same = CliRunner().invoke(command, ["original", str(path)]).output
    assert all(line.split("\t")[1] == line.split("\t")[2] for line in same.splitlines()[1:])


@pytest.mark.parametrize(
    ("sop_class", "action", "told"),
    [
        ("1.2.840.10008.5.1.4.1.1.1", "X", "Type 3 or unknown in computed-radiography-image: X"),
        ("1.2.840.10008.5.1.4.1.1.2.1", "D", "Type 1 in enhanced-ct-image: D"),
        ("1.2.3", "X", "Type 3 or unknown in an object of no known kind: X"),
    ],
)
def test_the_command_names_the_action_that_the_type_chose(
    tmp_path: Path, sop_class: str, action: str, told: str
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(part10(film(SOPClassUID=sop_class, DeviceSerialNumber="0815")))
    result = CliRunner().invoke(command, ["deidentified", str(path)])
    assert result.exit_code == 0, result.output
    lines = {line.split("\t")[0]: line.split("\t")[1:] for line in result.output.splitlines()}
    before, after, done, why = lines["(0018,1000) DeviceSerialNumber"]
    assert (before, done) == ("0815", action)
    assert (after != "—") is (action == "D")
    assert "0815" not in after
    assert why.endswith(told)


def test_no_such_level() -> None:
    assert CliRunner().invoke(command, ["nobody"]).exit_code != 0


def test_nothing_is_lost_in_a_comparison() -> None:
    elements = stored(film()).elements
    assert [line.tag for line in compared(elements, {})] == list(elements)
