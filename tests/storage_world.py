"""A house with two sealed films, and the hands of somebody who can write to its disk and its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from builders import PixelFormat, chest_film, part10_bytes
from house import House
from sweep_routes import screen, short

from server.admit import View, original_uid
from server.metadata.pseudonyms import domain_key
from server.model import InstanceRecord, ObjectReference, Region, RegionKind

TEXT = Region(kind=RegionKind.TEXT, top_row=0, left_column=0, row_count=32, column_count=64)
FRAME = PixelFormat(rows=64, columns=96, frames=2)
IMAGES = ("", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata", "/bulkdata/7FE00010")
USERS = ("clinician", "researcher", "front-desk")
ERROR = {"the stored object failed its integrity check", "not found"}


@contextmanager
def stored(root: Path) -> Iterator[House]:
    """A house with two studies of two frames each, screened."""
    with House(root, seed="storage") as found:
        for number in (1, 2):
            ds = chest_film(FRAME, patient=number, study=number, hiding_places=True)
            assert found.store(part10_bytes(ds)).status_code == 200
        screen(found, [TEXT])
        yield found


def records(house: House) -> list[InstanceRecord]:
    """The catalogue's rows of both films."""
    found = []
    for path in house.instances("technologist"):
        study, series, instance = short(path).strip("/").split("/")
        found += [one for one in house.services.catalog.instances_of(study, series) if one.path.instance == instance]
    return found


def file_of(house: House, reference: ObjectReference) -> Path:
    return house.settings.objects / reference.name[:2] / reference.name


def regions_of(record: InstanceRecord) -> ObjectReference:
    assert record.regions is not None
    return record.regions


def alarms(house: House) -> int:
    """How many alarms the journal holds."""
    found = house.get("/audit/entries?limit=1000", "security-auditor").json or []
    return sum(one["kind"] == "alarm" for one in found)


def refused(house: House, worlds: dict[str, Sequence[str]], *, only: Sequence[str] = IMAGES) -> int:
    """Ask for everything; return how often the answer was a 500, each with an alarm; nothing else may be an image."""
    before, failures = alarms(house), 0
    for user, instances in worlds.items():
        for path in instances:
            for suffix in only:
                response = house.get(path + suffix, user)
                if response.status_code in (403, 406):
                    continue
                assert response.status_code == 500, (user, path, suffix, response.status_code)
                assert response.json == {"error": "the stored object failed its integrity check"}
                failures += 1
    assert alarms(house) == before + failures
    return failures


def worlds(house: House, *, first: int = 0, last: int = 2) -> dict[str, Sequence[str]]:
    """The instances of both films (or some), in each user's own names, the first film first."""
    uid = [one.path.study for one in records(house)]
    found: dict[str, Sequence[str]] = {}
    for user in USERS:
        every = house.instances(user)
        if user == "researcher":
            every = sorted(every, key=lambda path: uid.index(_original_study(house, path)))
        else:
            every = sorted(every, key=lambda path: uid.index(path.split("/")[3]))
        found[user] = every[first:last]
    return found


def _original_study(house: House, path: str) -> str:
    """Which study a researcher's path leads to."""
    level = house.services.policy.current.levels["deidentified"]
    view = View(level=level, domain=domain_key(house.services.project_key("demo-project"), level.name))
    return str(original_uid(house.services, view, path.split("/")[3]))


def named(record: InstanceRecord) -> dict[str, Sequence[str]]:
    """The film under its own names, for those who know it by them."""
    path = f"/dicomweb/studies/{record.path.study}/series/{record.path.series}/instances/{record.path.instance}"
    return {"clinician": [path], "front-desk": [path]}


def row_of(house: House, record: InstanceRecord) -> dict[str, Any]:
    with closing(database(house)) as opened:
        found = opened.execute("select * from instances where row = ?", [bytes.fromhex(record.row)]).fetchone()
        return dict(found)


def write(house: House, statement: str, *values: Any) -> None:
    with closing(database(house)) as opened, opened:
        assert opened.execute(statement, values).rowcount >= 1


def database(house: House) -> sqlite3.Connection:
    found = sqlite3.connect(house.settings.data / "catalog.sqlite", timeout=5)
    found.row_factory = sqlite3.Row
    return found
