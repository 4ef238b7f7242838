"""Made-up detectors, and films that wait for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from builders import chest_film, part10_bytes
from house import House
from werkzeug.test import TestResponse

from server.model import InstanceRecord, Region, RegionKind, ReviewReason
from server.screen import screen_next
from server.screening.detectors import Detectors
from server.screening.heads import HeadFinder
from server.screening.series import SeriesHeads
from server.screening.template import head_template

Look = Callable[[Any, int], list[Region]]
PLACE = Region(
    kind=RegionKind.TEXT, top_row=8, left_column=8, row_count=16, column_count=24, frames=frozenset({1}), confidence=0.9
)


class MadeUp:
    """Stands in for a detector: `look` is handed the samples and the frame's number."""

    def __init__(self, look: Look, version: str = "made-up-1") -> None:
        self._look, self._version = look, version

    def version(self) -> str:
        return self._version

    def find(self, samples: object, *, frame_number: int, **_: object) -> list[Region]:
        return self._look(samples, frame_number)


def nothing(_samples: object, _number: int) -> list[Region]:
    return []


@cache
def _heads() -> SeriesHeads:
    """One for the whole run: reading the template is the slow part."""
    return SeriesHeads(HeadFinder(head_template()))


def detectors(look: Look = nothing, residual: Look = nothing, *, version: str = "made-up-1") -> Detectors:
    return Detectors(
        text=MadeUp(look, version),
        residual=MadeUp(residual, "second-1"),
        faces=MadeUp(nothing, "faces-1"),
        heads=_heads(),
    )


def finds(*regions: Region) -> Look:
    return lambda _samples, _number: list(regions)


def screen_all(house: House, made_up: Detectors) -> None:
    while screen_next(house.services, made_up, "test"):
        pass


def store(house: House, *, study: int = 1, instance: int = 1, **options: Any) -> InstanceRecord:
    """Store one chest film and return its record, waiting to be screened."""
    film = chest_film(*options.pop("formats", ()), study=study, instance=instance, **options)
    assert house.store(part10_bytes(film)).status_code == 200
    return record_of(house, film.StudyInstanceUID, film.SOPInstanceUID)


def record_of(house: House, study: str, instance: str) -> InstanceRecord:
    found = house.services.catalog.instances_of(study)
    return next(one for one in found if one.path.instance == instance)


def again(house: House, one: InstanceRecord) -> InstanceRecord:
    """The record as it is now."""
    return record_of(house, one.path.study, one.path.instance)


def in_review(house: House, *regions: Region, reason: ReviewReason = ReviewReason.RESIDUAL_TEXT) -> InstanceRecord:
    """One stored film with these regions found, which waits for a person."""
    assert reason is ReviewReason.RESIDUAL_TEXT
    one = store(house)
    read = Region(kind=RegionKind.TEXT, top_row=40, left_column=8, row_count=8, column_count=8, detector="residual")
    screen_all(house, detectors(finds(*regions), finds(read)))
    return again(house, one)


def waiting(house: House, user: str = "privacy-reviewer") -> list[dict[str, Any]]:
    response = house.get("/review", user)
    assert response.status_code == 200, response.get_data(as_text=True)
    films: list[dict[str, Any]] = (response.json or {})["films"]
    return films


def path_of(film: dict[str, Any]) -> str:
    return f"studies/{film['study']}/series/{film['series']}/instances/{film['instance']}"


def settle(house: House, path: str, body: object, *, held: str | None, user: str = "privacy-reviewer") -> TestResponse:
    headers = {"If-Match": held} if held is not None else {}
    return house.request("PUT", f"/review/{path}", user, headers=headers, json=body)


def settle_all(house: House) -> None:
    """Confirm what was found on every film that waits, as a person does: from then on its regions alone are hidden."""
    for film in waiting(house):
        path = path_of(film)
        held = house.get(f"/review/{path}", "privacy-reviewer").headers["ETag"]
        settled = settle(house, path, regions(), held=held)
        assert settled.status_code == 200, settled.get_data(as_text=True)


def regions(*added: Sequence[float], lift: dict[int, str] | None = None) -> dict[str, Any]:
    """The verdict that adds these rectangles to every frame and lifts those indices."""
    names = ("top_row", "left_column", "row_count", "column_count")
    return {
        "verdict": "regions",
        "add": [{**dict(zip(names, one, strict=True)), "frames": None} for one in added],
        "lift": [{"region": index, "reason": reason} for index, reason in (lift or {}).items()],
    }
