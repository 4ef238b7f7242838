"""What is sealed of a study, of a series and of an instance, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.catalog.sealed_labels import labels_value
from server.model import Identifier, InstanceRecord, ObjectReference, SeriesRecord, StudyRecord

JSONObject = dict[str, Any]


def study_value(record: StudyRecord, sequence: int) -> JSONObject:
    """What is sealed of a study."""
    return {
        "uid": record.study_instance_uid,
        "patient": [record.patient.issuer, record.patient.patient_id],
        "labels": labels_value(record.labels),
        "revision": record.revision.hex(),
        "attributes": record.attributes,
        "row_keys": _key_values(record.row_keys),
        "identifies": _identifying_values(record),
        "modalities": sorted(record.modalities),
        "sequence": sequence,
    }


def series_value(record: SeriesRecord) -> JSONObject:
    """What is sealed of a series."""
    return {
        "uid": record.series_instance_uid,
        "study": record.study.row,
        "revision": record.revision.hex(),
        "attributes": record.attributes,
        "row_keys": _key_values(record.row_keys),
        "identifies": _identifying_values(record),
    }


def instance_value(record: InstanceRecord, body_digest: bytes) -> JSONObject:
    """What is sealed of an instance."""
    return {
        "uid": record.path.instance,
        "study": record.study.row,
        "series": record.series.row,
        "sop_class": record.sop_class_uid,
        "transfer_syntax": record.transfer_syntax_uid,
        "frames": record.number_of_frames,
        "screening": record.screening.value,
        "content": _reference_value(record.content),
        "regions": None if record.regions is None else _reference_value(record.regions),
        "revision": record.revision.hex(),
        "digest": body_digest.hex(),
        "rejected": record.rejected,
        "attributes": record.attributes,
        "row_keys": _key_values(record.row_keys),
        "found_by": record.found_by,
        "review": record.review.value if record.review else None,
        "since": float(record.since),
        "faces_sought": record.faces_sought,
    }


def _reference_value(reference: ObjectReference) -> list[str | int]:
    return [reference.name, reference.kind, reference.version, reference.segments]


def _key_values(row_keys: Mapping[Identifier, bytes]) -> list[list[str]]:
    return [[identifier.kind.value, identifier.value, key.hex()] for identifier, key in row_keys.items()]


def _identifying_values(record: StudyRecord | SeriesRecord) -> list[tuple[str, str]] | None:
    return None if record.identifies is None else sorted(record.identifies)
