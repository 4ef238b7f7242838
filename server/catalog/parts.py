"""What lies in several studies at once: their series with how many instances each has, or their instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Column, Row

from server.catalog.access import Access
from server.catalog.reads import CHUNK, instance_order, series_order
from server.catalog.records import open_instance, open_series, series_token
from server.catalog.schema import instances, series
from server.errors import SealBroken
from server.model import InstanceRecord, SeriesRecord, StudyRecord


class _Instance(NamedTuple):
    """The columns that an instance is opened from."""

    row: bytes
    study: bytes
    series: bytes
    uid_token: bytes
    sealed: bytes
    screening: str
    rejected: int


def series_in(access: Access, found: Sequence[StudyRecord]) -> dict[str, list[tuple[SeriesRecord, int]]]:
    """By each study's row, its series that have an instance which is not rejected, by series number, then UID, and how
    many such instances there are. No instance is opened. Raises `SealBroken`."""
    wanted = [instances.c.series, instances.c.rejected]
    shown = Counter(parent for parent, rejected in _fetched(access, wanted, instances.c.study, found) if not rejected)
    inside: dict[str, list[tuple[SeriesRecord, int]]] = {study.row: [] for study in found}
    for one in _series(access, found):
        if shown[bytes.fromhex(one.row)]:
            inside[one.study.row].append((one, shown[bytes.fromhex(one.row)]))
    return {row: sorted(those, key=lambda one: series_order(one[0])) for row, those in inside.items()}


def instances_in(
    access: Access, found: Sequence[StudyRecord], series_uid: str | None = None
) -> dict[str, list[InstanceRecord]]:
    """By each study's row, its instances that are not rejected, or those of its series of this UID: by number and UID
    of their series, then their own. Raises `SealBroken`."""
    parents = {bytes.fromhex(one.row): one for one in _series(access, found, series_uid)}
    wanted = [instances.c[name] for name in _Instance._fields]
    if series_uid is None:
        rows = _fetched(access, wanted, instances.c.study, found)
    else:
        rows = [row for one in parents for row in access.fetch(wanted, instances.c.series, [one])]
    inside: dict[str, list[InstanceRecord]] = {study.row: [] for study in found}
    for one in map(_Instance._make, rows):
        if one.rejected:
            continue
        if one.series not in parents:
            raise SealBroken("an instance lies in a series of another study")
        opened = open_instance(access, cast(Row[Any], one), parents[one.series])
        inside[parents[one.series].study.row].append(opened.record)
    return {row: sorted(those, key=instance_order) for row, those in inside.items()}


def _series(access: Access, found: Sequence[StudyRecord], uid: str | None = None) -> list[SeriesRecord]:
    """The series of these studies, or those of this UID, in no order."""
    by_row = {bytes.fromhex(study.row): study for study in found}
    tokens = {row: series_token(access, row, uid) for row in by_row} if uid is not None else {}
    wanted = [series.c.study, series.c.row, series.c.uid_token, series.c.sealed]
    return [
        open_series(access, row, token, sealed, by_row[study])
        for study, row, token, sealed in _fetched(access, wanted, series.c.study, found)
        if uid is None or token == tokens[study]
    ]


def _fetched(
    access: Access, columns: list[Column[Any]], key: Column[Any], found: Sequence[StudyRecord]
) -> list[tuple[Any, ...]]:
    rows = [bytes.fromhex(study.row) for study in found]
    chunks = (rows[begin : begin + CHUNK] for begin in range(0, len(rows), CHUNK))
    return [row for chunk in chunks for row in access.fetch(columns, key, chunk)]
