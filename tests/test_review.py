"""The review queue: who sees it, what is told there, and what settling a film does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import all_canaries, canary, chest_film
from house import House, parts
from numpy.typing import NDArray
from PIL import Image
from review_kit import (
    PLACE,
    again,
    detectors,
    finds,
    in_review,
    path_of,
    regions,
    screen_all,
    settle,
    store,
    waiting,
)  # fmt: skip

from server.audit.journal import Journal
from server.audit.show import read
from server.errors import AuditUnavailable
from server.model import AuditEvent, Region, RegionKind, ReviewReason, ScreeningState

EVERYBODY = (
    "clinician", "patient", "researcher", "teacher", "front-desk", "technologist", "system-administrator",
    "security-administrator", "security-auditor",
)  # fmt: skip

CANARIES = tuple(text for text in all_canaries(chest_film()).values() if len(text) > 5)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def samples(house: House, user: str) -> NDArray[np.uint16]:
    accept = 'multipart/related; type="application/octet-stream"'
    response = house.get(f"{house.instances(user)[0]}/frames/1", user, accept)
    assert response.status_code == 200
    return np.frombuffer(parts(response)[0][1], "<u2")


def shows_nothing(house: House) -> bool:
    return np.unique(samples(house, "researcher")).size <= 4


def picture(house: House, user: str) -> NDArray[np.uint8]:
    response = house.get(f"{house.instances(user)[0]}/rendered", user, "image/png")
    assert response.status_code == 200
    return np.asarray(Image.open(BytesIO(response.get_data())))


def film(house: House) -> tuple[str, str, dict[str, Any]]:
    """Path, entity tag and body of the one film that waits."""
    path = path_of(waiting(house)[0])
    response = house.get(f"/review/{path}", "privacy-reviewer")
    assert response.status_code == 200
    return path, response.headers["ETag"], response.json or {}


def test_the_queue_names_nobody(house: House) -> None:
    one = in_review(house, PLACE)
    (waits,) = waiting(house)
    assert waits["state"] == "in review"
    assert waits["reason"] == "residual-text"
    assert waits["kinds"] == {"text": 2}
    assert waits["since"] == "2026-09-21T14:13:20+00:00"
    path, _, body = film(house)
    told = json.dumps([waits, body])
    assert not [text for text in (*CANARIES, *vars(one.path).values()) if text in told + path]
    assert f"/dicomweb/{path}" == house.instances("privacy-reviewer")[0]


def test_another_project_has_other_names(house: House) -> None:
    in_review(house, PLACE)
    token = house.token("privacy-reviewer", project="another")
    (other,) = house.get("/review", "privacy-reviewer", token=token).json["films"]  # type: ignore[index]
    assert path_of(other) != path_of(waiting(house)[0])
    assert house.get(f"/review/{path_of(other)}", "privacy-reviewer").status_code == 404


@pytest.mark.parametrize("user", EVERYBODY)
def test_nobody_else_sees_the_queue(house: House, user: str) -> None:
    one = in_review(house, PLACE)
    path, tag, _ = film(house)
    own = "studies/{}/series/{}/instances/{}".format(*vars(one.path).values())
    for address in (path, own):
        assert house.get("/review", user).status_code == 403
        assert house.get(f"/review/{address}", user).status_code == 403
        assert settle(house, address, {"verdict": "accept"}, held=tag, user=user).status_code == 403
    assert again(house, one).screening is ScreeningState.IN_REVIEW


def test_a_reviewer_reads_the_picture_and_no_name(house: House) -> None:
    in_review(house, PLACE)
    path = f"/dicomweb/{film(house)[0]}"
    shown = house.get(f"{path}/metadata", "privacy-reviewer", "application/dicom+json").get_data(as_text=True)
    assert not [text for text in CANARIES if text in shown]
    assert "StudyDate" not in shown
    assert "00080020" not in json.loads(shown)[0] or not json.loads(shown)[0]["00080020"].get("Value")
    for refused in ("", "/frames/1", "/bulkdata"):
        assert house.get(f"{path}{refused}", "privacy-reviewer").status_code == 403
    seen, stored = picture(house, "privacy-reviewer"), picture(house, "clinician")
    top, left = PLACE.top_row, PLACE.left_column
    inside = np.s_[top : top + PLACE.row_count, left : left + PLACE.column_count]
    assert np.array_equal(seen[inside], stored[inside]), "what was found is what the reviewer has to read"
    line = seen[top - 1, left : left + PLACE.column_count]
    assert set(np.unique(line)) == {0, 255}, "and there is a line around it"
    assert np.count_nonzero(seen != stored) < 300


def test_a_film_in_review_is_wholly_masked_until_it_is_settled(house: House) -> None:
    one = in_review(house, PLACE)
    assert shows_nothing(house)
    path, tag, body = film(house)
    assert [region["detector"] for region in body["regions"]] == ["", "residual"]
    answer = settle(house, path, {"verdict": "accept"}, held=tag)
    assert answer.status_code == 200
    assert answer.headers["ETag"] != tag
    assert again(house, one).screening is ScreeningState.SCREENED
    assert not shows_nothing(house)
    assert waiting(house) == []
    shown, stored = (samples(house, user).reshape(-1, 80) for user in ("researcher", "clinician"))
    assert not np.array_equal(shown[8:24, 8:32], stored[8:24, 8:32])
    assert np.array_equal(shown[-8:, -8:], stored[-8:, -8:])


def test_regions_are_added_and_lifted(house: House) -> None:
    in_review(house, PLACE)
    path, tag, _ = film(house)
    answer = settle(house, path, regions((40, 40, 8, 8), lift={0: "marker", 1: "anatomy"}), held=tag)
    assert answer.status_code == 200
    body = answer.json or {}
    assert [(one["kind"], one["detector"], one["top_row"]) for one in body["regions"]] == [("manual", "review", 40)]
    assert [one["reason"] for one in body["lifted"]] == ["marker", "anatomy"]
    shown, stored = (samples(house, user).reshape(-1, 80) for user in ("researcher", "clinician"))
    assert np.array_equal(shown[8:24, 8:28], stored[8:24, 8:28])
    assert not np.array_equal(shown[40:48, 40:48], stored[40:48, 40:48])
    # What a person added no person lifts: it would have to be masked wholly, or stay.
    assert settle(house, path, regions(lift={0: "marker"}), held=answer.headers["ETag"]).status_code == 400


def test_masked_wholly(house: House) -> None:
    one = in_review(house, PLACE)
    path, tag, _ = film(house)
    assert settle(house, path, {"verdict": "mask-wholly"}, held=tag).status_code == 200
    assert again(house, one).screening is ScreeningState.SCREENED
    assert shows_nothing(house)


@pytest.mark.parametrize("held", ["", '"another"', "*", 'W/"x"', None])
def test_nothing_is_settled_unseen(house: House, held: str | None) -> None:
    one = in_review(house, PLACE)
    path, tag, _ = film(house)
    assert settle(house, path, {"verdict": "accept"}, held=held).status_code == 412
    assert again(house, one).screening is ScreeningState.IN_REVIEW
    assert settle(house, path, regions((0, 0, 4, 4)), held=tag).status_code == 200
    assert settle(house, path, {"verdict": "accept"}, held=tag).status_code == 412, "another has settled it"


@pytest.mark.parametrize(
    "body",
    [
        None, [], "accept", {}, {"verdict": "lift-all"}, {"verdict": "accept", "add": []}, {"verdict": "regions"},
        {"verdict": "regions", "add": [], "lift": [], "more": 1}, {"verdict": "regions", "add": {}, "lift": []},
        regions((-1, 0, 4, 4)), regions((0, 0, 0, 4)), regions((0, 0, 4, 81)), regions((63, 0, 2, 4)),
        regions((0.5, 0, 4, 4)), regions((True, 0, 4, 4)), regions(lift={2: "marker"}), regions(lift={-1: "marker"}),
        regions(lift={0: "MUSTER"}), regions(lift={0: ""}),
        {"verdict": "regions", "add": [], "lift": [{"region": 0, "reason": "marker"}] * 2},
        {"verdict": "regions", "lift": [], "add": [
            {"top_row": 0, "left_column": 0, "row_count": 1, "column_count": 1}]},
        {"verdict": "regions", "lift": [], "add": [
            {"top_row": 0, "left_column": 0, "row_count": 1, "column_count": 1, "frames": [2]}]},
        {"verdict": "regions", "lift": [], "add": [
            {"top_row": 0, "left_column": 0, "row_count": 1, "column_count": 1, "frames": []}]},
    ],
)  # fmt: skip
def test_what_is_no_verdict_changes_nothing(house: House, body: object) -> None:
    one = in_review(house, PLACE)
    path, tag, _ = film(house)
    assert settle(house, path, body, held=tag).status_code == 400
    assert again(house, one) == one


def test_what_nobody_looked_at_cannot_be_accepted(house: House) -> None:
    one = store(house)
    path = house.instances("privacy-reviewer")[0].removeprefix("/dicomweb/")
    tag = house.get(f"/review/{path}", "privacy-reviewer").headers["ETag"]
    assert settle(house, path, regions(), held=tag).status_code == 409, "it is still to be screened"

    def fails(_samples: object, _number: int) -> list[Region]:
        raise RuntimeError

    screen_all(house, detectors(fails))
    assert again(house, one).screening is ScreeningState.FAILED
    path, tag, body = film(house)
    assert body["regions"] is None
    assert settle(house, path, {"verdict": "accept"}, held=tag).status_code == 409
    assert settle(house, path, regions((0, 0, 8, 8)), held=tag).status_code == 200
    assert again(house, one).screening is ScreeningState.SCREENED


def test_every_look_and_every_verdict_is_recorded(house: House) -> None:
    one = in_review(house, PLACE)
    path, tag, _ = film(house)
    picture(house, "privacy-reviewer")
    settle(house, path, regions((0, 0, 4, 4), lift={0: "artefact"}), held=tag)
    entries = list(read(house.settings.journal, house.services.journal_seal_key))
    done = [(entry.event.kind, entry.event.action) for entry in entries if "privacy" in entry.event.subject]
    for wanted in [("answer", "read-queue"), ("answer", "retrieve-rendered"), ("review", "settle")]:
        assert wanted in done
    (verdict,) = [entry.event for entry in entries if entry.event.kind == "review"]
    assert verdict.reason == "settled from in review: regions: 1 added, 1 lifted, 1 artefact"
    assert verdict.object == path.replace("studies/", "").replace("series/", "").replace("instances/", "")
    assert again(house, one).screening is ScreeningState.SCREENED


def test_nothing_is_settled_without_its_entry(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one = in_review(house, PLACE)
    path, tag, _ = film(house)
    whole = Journal.append

    def unwritable(self: Journal, event: AuditEvent) -> int:
        if event.kind == "review":
            raise AuditUnavailable
        return whole(self, event)

    monkeypatch.setattr(Journal, "append", unwritable)
    assert settle(house, path, {"verdict": "accept"}, held=tag).status_code == 503
    assert again(house, one) == one


def test_a_policy_may_keep_films_from_a_reviewer(house: House) -> None:
    in_review(house, PLACE)
    assert house.get("/review", "privacy-reviewer", token=house.token("privacy-reviewer", project=None)).json == {
        "films": []
    }


def test_who_holds_another_role_acts_as_the_one_named(house: House) -> None:
    in_review(house, PLACE)
    token = house.token("privacy-reviewer", roles=("clinician", "privacy-reviewer"), departments=("radiology",))
    assert house.get("/review", "", token=token, headers={"Safelight-Role": "clinician"}).status_code == 403
    assert house.get("/review", "", token=token, headers={"Safelight-Role": "privacy-reviewer"}).status_code == 200


def test_the_longest_waiting_comes_first(house: House) -> None:
    for study in (1, 2, 3):
        store(house, study=study)
        screen_all(house, detectors(finds(PLACE), finds(PLACE)))
        house.now += 60
    since = [one["since"] for one in waiting(house)]
    assert since == sorted(since)
    assert len(set(since)) == 3
    assert len(house.get("/review?limit=2", "privacy-reviewer").json["films"]) == 2  # type: ignore[index]
    for limit in ("0", "1001", "x", "-1"):
        assert house.get(f"/review?limit={limit}", "privacy-reviewer").status_code == 400


def test_a_broken_region_set_hides_no_other_film(house: House) -> None:
    one = in_review(house, PLACE)
    assert one.regions is not None
    name = one.regions.name
    (house.settings.objects / name[:2] / name).write_bytes(b"broken")
    other = store(house, study=2)
    screen_all(house, detectors(finds(PLACE), finds(PLACE)))
    assert again(house, other).review is ReviewReason.RESIDUAL_TEXT
    assert sorted([film["kinds"] is None for film in waiting(house)]) == [False, True]


def test_a_name_found_is_no_name_told(house: House) -> None:
    """What the patient is called stands in the film's header and in no answer of the queue."""
    in_review(house, PLACE)
    path, tag, _ = film(house)
    refused = settle(house, path, {"verdict": canary("PatientName")}, held=tag).get_data(as_text=True)
    assert canary("PatientName") not in refused


def test_kinds_of_regions_are_the_closed_list(house: House) -> None:
    for kind in RegionKind:
        assert Region(kind=kind, top_row=0, left_column=0, row_count=1, column_count=1).detector == ""
    assert waiting(house) == []
