"""Lines: the canonical form, hostile values (a.A5), and identity that is nowhere readable."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from audit_helpers import SEAL, SIGNING, event, room
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audit.entries import (
    READABLE,
    SEALED,
    START,
    Line,
    Malformed,
    canonical,
    decode_base64,
    digest,
    is_signed,
    open_identity,
    parse_line,
    prepare,
    write_line,
)
from server.audit.keys import load_private
from server.audit.show import read
from server.errors import AuditUnavailable, SealBroken
from server.model import AuditEvent

KEY = load_private(SIGNING)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


def line_of(what: AuditEvent, *, seq: int = 1) -> bytes:
    return write_line(prepare(what), seq=seq, previous=START, now=0.5, seal_key=SEAL, nonce=bytes(12), signing_key=KEY)


def test_every_field_of_an_event_is_either_readable_or_sealed() -> None:
    names = [field.name for field in dataclasses.fields(AuditEvent)]
    assert sorted(names) == sorted([*READABLE, *SEALED])


def test_a_line_says_what_it_should() -> None:
    value = json.loads(line_of(event(request="r", subject="s")))
    assert value["time"] == "1970-01-01T00:00:00.500000Z"
    assert value["previous"] == START
    assert value["rules"] == ["care-relation"]
    assert not {"subject", "client", "object"} & value.keys()


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.lists(ANY_TEXT, max_size=3))
def test_a_A5_any_text_in_any_field_is_one_ascii_line_and_reads_back(a: str, b: str, c: str, rules: list[str]) -> None:
    what = AuditEvent(
        kind=a, action=b, status=200, request=c, subject=a, client=b, object=c, acting_role=a, purpose=b,
        project=c, level=a, rules=tuple(rules), policy=b, reason=c, digest=a,
    )  # fmt: skip
    raw = line_of(what)
    assert all(0x20 <= byte < 0x7F for byte in raw)
    line = parse_line(raw)
    assert is_signed(line, KEY.public_key())
    assert line.hash == digest(raw)
    # Two halves of a surrogate pair read back as the one character that they are.
    assert json.dumps(line.fields["reason"]) == json.dumps(c)
    assert json.dumps(open_identity(line, SEAL)["subject"]) == json.dumps(a)


HOSTILE = [
    "x\r\nforged line",
    '"}\n{"seq":1',
    "a\x85b\u2028c\u2029d",
    "\x1b[2Jcleared",
    "\u202egnp.exe",
    "=HYPERLINK(1)",
    'a","=1+1',
    "x;=cmd|' /C calc'!A0",
    "\t@SUM(1)",
    "<script>alert(1)</script>",
    "\x00",
    "\ud800",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_A5_a_hostile_value_neither_ends_its_line_nor_begins_a_cell(tmp_path: Path, hostile: str) -> None:
    here = room(tmp_path)
    journal = here.journal()
    journal.append(event(request=hostile, reason=hostile, subject=hostile, client=hostile))
    journal.append(event(request="after"))
    text = here.path().read_bytes().decode("ascii")
    assert len(text.splitlines()) == 2
    assert all(cell[:1] in ("{", '"') for line in text.splitlines() for cell in line.split(","))
    assert not set(text) & set("\r\t;|<>&'\x1b\x00")
    assert here.check().problem is None
    first, second = read(here.directory, SEAL)
    assert (first.event.reason, first.event.subject, second.event.request) == (hostile, hostile, "after")


def forms(text: str) -> list[bytes]:
    """The ways in which a text might lie readable in a file."""
    plain = text.encode()
    coded = [text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")]
    shifted = [base64.b64encode(bytes(shift) + plain)[4:-4] for shift in range(3)]
    urlsafe = [base64.urlsafe_b64encode(bytes(shift) + plain)[4:-4] for shift in range(3)]
    hexed = [plain.hex().encode(), plain.hex().upper().encode()]
    return [*coded, *shifted, *urlsafe, *hexed, quote(text).encode(), quote(text, safe="").encode(), plain[::-1]]


def test_a_A5_identity_is_readable_in_no_file_in_no_form(tmp_path: Path) -> None:
    here = room(tmp_path)
    subject, client, thing = (
        "MUSTER^MAXIMA sub",
        "EXAMPLE^WORKSTATION 7",
        "1.2.826.0.1.3680043.8.498.1/PatientName=MÜSTER^M*",
    )
    journal = here.journal()
    for _ in range(3):
        journal.append(event(subject=subject, client=client, thing=thing))
    here.path().write_bytes(here.path().read_bytes() + b"torn")
    journal.append(event(subject=subject))
    for file in here.directory.iterdir():
        content = file.read_bytes()
        for text in (subject, client, thing):
            assert not [form for form in forms(text) if form in content], file.name


def test_a_A5_lengths_do_not_tell_who_it_was() -> None:
    lengths = {len(line_of(event(subject="s" * n, client="c" * n, thing="o" * n))) for n in range(60)}
    assert len(lengths) == 1


def test_a_sealed_identity_opens_only_under_its_own_number_and_key() -> None:
    line = parse_line(line_of(event(subject="MUSTER^MAXIMA"), seq=7))
    assert open_identity(line, SEAL)["subject"] == "MUSTER^MAXIMA"
    with pytest.raises(SealBroken):
        open_identity(line, bytes(32))
    moved = Line(seq=8, previous=line.previous, hash=line.hash, fields=line.fields, signature=line.signature)
    with pytest.raises(SealBroken):
        open_identity(moved, SEAL)


def test_only_the_canonical_spelling_of_a_line_is_taken() -> None:
    raw = line_of(event(request="a"))
    value = json.loads(raw)
    spaced = json.dumps(value, sort_keys=True).encode()
    doubled = raw.replace(b'"request":"a"', b'"request":"b","request":"a"')
    escaped = raw.replace(b'"request":"a"', b'"request":"\\u0061"')
    unsorted = json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()
    for other in (spaced, doubled, escaped, unsorted, raw + b"\r", raw[:-1], b"", b"[]", b"null", b"[" * 50_000):
        assert other != raw
        with pytest.raises(Malformed):
            parse_line(other)


def test_only_the_canonical_spelling_of_base64_is_taken() -> None:
    assert decode_base64("AA==") == b"\x00"
    for other in ("AB==", "AA=", "AA", " AA==", "AA==\n", "A-==", 7, None):
        with pytest.raises(Malformed):
            decode_base64(other)


@pytest.mark.parametrize("value", [1.5, None, True, b"bytes", {"a": [float("nan")]}])
def test_nothing_else_has_a_canonical_form(value: object) -> None:
    with pytest.raises(Malformed):
        canonical(value)


@pytest.mark.parametrize("long", [event(reason="x" * 70_000), event(thing="x" * 70_000)])
def test_an_entry_that_is_too_long_is_refused_alone(tmp_path: Path, long: AuditEvent) -> None:
    here = room(tmp_path)
    journal = here.journal()
    with pytest.raises(AuditUnavailable, match="too long"):
        journal.append(long)
    assert journal.append(event()) == 1
    longest = next(n for n in range(66_000, 0, -100) if fits(n))
    assert longest > 60_000
    assert len(line_of(event(reason="x" * longest))) <= 65_536


def fits(count: int) -> bool:
    try:
        prepare(event(reason="x" * count))
    except AuditUnavailable:
        return False
    return True
