"""What a search says of a study or series is what the metadata of its film says, cleaned texts included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from sqlalchemy import Engine, select, update

from server.catalog.access import Access
from server.catalog.records import STUDY_BYTES
from server.catalog.schema import studies

JSON = "application/dicom+json"
TINY = PixelFormat(rows=16, columns=16)
STUDY_DESCRIPTION, SERIES_DESCRIPTION = "00081030", "0008103E"
SAID = {"StudyDescription": "CHEST PA HAND BONE MUSTER", "SeriesDescription": "KNEE LATERAL BONE FOOT"}
STAFF = {"OperatorsName": "HAND^MAXIMA", "PerformingPhysicianName": "BONE^MAXIMA"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as one:
        yield one


def rows(house: House, what: str, user: str = "researcher", **asked: str) -> list[dict[str, Any]]:
    answer = house.get(f"/dicomweb/{what}", user, JSON, query_string=asked)
    return list(answer.json or []) if answer.status_code == 200 else []


def text(row: dict[str, Any], tag: str) -> str:
    found: str = row.get(tag, {}).get("Value", [""])[0]
    return found


def put(house: House, **more: Any) -> None:
    film = chest_film(TINY, canaries=False, **{**SAID, **STAFF, **more})
    assert house.store(part10_bytes(film)).status_code == 200


def test_a_search_cleans_texts_with_the_names_that_only_the_film_holds(house: House) -> None:
    put(house)
    (path,) = house.instances("researcher")
    (metadata,) = house.get(f"{path}/metadata", "researcher", JSON).json or []
    assert text(metadata, STUDY_DESCRIPTION) == "CHEST PA"
    assert text(metadata, SERIES_DESCRIPTION) == "KNEE LATERAL FOOT"
    for what in ("studies", "series", "instances"):
        (row,) = rows(house, what, includefield="all")
        assert text(row, STUDY_DESCRIPTION) == text(metadata, STUDY_DESCRIPTION), what
        if what != "studies":
            assert text(row, SERIES_DESCRIPTION) == text(metadata, SERIES_DESCRIPTION), what


def test_a_search_matches_what_is_left_of_a_text_and_nothing_else(house: House) -> None:
    put(house)
    assert len(rows(house, "studies", StudyDescription="CHEST PA")) == 1
    assert rows(house, "studies", StudyDescription="*HAND*") == []
    assert rows(house, "studies", StudyDescription="*MUSTER*") == []
    assert len(rows(house, "studies", "clinician", StudyDescription="*MUSTER*")) == 1


def test_a_row_goes_by_the_names_of_its_study_and_of_its_series(house: House) -> None:
    put(house)
    put(house, SeriesInstanceUID="2.25.77", SOPInstanceUID="2.25.78", OperatorsName="FOOT^MAXIMA")
    shown = {text(row, SERIES_DESCRIPTION) for row in rows(house, "series")}
    assert shown == {"KNEE LATERAL FOOT", "KNEE LATERAL"}


def test_each_film_of_one_answer_is_cleaned_with_its_own_names(house: House) -> None:
    put(house)
    put(house, SOPInstanceUID="2.25.78", OperatorsName="FOOT^MAXIMA")
    (series,) = {path.rpartition("/instances/")[0] for path in house.instances("researcher")}
    shown = house.get(f"{series}/metadata", "researcher", JSON).json or []
    assert {text(one, SERIES_DESCRIPTION) for one in shown} == {"KNEE LATERAL FOOT", "KNEE LATERAL"}
    assert {text(one, STUDY_DESCRIPTION) for one in shown} == {"CHEST PA", "CHEST PA HAND"}


def test_a_row_sealed_before_names_were_kept_says_no_text(house: House) -> None:
    put(house)
    access = house.services.catalog._access
    _forget(house.services.engine, access)
    for what in ("studies", "series", "instances"):
        (row,) = rows(house, what)
        assert text(row, STUDY_DESCRIPTION) == text(row, SERIES_DESCRIPTION) == "", what
    assert text(rows(house, "studies", "clinician")[0], STUDY_DESCRIPTION) == SAID["StudyDescription"]


def _forget(engine: Engine, access: Access) -> None:
    """Seal the study's row anew as it was before."""
    with engine.begin() as connection:
        (found,) = connection.execute(select(studies.c.row, studies.c.sealed)).all()
        value = access.open("studies", found.row, found.sealed)
        del value["identifies"]
        connection.execute(update(studies).values(sealed=access.seal("studies", found.row, value, least=STUDY_BYTES)))
