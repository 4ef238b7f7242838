"""Instances that a rejection note hides (IHE RAD TF-2 4.66): from its very transaction on, and for good.

Nothing is deleted and no sealed object is changed. What has been rejected is not listed, found or counted any more,
for nobody; only the tables' keepers (the sweep of files, the screening queue, the check for duplicates) still see it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert, select

from server.catalog.access import Access
from server.catalog.database import fetch, reading
from server.catalog.reads import CHUNK, instance_in
from server.catalog.records import hide_instance
from server.catalog.schema import instances, rejections
from server.errors import Conflict
from server.model import InstancePath, StudyRecord

_SEALED_BYTES = 64


def reject(
    access: Access, connection: Connection, study: StudyRecord, code: int, paths: Collection[InstancePath]
) -> None:
    """Hide these instances of a study, those that are not stored yet included.

    Raises `Conflict` for one that is of another study, or is stored at another path than the note says.
    """
    for path in paths:
        found = instance_in(access, connection, path.instance)
        if path.study != study.study_instance_uid or (found is not None and found.record.path != path):
            raise Conflict("a rejection note names what is not of its own study")
        if found is None:
            _expect(access, connection, study, path.instance, code)
        elif not found.record.rejected:
            revision = bytes.fromhex(access.new_revision("instance"))
            changed = replace(found.record, rejected=code, revision=revision)
            hide_instance(access, connection, changed, found.body_digest)


def expected(access: Access, connection: Connection, study: StudyRecord, instance_uid: str) -> int:
    """The code of the note that rejected an instance of this study before it came, 0 without one."""
    token = _token(access, study, instance_uid)
    found = fetch(connection.engine, [rejections.c.sealed], rejections.c.token, [token], snapshot=connection)
    return int(access.open("rejections", token, found[0][0])["code"]) if found else 0


def shown(access: Access, rows: Sequence[bytes]) -> set[bytes]:
    """Those of the study rows that have an instance which is not rejected."""
    found: set[bytes] = set()
    with reading(access.engine) as connection:
        for begin in range(0, len(rows), CHUNK):
            here = instances.c.study.in_(rows[begin : begin + CHUNK])
            query = select(instances.c.study).where(here, instances.c.rejected == 0).distinct()
            found.update(bytes(row) for row in connection.execute(query).scalars())
    return found


def _expect(access: Access, connection: Connection, study: StudyRecord, instance_uid: str, code: int) -> None:
    token = _token(access, study, instance_uid)
    if connection.execute(select(rejections.c.token).where(rejections.c.token == token)).scalar() is None:
        sealed = access.seal("rejections", token, {"code": code}, least=_SEALED_BYTES)
        connection.execute(insert(rejections).values(token=token, sealed=sealed))


def _token(access: Access, study: StudyRecord, instance_uid: str) -> bytes:
    # Bound to the study's row: nobody hides what will come in another study.
    return access.tokens.unique("rejection", bytes.fromhex(study.row), instance_uid)
