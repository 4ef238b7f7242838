"""The bundle as a whole: what stops a start, what a reload keeps, and that the cases would notice a wrong rule."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from policy_helpers import DIRECTORY, ONE_CASE, changed, changed_rules, rules_text, shipped, shipped_files

from server.errors import PolicyError
from server.model import Action, RegionKind, RegionStyle
from server.policy.bundle import BundleHolder, build, fingerprint, load, read_files
from server.policy.cases import read_cases, run_cases
from server.policy.describe import levels_table, roles_table
from server.policy.words import BundleProblems

RULES = rules_text()
CHUNKS = {
    match[1]: match[0]
    for match in re.finditer(
        r'@id\("([^"]+)"\)\n@note.*?\n(?:permit|forbid) \(.*?\)(?:\s+(?:when|unless) \{.*?\})?;', RULES, re.DOTALL
    )
}


def refused(files: dict[str, bytes]) -> str:
    with pytest.raises(BundleProblems) as caught:
        build(files)
    return str(caught.value)


def without(path: str) -> dict[str, bytes]:
    return {name: content for name, content in shipped_files().items() if name != path}


def test_the_shipped_bundle_is_valid() -> None:
    bundle = load(DIRECTORY)
    assert re.fullmatch("[0-9a-f]{64}", bundle.fingerprint)
    assert bundle.fingerprint == shipped().fingerprint
    assert all(outcome.passed for outcome in run_cases(bundle, bundle.cases))


def test_every_rule_and_every_level_is_shown_by_a_case() -> None:
    outcomes = run_cases(shipped(), shipped().cases)
    used = {rule for outcome in outcomes for rule in outcome.rules}
    assert used == set(shipped().book.rules) - {"officers-see-no-film"}
    assert {outcome.got for outcome in outcomes} == {*shipped().levels, "not-found", "forbidden", "granted"}
    shown = {outcome.action for outcome in outcomes if outcome.got in shipped().levels or outcome.got == "granted"}
    assert shown == set(Action)


def test_the_rules_are_found_by_the_test() -> None:
    assert set(CHUNKS) == set(shipped().book.rules)


@pytest.mark.parametrize("rule", sorted(set(CHUNKS) - {"officers-see-no-film"}))
def test_a_rule_that_is_lost_is_noticed(rule: str) -> None:
    assert refused(changed_rules(CHUNKS[rule], ""))


# What the decision guards as well: an empty project or patient ID does not reach the rules, a level with pseudonyms
# needs a project, an officer has no ladder. That the rules hold by themselves is tested beside them.
SECOND_GUARDS = {'principal.patient.id != ""', 'principal.project != ""'}
DOUBLY_GUARDED = {"researcher-project", "teacher-project", "privacy-reviewer-look", "officers-see-no-film"}


@pytest.mark.parametrize(
    "rule", sorted(name for name in CHUNKS if "when {" in CHUNKS[name] and name not in DOUBLY_GUARDED)
)
def test_a_condition_that_is_lost_is_noticed(rule: str) -> None:
    assert refused(changed_rules(CHUNKS[rule], re.sub(r"\s+when \{.*\}", "", CHUNKS[rule], flags=re.DOTALL)))


PARTS = [
    (rule, part.strip())
    for rule, chunk in CHUNKS.items()
    if "&&" in chunk and "unless" not in chunk
    for part in chunk[chunk.index("when {") + 6 : chunk.rindex("}")].split("&&")
    if part.strip() not in SECOND_GUARDS
]


@pytest.mark.parametrize(("rule", "part"), PARTS)
def test_a_part_of_a_condition_that_is_lost_is_noticed(rule: str, part: str) -> None:
    assert len(PARTS) == 22
    assert refused(changed_rules(CHUNKS[rule], CHUNKS[rule].replace(part, "true")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("age_hours < 24", "age_hours < 25"),
        ("age_hours < 24", "age_hours < 23"),
        ("age_hours >= 0", "age_hours >= -1"),
        ("age_hours >= 0", "age_hours > 0"),
        ("containsAny", "containsAll"),
        ('resource.stored_department == "radiology"', 'resource.stored_department != "radiology"'),
        ("principal.patient == resource.patient", "principal.patient.id == resource.patient.id"),
    ],
)
def test_a_condition_that_is_bent_is_noticed(old: str, new: str) -> None:
    assert refused(changed_rules(old, new))


@pytest.mark.parametrize("path", sorted(shipped_files()))
def test_a_file_that_is_lost_is_noticed(path: str) -> None:
    if path.startswith(("cases/", "claims/")):
        assert build(without(path)).fingerprint != shipped().fingerprint
    else:
        assert refused(without(path))


@pytest.mark.parametrize("path", sorted(shipped_files()))
def test_a_file_that_is_not_text_is_noticed(path: str) -> None:
    assert path.rpartition("/")[2].split(".")[0] in refused({**shipped_files(), path: b"\xff\xfe"})


def test_no_case_is_no_bundle() -> None:
    assert "cases: there is none" in refused({k: v for k, v in shipped_files().items() if not k.startswith("cases/")})
    assert "holds no case" in refused({**shipped_files(), "cases/none.toml": b"case = []"})


@pytest.mark.parametrize(
    ("path", "old", "new", "problem"),
    [
        ("schema.cedarschema", '"teaching", "review", "front-desk" in', '"review", "front-desk" in', "teaching"),
        ("schema.cedarschema", '"approve-project", "read-audit",', '"approve-project",', "read-audit"),
        (
            "schema.cedarschema",
            '"teaching", "review", "front-desk" in',
            '"teaching", "reading", "review", "front-desk" in',
            "no level `reading`",
        ),
        ("schema.cedarschema", '  "teacher",\n', '  "teacher",\n  "visitor",\n', "no ladder for `visitor`"),
        ("schema.cedarschema", '  "age_hours": Long,', '  "age_days": Long,', "age_hours"),
        ("levels/order.toml", "[ladders]\n", '[ladders]\nvisitor = ["front-desk"]\n', "no role `visitor`"),
        ("levels/order.toml", "[ladders]\n", '[ladders]\n"a b" = []\n', "name of a role"),
        ("levels/order.toml", "security-auditor = []", 'security-auditor = ["front-desk"]', "no rule permits it"),
        ("levels/order.toml", 'clinician = ["original"]', "clinician = []", "not on the ladder"),
        ("levels/order.toml", 'clinician = ["original"]', 'clinician = ["orignal"]', "no level `orignal`"),
        ("levels/order.toml", 'clinician = ["original"]', 'clinician = ["original", "original"]', "twice"),
        ("levels/order.toml", 'clinician = ["original"]', 'clinician = "original"', "kind list"),
        ("levels/order.toml", 'clinician = ["original"]', 'clinician = ["original", "patient"]', "not declared"),
        ("levels/order.toml", 'clinician = ["original"]', 'clinician = ["front-desk", "patient"]', "not declared"),
        ("levels/order.toml", '["patient", "original"]', '["patient", "original", "teaching"]', "than itself"),
        ("levels/order.toml", '["patient", "original"]', '["patient", "deidentified"]', "it has no pseudonyms"),
        ("levels/order.toml", '["patient", "original"]', '["deidentified", "patient"]', "(0008,0090)"),
        ("levels/order.toml", '["front-desk", "original"]', '["front-desk", "teaching"]', "(0010,0010)"),
        ("levels/order.toml", '"teaching", "deidentified"', '"deidentified", "teaching"', "its pictures are larger"),
        ("levels/order.toml", "[ladders]", "more = 1\n[ladders]", "unknown key"),
        ("levels/order.toml", "[ladders]", "[ladder]", "`ladders` is missing"),
        ("cases/care.toml", 'expect = "original"', 'expect = "orignal"', "gives original, not orignal"),
        ("cases/care.toml", 'expect = "not-found"', 'expect = "original"', "gives not-found, not original"),
        (
            "cases/care.toml",
            'study = { departments = ["surgery"] }',
            'study = { department = ["surgery"] }',
            "`department`",
        ),
        ("cases/care.toml", "caller = { roles", "caller = { role", "`role`"),
        ("cases/care.toml", 'actions = ["store"]', 'actions = ["delete"]', "`delete`"),
        ("cases/care.toml", "hours_old = 0", "hours_old = false", "kind int"),
        ("cases/care.toml", 'actions = ["store"]', "actions = []", "names no action"),
    ],
)
def test_what_does_not_fit_together_is_refused(path: str, old: str, new: str, problem: str) -> None:
    assert problem in refused(changed(path, (old, new)))


def test_a_level_that_takes_the_name_of_an_outcome_is_refused() -> None:
    level = shipped_files()["levels/original.toml"].replace(b'"original"', b'"granted"')
    schema = shipped_files()["schema.cedarschema"].replace(b'"original", ', b'"original", "granted", ')
    assert "another meaning" in refused({**shipped_files(), "levels/granted.toml": level, "schema.cedarschema": schema})


def test_every_problem_of_every_file_is_told_at_once() -> None:
    files = changed("levels/patient.toml", ("shift_dates = false\n", ""))
    files["officers.cedar"] += b"permit (principal, action, resource);"
    files["cases/care.toml"] = b"case = 1"
    told = refused(files)
    assert all(word in told for word in ("levels/patient.toml", "officers.cedar", "cases/care.toml"))


def test_the_error_is_a_policy_error_and_its_public_words_are_plain() -> None:
    with pytest.raises(PolicyError) as caught:
        build({})
    assert caught.value.public == "the policy bundle is not valid"


def test_the_fingerprint_covers_every_byte_and_name() -> None:
    files = dict(shipped_files())
    seen = {fingerprint(files)}
    for path, content in files.items():
        seen.add(fingerprint({**files, path: content + b"\n"}))
        seen.add(fingerprint(without(path)))
        seen.add(fingerprint({**without(path), f"{path}x": content}))
    assert len(seen) == 1 + 3 * len(files)
    assert fingerprint({"a": b"bc"}) != fingerprint({"ab": b"c"})


def test_a_directory_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleProblems, match="cannot be read"):
        read_files(tmp_path)
    shutil.copytree(DIRECTORY, tmp_path / "p")
    (tmp_path / "p" / "levels" / "huge.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(BundleProblems, match="larger than"):
        read_files(tmp_path / "p")


def test_a_reload_keeps_the_former_bundle_and_says_why(tmp_path: Path) -> None:
    directory = tmp_path / "policies"
    shutil.copytree(DIRECTORY, directory)
    holder = BundleHolder(directory)
    first = holder.current
    rules = directory / "technologists.cedar"
    shipped_rules = rules.read_text()
    rules.write_text(shipped_rules.replace("age_hours < 24", "age_hours < 25"))
    problems = holder.reload()
    assert any("After 24 hours the own store is closed" in problem for problem in problems)
    assert holder.current is first
    rules.unlink()
    assert holder.reload()
    assert holder.current is first
    rules.write_text(shipped_rules + "// a remark\n")
    assert holder.reload() == ()
    assert holder.current.fingerprint != first.fingerprint


def test_a_start_without_a_valid_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        BundleHolder(tmp_path)


def test_a_case_that_fails_says_what_came_instead() -> None:
    cases = read_cases("one", ONE_CASE.replace(b'"front-desk"\n', b'"original"\n'))
    (outcome,) = run_cases(shipped(), cases)
    assert (outcome.passed, outcome.got, outcome.action) == (False, "front-desk", Action.SEARCH)


def test_the_tables_tell_every_level_role_and_rule() -> None:
    levels, roles = levels_table(shipped()), roles_table(shipped())
    for name, level in shipped().levels.items():
        assert f"| `{name}` | {level.description} |" in levels
    for role in shipped().roles:
        assert f"| `{role}` |" in roles
    for rule in shipped().book.rules.values():
        assert rule.note in roles
    for table in (levels, roles):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"keep_markers": False},
        {"keep_machine_text": True},
        {"keep_unused_bits": True},
        {"tell_regions": False},
        {"masked_notice": False},
        {"outline_regions": True},
        {"longest_side": 512},
        {"unscreened": RegionStyle.FILL},
        {"whole_frame": RegionStyle.COARSE},
        {"coarse_blocks": 16},
        {"regions": dict.fromkeys(RegionKind, RegionStyle.FILL)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_table_tells_every_switch_of_pixels(changes: dict[str, Any]) -> None:
    bundle = shipped()
    level = replace(bundle.levels["deidentified"], **changes)
    assert levels_table(replace(bundle, levels={**bundle.levels, "deidentified": level})) != levels_table(bundle)
