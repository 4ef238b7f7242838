"""A study's labels as they are sealed in its row."""

from __future__ import annotations

from typing import Any

from server.catalog.consents import consent_of, value_of
from server.model import StudyLabel, StudyLabels


def labels_value(labels: StudyLabels) -> dict[str, Any]:
    """What is sealed of labels."""
    return {
        "by": labels.stored_by,
        "department": labels.stored_department,
        "at": float(labels.stored_at),
        "departments": sorted(labels.departments),
        "care_team": sorted(labels.care_team),
        "labels": sorted(labels.labels),
        "consent": value_of(labels.consent),
    }


def labels_of(value: dict[str, Any]) -> StudyLabels:
    """Labels as they were sealed; rows of before there were labels and consents have none."""
    return StudyLabels(
        stored_by=value["by"],
        stored_department=value["department"],
        stored_at=value["at"],
        departments=frozenset(value["departments"]),
        care_team=frozenset(value["care_team"]),
        labels=frozenset(map(StudyLabel, value.get("labels", []))),
        consent=consent_of(value.get("consent")),
    )
