"""Five seconds of what `make crowd-test` does for a minute with ten times as many."""

from __future__ import annotations

from pathlib import Path

import pytest
from crowd_kit import ROLES, Member, Question, Seen, _note, crowd, told


def test_nobody_in_a_crowd_gets_what_is_anothers(tmp_path: Path) -> None:
    seen = crowd(tmp_path, seconds=5, clients=24)
    assert seen.crossed == []
    assert seen.leaked == []
    assert dict(seen.failures) == {}
    assert seen.roles == set(ROLES)
    assert seen.total > 50


@pytest.mark.parametrize(
    ("status", "body", "where"), [(200, b"theirs", "crossed"), (200, b"CANARY-1", "leaked"), (503, b"no", "failures")]
)
def test_an_answer_of_another_is_seen(status: int, body: bytes, where: str) -> None:
    asked = Question(method="GET", path="/dicomweb/studies")
    expected = told(200, {"Content-Type": "text/plain"}, b"mine")
    member = Member(role="researcher", number=2, headers={}, known=[(asked, expected)])
    seen = Seen()
    _note(seen, member, asked, (status, told(status, {"Content-Type": "text/plain"}, body), expected), body, 0.1)
    assert getattr(seen, where)
