"""Pages of series and of instances: the prepared way and the slow way give the same rows, order and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House

from server import search
from server.model import StudyRecord
from server.part_pages import part_page

JSON = "application/dicom+json"
TINY = PixelFormat(rows=16, columns=16)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Seven studies of one to three series of one to three instances."""
    with House(tmp_path_factory.mktemp("parts")) as one:
        bodies = [
            part10_bytes(chest_film(TINY, patient=study, study=study, series=series, instance=instance))
            for study in range(1, 8)
            for series in range(1, 2 + study % 3)
            for instance in range(1, 2 + (study + series) % 3)
        ]
        assert one.store(*bodies).status_code == 200
        yield one


def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_ready", lambda *_: None)


@pytest.mark.parametrize("user", ["clinician", "researcher"])
@pytest.mark.parametrize("kind", ["series", "instances"])
@pytest.mark.parametrize("key", ["", "&Modality=DX", "&SeriesNumber=2", "&InstanceNumber=2", "&Modality=CT"])
def test_pages_are_those_of_the_slow_way(
    house: House, monkeypatch: pytest.MonkeyPatch, user: str, kind: str, key: str
) -> None:
    if kind == "series" and "Instance" in key:
        key = "&SeriesInstanceUID=1.2.3"
    paths = [f"/dicomweb/{kind}?limit={limit}&offset={offset}{key}" for limit in (1, 4, 50) for offset in (0, 1, 7, 40)]
    fast = [house.get(path, user, JSON) for path in paths]
    with monkeypatch.context() as patch:
        slowly(patch)
        slow = [house.get(path, user, JSON) for path in paths]
    for path, one, other in zip(paths, fast, slow, strict=True):
        assert (one.status_code, one.data) == (other.status_code, other.data), path
        assert one.headers.get("Warning") == other.headers.get("Warning"), path
    assert "CT" in key or "1.2.3" in key or any(one.status_code == 200 for one in fast)


@pytest.mark.parametrize("user", ["clinician", "researcher"])
def test_a_page_opens_the_studies_that_hold_it_and_no_others(
    house: House, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    house.reopen()
    house.get("/dicomweb/studies?limit=1", user, JSON)
    opened: list[str] = []
    found = house.services.catalog.instances_in

    def counted(studies: Sequence[StudyRecord], series: str | None = None) -> object:
        opened.extend(one.row for one in studies)
        return found(studies, series)

    monkeypatch.setattr(type(house.services.catalog), "instances_in", lambda _, *words: counted(*words))
    before: dict[int, bytes] = {}
    for offset in (0, 5, 14):
        opened.clear()
        answer = house.get(f"/dicomweb/instances?limit=2&offset={offset}", user, JSON)
        assert answer.status_code == 200
        # None where a page before was of the same study.
        assert (not before) <= len(set(opened)) <= 2
        before[offset] = answer.data
    opened.clear()
    assert house.get("/dicomweb/instances?limit=2&offset=900", user, JSON).status_code == 204
    # What was answered is answered again without being opened.
    for offset, body in before.items():
        assert house.get(f"/dicomweb/instances?limit=2&offset={offset}", user, JSON).data == body
    assert not opened


def test_what_changes_is_on_the_next_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    before = house.get("/dicomweb/instances", "researcher", JSON).json or []
    body = part10_bytes(chest_film(TINY, patient=3, study=3, series=1, instance=9))
    assert house.store(body).status_code == 200
    after = house.get("/dicomweb/instances", "researcher", JSON)
    assert len(after.json or []) == len(before) + 1
    slowly(monkeypatch)
    assert house.get("/dicomweb/instances", "researcher", JSON).data == after.data


def test_a_study_that_changed_meanwhile_is_left_to_the_slow_way(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reopen()
    house.get("/dicomweb/studies", "clinician", JSON)
    asked: list[bool] = []

    def noted(*words: object) -> object:
        found = part_page(*words)  # type: ignore[arg-type]
        asked.append(found is not None)
        return found

    monkeypatch.setattr(search, "part_page", noted)
    house.get("/dicomweb/series", "clinician", JSON)
    assert asked == [True]
    monkeypatch.setattr("server.part_pages._ordered", lambda _view, studies, _unfold: [[] for _ in studies])
    answer = house.get("/dicomweb/instances", "clinician", JSON)
    assert asked == [True, False]
    assert answer.status_code == 200


@pytest.mark.parametrize("user", ["clinician", "researcher"])
@pytest.mark.parametrize("level", ["series", "instances"])
def test_the_parts_of_one_study_are_those_of_the_slow_way(
    house: House, monkeypatch: pytest.MonkeyPatch, user: str, level: str
) -> None:
    studies = [row["0020000D"]["Value"][0] for row in house.get("/dicomweb/studies", user, JSON).json or []]
    paths = [f"/dicomweb/studies/{study}/{level}?limit={limit}" for study in (*studies, "2.25.9") for limit in (1, 50)]
    for _ in range(2):
        fast = [house.get(path, user, JSON) for path in paths]
        with monkeypatch.context() as patch:
            slowly(patch)
            slow = [house.get(path, user, JSON) for path in paths]
        told = [[(one.status_code, one.data, one.headers.get("Warning")) for one in found] for found in (fast, slow)]
        assert told[0] == told[1]
        assert [one.status_code for one in fast[-2:]] == [204, 204]


def test_kept_parts_go_when_the_study_changes_and_its_label_still_decides(house: House) -> None:
    film = chest_film(TINY, patient=5, study=5, series=1, instance=1)
    token, catalog = house.token("clinician", departments=("surgery",)), house.services.catalog
    found = []
    for departments in ({"surgery"}, {"surgery"}, {"radiology"}, {"surgery"}):
        catalog.set_labels(film.StudyInstanceUID, departments=departments, care_team=())
        paths = (f"/dicomweb/studies/{film.StudyInstanceUID}/series", "/dicomweb/series?limit=100")
        found.append([house.get(path, "clinician", JSON, token=token) for path in paths])
    assert [[one.status_code for one in each] for each in found] == [[200, 200]] * 2 + [[204, 204]] + [[200, 200]]
    assert [one.data for one in found[0]] == [one.data for one in found[1]] == [one.data for one in found[3]]


def test_kept_parts_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.catalog.kept.BODY_BYTES", 5_000)
    house.reopen()
    house.get("/dicomweb/studies", "researcher", JSON)
    first = house.get("/dicomweb/instances", "researcher", JSON).data
    assert house.get("/dicomweb/instances", "researcher", JSON).data == first
    (held,) = house.services.catalog.listings._held.values()
    assert sum(len(body) for bodies in held.bodies._kept.values() for body in bodies) == held.bodies._bytes <= 5_000
