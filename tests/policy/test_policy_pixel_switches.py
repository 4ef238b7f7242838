"""What a level does with pixels is told in words, a switch that is off as well as one that is on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.model import MaskingLevel
from server.policy.bundle import load
from server.policy.describe import pixel_switches

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SWITCHES = (
    "keep_markers", "keep_machine_text", "keep_unused_bits", "outline_regions", "masked_notice", "tell_regions",
)  # fmt: skip


def level(name: str) -> MaskingLevel:
    return load(POLICIES).levels[name]


def changes(switch: str, value: bool) -> dict[str, Any]:
    return {switch: value}


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_is_told_on_and_off(switch: str) -> None:
    on, off = (pixel_switches(replace(level("deidentified"), **changes(switch, value))) for value in (True, False))
    ((told, other),) = [(one, two) for one, two in zip(on, off, strict=True) if one != two]
    assert told.startswith(f"{switch} = true\t")
    assert other.startswith(f"{switch} = false\t")
    assert told.partition("\t")[2] != other.partition("\t")[2]


def test_a_switch_without_effect_is_told_as_that() -> None:
    assert "keep_machine_text = true\tno effect here" in pixel_switches(level("original"))
    assert "keep_machine_text = false\tlines that are certain to be technique or scale text are masked" in (
        pixel_switches(level("deidentified"))
    )


def test_explain_prints_them() -> None:
    result = CliRunner().invoke(cli, ["explain", "deidentified"], catch_exceptions=False)
    assert result.exit_code == 0
    assert set(pixel_switches(level("deidentified"))) <= set(result.output.splitlines())
