"""Measuring: medians over rounds of wall and CPU time, and the table of ratios to a floor of the same run."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Median seconds of one call."""

    wall: float
    cpu: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `floor` is None where the figure stands alone."""

    name: str
    cost: Cost
    floor: Cost | None = None
    note: str = ""


def cpu_seconds() -> float:
    """What this process and its living children (the decoders) have used; children by the kernel's tick."""
    ticks = 0
    for tasks in Path("/proc/self/task").glob("*/children"):
        for child in tasks.read_text().split():
            try:
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / _TICK


def measure(
    call: Callable[[], object],
    *,
    rounds: int = 7,
    times: int = 1,
    before: Callable[[], object] | None = None,
    warm: bool = True,
) -> Cost:
    """The median of `rounds`, each after an untimed `before`; unless `warm` is off, one round goes ahead.

    A round is `times` calls, for calls that are short beside the reading of the clocks.
    """
    walls, cpus = [], []
    for number in range(-1 if warm else 0, rounds):
        if before is not None:
            before()
        gc.collect()
        cpu, wall = cpu_seconds(), time.perf_counter()
        for _ in range(times):
            call()
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        if number >= 0:
            walls.append(wall / times)
            cpus.append(cpu / times)
    return Cost(wall=statistics.median(walls), cpu=statistics.median(cpus))


def table(rows: list[Row]) -> str:
    """Markdown: milliseconds, and times the floor."""
    lines = [
        "| what | wall ms | CPU ms | floor: wall ms | floor: CPU ms | wall ÷ floor | CPU ÷ floor | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        cells = [row.name, _ms(row.cost.wall), _ms(row.cost.cpu)]
        if row.floor is None:
            cells += ["", "", "", ""]
        else:
            cells += [_ms(row.floor.wall), _ms(row.floor.cpu)]
            cells += [_times(row.cost.wall, row.floor.wall), _times(row.cost.cpu, row.floor.cpu)]
        lines.append(f"| {' | '.join(cells)} | {row.note} |")
    return "\n".join(lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g}" if seconds < 0.1 else f"{seconds * 1000:.0f}"


def _times(cost: float, floor: float) -> str:
    return f"{cost / floor:.2f}" if floor > 0 else "–"
