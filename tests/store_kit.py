"""What a store may not change when it refuses: the rows, the sealed files, the labels; and what its answer may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from house import House
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from server.audit.show import read
from server.catalog.schema import metadata
from server.model import AuditEvent
from server.settings import Settings
from server.web.app import create_app

FOREIGN = ("CANARY", "MUSTER", "Traceback", 'File "', ".py", "pydicom", "sqlalchemy")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that a store could leave behind: rows per table, and the files below `objects`."""

    rows: Mapping[str, int]
    files: frozenset[str]


def contents(house: House) -> Contents:
    with house.services.engine.connect() as connection:
        rows = {
            name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for name, table in metadata.tables.items()
            # What searches work out ahead, when a film was last asked for, and browsers' sessions are no part of it.
            if name not in {"sessions", "alembic_version", "worlds", "world_entries", "uses"}
        }
    files = frozenset(str(path) for path in house.settings.objects.rglob("*") if path.is_file())
    return Contents(rows=rows, files=files)


def reconfigured(house: House, **changes: Any) -> Settings:
    """Change settings of an open house, as a restart with other settings would."""
    house.settings = replace(house.settings, **changes)
    house.services = replace(house.services, settings=house.settings)
    house.app = create_app(house.services)
    house.client = house.app.test_client()
    return house.settings


def journal(house: House) -> list[AuditEvent]:
    """Every entry, identities opened."""
    return [entry.event for entry in read(house.settings.journal, house.services.journal_seal_key)]


def failures(response: TestResponse) -> list[int]:
    """The Failure Reasons of a store's answer."""
    module = response.json or {}
    items = [item for tag in ("00081198", "0008119A") for item in module.get(tag, {}).get("Value", [])]
    return [item["00081197"]["Value"][0] for item in items]


def assert_says_nothing(response: TestResponse) -> None:
    """An error's body and headers carry no identity and no trace of the code."""
    text = response.get_data(as_text=True) + str(response.headers)
    assert not [word for word in FOREIGN if word in text]


def post(house: House, body: bytes, content_type: str, path: str = "/dicomweb/studies", **options: Any) -> TestResponse:
    """A store request as it is written, whatever is wrong with it."""
    headers = {"Content-Type": content_type, **options.pop("headers", {})}
    return house.request(
        "POST", path, "technologist", accept="application/dicom+json", headers=headers, data=body, **options
    )
