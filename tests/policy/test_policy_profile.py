"""The Basic Profile compiled to rules, the site's list of safe private elements, and the reasons given for each."""

from __future__ import annotations

import pytest
from policy_helpers import changed, shipped, shipped_files
from pydicom.datadict import tag_for_keyword

from server.model import ElementAction, ProfileOption, SafePrivate
from server.model.strictness import at_least, strictest
from server.policy.bundle import build
from server.policy.outline import outline, reason, remainder
from server.policy.profile import rows
from server.policy.safe_private import SAFE_PRIVATE_FILE, STANDARD, read_safe_private
from server.policy.words import BundleProblems

X, Z, D, K, C, U = (ElementAction(letter) for letter in "XZDKCU")
ENTRY = b'[[element]]\ncreator = "SITE 1"\ngroup = 0x0019\nelement = 0x0C\nvr = "IS"\nterms = []\n'


def test_every_row_is_compiled() -> None:
    assert len(rows(frozenset(), pseudonyms=True)) == 656
    assert len(rows(frozenset(ProfileOption), pseudonyms=True)) == 656


@pytest.mark.parametrize(
    ("keyword", "options", "pseudonyms", "expected"),
    [
        ("InstitutionName", (), True, X),
        ("InstitutionName", ("retain-institution-identity",), True, K),
        ("DateOfLastCalibration", ("retain-device-identity",), True, K),
        ("DateOfLastCalibration", ("retain-device-identity", "retain-long-modified-dates"), True, C),
        ("StudyInstanceUID", (), True, U),
        ("StudyInstanceUID", (), False, X),
        ("StudyInstanceUID", ("retain-uids",), False, K),
        ("StudyInstanceUID", ("retain-uids",), True, U),
        ("PatientName", tuple(ProfileOption), True, Z),
    ],
)
def test_rows_under_options(keyword: str, options: tuple[str, ...], pseudonyms: bool, expected: ElementAction) -> None:
    chosen = frozenset(map(ProfileOption, options))
    row = rows(chosen, pseudonyms=pseudonyms)[tag_for_keyword(keyword) or 0]
    assert row.action is expected


def test_attributes_that_no_dictionary_knows_go() -> None:
    """Annotation DateTime and Ethnic Groups are younger than the dictionary."""
    for tag in (0x0040B034, 0x00102162):
        row = rows(frozenset(ProfileOption), pseudonyms=True)[tag]
        assert (row.action, row.choices) == (X, (X,))


@pytest.mark.parametrize(
    ("action", "other", "allowed"),
    [(X, Z, True), (D, Z, True), (D, X, False), (K, C, False), (C, K, True), (Z, D, True), (U, D, False), (K, K, True)],
)
def test_strictness(action: ElementAction, other: ElementAction, allowed: bool) -> None:
    assert at_least(action, other) is allowed
    assert strictest((K, C, D, Z, X)) is X


def test_the_site_list() -> None:
    assert read_safe_private(shipped_files()[SAFE_PRIVATE_FILE]) == ()
    entry = SafePrivate(creator="SITE 1", group=0x19, element=0x0C, vr="IS", terms=frozenset(), multiplicity="1-n")
    assert read_safe_private(ENTRY) == (entry,)
    told = dict(shipped_files())
    pairs = (("retain-safe-private = false", "retain-safe-private = true"), ('private = "X"', 'private = "C"'))
    told |= changed("levels/deidentified.toml", *pairs)
    told[SAFE_PRIVATE_FILE] = ENTRY
    bundle = build(told)
    profile = bundle.levels["deidentified"].elements.profile
    assert profile is not None
    assert profile.safe_private == (entry, *STANDARD)
    assert bundle.levels["deidentified"].fingerprint != shipped().levels["deidentified"].fingerprint


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b'"IS"', b'"LO"', "free text"),
        (b'"IS"', b'"UN"', "free text"),
        (b"terms = []", b'terms = ["A"]', "free text"),
        (b"0x0019", b"0x0018", "no private group"),
        (b"0x0019", b"0x0007", "no private group"),
        (b"0x0C", b"0x100C", "low byte"),
        (b"vr =", b"VR =", "`vr` is missing"),
        (b'"SITE 1"', b'""', "`creator`"),
        (b"terms = []\n", b"terms = []\n" + ENTRY, "twice"),
    ],
)
def test_entries_that_are_not_taken(old: bytes, new: bytes, problem: str) -> None:
    with pytest.raises(BundleProblems, match=problem):
        read_safe_private(ENTRY.replace(old, new))
    with pytest.raises(BundleProblems, match=problem):
        build({**shipped_files(), SAFE_PRIVATE_FILE: ENTRY.replace(old, new)})


@pytest.mark.parametrize(
    ("name", "tag", "action", "why"),
    [
        ("deidentified", 0x00080022, C, "Table E.1-1: X/Z; retain-long-modified-dates: C"),
        ("deidentified", 0x00181000, X, "X/Z/D; which one by the attribute's Type"),
        ("deidentified", 0x00100010, D, "the file lists it under D; PS3.15 2026d Table E.1-1: Z"),
        ("deidentified", 0x00280010, K, "the file lists it under K"),
        ("deidentified", 0x60023000, X, "Table E.1-1: X"),
        ("deidentified", 0x00091001, X, "private elements are X"),
        ("deidentified", 0x00080070, X, "no rule names it"),
        ("deidentified", 0x00020003, X, "never in a data set"),
        ("original", 0x00080070, K, "no rule names it: the file's default K"),
        ("patient", 0x00100010, K, "the file lists it under K"),
    ],
)
def test_reasons(name: str, tag: int, action: ElementAction, why: str) -> None:
    level = shipped().levels[name]
    found = reason(level, outline(level), tag)
    assert found.action is action
    assert why in found.why
    assert found.tag == tag


def test_the_outline_names_every_rule() -> None:
    for level in shipped().levels.values():
        assert list(outline(level)) == sorted(level.elements.by_tag)
        assert len(remainder(level)) == 2
