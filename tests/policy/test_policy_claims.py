"""The claims of the shipped bundle hold, and would be refuted by rules of which they are not true."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from policy_helpers import ONE_CASE, changed_rules, shipped

from server.policy.bundle import build
from server.policy.claims import CHANGES, cells, prove_changes, prove_claims, try_all
from server.policy.points import answered, answers
from server.policy.space import BASE, PATIENTS, Cell, NotFinite, Point, Value, applies, cell
from server.policy.symbolic import Formulas
from server.policy.words import BundleProblems, PolicyBundle

SMALL = 20_000
RULES = list(shipped().book.rules.values())
CELLS = [
    cell(shipped().book, role, action, RULES)
    for role in sorted(shipped().book.roles)
    for action in sorted(shipped().book.actions)
    if any(rule.permits and applies(shipped().book, rule, role, action) for rule in RULES)
]


def wrong(old: str, new: str) -> PolicyBundle:
    """The shipped bundle with a text of its rules replaced, and one case in place of those that would notice."""
    files = {path: content for path, content in changed_rules(old, new).items() if not path.startswith("cases/")}
    return build({**files, "cases/one.toml": ONE_CASE})


def broken(verdicts: Iterable[object]) -> set[str]:
    return {one.identifier for one in verdicts if one.broken}  # type: ignore[attr-defined]


def test_every_claim_is_proved() -> None:
    verdicts = list(prove_claims(shipped()))
    assert broken(verdicts) == set()
    assert {one.identifier for one in verdicts} == set(shipped().claims)
    assert len(verdicts) >= 20


def test_no_change_unmasks() -> None:
    verdicts = list(prove_changes(shipped()))
    assert broken(verdicts) == set()
    assert {one.identifier for one in verdicts} == {change.identifier for change in CHANGES}


def test_every_situation_of_the_small_cells_is_put_to_the_engine() -> None:
    """`safelight policy prove`, which continuous integration runs, does the large ones as well."""
    every = list(cells(shipped()))
    small = [one for one in every if one.size <= SMALL]
    assert len(every) == len(shipped().book.roles) * len(shipped().book.actions)
    assert len(small) >= len(every) - 4
    tried = try_all(shipped(), small)
    assert tried.situations == sum(one.size for one in small)
    assert tried.permitted > 0
    assert broken(tried.verdicts) == set()


WRONG = [
    ("resource.age_hours < 24", "resource.age_hours < 25", "original-for-a-relation"),
    ("principal.patient == resource.patient", "principal.patient.id == resource.patient.id", "own-films-only"),
    ('principal.project != "" &&', "", "deidentified-for-researchers"),
    ('[Zone::"clinical", Zone::"hospital"]', '[Zone::"clinical", Zone::"unknown"]', "legal-cases-stay-inside"),
    ('principal.approval != Approval::"ended"', 'principal.approval != Approval::"approved"', "teaching-for-teachers"),
    ('resource.consent.research == Choice::"opt-out"', "context.broken_glass", "refused-research-holds"),
]


@pytest.mark.parametrize(("old", "new", "claim"), WRONG)
def test_a_claim_is_refuted_where_it_is_not_true(old: str, new: str, claim: str) -> None:
    found = broken(prove_claims(wrong(old, new)))
    assert claim in found


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (
            'unless { [Zone::"clinical", Zone::"hospital"].contains(context.zone) }',
            'unless { resource.consent.disclosure == Choice::"opt-out" }',
            "withdrawn-disclosure-never-unmasks",
        ),
        (
            'unless { resource.consent.research == Choice::"opt-in" }',
            'unless { resource.consent.research != Choice::"unsaid" }',
            "",
        ),
        (
            "when { context has purpose }\nunless { context.purpose",
            "unless { context has purpose && context.purpose",
            "",
        ),
        ('[Zone::"clinical", Zone::"hospital"]', '[Zone::"outside"]', "going-outside-never-unmasks"),
        (
            'unless { resource.consent.research == Choice::"opt-in" }',
            'unless { resource.labels.contains(Label::"minor") }',
            "label-minor-never-unmasks",
        ),
    ],
)
def test_a_change_that_unmasks_is_found(old: str, new: str, change: str) -> None:
    found = broken(prove_changes(wrong(old, new)))
    assert change in found if change else not found


def test_the_engine_finds_what_is_refuted() -> None:
    bundle = wrong("resource.age_hours < 24", "resource.age_hours < 25")
    (here,) = (one for one in cells(bundle) if (one.role, one.action) == ("technologist", "original"))
    tried = try_all(bundle, [here])
    assert "original-for-a-relation" in broken(tried.verdicts)
    (verdict,) = (one for one in tried.verdicts if one.identifier == "original-for-a-relation")
    assert all("resource.age_hours = 24" in where for where in verdict.broken)


def test_the_engine_finds_what_a_change_unmasks() -> None:
    bundle = wrong('[Zone::"clinical", Zone::"hospital"]', '[Zone::"outside"]')
    (here,) = (one for one in cells(bundle) if one.role == one.action == "front-desk")
    assert "going-outside-never-unmasks" in broken(try_all(bundle, [here]).verdicts)


@pytest.mark.parametrize("here", CELLS, ids=lambda one: f"{one.role}-{one.action}")
def test_formulas_and_engine_agree(here: Cell) -> None:
    formulas = Formulas(shipped().book)
    allowed = formulas.allowed(here.action)
    every = list(here.points())
    some = random.Random(4).sample(every, min(len(every), 25))
    granted = [point for point, answer in answers_of(here, 400) if answer][:10]
    for point, answer in zip([*some, *granted], answered(shipped().book, here, [*some, *granted]), strict=True):
        assert formulas.at(allowed, here, point) is answer.allowed, point


def answers_of(here: Cell, most: int) -> list[tuple[Point, bool]]:
    every = list(here.points())
    some = random.Random(5).sample(every, min(len(every), most))
    return [(point, answer.allowed) for point, answer in zip(some, answered(shipped().book, here, some), strict=True)]


@pytest.mark.parametrize("here", CELLS, ids=lambda one: f"{one.role}-{one.action}")
def test_what_a_cell_leaves_out_changes_no_answer(here: Cell) -> None:
    chance = random.Random(6)
    others: dict[str, Value] = {
        "principal.departments": ("radiology",),
        "principal.patient": "own",
        "principal.project": "another",
        "principal.share": "there is one",
        "resource.departments": ("radiology",),
        "resource.care_team": ("own-subject",),
        "resource.labels": ("vip", "minor", "staff"),
        "resource.stored_by": "own-subject",
        "resource.stored_department": "radiology",
        "resource.age_hours": 3,
        "resource.patient": "own",
        "resource.modalities": ("CR", "US"),
        "resource.consent.research": "opt-in",
        "resource.consent.disclosure": "opt-in",
        "context.purpose": "TREAT",
        "context.zone": "hospital",
        "context.hour": 3,
        "context.weekday": 7,
        "context.acr": "strong",
        "context.broken_glass": True,
        "context.transaction": "store",
    }
    every = list(here.points())
    some = chance.sample(every, min(len(every), 200))
    plain = answered(shipped().book, here, some)
    for path in sorted(set(others) - set(here.axes)):
        if path in ("principal.project", "principal.approval") and here.role in ("researcher", "teacher"):
            continue
        axes = {**here.axes, path: (others[path],)}
        wider = Cell(role=here.role, action=here.action, axes=axes)
        moved = answered(shipped().book, wider, [(*point, others[path]) for point in some])
        if path == "resource.labels" or path not in here.axes:
            assert [one.allowed for one in moved] == [one.allowed for one in plain], path


def test_every_attribute_of_the_space_has_a_place_in_the_schema() -> None:
    assert set(PATIENTS) >= {"own", "unnamed"}
    here = Cell(role="clinician", action="original", axes={path: (value,) for path, value in BASE.items()})
    ((_, answer),) = answers(shipped().book, here)
    assert not answer.problem


@pytest.mark.parametrize(
    "condition", ['resource.stored_by like "a*"', "resource.age_hours * 2 > 4", "resource.age_hours + 1 > 4"]
)
def test_what_is_not_finite_is_said(condition: str) -> None:
    bundle = wrong("when { context.broken_glass };", f"when {{ context.broken_glass && {condition} }};")
    with pytest.raises(NotFinite):
        list(cells(bundle))
    with pytest.raises(NotFinite):
        list(prove_claims(bundle))


def test_a_claim_that_permits_is_refused() -> None:
    files = {**build_files(), "claims/more.cedar": b'@id("a") @note("b") permit (principal in Role::"teacher", '
             b'action == Action::"teaching", resource);'}  # fmt: skip
    with pytest.raises(BundleProblems, match="never permitted"):
        build(files)


def build_files() -> dict[str, bytes]:
    return dict(changed_rules("permit", "permit"))
