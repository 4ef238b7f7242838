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
from server.query import Query, SearchLevel
from server.services import Services

_MODALITIES_IN_STUDY, _MODALITY = 0x00080061, "00080060"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A study, series or instance in the world of a search; `shared` is one for all of a search, `inside` how many
    instances a series has."""

    view: View
    study: StudyRecord
    series: SeriesRecord | None = None
    instance: InstanceRecord | None = None
    inside: int = 0
    shared: Shared = field(default_factory=Shared)


@dataclass(frozen=True, kw_only=True)
class Match(Candidate):
    """A candidate that the caller may see, at its permit."""

    permit: Permit


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A study that the caller may see, by its row in the catalogue, and its line of the answer as it is sent."""

    view: View
    row: bytes
    permit: Permit
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What lies in a study: its series, and how many series and instances there are of it."""

    series: Sequence[SeriesRecord]
    count: int
    instances: int


def row_of(services: Services, match: Match, level: SearchLevel) -> dict[str, dict[str, object]]:
    """One row of the answer: masked attributes, and what PS3.18 tables 10.6.3-3 to -5 want computed."""
    url = services.settings.public_url
    if level is SearchLevel.STUDY:
        found = services.catalog.series_in([match.study])[match.study.row]
        series, counts = [one for one, _ in found], [count for _, count in found]
        contents = Contents(series=series, count=len(series), instances=sum(counts))
        return study_row(url, match, contents)[1]
    computed: dict[str, dict[str, object]] = {}
    if level is SearchLevel.SERIES and match.series is not None:
        computed["00201209"] = {"vr": "IS", "Value": [match.inside]}
    return _row(url, match, _mask(match, _levels(match)), computed)


def study_row(url: str, one: Candidate, contents: Contents) -> tuple[MaskedDataset, dict[str, dict[str, object]]]:
    """A study's masked attributes, which keys are matched against, and its row; `url` is the server's own."""
    masked = _mask(one, [*_levels(one), _modalities(contents.series)])
    computed: dict[str, dict[str, object]] = {
        "00201206": {"vr": "IS", "Value": [contents.count]},
        "00201208": {"vr": "IS", "Value": [contents.instances]},
    }
    return masked, _row(url, one, masked, computed)


def _row(
    base: str, one: Candidate, masked: MaskedDataset, computed: dict[str, dict[str, object]]
) -> dict[str, dict[str, object]]:
    names = one.view.names(one.study, _row_keys(one))
    url = f"{base}/dicomweb/studies/{names.uid(one.study.study_instance_uid)}"
    if one.series is not None:
        url += f"/series/{names.uid(one.series.series_instance_uid)}"
    if one.instance is not None:
        url += f"/instances/{names.uid(one.instance.path.instance)}"
    row = to_json(masked, lambda _at, _element: None) | computed
    row["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    row["00081190"] = {"vr": "UR", "Value": [url]}
    return dict(sorted(row.items()))


def masked_for(services: Services, one: Candidate, query: Query) -> Elements:
    """What the keys of a search are matched against: the masked attributes of the row, all of them, since what a level
    shows of one can depend on others (dates on the offset from UTC)."""
    levels = _levels(one)
    if one.series is None and any(key.path == (_MODALITIES_IN_STUDY,) for key in query.keys):
        levels.append(_modalities([series for series, _ in services.catalog.series_in([one.study])[one.study.row]]))
    return _mask(one, levels).elements


def order_of(match: Candidate) -> tuple[str, ...]:
    names = match.view.names(match.study, _row_keys(match))
    uids = [match.study.study_instance_uid]
    uids += [match.series.series_instance_uid] if match.series else []
    uids += [match.instance.path.instance] if match.instance else []
    return tuple(names.uid(uid) for uid in uids)


def _mask(match: Candidate, levels: Sequence[Attributes]) -> MaskedDataset:
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


def _identifies(match: Candidate) -> Identifying | None:
    """What identifies in the objects that the row's attributes are from; None where one of them does not say."""
    found = match.study.identifies
    if match.series is None or found is None:
        return found
    return None if match.series.identifies is None else found | match.series.identifies


def _levels(one: Candidate) -> list[Attributes]:
    """The catalogued attributes of a row."""
    levels: list[Attributes] = [one.study.attributes]
    levels += [one.series.attributes] if one.series else []
    levels += [one.instance.attributes] if one.instance else []
    return levels


def _modalities(series: Sequence[SeriesRecord]) -> Attributes:
    """The modalities of a study, which are those of its series."""
    found: set[object] = set()
    for one in series:
        value = one.attributes.get(_MODALITY, {}).get("Value")
        found.update(value if isinstance(value, list) else [])
    return {f"{_MODALITIES_IN_STUDY:08X}": {"vr": "CS", "Value": sorted(map(str, found))}}


def _row_keys(match: Candidate) -> dict[Identifier, bytes]:
    keys = dict(match.study.row_keys)
    keys.update(match.series.row_keys if match.series else {})
    keys.update(match.instance.row_keys if match.instance else {})
    return keys
