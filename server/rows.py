"""The rows of a search as the caller's level shows them: the catalogued attributes after the masker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from server.admit import View
from server.metadata.attributes import Attributes, dataset_from_attributes
from server.metadata.cleaning import Identifying
from server.metadata.deidentify import Shared, deidentify
from server.metadata.elements import Elements
from server.metadata.json_model import to_json
from server.metadata.masked import MaskedDataset
from server.model import Identifier, InstanceRecord, Permit, SeriesRecord, StudyRecord
from server.query import SearchLevel
from server.services import Services

_MODALITIES, _MODALITY = "00080061", "00080060"
_PATIENT_TAGS = ("00100020", "00100021", "0020000D")


@dataclass(frozen=True, kw_only=True)
class Match:
    """A candidate that the caller may see, at its permit; `shared` is one for all of a search."""

    permit: Permit
    view: View
    study: StudyRecord
    series: SeriesRecord | None = None
    instance: InstanceRecord | None = None
    shared: Shared = field(default_factory=Shared)


def row_of(services: Services, match: Match, level: SearchLevel) -> dict[str, dict[str, object]]:
    """One row of the answer: masked attributes, and what PS3.18 tables 10.6.3-3 to -5 want computed."""
    row = to_json(_mask(match, _levels(services, match, modalities=True)), lambda _at, _element: None)
    names = match.view.names(match.study, _row_keys(match))
    url = f"{services.settings.public_url}/dicomweb/studies/{names.uid(match.study.study_instance_uid)}"
    uid = match.study.study_instance_uid
    if level is SearchLevel.STUDY:
        instances = services.catalog.instances_of(uid)
        row["00201206"] = {"vr": "IS", "Value": [len({one.path.series for one in instances})]}
        row["00201208"] = {"vr": "IS", "Value": [len(instances)]}
    if match.series is not None:
        url += f"/series/{names.uid(match.series.series_instance_uid)}"
    if level is SearchLevel.SERIES and match.series is not None:
        row["00201209"] = {
            "vr": "IS",
            "Value": [len(services.catalog.instances_of(uid, match.series.series_instance_uid))],
        }
    if match.instance is not None:
        url += f"/instances/{names.uid(match.instance.path.instance)}"
    row["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    row["00081190"] = {"vr": "UR", "Value": [url]}
    return dict(sorted(row.items()))


def masked_for(services: Services, match: Match, path: tuple[int, ...]) -> Elements:
    """Only what one key looks at, masked, with the patient that the mask needs."""
    wanted = f"{path[0]:08X}"
    tags = {wanted, *_PATIENT_TAGS}
    levels = [
        {tag: value for tag, value in level.items() if tag in tags}
        for level in _levels(services, match, modalities=wanted == _MODALITIES)
    ]
    return _mask(match, levels).elements


def pseudonym_order(match: Match) -> tuple[str, ...]:
    names = match.view.names(match.study, _row_keys(match))
    uids = [match.study.study_instance_uid]
    uids += [match.series.series_instance_uid] if match.series else []
    uids += [match.instance.path.instance] if match.instance else []
    return tuple(names.uid(uid) for uid in uids)


def _mask(match: Match, levels: Sequence[Attributes]) -> MaskedDataset:
    names = match.view.names(match.study, _row_keys(match))
    return deidentify(
        dataset_from_attributes(*levels),
        match.view.level,
        names,
        pixels_masked=False,
        partial=True,
        identifies=_identifies(match),
        shared=match.shared,
    )


def _identifies(match: Match) -> Identifying | None:
    """What identifies in the objects that the row's attributes are from; None where one of them does not say."""
    found = match.study.identifies
    if match.series is None or found is None:
        return found
    return None if match.series.identifies is None else found | match.series.identifies


def _levels(services: Services, match: Match, *, modalities: bool) -> list[Attributes]:
    """The catalogued attributes of a row; of a study also the modalities of its series, where they are looked at."""
    levels: list[Attributes] = [match.study.attributes]
    levels += [match.series.attributes] if match.series else []
    levels += [match.instance.attributes] if match.instance else []
    if modalities and match.series is None:
        found: set[object] = set()
        for one in services.catalog.series_of(match.study.study_instance_uid):
            value = one.attributes.get(_MODALITY, {}).get("Value")
            found.update(value if isinstance(value, list) else [])
        levels.append({_MODALITIES: {"vr": "CS", "Value": sorted(map(str, found))}})
    return levels


def _row_keys(match: Match) -> dict[Identifier, bytes]:
    keys = dict(match.study.row_keys)
    keys.update(match.series.row_keys if match.series else {})
    keys.update(match.instance.row_keys if match.instance else {})
    return keys
