"""The masked world is a world: references lead somewhere in it, intervals are those of the original one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import PixelFormat, chest_film, made_up_uid, part10_bytes
from house import POLICIES, House
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sweep_routes import screen, unsynced

from server.metadata.deidentify import deidentify
from server.metadata.elements import Element, Elements, first_text, in_order, string_element
from server.metadata.identifiers import identifiers, patient_identifier, well_known
from server.metadata.pseudonyms import Pseudonyms, domain_key
from server.policy.bundle import BundleHolder

JSON = "application/dicom+json"
SMALL = PixelFormat(rows=16, columns=16)
LEVEL = BundleHolder(POLICIES).current.levels["deidentified"]
STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
Place = tuple[int, int, int]
Reference = tuple[Place, str]

# Study, series and instance numbers; the fourth study is stored nowhere.
places = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
somewhere = st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))
kinds = st.sampled_from(
    ["SourceImageSequence", "ReferencedImageSequence", "ReferencedSeriesSequence", "RelatedSeriesSequence",
     "ReferencedStudySequence", "StudiesContainingOtherReferencedInstancesSequence"]
)  # fmt: skip
pointers = st.lists(st.tuples(st.integers(0, 6), kinds), max_size=3)
open_worlds = st.dictionaries(places, st.lists(st.tuples(somewhere, kinds), max_size=3), min_size=3, max_size=7)
closed_worlds = st.dictionaries(places, pointers, min_size=3, max_size=7).map(
    lambda world: {
        place: [(list(world)[at % len(world)], kind) for at, kind in found] for place, found in world.items()
    }
)


def uids(place: Place) -> tuple[str, str, str]:
    study, series, instance = place
    ds = chest_film(SMALL, study=study, series=series, instance=instance, canaries=False)
    return str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)


def pointing(place: Place, references: Sequence[Reference]) -> Dataset:
    """An object that refers to others in these sequences, to each by its series and study too where there is room."""
    study, series, instance = place
    ds = chest_film(SMALL, study=study, series=series, instance=instance, canaries=False)
    ds.FrameOfReferenceUID = made_up_uid("frame", study)
    for target, keyword in references:
        found = uids(target)
        image, inside = Dataset(), Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = ds.SOPClassUID, found[2]
        inside.SeriesInstanceUID, inside.StudyInstanceUID = found[1], found[0]
        if keyword == "ReferencedStudySequence":
            image.ReferencedSOPInstanceUID, inside = found[0], image
        elif keyword in ("SourceImageSequence", "ReferencedImageSequence"):
            inside = image
        elif keyword == "ReferencedSeriesSequence":
            del inside.StudyInstanceUID
            inside.ReferencedInstanceSequence = DicomSequence([image])
        elif keyword == "StudiesContainingOtherReferencedInstancesSequence":
            one = Dataset()
            one.SeriesInstanceUID, one.ReferencedInstanceSequence = found[1], DicomSequence([image])
            del inside.SeriesInstanceUID
            inside.ReferencedSeriesSequence = DicomSequence([one])
        setattr(ds, keyword, [*ds.get(keyword, []), inside])
    return ds


def told(item: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str, str]]:
    """Every UID of a data set: the sequence it is in, its tag, and the UID."""
    for tag, element in item.items():
        for value in element.get("Value", []):
            if element["vr"] == "SQ":
                yield from told(value, tag)
            elif element["vr"] == "UI":
                yield within, tag, value


@pytest.mark.parametrize("user", ["researcher", "teacher"])
@settings(max_examples=6, deadline=None)
@given(world=open_worlds | closed_worlds)
def test_references_lead_to_what_is_there_and_nowhere_else(user: str, world: dict[Place, list[Reference]]) -> None:
    """Instances, series and studies, by the pseudonym that a reference has, fetched from the server."""
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        unsynced(patch)
        with House(Path(root), seed="graph") as house:
            bodies = [part10_bytes(pointing(place, references)) for place, references in world.items()]
            assert house.store(*bodies).status_code == 200
            screen(house, [])
            _check(house, user, world)


def _check(house: House, user: str, world: dict[Place, list[Reference]]) -> None:
    rows = house.get("/dicomweb/instances", user, JSON).json or []
    found = [tuple(row[tag]["Value"][0] for tag in (STUDY, SERIES, INSTANCE)) for row in rows]
    assert len(found) == len(world)
    stored = {uid for place in world for uid in uids(place)}
    resolved, dangling = 0, 0
    for study, series, instance in found:
        path = f"/dicomweb/studies/{study}/series/{series}/instances/{instance}/metadata"
        (item,) = house.get(path, user, JSON).json or []
        for within, tag, uid in told(item):
            assert uid not in stored
            if well_known(uid) or tag not in ("00081155", SERIES, STUDY) or not within:
                continue
            what = {SERIES: SERIES, STUDY: STUDY}.get(tag, STUDY if within == "00081110" else INSTANCE)
            kind = {SERIES: "series", STUDY: "studies", INSTANCE: "instances"}[what]
            answer = house.get(f"/dicomweb/{kind}?{what}={uid}", user, JSON)
            if answer.status_code == 204:
                dangling += 1
                continue
            assert uid in {one[(STUDY, SERIES, INSTANCE).index(what)] for one in found}
            (row, *_) = answer.json or []
            target = "/".join(f"{name}/{row[key]['Value'][0]}" for name, key in (("studies", STUDY), ("series", SERIES),
                              ("instances", INSTANCE)) if key in row)  # fmt: skip
            assert house.get(f"/dicomweb/{target}/metadata", user, JSON).status_code == 200
            resolved += 1
    # At least what the level's rules show of them: for some objects Type 1 keeps more.
    assert resolved >= _expected(house, user, world)[0]
    inside = all(target in world for references in world.values() for target, _ in references)
    assert not (inside and dangling)


def test_every_kind_of_reference_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on a world that surely has some of each, to stored objects and to others."""
    unsynced(monkeypatch)
    keywords = ("SourceImageSequence", "ReferencedImageSequence", "ReferencedSeriesSequence", "ReferencedStudySequence")
    references: list[Reference] = [((2, 1, 1), keyword) for keyword in keywords]
    references += [((4, 1, 1), keyword) for keyword in keywords]
    world: dict[Place, list[Reference]] = {(1, 1, 1): references, (2, 1, 1): [], (2, 1, 2): [((1, 1, 1), keywords[0])]}
    with House(tmp_path, seed="graph") as house:
        assert house.store(*(part10_bytes(pointing(place, found)) for place, found in world.items())).status_code == 200
        screen(house, [])
        for user in ("researcher", "teacher"):
            _check(house, user, world)
            resolved, dangling = _expected(house, user, world)
            assert resolved >= 2
            assert dangling >= 2


def _expected(house: House, user: str, world: dict[Place, list[Reference]]) -> tuple[int, int]:
    """How many references there are that lead to something stored, and how many that do not, as the original tells."""
    stored = {uid for place in world for uid in uids(place)}
    level = house.services.policy.current.levels[LEVEL.name if user == "researcher" else "teaching"]
    shown = {"00081140", "00082112", "00081115", "00081110", "00081250", "00081200"}
    shown = {tag for tag in shown if str(level.elements.by_tag.get(int(tag, 16), "X")) != "X"}
    counted = [0, 0]
    for path in house.instances("technologist"):
        (item,) = house.get(f"{path}/metadata", "technologist", JSON).json or []
        for outer in shown & item.keys():
            for within, tag, uid in told({outer: item[outer]}):
                inner = within in shown or str(level.elements.by_tag.get(int(within, 16), "X")) != "X"
                if inner and tag in ("00081155", SERIES, STUDY):
                    counted[uid not in stored] += 1
    return counted[0], counted[1]


ZONES = st.integers(-47, 56).map(lambda quarter: quarter * 15)
MOMENTS = st.integers(631152000, 2208988800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def _zone(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _moment(text: str) -> datetime:
    return datetime.strptime(f"{text[:14]}+0000", "%Y%m%d%H%M%S%z")


def masked(elements: Elements, project: bytes) -> Elements:
    row_keys = {one: label.encode().ljust(16, b"*")[:16] for one, label in identifiers(elements).items()}
    names = Pseudonyms(
        domain_key=domain_key(project, LEVEL.name),
        row_keys=row_keys,
        patient_row_key=row_keys[patient_identifier(elements)],
    )
    return deidentify(elements, LEVEL, names, pixels_masked=True).elements


@settings(max_examples=150, deadline=None)
@given(own=ZONES, zones=st.lists(ZONES, min_size=2, max_size=2), start=MOMENTS,
       after=st.integers(0, 3 * 86400), project=st.binary(min_size=32, max_size=32))  # fmt: skip
def test_intervals_hold_over_midnight_and_time_zones(
    own: int, zones: list[int], start: datetime, after: int, project: bytes
) -> None:
    """A DA with its TM in the object's zone, and two DT in zones of their own."""
    utc = [start, start + timedelta(seconds=after)]
    local = start + timedelta(minutes=own)
    told = [one + timedelta(minutes=zone) for one, zone in zip(utc, zones, strict=True)]
    made: list[Element] = [
        string_element(0x00080005, "CS", "ISO_IR 192"),
        string_element(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
        string_element(0x00080018, "UI", "1.2.3.1"),
        string_element(0x00080020, "DA", f"{local:%Y%m%d}"),
        string_element(0x00080030, "TM", f"{local:%H%M%S}"),
        string_element(0x0008002A, "DT", f"{told[0]:%Y%m%d%H%M%S}{_zone(zones[0])}"),
        string_element(0x00189074, "DT", f"{told[1]:%Y%m%d%H%M%S}{_zone(zones[1])}"),
        string_element(0x00080201, "SH", _zone(own)),
        string_element(0x00100020, "LO", "0815"),
        string_element(0x0020000D, "UI", "1.2.3.2"),
        string_element(0x0020000E, "UI", "1.2.3.3"),
    ]
    out = masked(in_order(made), project)
    study = _moment(first_text(out, 0x00080020) + first_text(out, 0x00080030))
    acquired, frame = (_moment(first_text(out, tag)) for tag in (0x0008002A, 0x00189074))
    assert acquired == study
    assert frame - acquired == timedelta(seconds=after)
    assert 1 <= abs((study - local).days) <= 365
    assert (study - local) % timedelta(days=1) == timedelta(0)
    assert 0x00080201 not in out
    assert not any(len(first_text(out, tag)) > 14 for tag in (0x0008002A, 0x00189074))


def test_the_world_of_another_project_shares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same patient, studies, series and frames of reference in two projects: all the same within, none across."""
    unsynced(monkeypatch)
    with House(tmp_path, seed="two") as house:
        world = [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1)]
        assert house.store(*(part10_bytes(pointing(place, [])) for place in world)).status_code == 200
        screen(house, [])
        seen: list[set[str]] = []
        for project in ("one", "two"):
            token = house.token("researcher", project=project)
            names: dict[str, list[str]] = {}
            for path in house.instances("researcher", token=token):
                (item,) = house.get(f"{path}/metadata", "researcher", JSON, token=token).json or []
                for tag in (STUDY, SERIES, INSTANCE, "00100020", "00200052", "00080050"):
                    names.setdefault(tag, []).append(json.dumps(item[tag]["Value"]))
            assert {tag: len(set(values)) for tag, values in names.items()} == {
                STUDY: 2, SERIES: 3, INSTANCE: 4, "00100020": 1, "00200052": 2, "00080050": 2,
            }  # fmt: skip
            seen.append({value for values in names.values() for value in values})
        assert not seen[0] & seen[1]
