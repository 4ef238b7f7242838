"""Pseudonyms and identifiers: injective, reversible with the key, apart without it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_films import PROJECT_KEY, film, names, stored
from pydicom.dataset import Dataset

from server.errors import SealBroken, UnreadableObject
from server.metadata import identifiers as identifying
from server.metadata.elements import Element
from server.metadata.identifiers import identifiers, patient_identifier, patient_identity
from server.metadata.pseudonyms import (
    IdentityMapping,
    Pseudonyms,
    domain_key,
    row_key_of_identifier,
    row_key_of_uid,
)
from server.model import Identifier, IdentifierKind, PatientIdentity, check_uid

ROW_KEYS = st.binary(min_size=16, max_size=16)
DOMAIN = domain_key(PROJECT_KEY, "deidentified")


def _names(row_key: bytes, value: str = "1.2.3", domain: bytes = DOMAIN) -> Pseudonyms:
    row_keys = {Identifier(kind=kind, value=value): row_key for kind in IdentifierKind}
    return Pseudonyms(domain_key=domain, row_keys=row_keys, patient_row_key=row_key)


@settings(max_examples=100, deadline=None)
@given(ROW_KEYS)
def test_pseudonyms_go_back_to_their_row_key(row_key: bytes) -> None:
    made = _names(row_key)
    uid, patient = made.uid("1.2.3"), made.identifier(IdentifierKind.PATIENT, "1.2.3")
    assert check_uid(uid) == uid
    assert row_key_of_uid(DOMAIN, uid) == row_key
    assert row_key_of_identifier(DOMAIN, IdentifierKind.PATIENT, patient) == row_key
    assert row_key_of_identifier(DOMAIN, IdentifierKind.ACCESSION, patient) is None
    assert -365 <= made.shift_days <= 365
    assert made.shift_days != 0


@settings(max_examples=50, deadline=None)
@given(ROW_KEYS, ROW_KEYS)
def test_pseudonyms_are_injective(one: bytes, other: bytes) -> None:
    assert (_names(one).uid("1.2.3") == _names(other).uid("1.2.3")) == (one == other)
    assert _names(one, "a").uid("a") == _names(one, "b").uid("b")


@settings(max_examples=50, deadline=None)
@given(ROW_KEYS)
def test_projects_levels_and_kinds_are_apart(row_key: bytes) -> None:
    domains = [domain_key(key, level) for key in (PROJECT_KEY, bytes(32)) for level in ("deidentified", "teaching")]
    made = [_names(row_key, domain=domain) for domain in domains]
    assert len({one.uid("1.2.3") for one in made}) == 4
    kinds = [one.identifier(kind, "1.2.3")[:16] for one in made for kind in IdentifierKind]
    assert len(set(kinds)) == len(kinds)
    assert row_key_of_uid(domains[1], made[0].uid("1.2.3")) != row_key


def test_a_M10_all_originals_and_the_source_give_no_match() -> None:
    """The attacker recomputes with everything but the keys: unkeyed hashes, the values, a guessed domain key."""
    originals = [f"1.2.3.4.{number}" for number in range(500)]
    real = {value: names(stored(film(SOPInstanceUID="1.2.3.4.1")).elements) for value in originals[:1]}
    assert real
    seen = {_names(bytes([n % 256, n // 256] + [7] * 14), value).uid(value) for n, value in enumerate(originals)}
    guessed = domain_key(bytes(32), "deidentified")
    tried = {_names(value.encode().ljust(16, b"\x00")[:16], value, guessed).uid(value) for value in originals}
    assert not seen & tried
    assert not any(value in pseudonym for value in originals for pseudonym in seen)


def test_a_M13_shifts_are_uniform_and_differ_by_patient_and_project() -> None:
    shifts = [_names(number.to_bytes(16, "big")).shift_days for number in range(7300)]
    assert 0 not in shifts
    assert min(shifts) < -350
    assert max(shifts) > 350
    assert abs(sum(shifts) / len(shifts)) < 12
    assert Counter(shifts).most_common(1)[0][1] < 30
    other = [_names(n.to_bytes(16, "big"), domain=domain_key(bytes(32), "x")).shift_days for n in range(7300)]
    assert sum(one == two for one, two in zip(shifts, other, strict=True)) < 40


@pytest.mark.parametrize(
    "text", ["", "2.25.", "2.25.007", "2.25.-1", "2.25.1.2", "1.2.3", "2.25." + "9" * 39, f"2.25.{1 << 128}", "2.25.١"]
)
def test_other_uids_are_nobodys_pseudonym(text: str) -> None:
    assert row_key_of_uid(DOMAIN, text) is None


@pytest.mark.parametrize("text", ["", "A", "A" * 25, "a" * 26, "A" * 27, "A" * 25 + "B", "=" * 26, "1" * 26, "Ä" * 26])
def test_other_texts_are_nobodys_pseudonym(text: str) -> None:
    assert row_key_of_identifier(DOMAIN, IdentifierKind.PATIENT, text) is None


def test_missing_or_short_row_keys_fail() -> None:
    with pytest.raises(SealBroken):
        _names(bytes(16)).uid("1.2.4")
    with pytest.raises(SealBroken):
        Pseudonyms(
            domain_key=DOMAIN,
            row_keys={Identifier(kind=IdentifierKind.UID, value="1.2"): b"short"},
            patient_row_key=bytes(16),
        ).uid("1.2")
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(domain_key=b"", row_keys={}, patient_row_key=bytes(16))
    assert "\\x" not in repr(_names(bytes(16)))


def test_identity_mapping_changes_nothing() -> None:
    mapping = IdentityMapping()
    assert mapping.uid("1.2.3") == "1.2.3"
    assert mapping.identifier(IdentifierKind.PATIENT, "issuer\x00id") == "id"
    assert mapping.identifier(IdentifierKind.LOCAL, "id") == "id"
    assert (mapping.replaces, mapping.shift_days) == (False, 0)


def test_every_identifier_with_its_first_path() -> None:
    made = film(ReferencedSeriesSequence=[film(SeriesInstanceUID="1.2.3.4.9")])
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    block = made.private_block(0x0009, "EXAMPLE", create=True)
    block.add_new(0x01, "UI", ["1.2.3.4.1", "1.2.3.4.50"])
    block.add_new(0x02, "SQ", [film(SOPInstanceUID="1.2.3.4.51")])
    found = identifiers(stored(made).elements)
    shown = {identifier.value.replace("\x00", "|"): label for identifier, label in found.items()}
    assert shown == {
        "CANARY-ISSUER|CANARY-1": "patient",
        "1.2.3.4.1": "uid/00080018",
        "CANARY-ACCESSION": "accession/00080050",
        "1.2.3.4.9": "uid/00081115[0]/0020000E",
        "1.2.3.4.2": "uid/00081115[0]/0020000D",
        "CANARY-STUDY": "local/00081115[0]/00200010",
        "1.2.3.4.3": "uid/0020000E",
        "1.2.3.4.50": "uid/00091001#2",
        "1.2.3.4.51": "uid/00091002[0]/00080018",
    }


def test_labels_are_distinct_and_hold_no_value() -> None:
    made = film(ReferencedSeriesSequence=[film(SeriesInstanceUID=f"1.2.3.4.{n}9") for n in range(5)])
    found = identifiers(stored(made).elements)
    assert len(set(found.values())) == len(found)
    assert not any("CANARY" in label or "1.2.3" in label for label in found.values())


def test_patient_of_an_item_is_in_its_own_or_the_enclosing_issuers_name_space() -> None:
    own, inherited = Dataset(), Dataset()
    own.PatientID, own.IssuerOfPatientID = "CANARY-1", "ELSEWHERE"
    inherited.PatientID = "CANARY-1"
    found = identifiers(stored(film(OtherPatientIDsSequence=[own, inherited])).elements)
    patients = [identifier.value for identifier in found if identifier.kind is IdentifierKind.PATIENT]
    assert patients == ["CANARY-ISSUER\x00CANARY-1", "ELSEWHERE\x00CANARY-1"]


def test_without_a_patient_id_the_study_is_the_patient() -> None:
    one = patient_identifier(stored(film(PatientID="")).elements)
    other = patient_identifier(stored(film(PatientID="", StudyInstanceUID="1.2.9")).elements)
    assert one != other
    assert patient_identity(stored(film(PatientID="")).elements) == PatientIdentity(
        issuer="CANARY-ISSUER", patient_id=""
    )


def test_number_of_identifiers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = "\\".join(f"1.2.{n}" for n in range(100)).encode()
    elements = {0x00081155: Element(0x00081155, "UI", many)}
    assert len(identifiers(elements)) == 101
    monkeypatch.setattr(identifying, "MOST", 100)
    with pytest.raises(UnreadableObject):
        identifiers(elements)
