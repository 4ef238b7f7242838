"""Registering instances: study, series, search entries and instances in one transaction, or nothing.

An instance enters the screening queue by the same row, so no acknowledged instance can miss its screening.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from server.catalog.access import Access
from server.catalog.batch import Batch
from server.catalog.database import writing
from server.catalog.new_instance import Duplicate, NewInstance, Registered
from server.catalog.postings import remember
from server.catalog.reads import instance_in


def register(access: Access, new: NewInstance) -> Registered | Duplicate:
    """As `register_all`, for one instance."""
    return register_all(access, [new])[0]


def register_all(access: Access, news: Sequence[NewInstance]) -> list[Registered | Duplicate]:
    """Catalogue instances in this order, all of them or none, durably when this returns.

    Raises `Conflict`, with nothing changed, when a SOP Instance UID is stored with another body or at another path,
    when a study belongs to another patient or was first stored by another department, or when a rejection note names
    what is not of its own study; `Overtaken` when what was drawn for one has been drawn by somebody else since.
    """
    with writing(access.engine) as connection:
        batch = Batch(access, connection)
        found = [batch.add(new) for new in news]
        places = batch.close()
    remember(access, {key: place + 1 for key, place in places.items()})
    return found


def landed(access: Access, uids: Collection[str]) -> frozenset[str]:
    """The names of the sealed objects that are registered under these SOP Instance UIDs, once nobody else is writing.

    After a `Busy` only this tells what became of a transaction: the answer to its commit may have been lost. Raises
    `Busy`, `SealBroken`.
    """
    with writing(access.engine) as connection:
        found = [instance_in(access, connection, uid) for uid in uids]
    return frozenset(one.record.content.name for one in found if one is not None)
