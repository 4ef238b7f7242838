"""Prepared rows say what the slow way says, whatever is stored and asked, and whoever fills, changes or breaks them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from house import NOW, POLICIES, House
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update
from sweep_routes import unsynced

from server import search, world_filling
from server import worlds as worlds_in_memory
from server.catalog import NewInstance
from server.catalog import worlds as catalog_worlds
from server.catalog.schema import world_entries, worlds
from server.commands.prepare import command
from server.metadata.attributes import dataset_from_attributes
from server.metadata.identifiers import identifiers
from server.model import InstancePath, ObjectReference, PatientIdentity, StudyLabels
from server.policy.bundle import build, read_files
from server.policy.decide import decide_many
from server.policy.mentions import STUDY_ATTRIBUTES, looked_at
from server.policy.rules import read_rules
from server.services import Services
from server.web.app import create_app

JSON = "application/dicom+json"
EXAMPLES = int(os.environ.get("SAFELIGHT_WORLD_EXAMPLES", "5"))
USERS = ("researcher", "teacher", "clinician", "front-desk", "patient", "technologist")
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
Answer = tuple[int, str | None, bytes]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    unsynced(monkeypatch)
    with House(tmp_path) as one:
        yield one


def put(house: House, number: int, **more: Any) -> None:
    """A study, straight through the catalogue; `name`, `patient`, `day`, `accession`, … change it."""
    uids = [f"2.25.{number}", f"2.25.{number}.{more.get('series', 1)}", f"2.25.{number}.1.{more.get('instance', 1)}"]
    patient = PatientIdentity(issuer="MUSTERHAUS", patient_id=more.get("patient", f"M-{number}"))
    name = dict(zip(GROUPS, more.get("name", "MUSTER^MAXIMA").split("="), strict=False))
    study: dict[str, dict[str, Any]] = {
        "00080020": {"vr": "DA", "Value": [more.get("day", "20240131")]},
        "00080030": {"vr": "TM", "Value": [more.get("time", "101112")]},
        "00080050": {"vr": "SH", "Value": [more.get("accession", f"A-{number}")]},
        "00080090": {"vr": "PN", "Value": [{"Alphabetic": "DOC^TOR"}]},
        "00081030": {"vr": "LO", "Value": [more.get("description", "CHEST PA")]},
        "00100010": {"vr": "PN", "Value": [name]},
        "00100020": {"vr": "LO", "Value": [patient.patient_id]},
        "00100021": {"vr": "LO", "Value": [patient.issuer]},
        "00100040": {"vr": "CS", "Value": [more.get("sex", "F")]},
        "0020000D": {"vr": "UI", "Value": uids[:1]},
    }
    if zone := more.get("zone"):
        study["00080201"] = {"vr": "SH", "Value": [zone]}
    series = {"0020000E": {"vr": "UI", "Value": [uids[1]]}, "00080060": {"vr": "CS", "Value": [more.get("kind", "DX")]}}
    instance = {"00080018": {"vr": "UI", "Value": [uids[2]]}}
    labels = StudyLabels(
        stored_by="technologist",
        stored_department="cardiology",
        stored_at=NOW - 3600 * more.get("hours", 1),
        departments=more.get("departments", frozenset({"radiology"})),
    )
    catalog = house.services.catalog
    wanted = dict.fromkeys(identifiers(dataset_from_attributes(study, series, instance)), "id")
    drawn = catalog.draw(wanted, catalog.find_row_keys(wanted), {})
    keys = drawn.every
    content = ObjectReference(name=os.urandom(16).hex(), kind="instance", version=1, segments=3)
    catalog.register(
        NewInstance(
            path=InstancePath(study=uids[0], series=uids[1], instance=uids[2]), patient=patient, labels=labels,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1", transfer_syntax_uid="1.2.840.10008.1.2.1", number_of_frames=1,
            content=content, body_digest=os.urandom(32), study_attributes=study, series_attributes=series,
            instance_attributes=instance, study_row_keys=keys, series_row_keys=keys, instance_row_keys=keys,
            identifies=frozenset({("name", "MUSTER^MAXIMA")}), keys=drawn,
        )
    )  # fmt: skip


def ask(house: House, user: str, query: str = "", **changes: Any) -> Answer:
    response = house.get(f"/dicomweb/studies?{query}", user, JSON, token=house.token(user, **changes))
    return response.status_code, response.headers.get("Warning"), response.get_data()


def slowly(house: House, user: str, query: str = "", **changes: Any) -> Answer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "prepared", lambda *_: None)
        return ask(house, user, query, **changes)


def quickly(house: House, user: str, query: str = "", **changes: Any) -> Answer:
    """The answer, a 500 if it would be that of the slow way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "narrowed", _never)
        return ask(house, user, query, **changes)


def _never(*_: object) -> None:
    raise AssertionError("the slow way is taken")


def both(house: House, user: str, query: str = "") -> Answer:
    fast, slow = quickly(house, user, query), slowly(house, user, query)
    assert fast == slow, (user, query)
    return fast


def entries(house: House) -> int:
    with house.services.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(world_entries)).scalar_one()


NAMES = (
    "MUSTER^MAXIMA",
    "MUSTER^MAX",
    "Groß^Erika",
    "BEISPIEL^ANTON^^DR",
    "",
    "山田^太郎",
    "A^B=甲^乙=か^き",
    "MUSTER",
)
STUDY = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "patient": st.sampled_from(("M-1", "M-2", "m-1", "")),
        "day": st.sampled_from(("20240131", "20240201", "20231231", "", "19991231")),
        "time": st.sampled_from(("101112", "235959", "")),
        "zone": st.sampled_from(("", "+1400", "-0800")),
        "accession": st.sampled_from(("A1", "A2", "A*", "")),
        "description": st.sampled_from(("CHEST PA", "CHEST PA MUSTER", "HAND", "")),
        "kind": st.sampled_from(("DX", "CT", "MR")),
        "sex": st.sampled_from(("M", "F", "O", "")),
        "departments": st.sampled_from((frozenset({"radiology"}), frozenset({"surgery"}), frozenset[str]())),
    }
)
KEYS = ("PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription", "PatientSex",
        "ModalitiesInStudy", "ReferringPhysicianName", "StudyInstanceUID", "PatientIdentityRemoved", "00080005",
        "PatientBirthDate", "Modality", "RequestAttributesSequence.ScheduledProcedureStepID")  # fmt: skip
VALUES = ("*", "", "MUSTER*", "muster^max*", "*max*", "M-1", "A*", "A?", "20240101-20240229", "-20240131", "20240201-",
          "20240131", "CHEST*", "CHEST PA", "DX", "C?", "M", "YES", "ISO_IR 192", "1011*", "100000-120000", '""',
          "CT\\DX", "Maxima Muster", "gross erika", "-2359", "20240131-20240201")  # fmt: skip
SWITCHES = (
    *("", "limit=1", "limit=2&offset=1", "limit=0", "offset=3", "fuzzymatching=true", "emptyvaluematching=true"),
    *("fuzzymatching=true&emptyvaluematching=true", "TimezoneOffsetFromUTC=%2B0200", "00080201=-0930"),
    *("multiplevaluematching=true", "limit=5&StudyTime=1000-2300&StudyDate=20240101-20240131"),
)
QUERY = st.tuples(
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES) | st.integers(0, 40)), max_size=2),
    st.sampled_from(SWITCHES),
)


def written(query: tuple[list[tuple[str, str | int]], str], shown: Sequence[str]) -> str:
    """A number stands for a value that was shown."""
    keys, paging = query
    pairs = {}
    for name, value in keys:
        said = (shown[value % len(shown)] if shown else "X") if isinstance(value, int) else value
        is_uid = name == "StudyInstanceUID"
        pairs[name] = said if not is_uid or (said[:1].isdecimal() and "-" not in said and "." in said) else "2.25.1"
    pairs = {name: said for name, said in pairs.items() if f"&{name}=" not in paging}
    return "&".join([*(f"{name}={value}" for name, value in pairs.items()), *([paging] if paging else [])])


def values_of(rows: Any) -> list[str]:
    found = [value for row in rows or [] for one in row.values() for value in one.get("Value", [])]
    return [value.get("Alphabetic", "") if isinstance(value, dict) else str(value) for value in found]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=st.lists(STUDY, min_size=1, max_size=7), queries=st.lists(QUERY, min_size=4, max_size=8), data=st.data())
def test_the_fast_way_says_what_the_slow_way_says(
    made: list[dict[str, Any]], queries: list[Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("worlds")) as house:
        unsynced(patch)
        half = data.draw(st.integers(0, len(made)))
        for number, study in enumerate(made[:half], start=1):
            put(house, number, **study)
        for user in ("researcher", "clinician"):
            assert ask(house, user) == slowly(house, user)
        for number, study in enumerate(made[half:], start=half + 1):
            put(house, number, **study)
        for user in ("researcher", "clinician", "front-desk", "teacher"):
            shown = values_of(house.get("/dicomweb/studies", user, JSON).json)
            for query in queries:
                both(house, user, written(query, shown))


def test_every_role_gets_what_it_got(house: House) -> None:
    for number in range(1, 8):
        put(house, number, name=NAMES[number % len(NAMES)], departments=frozenset({"surgery"} if number % 2 else ()))
    for user in USERS:
        for query in ("", "PatientName=MUSTER*", "StudyDate=20240101-20241231&limit=2", "ModalitiesInStudy=DX"):
            assert ask(house, user, query) == slowly(house, user, query)
    assert quickly(house, "researcher")[0] == 200
    # What depends on the hour of the day is decided at the hour.
    assert quickly(house, "technologist")[0] == 500


def test_whatever_changes_is_prepared_anew(house: House) -> None:
    for number in (1, 2, 3):
        put(house, number)
    for user in ("researcher", "clinician"):
        both(house, user)
    put(house, 2, instance=2, series=2, kind="CT")
    assert b'["CT","DX"]' in both(house, "researcher")[2]
    put(house, 4)
    assert both(house, "researcher")[2].count(b"00081190") == both(house, "clinician")[2].count(b"00081190") == 4
    house.services.catalog.set_labels("2.25.1", departments={"surgery"}, care_team=())
    assert both(house, "clinician")[2].count(b"00081190") == 3
    house.services.catalog.set_labels("2.25.1", departments={"radiology"}, care_team=())
    assert both(house, "clinician")[2].count(b"00081190") == 4


def test_counts_are_exact_up_to_a_thousand(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "COUNTED", 4)
    for number in range(1, 8):
        put(house, number)
    for limit in (1, 2, 3, 4, 7, 8):
        both(house, "researcher", f"limit={limit}")
    assert "There are 4 or more" in (both(house, "researcher", "limit=3")[1] or "")
    assert "There are 3 add" in (both(house, "researcher", "limit=4")[1] or "")
    assert "There are 2 add" in (both(house, "researcher", "limit=2&offset=3")[1] or "")


def test_until_a_world_is_complete_the_slow_way_answers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_filling, "STEP", 2)
    monkeypatch.setattr(world_filling, "CHUNK", 2)
    for number in range(1, 6):
        put(house, number)
    found = [ask(house, "researcher") for _ in range(2)]
    assert entries(house) == 4
    assert quickly(house, "teacher")[0] == 500
    put(house, 2, instance=2)
    found = [*found, quickly(house, "researcher")]
    assert found[0] == found[1] != found[2] == slowly(house, "researcher")


def test_a_restart_finds_the_world_and_what_changed_since(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_filling, "_PENDING", 3)
    for number in range(1, 5):
        put(house, number)
    before = both(house, "researcher")
    monkeypatch.setattr(world_filling, "_filled", lambda _asked, state: state)
    house.reopen()
    assert both(house, "researcher") == before
    for number in range(5, 11):
        put(house, number)
        both(house, "researcher")
    assert entries(house) == 10
    put(house, 11)
    house.reopen()
    assert both(house, "researcher")[2].count(b"00081190") == 11


def test_the_end_of_a_project_ends_its_worlds_only(house: House) -> None:
    for number in (1, 2):
        put(house, number)
    both(house, "researcher")
    both(house, "clinician")
    other = quickly(house, "researcher", project="another")
    assert entries(house) == 6
    before = ask(house, "researcher")
    assert house.services.catalog.end_project("demo-project")
    assert entries(house) == 4
    assert both(house, "researcher") != before
    assert quickly(house, "researcher", project="another") == other
    assert entries(house) == 6


def test_worlds_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.catalog.worlds.WORLDS", 2)
    monkeypatch.setattr("server.catalog.listing.LISTINGS", 2)
    put(house, 1)
    for project in ("a", "b", "c", "a"):
        assert quickly(house, "researcher", project=project) == slowly(house, "researcher", project=project)
    assert entries(house) == 2
    monkeypatch.setattr(world_filling, "MOST", 0)
    assert quickly(house, "researcher", project="d")[0] == 500
    assert ask(house, "researcher", project="d")[0] == 200


def test_of_too_many_studies_only_prepared_ones_are_searched(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_SLOWLY", 3)
    monkeypatch.setattr(world_filling, "STEP", 2)
    for number in range(1, 6):
        put(house, number)
    assert [ask(house, "researcher")[0] for _ in range(3)] == [503, 503, 200]
    assert ask(house, "clinician") == slowly(house, "clinician")
    assert slowly(house, "researcher")[0] == 503
    shown = values_of(house.get("/dicomweb/studies?limit=1", "researcher", JSON).json)
    (study,) = [value for value in shown if value.startswith("2.25.")]
    assert slowly(house, "researcher", f"StudyInstanceUID={study}")[0] == 200


def test_the_command_prepares_what_a_search_then_finds(house: House) -> None:
    for number in range(1, 6):
        put(house, number)

    @contextmanager
    def opened(_data: Path | None) -> Iterator[Services]:
        yield house.services

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.commands.prepare.services_of", opened)
        done = CliRunner().invoke(command, ["--project", "demo-project"])
    assert done.exit_code == 0, done.output
    assert "deidentified, demo-project: 5 studies prepared" in done.output
    assert "original: 5 studies prepared" in done.output
    for user in ("researcher", "clinician", "front-desk", "teacher"):
        assert quickly(house, user)[0] == 200


def test_searches_side_by_side_wait_for_one_another(house: House) -> None:
    put(house, 1)
    before = both(house, "researcher")
    (held,) = house.services.catalog.listings._held.values()
    held.lock.acquire()
    threading.Timer(0.3, held.lock.release).start()
    assert quickly(house, "researcher") == before


def test_a_patient_is_told_apart_without_asking_about_every_other(house: House) -> None:
    """Of what rules only hold against the caller's own there are two kinds: theirs, and everybody else's."""
    for number in range(1, 30):
        put(house, number, departments=frozenset({f"ward-{number}", "radiology" if number % 2 else "surgery"}))
    asked: list[int] = []
    decide = decide_many

    def counted(*words: Any) -> Any:
        asked.append(len(words[3]))
        return decide(*words)

    own = PatientIdentity(issuer="MUSTERHAUS", patient_id="M-7")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds_in_memory, "decide_many", counted)
        assert quickly(house, "patient", patient=own)[2].count(b"00081190") == 1
        assert sum(asked) == 2
        asked.clear()
        assert quickly(house, "clinician")[2].count(b"00081190") == 15
        assert sum(asked) == 2
        assert quickly(house, "clinician", departments=("surgery", "ward-1"))[2].count(b"00081190") == 15
        assert sum(asked) == 2 + 3
    for one in ({"departments": ("surgery", "ward-1")}, {"departments": ("ward-2",)}, {"departments": ()}):
        assert ask(house, "clinician", **one) == slowly(house, "clinician", **one)
    for name in ("M-7", "M-", "M-77", ""):
        other = PatientIdentity(issuer="MUSTERHAUS", patient_id=name)
        assert ask(house, "patient", patient=other) == slowly(house, "patient", patient=other)


def test_a_study_that_no_rule_can_be_asked_about_is_of_a_kind_of_its_own(house: House) -> None:
    for number in (1, 2, 3):
        put(house, number, hours=-1e300 if number == 2 else 1)
    for user in ("researcher", "clinician", "front-desk"):
        assert both(house, user)[2].count(b"00081190") == 2


def test_somebody_with_very_many_departments_is_answered_slowly(house: House) -> None:
    for number in (1, 2):
        put(house, number)
    many = tuple(f"ward-{number}" for number in range(70))
    assert quickly(house, "clinician", departments=many)[0] == 500
    assert ask(house, "clinician", departments=(*many, "radiology"))[2].count(b"00081190") == 2


@pytest.mark.parametrize("damage", ["flipped", "swapped", "gone", "emptied", "state"])
def test_damage_costs_time_and_nothing_else(house: House, damage: str) -> None:
    for number in (1, 2, 3):
        put(house, number)
    before = both(house, "researcher")
    with house.services.engine.begin() as connection:
        rows = connection.execute(select(world_entries.c.entry, world_entries.c.sealed)).all()
        if damage == "gone":
            connection.execute(delete(world_entries).where(world_entries.c.entry == rows[0].entry))
        elif damage == "emptied":
            connection.execute(delete(world_entries))
            connection.execute(delete(worlds))
        elif damage == "state":
            connection.execute(update(worlds).values(sealed=b"\x01" * 100))
        else:
            other = rows[1].sealed if damage == "swapped" else rows[0].sealed[:-1] + b"?"
            mine = update(world_entries).where(world_entries.c.entry == rows[0].entry)
            connection.execute(mine.values(sealed=other))
    if damage in {"gone", "flipped", "swapped"}:
        assert ask(house, "researcher") == before
    house.reopen()
    assert ask(house, "researcher") == before
    assert ask(house, "researcher") == before
    assert both(house, "researcher") == before


def test_a_study_that_changes_under_the_search_is_not_answered_as_it_was(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes after the list of changes was looked at: the decision is about the study as it is now."""
    for number in (1, 2):
        put(house, number)
    both(house, "clinician")
    catalog = house.services.catalog
    count = catalog.count_changes()
    monkeypatch.setattr(type(catalog), "count_changes", lambda _: count)
    catalog.set_labels("2.25.1", departments={"surgery"}, care_team=())
    assert ask(house, "clinician")[2].count(b"00081190") == 1


def test_an_entry_never_grants(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were all kinds of study held to be shown, the study itself would still be decided about."""
    put(house, 1)
    put(house, 2, departments=frozenset({"surgery"}))
    both(house, "clinician")
    monkeypatch.setattr("server.catalog.listing.Listing.visible", lambda self, *_: np.ones(len(self), np.bool_))
    assert ask(house, "clinician")[2].count(b"00081190") == 1


def test_prepared_rows_are_sealed_and_of_one_size(house: House, tmp_path: Path) -> None:
    for number, name in enumerate(("MUSTER^MAXIMA", "X", "BEISPIEL^" + "A" * 50), start=1):
        put(house, number, name=name)
    shown = both(house, "clinician")[2] + both(house, "researcher")[2]
    assert b"BEISPIEL" in shown
    with house.services.engine.connect() as connection:
        found = connection.execute(select(world_entries.c.sealed)).scalars().all()
    assert len(found) == 6
    assert len({len(one) for one in found}) == 1
    lying = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("catalog.sqlite*"))
    assert not [text for text in (b"MUSTER", b"BEISPIEL", b"DOC^TOR", b"CHEST", b"00081190") if text in lying]


def test_several_fill_one_world(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_filling, "STEP", 4)
    monkeypatch.setattr(world_filling, "CHUNK", 2)
    for number in range(1, 15):
        put(house, number)
    slow = slowly(house, "researcher")
    opened = [house._open() for _ in range(4)]
    token = house.token("researcher")
    found: list[bytes] = []

    def fill(client: FlaskClient) -> None:
        for _ in range(6):
            answer = client.get("/dicomweb/studies", headers={"Authorization": f"Bearer {token}", "Accept": JSON})
            found.append(answer.get_data())

    threads = [threading.Thread(target=fill, args=(create_app(one).test_client(),)) for one in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in opened:
        one.close()
    assert found == [slow[2]] * 24
    assert entries(house) == 14
    assert quickly(house, "researcher") == slow


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_kill_in_the_midst_of_filling_leaves_nothing_half_done(
    house: House, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The process ends by itself between the entries and the word on how far they go."""
    monkeypatch.setattr(world_filling, "CHUNK", 2)
    for number in range(1, 8):
        put(house, number)
    house.close()
    child = os.fork()
    if not child:
        drawn = iter(range(1, 100))
        number_of = catalog_worlds._next
        catalog_worlds._next = lambda connection: _end() if next(drawn) > at else number_of(connection)
        house.reopen()
        ask(house, "researcher")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    house.reopen()
    assert entries(house) == 2 * (at - 1)
    put(house, 8)
    assert both(house, "researcher")[2].count(b"00081190") == 8
    assert entries(house) == 7


def _end() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_rules_name_what_they_look_at() -> None:
    files = dict(read_files(POLICIES))
    book = build(files).book
    # What the safeguards look at, whoever asks.
    always = {"labels", "consent", "care_team"}
    assert looked_at(book, "researcher") == always
    assert looked_at(book, "front-desk") == always
    assert looked_at(book, "clinician") == {*always, "departments", "stored_department"}
    assert looked_at(book, "patient") == {*always, "patient"}
    assert looked_at(book, "technologist") == {*always, "stored_by", "age_hours"}
    odd = b'\n@id("odd") @note("Odd.") forbid (principal, action, resource) when { [resource].contains(resource) };\n'
    rules = {path: content for path, content in files.items() if path.endswith(".cedar")}
    found = read_rules(rules | {"odd.cedar": odd}, files["schema.cedarschema"])
    assert looked_at(found, "researcher") == STUDY_ATTRIBUTES
