"""Claims to callers: only from the configured paths, only in the expected form."""

from __future__ import annotations

import pytest
from auth_tokens import ISSUER, claims
from hypothesis import given, settings
from hypothesis import strategies as st

from server.auth.claims import ClaimPaths, caller_from_claims
from server.errors import ConfigurationError, Unauthenticated
from server.model import Caller, PatientIdentity

KNOWN = frozenset(("clinician", "patient", "researcher", "front-desk"))


def caller(paths: ClaimPaths | None = None, /, **changes: object) -> Caller:
    return caller_from_claims(claims(**changes), paths or ClaimPaths(), KNOWN)


def test_every_part_of_a_caller_comes_from_its_claim() -> None:
    got = caller(
        roles=["clinician", "researcher", "offline_access"],
        project="project-1",
        purpose_of_use="TREAT",
        patient={"issuer": "HOSPITAL", "id": "P-1"},
        departments=["radiology", "general surgery"],
    )
    assert got == Caller(
        subject="user-1",
        issuer=ISSUER,
        client="viewer",
        roles=frozenset(("clinician", "researcher")),
        project="project-1",
        purpose="TREAT",
        patient=PatientIdentity(issuer="HOSPITAL", patient_id="P-1"),
        departments=frozenset(("radiology", "general surgery")),
    )


def test_absent_claims_give_nothing() -> None:
    got = caller(roles=None)
    assert (got.roles, got.project, got.purpose, got.patient, got.departments) == (
        frozenset(),
        None,
        None,
        None,
        frozenset(),
    )
    assert got.acting_role is None


def test_paths_reach_into_objects_and_quoted_names() -> None:
    paths = ClaimPaths(roles="realm_access.roles", project='"https://example.org/claims".grant')
    nested: dict[str, object] = {
        "roles": None,
        "realm_access": {"roles": ["patient"]},
        "https://example.org/claims": {"grant": "project-2"},
    }
    got = caller(paths, **nested)
    assert (got.roles, got.project) == (frozenset(("patient",)), "project-2")


def test_a_T6_roles_in_another_place_give_nothing() -> None:
    elsewhere: dict[str, object] = {
        "role": ["clinician"],
        "Roles": ["clinician"],
        "groups": ["clinician"],
        "scope": "clinician",
        "realm_access": {"roles": ["clinician"]},
        "roles ": ["clinician"],
        "realm_access.roles": ["clinician"],
    }
    assert caller(roles=None, **elsewhere).roles == frozenset()
    nested = ClaimPaths(roles="realm_access.roles")
    assert caller(nested, roles=["clinician"], **{"realm_access.roles": ["clinician"]}).roles == frozenset()


@pytest.mark.parametrize(
    "role",
    [
        "Clinician",
        "CLINICIAN",
        "сlinician",
        "clinicıan",
        "ｃlinician",
        "clinician-",
        "front_desk",
        "clinician,patient",
        "c",
    ],
)
def test_a_T6_a_role_is_compared_code_point_by_code_point(role: str) -> None:
    assert caller(roles=[role]).roles == frozenset()
    assert caller(roles=role).roles == frozenset()


@pytest.mark.parametrize(
    "role", ["clinician ", " clinician", "clini\u200bcian", "clinician\n", "clinician\0", "\u202eclinician"]
)
def test_a_T6_a_role_with_invisible_characters_is_refused(role: str) -> None:
    with pytest.raises(Unauthenticated):
        caller(roles=[role])


def test_a_T6_one_string_is_one_role() -> None:
    assert caller(roles="clinician").roles == frozenset(("clinician",))
    for several in ("clinician patient", "clinician\tpatient", ""):
        with pytest.raises(Unauthenticated):
            caller(roles=several)


@pytest.mark.parametrize(
    "value", [1, True, {"clinician": True}, ["clinician", 1], [["clinician"]], [None], [""], "x" * 257]
)
@pytest.mark.parametrize("name", ["roles", "departments"])
def test_a_T6_lists_of_another_type_are_refused(name: str, value: object) -> None:
    with pytest.raises(Unauthenticated):
        caller(**{name: value})


@pytest.mark.parametrize("value", [1, True, [], ["project-1"], {}, "", " ", "a\nb", "a\0b", " a", "x" * 257])
@pytest.mark.parametrize("name", ["project", "purpose_of_use", "sub", "client_id", "iss"])
def test_texts_of_another_type_are_refused(name: str, value: object) -> None:
    with pytest.raises(Unauthenticated):
        caller(**{name: value})


@pytest.mark.parametrize("name", ["roles", "departments", "project", "purpose_of_use", "patient"])
def test_null_is_not_absence(name: str) -> None:
    with pytest.raises(Unauthenticated):
        caller_from_claims(claims() | {name: None}, ClaimPaths(), KNOWN)


@pytest.mark.parametrize("name", ["sub", "client_id", "iss"])
def test_a_caller_has_a_subject_a_client_and_an_issuer(name: str) -> None:
    with pytest.raises(Unauthenticated):
        caller(**{name: None})


def test_a_path_through_something_else_than_an_object_is_refused() -> None:
    for between in ("text", ["roles"], 1):
        with pytest.raises(Unauthenticated):
            caller(ClaimPaths(roles="realm_access.roles"), realm_access=between)


def test_a_patient_binding_has_two_forms() -> None:
    assert caller(patient="HOSPITAL|P-1").patient == PatientIdentity(issuer="HOSPITAL", patient_id="P-1")
    assert caller(patient="|P-1").patient == PatientIdentity(issuer="", patient_id="P-1")
    assert caller(patient={"issuer": "", "id": "P-1"}).patient == PatientIdentity(issuer="", patient_id="P-1")


@pytest.mark.parametrize(
    "binding",
    [
        "",
        "P-1",
        "HOSPITAL|",
        "|",
        "A|B|C",
        "HOSPITAL|P-1 ",
        "HOSPITAL\0P-1|X",
        {},
        {"issuer": "HOSPITAL"},
        {"id": "P-1"},
        {"issuer": "HOSPITAL", "id": ""},
        {"issuer": "HOSPITAL", "id": 1},
        {"issuer": None, "id": "P-1"},
        {"issuer": "HOSPITAL", "id": "P\x001"},
        {"issuer": "HOSPITAL", "id": "P-1", "other": "x"},
        ["HOSPITAL", "P-1"],
        1,
    ],
)
def test_a_patient_binding_of_another_form_is_refused(binding: object) -> None:
    with pytest.raises(Unauthenticated):
        caller(patient=binding)


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", '"', '""', 'a"b', "a b", '"a"b', "a\n"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError):
        ClaimPaths(roles=path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(sorted(KNOWN)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["roles", "issuer", "id"]), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["roles", "project", "purpose_of_use", "patient", "departments", "sub"]), _JSON))
def test_any_claims_give_a_caller_of_known_roles_or_a_refusal(changes: dict[str, object]) -> None:
    try:
        got = caller_from_claims(claims() | changes, ClaimPaths(), KNOWN)
    except Unauthenticated:
        return
    assert got.roles <= KNOWN
    assert got.subject
    assert got.patient is None or got.patient.patient_id
