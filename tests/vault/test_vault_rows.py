"""Sealed rows: round trips, and values that were moved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_helpers import OTHER_KEY, STUDY_KEY, SeededRandomness, opens, record_nonces

from server.vault.rows import RowSealer


@given(table=st.text(max_size=10), row=st.text(max_size=10), value=st.binary(max_size=100))
@settings(max_examples=50, deadline=None)
def test_values_come_back(table: str, row: str, value: bytes) -> None:
    sealer = RowSealer(STUDY_KEY, SeededRandomness())
    assert sealer.open(table, row, sealer.seal(table, row, value)) == value


def test_a_A9_a_value_moved_to_another_row_table_or_key_is_refused() -> None:
    sealer = RowSealer(STUDY_KEY, SeededRandomness())
    sealed = sealer.seal("study", "7 a", b"value")
    assert opens(lambda: sealer.open("study", "7 a", sealed))
    for table, row in [("study", "7 b"), ("series", "7 a"), ("study 7", "a"), ("", "study 7 a"), ("study 7 a", "")]:
        assert not opens(sealer.open, table, row, sealed)
    assert not opens(lambda: RowSealer(OTHER_KEY, SeededRandomness()).open("study", "7 a", sealed))


def test_a_A9_equal_values_of_one_row_are_sealed_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    used = record_nonces(monkeypatch)
    sealer = RowSealer(STUDY_KEY, SeededRandomness())
    sealed = {sealer.seal(table, "1", b"value") for table in ("study", "series") for _ in range(50)}
    assert len(sealed) == len(set(used)) == 100


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError):
        RowSealer(STUDY_KEY[:31], SeededRandomness())
