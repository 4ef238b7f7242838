"""Questions as a spy puts them: fields, counts, pages, orders, lists, injections and presence, one test an attack."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from builders import PixelFormat, all_canaries, chest_film, part10_bytes
from house import House
from pydicom.dataset import Dataset
from sweep_routes import unsynced
from werkzeug.test import TestResponse

JSON = "application/dicom+json"
TINY = PixelFormat(rows=16, columns=16)
LEVELS = ("studies", "series", "instances")
# What the level takes away or makes from the patient alone; a number that has a pseudonym shows whether it was there.
HIDDEN = ("PatientName", "ReferringPhysicianName", "PatientBirthDate", "OtherPatientIDs")
FIELDS = (
    *("all", "00100010", "PatientName,PatientBirthDate", "00091001", "PatientComments", "0040A730", "60003000"),
    *("RequestAttributesSequence.ScheduledProcedureStepID", "OtherPatientIDsSequence.PatientID", "00081140.00081155"),
)
RANDOM_UID = "2.25.314159265358979323846264338327950288419"


def said(response: TestResponse) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """All of an answer but its date and the random name of the request."""
    left_out = {"Date", "Safelight-Request", "X-Request-Id"}
    return response.status_code, tuple((k, v) for k, v in response.headers if k not in left_out), response.data


def film(number: int, **changes: Any) -> bytes:
    return part10_bytes(chest_film(TINY, study=number, **{"PatientID": f"P-{number}", **changes}))


def uid(number: int) -> str:
    return str(chest_film(TINY, study=number).StudyInstanceUID)


def house_with(root: Path, **departments: tuple[bytes, ...]) -> House:
    house = House(root)
    for name, films in departments.items():
        token = house.token("technologist", departments=(name,))
        assert house.store(*films, token=token).status_code == 200
    return house


def rows(house: House, query: str, **options: Any) -> list[dict[str, Any]]:
    response = house.get(f"/dicomweb/{query}", "clinician", JSON, **options)
    assert response.status_code in (200, 204), response.get_data(as_text=True)
    return list(response.json or []) if response.status_code == 200 else []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Three studies of the clinician's department, three of another one."""
    own, other = tuple(film(n) for n in (1, 2, 3)), tuple(film(n) for n in (4, 5, 6))
    with pytest.MonkeyPatch.context() as patch:
        unsynced(patch)
        with house_with(tmp_path_factory.mktemp("queries"), radiology=own, surgery=other) as one:
            yield one


@pytest.mark.parametrize(("level", "field"), [*product(LEVELS, FIELDS)])
def test_a_Q3_no_field_asked_for_is_more_than_the_level_shows(house: House, level: str, field: str) -> None:
    answer = house.get(f"/dicomweb/{level}?includefield={quote(field)}", "researcher", JSON)
    assert answer.status_code == 200
    words = [word.encode() for word in all_canaries(chest_film(TINY)).values() if "CANARY" in word]
    assert words
    assert not [word for word in words if word in answer.data]
    shown = house.get(f"/dicomweb/{level}?includefield=all", "researcher", JSON).json or []
    for row, everything in zip(answer.json or [], shown, strict=True):
        assert set(row) <= set(everything)
        assert not any(int(tag[:4], 16) % 2 or tag.startswith(("50", "60")) for tag in row)
    # The same question does find the canaries where the level shows them, or the test could not fail.
    if field == "PatientName,PatientBirthDate" and level == "studies":
        assert b"CANARY" in house.get(f"/dicomweb/{level}?includefield={field}", "clinician", JSON).data


QUESTIONS = (
    *("studies", "series", "instances", "studies?limit=1", "studies?limit=1&offset=1", "studies?limit=2&offset=2"),
    *("series?limit=1", "instances?limit=1&offset=2", "instances?offset=3", "studies?offset=3", "studies?limit=0"),
    *("studies?PatientName=*", "studies?StudyDate=19000101-20300101", "studies?includefield=all"),
    *("studies?PatientName=CANARY&fuzzymatching=true", "studies?ModalitiesInStudy=DX", "series?limit=2&offset=1"),
)


@pytest.mark.parametrize("user", ["clinician", "patient", "security-auditor"])
def test_a_Q4_a_Q5_what_one_may_not_see_changes_no_count_and_no_page(tmp_path: Path, user: str) -> None:
    """Counts and pages are those of the visible rows: with and without others' studies every answer is the same."""
    own, other = tuple(film(n) for n in (1, 2, 3)), tuple(film(n) for n in (4, 5, 6))
    answers = []
    for number, films in enumerate(({"radiology": own}, {"radiology": own, "surgery": other})):
        with house_with(tmp_path / str(number), **films) as one:
            answers.append([said(one.get(f"/dicomweb/{query}", user, JSON)) for query in QUESTIONS])
    for query, without, beside in zip(QUESTIONS, *answers, strict=True):
        assert without == beside, query


def test_a_Q4_pages_add_up_to_what_is_visible_and_nothing_else_counts(house: House) -> None:
    pages = [rows(house, f"studies?limit=1&offset={n}") for n in range(6)]
    found = [row["0020000D"]["Value"][0] for page in pages for row in page]
    assert sorted(found) == sorted(uid(n) for n in (1, 2, 3))
    first = house.get("/dicomweb/studies?limit=1", "clinician", JSON)
    assert first.headers["Warning"] == '299 safelight "There are 2 additional results that can be requested"'
    assert not [name for name, _ in first.headers if "total" in name.lower() or "count" in name.lower()]
    for path in ("studies/count", "count", "studies/size", "statistics", "changes"):
        assert house.get(f"/dicomweb/{path}", "clinician").status_code in (400, 404, 405)


@pytest.mark.parametrize(
    "query",
    [
        *("PatientID=P-1&PatientID=P-4", "limit=1&limit=5", "StudyInstanceUID=&StudyInstanceUID=1.2.3"),
        *("department=surgery", "departments=surgery", "level=original", "care_team=demo", "role=clinician"),
        *("where=1=1", "orderby=PatientName", "PatientName[]=*", "Safelight-Role=clinician"),
    ],
)
def test_a_Q5_no_parameter_widens_the_search(house: House, query: str) -> None:
    """A key given twice or one that the standard does not know is refused, or leaves exactly the visible rows."""
    response = house.get(f"/dicomweb/studies?{query}", "clinician", JSON)
    if response.status_code != 400:
        assert {row["0020000D"]["Value"][0] for row in response.json or []} <= {uid(n) for n in (1, 2, 3)}


@pytest.mark.parametrize("separator", [",", "\\"])
def test_a_Q5_a_list_of_uids_finds_the_visible_ones_only(house: House, separator: str) -> None:
    listed = quote(separator.join(uid(n) for n in (6, 1, 5, 2, 4)))
    found = [row["0020000D"]["Value"][0] for row in rows(house, f"studies?StudyInstanceUID={listed}")]
    assert sorted(found) == sorted(uid(n) for n in (1, 2))


def test_a_Q6_the_order_tells_nothing_of_names_dates_or_the_order_of_storing(tmp_path: Path) -> None:
    """Names, dates and numbers of eight studies turned round: the researcher's answers stay the same, in order too."""
    answers = []
    for turn, name in ((1, "there"), (-1, "back")):
        films = [
            film(
                n, PatientName=f"{'ABCDEFGH'[at]}LPHA^X", StudyID=f"S{at}", AccessionNumber=f"A{at}", StudyTime=f"0{at}"
            )
            for n, at in zip(range(1, 9), range(8)[::turn], strict=True)
        ]
        with house_with(tmp_path / name, radiology=tuple(films)) as one:
            queries = ("studies", "studies?limit=3&offset=2", "series", "instances?limit=4", "studies?includefield=all")
            answers.append([_without_times(one.get(f"/dicomweb/{query}", "researcher", JSON)) for query in queries])
            shown = [row["0020000D"]["Value"][0] for row in rows(one, "studies", token=one.token("researcher"))]
            stored = [uid(n) for n in range(1, 9)]
            assert len(shown) == 8
            assert not set(shown) & set(stored)
    assert answers[0] == answers[1]


def _without_times(response: TestResponse) -> list[dict[str, Any]]:
    """Rows without times of day, which the level shows as they are."""
    return [{tag: value for tag, value in row.items() if value["vr"] != "TM"} for row in response.json or []]


@pytest.mark.parametrize("user", ["clinician", "researcher", "patient", "security-auditor"])
@pytest.mark.parametrize("below", ["series", "instances", "series/{series}/instances", "metadata", "rendered", ""])
def test_a_Q8_a_hidden_study_answers_as_one_that_never_was(house: House, user: str, below: str) -> None:
    """Also for the researcher, who knows studies by their pseudonyms only: an original UID is a stranger to them."""
    hidden = chest_film(TINY, study=5)
    real = f"/dicomweb/studies/{hidden.StudyInstanceUID}/{below.format(series=hidden.SeriesInstanceUID)}".rstrip("/")
    none = f"/dicomweb/studies/{RANDOM_UID}/{below.format(series=RANDOM_UID + '1')}".rstrip("/")
    answers = [said(house.get(path, user, "*/*")) for path in (real, none)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 403 if user == "security-auditor" else answers[0][0] in (204, 404)
    for level in LEVELS:
        listed = [
            said(house.get(f"/dicomweb/{level}?StudyInstanceUID={one}", user, JSON)) for one in (uid(5), RANDOM_UID)
        ]
        assert listed[0] == listed[1]


INJECTIONS = (
    *("%", "_", "\\", "\\\\", "'", '"', "' OR '1'='1", "'; DROP TABLE studies; --", "1) OR (1=1", "%27", "`", "$where"),
    *("CANARY%", "CANARY_", "[A-Z]*", "(?i)canary.*", ".*", "^CANARY", "CANARY\\*", "{$ne:1}", "||1", "/**/", "\u02bc"),
    *("CANARY\0*", "\0", "\x1b$B", "\r\nX: 1", "\U0001f600", "Ｃ*", "ǅ*", "\u202e*", "${jndi:x}", "{{7*7}}", "=1+1"),
)


@pytest.mark.parametrize("key", ["PatientName", "PatientID", "StudyDescription", "AccessionNumber", "StudyDate"])
def test_a_Q9_what_other_languages_understand_is_matched_letter_by_letter(house: House, key: str) -> None:
    before = [said(house.get(f"/dicomweb/{level}", "clinician", JSON)) for level in LEVELS]
    visible = {uid(n) for n in (1, 2, 3)}
    for value in INJECTIONS:
        query = f"studies?{key}={quote(value)}"
        # None of them is the literal value of any study; only * and ? have a meaning, after a literal beginning.
        assert house.get(f"/dicomweb/{query}", "clinician", JSON).status_code in (204, 400), value
        # Fuzzy matching leaves punctuation out of both sides and still finds nothing that is not visible.
        loosely = house.get(f"/dicomweb/{query}&fuzzymatching=true", "clinician", JSON)
        assert loosely.status_code in (200, 204, 400), value
        if loosely.status_code == 200:
            assert {row["0020000D"]["Value"][0] for row in loosely.json or []} <= visible
    assert [said(house.get(f"/dicomweb/{level}", "clinician", JSON)) for level in LEVELS] == before


@pytest.mark.parametrize(
    "query",
    [
        "PatientName=" + "*A" * 2000,
        "PatientName=" + "*?" * 2000,
        "PatientName=" + "A*" * 31 + "!",
        "PatientName=" + "a " * 2000 + "&fuzzymatching=true",
        "PatientName=" + "(a+)+" * 500,
        "StudyInstanceUID=" + ",".join(f"2.25.{n}" for n in range(4000)),
        "&".join(f"includefield={n:08X}" for n in range(0x00100010, 0x00100010 + 3000)),
        "StudyDate=" + "0" * 4000,
    ],
)
def test_a_Q9_no_question_takes_long(house: House, query: str) -> None:
    begun = time.thread_time()
    answer = house.get(f"/dicomweb/studies?{query}", "clinician", JSON)
    assert answer.status_code in (200, 204, 400, 414)
    assert time.thread_time() - begun < 2


def test_a_Q10_a_study_without_a_label_is_nobody_s_original(tmp_path: Path) -> None:
    """Its care labels taken away, a study is open to no clinician and no department, by search or by name."""
    with house_with(tmp_path, radiology=(film(1),)) as one:
        assert len(rows(one, "studies")) == 1
        emptied: dict[str, list[str]] = {"departments": [], "care_team": []}
        answer = one.request("PUT", f"/labels/studies/{uid(1)}", "security-administrator", json=emptied)
        assert answer.status_code in (200, 204), answer.get_data(as_text=True)
        for departments in ((), ("surgery",), ("*",)):
            token = one.token("clinician", departments=departments)
            assert rows(one, "studies", token=token) == []
            assert one.get(f"/dicomweb/studies/{uid(1)}/metadata", "clinician", token=token).status_code in (403, 404)


PRESENCE = ("emptyvaluematching=true", "emptyvaluematching=true&fuzzymatching=true", "multiplevaluematching=true", "")


def test_a_Q11_no_switch_tells_whether_a_hidden_value_is_there(tmp_path: Path) -> None:
    """One house with values, one without: the researcher's every question about presence is answered alike."""
    answers = []
    for name, value in (("with", True), ("without", False)):
        changes: dict[str, Any] = {} if value else dict.fromkeys(HIDDEN, "")
        with house_with(tmp_path / name, radiology=(film(1, **changes), film(2))) as one:
            questions = [
                f"{level}?{key}={quote(asked)}&{switch}"
                for level, key, switch, asked in product(LEVELS, HIDDEN, PRESENCE, ('""', "*", "A\\B"))
            ]
            answers.append({query: said(one.get(f"/dicomweb/{query}", "researcher", JSON)) for query in questions})
            empty = rows(one, 'studies?PatientName=""&emptyvaluematching=true')
            assert len(empty) == (0 if value else 1)
    assert answers[0] == answers[1]


def test_the_canaries_are_in_the_films() -> None:
    made: Dataset = chest_film(TINY)
    assert "CANARY" in str(made.PatientName)
