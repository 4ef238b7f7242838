"""Searching: what it costs to prepare a world, and what a page costs then, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from time import perf_counter, process_time

import bench_floors as floors
from bench_figures import JSON, answered
from bench_houses import STUDIES
from bench_measure import Cost, Row, measure
from house import House

PAGE = 25
_NAME, _PATIENT_ID, _STUDY_DATE = "00100010", "00100020", "00080020"
_MOST_REQUESTS = 200


def of_a_search(house: House) -> Iterator[Row]:
    """Pages of 25 out of `STUDIES` studies, from prepared rows; the floor opens as many sealed rows and writes JSON."""
    for user in ("researcher", "clinician"):
        yield _prepared(house, user)
        rows = house.get(f"/dicomweb/studies?limit={PAGE}", user, JSON).json or []
        sealed = list(islice(cycle(floors.sealed_row(row) for row in rows), PAGE))
        floor = measure(lambda: floors.rows(sealed), times=40)  # noqa: B023
        first: Cost | None = None
        for name, query in _queries(rows[3]).items():
            path = f"/dicomweb/studies?{query}&limit={PAGE}"
            # No pseudonym has such a name.
            ask = answered(house, path, user, JSON, 204 if (user, name[:9]) == ("researcher", "a leading") else 200)
            cost = measure(ask, rounds=15)
            first = first or cost
            note = f"CPU {cost.cpu / first.cpu:.2f} × the first page's; floor: open {PAGE} rows, JSON"
            yield Row(name=f"QIDO over {STUDIES} studies, {user}, {name}", cost=cost, floor=floor, note=note)


def _queries(row: dict[str, dict[str, list[str]]]) -> dict[str, str]:
    name: object = row.get(_NAME, {}).get("Value", [{}])[0]
    beginning = str(name["Alphabetic"])[:10] if isinstance(name, dict) and "Alphabetic" in name else "MUSTER0421"
    return {
        "no key": "",
        "a deep page": f"offset={STUDIES * 9 // 10}",
        "a name's beginning": f"PatientName={beginning}*",
        "a patient": f"PatientID={row[_PATIENT_ID]['Value'][0]}",
        "dates": f"StudyDate={row[_STUDY_DATE]['Value'][0][:4]}0101-{row[_STUDY_DATE]['Value'][0][:4]}1231",
        "a leading wildcard": "PatientName=*17^MAX*",
    }


def _prepared(house: House, user: str) -> Row:
    """All searches of a role that it takes until one opens nothing but its page, the slow ones included."""
    ask = answered(house, f"/dicomweb/studies?limit={PAGE}", user, JSON)
    listings = house.services.catalog.listings
    before = listings.complete
    began, used, requests = perf_counter(), process_time(), 0
    while listings.complete == before and requests < _MOST_REQUESTS:
        ask()
        requests += 1
    cost = Cost(wall=perf_counter() - began, cpu=process_time() - used)
    return Row(name=f"preparing {STUDIES} studies, {user}", cost=cost, note=f"{requests} searches in all")
