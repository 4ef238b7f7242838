"""A thief with the whole database, the frequencies of names and a list of 1 000 patients, but without the keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import random
from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from catalog_world import INDEX_KEY, LABELS, Repeatable, new_instance, regions_reference, stored, study_attributes
from sqlalchemy import Engine, func, select

from server.catalog import Catalog, StudyQuery
from server.catalog.database import reading
from server.catalog.schema import (
    identifiers,
    instances,
    metadata,
    postings,
    series,
    studies,
    world_entries,
    worlds,
    wrapped_keys,
)
from server.catalog.screening_queue import Outcome
from server.catalog.tokens import TOKEN_BYTES, mask_row
from server.model import Identifier, IdentifierKind, PatientIdentity, ScreeningState

KNOWN_PATIENTS = 1000
# The published figures come from a run with 2 000 studies; the number changes nothing of what is asserted.
STUDIES = int(os.environ.get("SAFELIGHT_THIEF_STUDIES", "80"))
FAMILY = ("MUSTER", "EXAMPLE", "BEISPIEL", "PROBE", "SPECIMEN", "ESEMPIO", "EJEMPLO", "DEMONSTRATION", "XY")
GIVEN = ("MAXIMA", "PATIENT", "ANNA", "BO", "CHRISTOPHERINA", "D", "ERIKA", "FELIX", "GABRIELE")


@dataclass(frozen=True, kw_only=True)
class Person:
    name: str
    patient_id: str


def population() -> tuple[list[Person], list[Person]]:
    """The patients whom the thief knows, and whose study each stored one is: few have many, as in life."""
    chance = random.Random(4711)
    people = [
        Person(
            name=f"{chance.choices(FAMILY, [1 / n for n in range(1, 10)])[0]}^{chance.choice(GIVEN)}",
            patient_id=f"{number}" if number % 3 else f"HOSPITAL-{number:012d}",
        )
        for number in range(KNOWN_PATIENTS)
    ]
    weights = [1 / (rank + 2) for rank in range(KNOWN_PATIENTS)]
    return people, chance.choices(people, weights, k=STUDIES)


def store(catalog: Catalog, number: int, person: Person) -> None:
    """As the use case of storing does: row keys, the study's key, then the instance, then its screening."""
    new = new_instance(
        study=10_000 + number,
        patient=PatientIdentity(issuer="A", patient_id=person.patient_id),
        study_attributes={
            **study_attributes(person.name, f"ACC{number}", f"20240{1 + number % 9}1{number % 10}"),
            "00100020": {"vr": "LO", "Value": [person.patient_id]},
        },
    )
    wanted = {
        Identifier(kind=IdentifierKind.UID, value=new.path.study): "uid/study",
        Identifier(kind=IdentifierKind.UID, value=new.path.series): "uid/series",
        Identifier(kind=IdentifierKind.UID, value=new.path.instance): "uid/instance",
        Identifier(kind=IdentifierKind.PATIENT, value=f"A\x00{person.patient_id}"): "patient",
        Identifier(kind=IdentifierKind.ACCESSION, value=f"ACC{number}"): "accession",
    }
    stored(catalog, new, wanted, lambda _: os.urandom(60))


@dataclass(frozen=True, kw_only=True)
class Loot:
    """What the thief sees of each study, in the order of storing (more than one dump can tell)."""

    truth: list[Person]
    seen: list[Hashable]


def success(loot: Loot) -> tuple[float, float]:
    """Shares of studies named rightly: by the thief, and by one who only ever names the likeliest patient.

    The thief is given the truth about every other study, and names the rest after those that look alike.
    """
    learned: dict[Hashable, Counter[Person]] = defaultdict(Counter)
    overall: Counter[Person] = Counter()
    for person, seen in list(zip(loot.truth, loot.seen, strict=True))[::2]:
        learned[seen][person] += 1
        overall[person] += 1
    likeliest = overall.most_common(1)[0][0]
    rest = list(zip(loot.truth, loot.seen, strict=True))[1::2]
    named = sum(
        (learned[seen].most_common(1)[0][0] if seen in learned else likeliest) == person for person, seen in rest
    )
    return named / len(rest), sum(person == likeliest for person, _ in rest) / len(rest)


def table_sizes(engine: Engine) -> tuple[int, ...]:
    with reading(engine) as connection:
        return tuple(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (studies, series, instances, postings, identifiers, wrapped_keys, worlds, world_entries)
        )


def dump(engine: Engine) -> dict[str, list[Any]]:
    with reading(engine) as connection:
        return {table.name: list(connection.execute(select(table)).all()) for table in metadata.sorted_tables}


def plunder(engine: Engine, catalog: Catalog, people: list[Person]) -> Loot:
    """Store the studies; watch how each changes the size of every table, and at last every row's lengths and values."""
    growth, order = [], []
    before, known = table_sizes(engine), set[bytes]()
    for number, person in enumerate(people):
        store(catalog, number, person)
        after = table_sizes(engine)
        growth.append(tuple(new - old for new, old in zip(after, before, strict=True)))
        before = after
        with reading(engine) as connection:
            rows = set(connection.execute(select(studies.c.row)).scalars())
        order.append((rows - known).pop())
        known = rows
    tables = dump(engine)
    parts = Counter(piece for rows in tables.values() for row in rows for piece in pieces(row))
    seen: list[Hashable] = []
    for row, grown in zip(order, growth, strict=True):
        mine = [
            (table, found)
            for table in ("studies", "series", "instances")
            for found in tables[table]
            if row in (found.row, getattr(found, "study", None))
        ]
        lengths = tuple((table, *(len(value) for value in found if isinstance(value, bytes))) for table, found in mine)
        linked = sum(parts[piece] - 1 for _, found in mine for piece in pieces(found) if piece not in structure(mine))
        seen.append((grown, lengths, linked))
    return Loot(truth=people, seen=seen)


def pieces(row: Any) -> list[bytes]:
    return [value for value in row if isinstance(value, bytes) and len(value) == TOKEN_BYTES]


def structure(mine: list[tuple[str, Any]]) -> set[bytes]:
    return {found.row for _, found in mine}


def test_the_thief_does_no_better_than_guessing(engine: Engine, catalog: Catalog) -> None:
    people, stored = population()
    loot = plunder(engine, catalog, stored)
    named, guessed = success(loot)
    print(
        f"{engine.dialect.name}: {len(people)} known patients, {len(stored)} studies of {len(set(stored))} patients; "
        f"thief names {named:.2%}, guessing {guessed:.2%}, kinds of study to tell apart: {len(set(loot.seen))}"
    )
    assert len(set(loot.seen)) == 1
    assert named == guessed
    assert list(found_names(catalog, stored[0])) == sorted(found_names(catalog, stored[0]))


def found_names(catalog: Catalog, person: Person) -> list[str]:
    return [study.study_instance_uid for study in catalog.find_studies(StudyQuery(patient_id=person.patient_id))]


def test_the_same_thief_succeeds_on_plain_keyed_tokens() -> None:
    """The thief is worth the name: one token for each patient gives nearly everything away."""
    _, stored = population()
    key = os.urandom(32)
    tokens = [hmac.digest(key, person.patient_id.encode(), "sha256") for person in stored]
    named, guessed = success(Loot(truth=stored, seen=list(tokens)))
    assert named > 2 * guessed
    lengths = [len(person.name) + len(person.patient_id) for person in stored]
    by_length, _ = success(Loot(truth=stored, seen=list(lengths)))
    assert by_length > guessed


def test_no_value_stands_twice_in_the_database(engine: Engine, catalog: Catalog) -> None:
    """No value joins two rows but the parents' row identifiers: nothing co-occurs, nothing has a frequency."""
    _, stored = population()
    for number, person in enumerate(stored[:40]):
        store(catalog, number, person)
    tables = dump(engine)
    rows = {found.row for table in ("studies", "series", "instances") for found in tables[table]}
    values = Counter(piece for found in tables.values() for row in found for piece in pieces(row))
    assert {value for value, count in values.items() if count > 1} <= rows
    unmasked = Counter(mask_row(entry.token, entry.masked_row) for entry in tables["postings"])
    assert len(unmasked) == len(tables["postings"])
    assert not rows & set(unmasked)
    tokens = b"".join(row.token + row.masked_row for row in tables["postings"])
    expected = len(tokens) / 256
    # Chi-square with 255 degrees of freedom exceeds 400 once in a hundred million times.
    assert sum((count - expected) ** 2 / expected for count in Counter(tokens).values()) < 400


def test_prepared_rows_tell_how_many_they_are_and_no_more(engine: Engine, catalog: Catalog) -> None:
    """Neither value nor order joins an entry to a study, or to the entry of the same study in another world."""
    _, stored = population()
    for number, person in enumerate(stored[:40]):
        store(catalog, number, person)
    rows = catalog.stored(0, 40)
    prepared = [catalog.world(name, "project") for name in (b"one", b"other")]
    for world in prepared:
        begun = catalog.begin_world(world)
        entries = {catalog.entry_token(world, row): os.urandom(2048) for row in rows}
        catalog.advance_world(world, begun, replace(begun, done=40), entries)
    tables = dump(engine)
    values = Counter(piece for found in tables.values() for row in found for piece in pieces(row))
    known = {found.row for table in ("studies", "series", "instances") for found in tables[table]}
    known |= {world.token for world in prepared} | {world.owner for world in prepared}
    assert {value for value, count in values.items() if count > 1} <= known
    assert not set(rows) & {piece for found in tables["world_entries"] for piece in pieces(found)}
    orders = []
    for world in prepared:
        mine = sorted(found.entry for found in tables["world_entries"] if found.world == world.token)
        by_entry = {catalog.entry_token(world, row): number for number, row in enumerate(rows)}
        orders.append([by_entry[entry] for entry in mine])
    # Of random orders, half of all 780 pairs stand in one way round in both, give or take 44.
    for one, other in ((orders[0], orders[1]), (orders[0], [*range(40)]), (orders[1], [*range(40)])):
        alike = sum(
            (one.index(a) < one.index(b)) == (other.index(a) < other.index(b)) for a in range(40) for b in range(a)
        )
        assert 200 < alike < 580
    assert len({len(found.sealed) for found in tables["worlds"]}) == 1


CANARIES = (
    "CANARY^NAMENSTRAEGER",
    "CANARYPATIENTID",
    "CANARYISSUER",
    "CANARYACCESSION",
    "20240131",
    "CANARYDEPARTMENT",
    "2.25.31415926535897932384",
    "CANARYCARETEAM",
    "CANARYSTOREDBY",
    "CANARYSUBJECT",
    "CANARYPROJECT",
)
# Shorter sequences turn up by chance among megabytes of sealed bytes.
SHORTEST = 7


def forms(text: str) -> set[bytes]:
    """Every way in which a text might lie in a file and still be found."""
    plain = text.encode()
    found = {plain, plain.lower(), text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("utf-32-le")}
    found |= {plain.hex().encode(), plain.hex().upper().encode(), plain[::-1]}
    for offset in range(3):
        encoded = base64.b64encode(b"\x00" * offset + plain)
        found |= {encoded[4:-4], encoded[4:-4].translate(bytes.maketrans(b"+/", b"-_"))}
    digests = {hashlib.new(name, plain).digest() for name in ("md5", "sha1", "sha256")}
    found |= digests | {digest.hex().encode() for digest in digests}
    return {form for form in found if len(form) >= SHORTEST}


def at_rest(engine: Engine, tmp_path: Path) -> bytes:
    if engine.dialect.name == "sqlite":
        return b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()) if file.is_file())
    with reading(engine) as connection:
        place = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar()))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CHECKPOINT")
    return b"".join(file.read_bytes().rstrip(b"\x00") for file in place.rglob("*") if file.is_file())


def fill(catalog: Catalog) -> None:
    """Put every canary through every operation that stores something of it."""
    name, patient_id, issuer, accession, day, department, uid, team, stored_by, subject, project = CANARIES
    labels = replace(LABELS, stored_by=stored_by, departments=frozenset({department}), care_team=frozenset({team}))
    new = new_instance(labels=labels, patient=PatientIdentity(issuer=issuer, patient_id=patient_id))
    path = replace(new.path, study=uid, series=f"{uid}.1", instance=f"{uid}.1.1")
    new = replace(new, path=path, study_attributes=study_attributes(name, accession, day))
    wanted = {Identifier(kind=IdentifierKind.PATIENT, value=f"{issuer}\x00{patient_id}"): "patient"}
    wanted[Identifier(kind=IdentifierKind.UID, value=uid)] = "uid"
    catalog.project_key(project, lambda context: context.encode())
    row = stored(catalog, new, wanted, lambda context: context.encode()).row
    catalog.set_labels(uid, departments={department}, care_team={team, "second"})
    catalog.claim("worker", 0.0, 1.0)
    catalog.finish(row, "worker", Outcome(state=ScreeningState.SCREENED, regions=regions_reference()))
    catalog.put_session(b"digest", subject.encode(), 1.0)
    assert len(list(catalog.find_studies(StudyQuery(patient_name="canary*")))) == 1


def readable(engine: Engine, tmp_path: Path) -> set[str]:
    # PostgreSQL compresses long values in its files, so what its tables say is looked at as well.
    rows = [row for found in dump(engine).values() for row in found]
    lying = at_rest(engine, tmp_path) + b"".join(value for row in rows for value in row if isinstance(value, bytes))
    assert b"uid_token" in lying
    return {canary for canary in CANARIES if any(form in lying for form in forms(canary))}


def test_a_A10_nothing_readable_at_rest(engine: Engine, catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    assert readable(engine, tmp_path) == set()


class Unsealed:
    def seal(self, table: str, row: str, value: bytes) -> bytes:
        return value

    def open(self, table: str, row: str, sealed: bytes) -> bytes:
        return sealed


def test_the_sweep_finds_what_is_readable(engine: Engine, tmp_path: Path) -> None:
    fill(Catalog(engine, sealer=Unsealed(), index_key=INDEX_KEY, randomness=Repeatable()))
    assert readable(engine, tmp_path) == set(CANARIES) - {"CANARYPROJECT"}


@pytest.mark.parametrize("attributes", [{}, study_attributes("A" * 300 + "^" + "B" * 300)], ids=["none", "long"])
def test_extremes_of_a_study_are_in_no_class_of_their_own(
    engine: Engine, catalog: Catalog, attributes: dict[str, Any]
) -> None:
    catalog.register(new_instance(study=1))
    catalog.register(new_instance(study=2, study_attributes=attributes))
    with reading(engine) as connection:
        assert len({len(sealed) for sealed in connection.execute(select(studies.c.sealed)).scalars()}) == 1
