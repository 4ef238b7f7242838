"""Going back from pseudonyms without the keyring, finding them by walking, joining two projects (a.M10, a.M11, a.M12).

The attacker has every original, this source code and, where there is one, the whole database and the wrapped root key.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import PixelFormat, chest_film, part10_bytes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from house import House, parts
from pseudonym_guesses import GUESSES, block, candidates
from pydicom import dcmread
from sweep_routes import unsynced

from server.metadata.pseudonyms import Pseudonyms, domain_key, row_key_of_identifier, row_key_of_uid
from server.model import Identifier, IdentifierKind
from server.services import SystemRandomness

JSON = "application/dicom+json"
NUMBER = 10_000
DAY = re.compile(r"[0-9]{8}")
STUDIES = 50
EQUAL: dict[str, Any] = {"StudyDate": "20200102", "StudyTime": "101112"}
SMALL = PixelFormat(rows=16, columns=16)
Pair = tuple[str, str]


def domain() -> bytes:
    return domain_key(SystemRandomness().bytes(32, "project"), "deidentified")


def sample() -> tuple[list[Pair], dict[Identifier, bytes], bytes]:
    """Originals beside their pseudonyms, half UIDs that count up, half patient IDs; row keys and the domain's key."""
    uids = [Identifier(kind=IdentifierKind.UID, value=f"1.2.3.4.{n}") for n in range(NUMBER // 2)]
    people = [Identifier(kind=IdentifierKind.PATIENT, value=f"ISSUER\x00{n:07}") for n in range(NUMBER // 2)]
    keys = {one: SystemRandomness().bytes(16, "row-key") for one in [*uids, *people]}
    key = domain()
    names = Pseudonyms(domain_key=key, row_keys=keys, patient_row_key=bytes(16))
    pairs = [(one.value, names.uid(one.value)) for one in uids]
    pairs += [(one.value, names.identifier(one.kind, one.value)) for one in people]
    return pairs, keys, key


def test_a_M10_no_pseudonym_is_a_function_of_its_value() -> None:
    """Unkeyed hashes, guessed keys and pseudonyms under a guessed project key match 0 of 10 000."""
    pairs, keys, key = sample()
    assert len({made for _, made in pairs}) == NUMBER
    blocks = {block(made) for _, made in pairs}
    # Parts are enough to notice a block of which some bits were set for its form, as a UUID's are.
    targets = blocks | {one[::-1] for one in blocks} | {one[8:] for one in blocks} | {one[:6] for one in blocks}
    tried = 0
    for value, _ in pairs:
        found = set(candidates(value))
        tried += len(found)
        assert targets.isdisjoint(part for one in found for part in (one, one[8:], one[:6]))
    assert tried > 25 * NUMBER
    guessed = [
        domain_key(guess.ljust(32, b"\0")[:32], level) for guess in GUESSES for level in ("deidentified", "teaching")
    ]
    for one in guessed:
        for value, made in pairs[:: NUMBER // 200]:
            row = row_key_of_uid(one, made) or row_key_of_identifier(one, IdentifierKind.PATIENT, made)
            assert row not in keys.values()
            assert row not in set(candidates(value))
    assert len({row_key_of_uid(key, made) for _, made in pairs[: NUMBER // 2]} & set(keys.values())) == NUMBER // 2


ORDERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "number": block,
    "length": lambda made: (len(made), made),
    "backwards": lambda made: made[::-1],
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_M10_no_order_and_no_length_pairs_them(order: str) -> None:
    """Originals by value, pseudonyms by any order: what agrees is what chance lets agree, about one of thousands."""
    pairs, _, _ = sample()
    half = NUMBER // 2
    for part in (pairs[:half], pairs[half:]):
        paired = list(
            zip(sorted(real for real, _ in part), sorted((m for _, m in part), key=ORDERS[order]), strict=True)
        )
        assert len(set(paired) & set(part)) <= 15
        ranks = {made: rank for rank, made in enumerate(sorted((m for _, m in part), key=ORDERS[order]))}
        found = np.corrcoef(np.arange(half), [ranks[made] for _, made in part])[0, 1]
        assert abs(found) < 0.1
        lengths = np.array([(len(real), len(made)) for real, made in part])
        if len(set(lengths[:, 0])) > 1:
            assert abs(np.corrcoef(lengths[:, 0], lengths[:, 1])[0, 1]) < 0.1
        else:
            assert len(set(lengths[:, 1])) == 1


def test_a_M12_two_projects_and_two_levels_have_nothing_in_common() -> None:
    pairs, keys, _ = sample()
    names = [Pseudonyms(domain_key=domain(), row_keys=keys, patient_row_key=bytes(16)) for _ in range(2)]
    half = NUMBER // 2
    for part in (0, 1):
        views = [
            [one.uid(real) if part == 0 else one.identifier(IdentifierKind.PATIENT, real) for one in names]
            for real, _ in pairs[part * half : (part + 1) * half]
        ]
        first, second = ({view[side] for view in views} for side in (0, 1))
        assert not first & second
        columns = [[int(view[side][5:]) if part == 0 else view[side] for view in views] for side in (0, 1)]
        orders = [np.argsort(np.argsort(np.array(column, dtype=object))) for column in columns]
        assert abs(np.corrcoef(orders[0], orders[1])[0, 1]) < 0.1


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Fifty studies of ten patients, stored in the order of their numbers; keys and row keys by chance."""
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("thief")) as one:
        unsynced(patch)
        patch.setattr(one.randomness, "bytes", SystemRandomness().bytes)
        for study in range(1, STUDIES + 1):
            ds = chest_film(SMALL, study=study, patient=study % 10 + 1, canaries=False, **EQUAL)
            assert one.store(part10_bytes(ds)).status_code == 200
        yield one


def rows(house: House, user: str, **changes: Any) -> list[dict[str, Any]]:
    found = house.get("/dicomweb/instances", user, JSON, token=house.token(user, **changes)).json
    return list(found or [])


TAGS = ("0020000D", "0020000E", "00080018", "00100020", "00080050", "00200010")


def identities(found: Iterable[dict[str, Any]]) -> list[list[str]]:
    return [[str(row[tag]["Value"][0]) for tag in TAGS] for row in found]


def database(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    connection.close()
    return found


def test_a_M10_the_whole_database_does_not_help(house: House) -> None:
    """Everything in it is tried as row key, as key and as what a pseudonym stands for."""
    made, real = identities(rows(house, "researcher")), identities(rows(house, "technologist"))
    assert len(made) == len(real) == STUDIES
    tables = database(house.settings.data / "catalog.sqlite")
    blobs = {one for table in tables.values() for row in table for one in row if isinstance(one, bytes)}
    short = {blob for blob in blobs if len(blob) == 16}
    assert len(short) > 6 * STUDIES
    wrapped = [row[-1] for row in tables["wrapped_keys"]] + [(house.settings.data / "root.key").read_bytes()]
    uids = [uid for row in made for uid in row[:3]]
    pseudonyms = {text for row in made for text in row}
    # What is stored, as it is and as a block under any stored or guessed key.
    assert not short & {block(text) for text in pseudonyms if len(text) != 16}
    values = {text.encode()[:16].ljust(16, b"\0") for row in real for text in row}
    projects = [key.ljust(32, b"\0")[:32] for key in GUESSES] + [blob + blob for blob in sorted(short)[::20]]
    projects += [key[at : at + 32] for key in wrapped[-3:] for at in range(len(key) - 31)]
    blocks = [int(uid[5:]).to_bytes(16, "big") for uid in uids]
    for key in projects:
        for found in (
            _opened(key, blocks),
            [row_key_of_uid(domain_key(key, "deidentified"), uid) for uid in uids[:20]],
        ):
            assert not set(found) & (short | values)
    # With the project's key every one of them goes back.
    right = domain_key(house.services.project_key("demo-project"), "deidentified")
    opened = [house.services.catalog.identifier_of(row_key_of_uid(right, uid) or b"") for uid in uids]
    assert {one.value for one in opened if one} == {uid for row in real for uid in row[:3]}


def _opened(key: bytes, blocks: Sequence[bytes]) -> list[bytes]:
    decryptor = Cipher(algorithms.AES256(key), modes.ECB()).decryptor()
    plain = decryptor.update(b"".join(blocks)) + decryptor.finalize()
    return [plain[at : at + 16] for at in range(0, len(plain), 16)]


def test_a_M10_neither_answers_nor_rows_keep_the_order_of_the_originals(house: House) -> None:
    """The order of an answer, and of the rows of each table, say no more than chance of when a film was stored."""
    right = domain_key(house.services.project_key("demo-project"), "deidentified")
    stored = {chest_film(SMALL, study=n).StudyInstanceUID: n for n in range(1, STUDIES + 1)}
    for path in ("studies", "series", "instances"):
        answer = house.get(f"/dicomweb/{path}", "researcher", JSON).json or []
        found = [
            house.services.catalog.identifier_of(row_key_of_uid(right, row[TAGS[0]]["Value"][0]) or b"")
            for row in answer
        ]
        places = [stored[one.value] for one in found if one]
        assert len(places) == STUDIES
        assert abs(np.corrcoef(np.arange(STUDIES), places)[0, 1]) < 0.8
        assert sum(place == at for at, place in enumerate(places, start=1)) <= 15
        assert [row[TAGS[0]]["Value"][0] for row in answer] == sorted(row[TAGS[0]]["Value"][0] for row in answer)
    for name, table in database(house.settings.data / "catalog.sqlite").items():
        if name in {"studies", "instances", "identifiers", "series"}:
            assert [row[0] for row in table] == sorted(row[0] for row in table)


def test_a_M11_no_neighbour_of_a_pseudonym_is_anybody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 000 UIDs to either side of study, series and instance: one and the same 404, no byte of it about the number."""
    unsynced(monkeypatch)
    token = house.token("researcher")
    study, series, instance = identities(rows(house, "researcher"))[0][:3]

    def metadata(*uids: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        path = "".join(f"/{kind}/{uid}" for kind, uid in zip(("studies", "series", "instances"), uids, strict=False))
        found = house.get(f"/dicomweb{path}/metadata", "researcher", JSON, token=token)
        return found.status_code, found.get_data(), [h for h in found.headers if h[0] != "Safelight-Request"]

    assert metadata(study, series, instance)[0] == metadata(study)[0] == 200
    right = domain_key(house.services.project_key("demo-project"), "deidentified")
    answers = []
    for away in (*range(-1000, 0), *range(1, 1001)):
        beside = [f"2.25.{int(uid[5:]) + away}" for uid in (study, series, instance)]
        for uid in beside:
            row_key = row_key_of_uid(right, uid)
            assert row_key is None or house.services.catalog.identifier_of(row_key) is None
        answers.append(metadata(beside[0]) if away % 3 else metadata(study, series, beside[2]))
    assert answers[0][0] == 404
    assert all(answer == answers[0] for answer in answers)


def test_a_M12_two_projects_views_have_no_identifier_in_common(house: House) -> None:
    """Every route that names things: search, metadata, entity tags, addresses; whatever tells films apart in a view.

    What is left in common is said of all films alike. Times of day, which dates of a patient keep, are equal here.
    """
    views = []
    for user, project in (("researcher", "demo-project"), ("researcher", "another"), ("teacher", "demo-project")):
        token = house.token(user, project=project)
        found, texts = rows(house, user, project=project), Counter[str]()
        assert len(found) == STUDIES
        for row in found:
            answer = house.get(row["00081190"]["Value"][0].partition("8080")[2] + "/metadata", user, token=token)
            assert answer.status_code == 200
            texts.update({*_named(json.loads(answer.get_data())), *_named(row), answer.headers["ETag"]})
        # Dates of ten patients may fall together by chance; their shifts are looked at below.
        views.append({text for text, times in texts.items() if times < STUDIES and not DAY.fullmatch(text)})
        assert len(views[-1]) > 5 * STUDIES
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not (common := views[one] & views[other]), common


def test_a_M12_dates_do_not_join_two_projects(house: House) -> None:
    """One true day, ten patients: each moved by itself in each project, so that few fall together, as chance has it."""
    views = []
    for project in ("demo-project", "another"):
        found = rows(house, "researcher", project=project)
        views.append({row["00100020"]["Value"][0]: row["00080020"]["Value"][0] for row in found})
        assert len(views[-1]) == 10
        assert len(set(views[-1].values())) >= 7
    assert len(set(views[0].values()) & set(views[1].values())) <= 3


def test_a_M12_parts_of_two_projects_have_no_header_in_common(house: House) -> None:
    """Part 10 objects of the same films: nothing but kinds of things before the pixel data."""
    views: list[set[str]] = []
    for project in ("demo-project", "another"):
        token, texts = house.token("researcher", project=project), Counter[str]()
        some = rows(house, "researcher", project=project)[:10]
        for row in some:
            answer = house.get(row["00081190"]["Value"][0].partition("8080")[2], "researcher", token=token)
            ((_, body),) = parts(answer)
            ds = dcmread(io.BytesIO(body))
            texts.update(
                {str(one.value) for one in (*ds.file_meta, *ds) if one.VR not in {"SQ", "OW", "US", "IS", "UL"}}
            )
        views.append({text for text, times in texts.items() if times < len(some) and not DAY.fullmatch(text)})
        assert len(views[-1]) > 30
    assert not (common := views[0] & views[1]), common


def _named(value: Any) -> Iterator[str]:
    """Every text, at any depth."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            for inner in one.values():
                yield from _named(inner)
        elif isinstance(one, str):
            yield one
