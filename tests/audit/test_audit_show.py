"""Reading for a person: identity only with the key, nothing that a terminal or a spreadsheet would act upon."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from audit_helpers import SEAL, event, room
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.audit.keys import PUBLIC_NAME, generate, load_private, private_bytes, public_text, read_public
from server.audit.show import cell, read
from server.errors import AuditUnavailable, ConfigurationError, SealBroken


def test_without_the_key_the_identity_stays_sealed(tmp_path: Path) -> None:
    here = room(tmp_path)
    what = event(subject="MUSTER^MAXIMA", client="viewer", thing="1.2.3", reason="care relation")
    for _ in range(3):
        here.journal(rotate_at=1).append(what)
    assert len(list(here.directory.glob("*.jsonl"))) == 3
    shown = list(read(here.directory, None))
    assert [entry.seq for entry in shown] == [1, 2, 3]
    assert shown[0].time == "2023-11-14T22:13:20.250000Z"
    assert [entry.event for entry in shown] == [dataclasses.replace(what, subject="", client="", object="")] * 3
    assert [entry.event for entry in read(here.directory, SEAL)] == [what] * 3


def test_another_key_or_an_altered_line_shows_nothing(tmp_path: Path) -> None:
    here = room(tmp_path)
    here.filled(2)
    with pytest.raises(SealBroken):
        next(read(here.directory, bytes(32)))
    first, second = here.lines()
    for broken in (b"{}\n", b"x" * 70_000 + b"\n"):
        here.path().write_bytes(first + broken + second)
        entries = read(here.directory, SEAL)
        assert next(entries).seq == 1
        with pytest.raises(SealBroken):
            next(entries)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    here = room(tmp_path)
    here.filled(2)
    here.path().write_bytes(here.path().read_bytes()[:-10])
    assert [entry.seq for entry in read(here.directory, SEAL)] == [1]


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable):
        next(read(tmp_path / "nowhere", None))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü", "plain ü"),
        ("=1+1", "'=1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-1", "'-1"),
        ("+1", "'+1"),
        ("\t=1", "\\u0009=1"),
        ("a\r\nb", "a\\u000d\\u000ab"),
        ("\x1b[31m", "\\u001b[31m"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_A5_a_shown_value_is_only_text(text: str, shown: str) -> None:
    assert cell(text) == shown


class Fixed:
    def bytes(self, count: int, label: str) -> bytes:
        assert label == "audit signing key"
        return bytes(range(count))


def test_a_key_pair_round_trips(tmp_path: Path) -> None:
    key = generate(Fixed())
    assert private_bytes(load_private(private_bytes(key))) == bytes(range(32))
    (tmp_path / PUBLIC_NAME).write_bytes(public_text(key.public_key()))
    assert read_public(tmp_path) == key.public_key()
    with pytest.raises(ConfigurationError):
        load_private(bytes(31))


def test_a_public_key_that_is_missing_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        read_public(tmp_path)
    other = generate_private_key(SECP256R1()).public_key()
    for text in (b"", b"no key", other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        (tmp_path / PUBLIC_NAME).write_bytes(text)
        with pytest.raises(ConfigurationError):
            read_public(tmp_path)
