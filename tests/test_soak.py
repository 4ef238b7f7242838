"""Six hundred answers of what `tests/benchmarks/soak.py` asks for in ten minutes."""

from __future__ import annotations

from pathlib import Path

from soak_kit import STATED, soak


def test_clients_of_all_kinds_at_once_find_no_defect(tmp_path: Path) -> None:
    seen = soak(tmp_path, seconds=120, clients=16, enough=600)
    assert not seen.unexpected, seen.unexpected[:5]
    assert not seen.died
    assert seen.answers[200] > 200, seen.answers
    assert set(seen.failures) <= STATED, seen.failures
    assert not seen.broken, seen.broken
