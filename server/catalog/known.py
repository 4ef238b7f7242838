"""What the catalogue knows of what is about to be stored: one look, before anything is sealed.

Nothing of it goes away again, so it need not be of one moment; what comes to it meanwhile, the registering transaction
finds out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from server.catalog import identifiers, keys, reads
from server.catalog.access import Access
from server.catalog.keys import KeyPurpose, WrappedKey
from server.catalog.postings import CHUNK
from server.catalog.records import instance_token, open_study, study_token
from server.catalog.schema import instances, studies
from server.model import Identifier, InstancePath, StudyRecord


@dataclass(frozen=True, kw_only=True)
class Known:
    """Where SOP Instance UIDs are stored with the keyed digests of their bodies, studies and their keys by UID, and row
    keys; each only as far as there is one."""

    stored: Mapping[str, tuple[InstancePath, bytes]]
    studies: Mapping[str, StudyRecord]
    study_keys: Mapping[str, WrappedKey]
    row_keys: Mapping[Identifier, bytes]


def look(
    access: Access, *, instance_uids: Collection[str], study_uids: Collection[str], wanted: Iterable[Identifier]
) -> Known:
    """Raises `Busy`, `SealBroken`."""
    stored: dict[str, tuple[InstancePath, bytes]] = {}
    for uid in _present(access, instance_uids):
        found = reads.find_stored(access, uid)
        if found is not None:
            stored[uid] = found.record.path, found.body_digest
    return Known(
        stored=stored,
        studies=_studies(access, study_uids),
        study_keys={uid: key for uid in study_uids if (key := keys.find_key(access, KeyPurpose.STUDY, uid))},
        row_keys=identifiers.known_row_keys(access, wanted),
    )


def _present(access: Access, uids: Collection[str]) -> list[str]:
    by_token = {instance_token(access, uid): uid for uid in uids}
    tokens, present = list(by_token), list[str]()
    for begin in range(0, len(tokens), CHUNK):
        chunk = tokens[begin : begin + CHUNK]
        rows = access.fetch([instances.c.uid_token], instances.c.uid_token, chunk)
        present += [by_token[bytes(token)] for (token,) in rows]
    return present


def _studies(access: Access, uids: Collection[str]) -> dict[str, StudyRecord]:
    if not uids:
        return {}
    columns, tokens = [studies.c.row, studies.c.uid_token, studies.c.sealed], [study_token(access, one) for one in uids]
    opened = [open_study(access, *row).record for row in access.fetch(columns, studies.c.uid_token, tokens)]
    return {one.study_instance_uid: one for one in opened}
