"""One object of every kind that carries text, on every route and level: cleaned, or refused as a whole (a.M17)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from builders import chest_film
from builders_carriers import PRIVATE_CLASS, Carrier, carriers, directory, directory_by_meta
from house import POLICIES, House, parts
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import tag_for_keyword
from sweep_routes import screen, unsynced
from werkzeug.test import TestResponse

from server.audit.show import read as read_journal
from server.model import ElementAction, InstancePath, MaskingLevel, ObjectKind, PatientIdentity, ScreeningState
from server.model.kinds import CLEANABLE, is_video, kind_of
from server.policy.bundle import load
from server.policy.describe import objects_table
from server.policy.levels import read_level
from server.policy.order import shows_more
from server.policy.words import BundleProblems

LEVELS = {
    "clinician": "original",
    "researcher": "deidentified",
    "teacher": "teaching",
    "patient": "patient",
    "front-desk": "front-desk",
}
EXPLICIT = "1.2.840.10008.1.2.1"
MASKED = ("researcher", "teacher", "patient", "front-desk")
SUFFIXES = ("", "/metadata", "/bulkdata", "/rendered", "/thumbnail", "/frames/1", "/frames/1/rendered",
            "/frames/1/thumbnail")  # fmt: skip
# Where bulk values lie in these objects.
BULK = ("00420011", "54000100/0/54001010", "00660002/0/00660011/0/00660016", "56000020", "00711001", "7FE00010",
        "60003000")  # fmt: skip
SEARCH = "limit=100&includefield=all"


@dataclass
class World:
    """A house with every object in it, screened without a find, and one caller for each level."""

    house: House
    objects: tuple[Carrier, ...]
    tokens: dict[str, str] = field(default_factory=dict)

    def level(self, user: str) -> MaskingLevel:
        return self.house.services.policy.current.levels[LEVELS[user]]

    def token(self, user: str) -> str:
        if user not in self.tokens:
            film = chest_film()
            identity = PatientIdentity(patient_id=film.PatientID, issuer=film.IssuerOfPatientID)
            own = user == "patient"
            self.tokens[user] = self.house.own_patient(identity) if own else self.house.token(user)
        return self.tokens[user]

    def get(self, user: str, path: str, accept: str = "*/*") -> TestResponse:
        return self.house.get(path, user, accept, token=self.token(user))

    def paths(self, user: str) -> dict[str, str]:
        """The address of every object in a user's world, by the name of the object: found by its series number."""
        response = self.get(user, f"/dicomweb/instances?{SEARCH}", "application/dicom+json")
        found = {}
        for row in json.loads(response.get_data()):
            study, series, sop = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
            name = self.objects[row["00200013"]["Value"][0] - 1].name
            found[name] = f"/dicomweb/studies/{study}/series/{series}/instances/{sop}"
        return found


def world(root: pytest.TempPathFactory, *, twin: bool) -> World:
    house = House(root.mktemp("carriers"), seed="carriers")
    objects = tuple(carriers(twin=twin))
    for one in objects:
        stored = house.store(one.body)
        assert stored.status_code == 200, (one.name, stored.get_data())
    screen(house, [])
    return World(house=house, objects=objects)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        unsynced(patch)
        made = world(tmp_path_factory, twin=False)
        yield made
        made.house.close()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        unsynced(patch)
        made = world(tmp_path_factory, twin=True)
        yield made
        made.house.close()


def wado(path: str) -> list[str]:
    study, series, sop = path.split("/")[3::2]
    base = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={sop}&contentType="
    return [f"{base}application/dicom", f"{base}image/png"]


def requests(paths: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Every request about one of the objects, and those about many, with the name of the object or ""."""
    for name, path in paths.items():
        yield from ((name, path + suffix) for suffix in SUFFIXES)
        yield from ((name, one) for one in wado(path))
    for name in ("pdf", "ecg", "rt-plan", "raw", "unknown", "video-h264", "surface", "spectroscopy", "disguised"):
        yield from ((name, f"{paths[name]}/bulkdata/{element}") for element in BULK)
    for name in ("pdf", "ps-grey", "disguised"):
        series = paths[name].rpartition("/instances/")[0]
        yield from ((name, f"{series}{suffix}") for suffix in SUFFIXES[:5])
        yield name, f"{series}/instances?{SEARCH}"
    study = next(iter(paths.values())).partition("/series/")[0]
    yield from (("", f"{study}{suffix}") for suffix in SUFFIXES[:5])
    yield from (("", f"/dicomweb/{resource}?{SEARCH}") for resource in ("studies", "series", "instances"))
    yield from (("", f"{study}/{resource}?{SEARCH}") for resource in ("series", "instances"))


def shown(level: MaskingLevel, keyword: str) -> bool:
    """Whether a level says of the element itself that it is kept as stored."""
    tag = tag_for_keyword(keyword)
    action = level.elements.by_tag.get(tag, level.elements.default) if tag else level.elements.default
    return action is ElementAction.KEEP


def sent(response: TestResponse) -> bytes:
    """Everything in an answer as a reader of it finds it: values that JSON holds in base 64, and the header."""
    body = response.get_data()
    inline = [base64.b64decode(found) for found in re.findall(rb'"InlineBinary":"([^"]*)"', body)]
    return b"\n".join([body, *inline, repr(sorted(response.headers.items())).encode()])


@pytest.mark.parametrize("user", MASKED)
def test_no_text_of_any_object_leaves_on_any_route(everything: World, user: str) -> None:
    level = everything.level(user)
    hidden = {
        text.encode(): (one.name, keyword)
        for one in everything.objects
        for keyword, text in one.texts
        if not shown(level, keyword) or keyword == "ContentLabel"
    }
    for name, path in requests(everything.paths(user)):
        response = everything.get(user, path)
        assert response.status_code in (200, 204, 403, 404, 406), (path, response.status_code)
        answer = sent(response)
        found = [where for text, where in hidden.items() if text in answer]
        assert not found, (name, path, found)


def test_masked_levels_send_no_object_of_a_kind_that_nobody_cleans(everything: World) -> None:
    """406 in one voice on every route but search and metadata, which tell no bytes and no address of any."""
    for user in ("researcher", "teacher", "patient"):
        level, paths = everything.level(user), everything.paths(user)
        refused = [one for one in everything.objects if one.kind not in level.objects]
        assert len(refused) >= 15
        bodies = set()
        for one in refused:
            told = everything.get(user, paths[one.name] + "/metadata")
            assert told.status_code == 200, one.name
            assert b"BulkDataURI" not in told.data, one.name
            assert b"InlineBinary" not in told.data, one.name
            for path in (
                *(paths[one.name] + suffix for suffix in SUFFIXES if suffix != "/metadata"),
                *wado(paths[one.name]),
            ):
                response = everything.get(user, path)
                assert response.status_code in ({406} if user != "teacher" else {403, 406}), (one.name, path)
                if response.status_code == 406:
                    bodies.add((response.get_data(), response.headers.get("ETag")))
        assert bodies == {(b'{"error":"none of the acceptable representations is available"}\n', None)}


def test_what_is_cleaned_leaves_without_what_named_somebody(everything: World) -> None:
    paths = everything.paths("researcher")
    for one in everything.objects:
        if one.kind in CLEANABLE:
            response = everything.get("researcher", paths[one.name])
            assert response.status_code == 200, one.name
    report = json.loads(everything.get("researcher", paths["sr-comprehensive"] + "/metadata").data)[0]
    said = json.dumps(report["0040A730"])
    assert "PNAME" not in said
    assert "DATE" in said, "coded items and moved dates are what a cleaned report is for"
    state = json.loads(everything.get("researcher", paths["ps-grey"] + "/metadata").data)[0]
    assert state["00700001"]["Value"] == [{"00700002": {"vr": "CS", "Value": ["REMOVED"]}}]
    assert not {"00282000", "60003000"} & state.keys()
    assert "Value" not in state.get("00700081", {})


def test_original_sends_everything_but_video(everything: World) -> None:
    paths = everything.paths("clinician")
    for one in everything.objects:
        assert paths[one.name] == one.path
        told = sent(everything.get("clinician", f"{one.path}/metadata"))
        response = everything.get("clinician", one.path)
        if one.kind is ObjectKind.VIDEO:
            assert response.status_code == 406
            for suffix in SUFFIXES[2:]:
                assert everything.get("clinician", one.path + suffix).status_code == 406, suffix
            assert everything.get("clinician", f"{one.path}/bulkdata/7FE00010").status_code == 406
            assert all(text.encode() in told for keyword, text in one.texts if keyword != "stream")
            assert all(text.encode() not in told for keyword, text in one.texts if keyword == "stream")
            continue
        assert response.status_code == 200, one.name
        body = response.get_data()
        assert not [found for found in one.texts if found[1].encode() not in body], one.name
        # Longer values are told by their address.
        bulk = everything.get("clinician", f"{one.path}/bulkdata").get_data()
        assert not [found for found in one.texts if found[1].encode() not in told + bulk], one.name


def test_a_document_is_read_from_its_own_address(everything: World) -> None:
    one = next(one for one in everything.objects if one.name == "pdf")
    told = json.loads(everything.get("clinician", f"{one.path}/metadata").data)[0]
    address = told["00420011"]["BulkDataURI"].partition("/dicomweb")[2]
    assert b"EncapsulatedDocument" in everything.get("clinician", f"/dicomweb{address}").get_data()
    assert everything.get("researcher", f"/dicomweb{address}").status_code == 404


def test_what_is_left_out_of_many_is_counted(everything: World) -> None:
    study = everything.paths("researcher")["ct"].partition("/series/")[0]
    response = everything.get("researcher", study)
    level = everything.level("researcher")
    left_out = sum(one.kind not in level.objects for one in everything.objects)
    assert len(parts(response)) == len(everything.objects) - left_out
    assert (
        response.headers["Warning"]
        == f'299 safelight "{left_out} objects of kinds that are not sent here were left out"'
    )
    assert "Warning" not in everything.get("researcher", f"{study}/metadata").headers


def test_a_refusal_is_recorded_without_identity(everything: World) -> None:
    path = everything.paths("researcher")["pdf"]
    request = everything.get("researcher", path).headers["Safelight-Request"]
    journal = read_journal(everything.house.settings.journal, None)
    (entry,) = [one.event for one in journal if one.event.request == request]
    assert (entry.kind, entry.action, entry.status) == ("refusal", "retrieve-instance", 406)
    assert entry.reason == "NotAcceptable: objects of this kind do not leave at deidentified"


def test_two_objects_that_differ_in_what_they_carry_answer_alike(everything: World, twin: World) -> None:
    """Documents, reports, states, plans, signals: not a byte of any answer depends on a word of theirs."""
    assert all(one.body != other.body for one, other in zip(everything.objects, twin.objects, strict=True))
    for user in ("researcher", "front-desk"):
        paths = everything.paths(user)
        assert paths == twin.paths(user)
        asked = [path + suffix for path in paths.values() for suffix in ("", "/metadata", "/bulkdata", "/rendered")]
        for path in (*asked, f"/dicomweb/instances?{SEARCH}", f"/dicomweb/studies?{SEARCH}"):
            here, there = everything.get(user, path), twin.get(user, path)
            assert here.status_code == there.status_code, path
            assert _without_boundary(here) == _without_boundary(there), path


def _without_boundary(response: TestResponse) -> tuple[bytes, list[tuple[str, str]]]:
    boundary = response.headers.get("Content-Type", "").partition("boundary=")[2]
    kept = [one for one in response.headers.items() if one[0] != "Safelight-Request"]
    body = response.get_data()
    if boundary:
        kept = [(name, value.replace(boundary, "")) for name, value in kept]
        body = body.replace(boundary.encode(), b"")
    return body, kept


def test_a_video_is_never_held_for_screened(everything: World) -> None:
    catalog = everything.house.services.catalog
    for one in everything.objects:
        study, series, sop = one.path.split("/")[3::2]
        record = catalog.find_instance(InstancePath(study=study, series=series, instance=sop))
        assert record is not None
        # Some of the others wait for a person by the rule for their class.
        looked_at = {ScreeningState.SCREENED, ScreeningState.IN_REVIEW}
        expected = {ScreeningState.FAILED} if one.kind is ObjectKind.VIDEO else looked_at
        assert record.screening in expected, one.name


def test_a_directory_is_not_stored(everything: World) -> None:
    for body in (directory(), directory_by_meta()):
        response = everything.house.store(body)
        assert response.status_code == 409
        (item,) = json.loads(response.data)["00081198"]["Value"]
        assert item["00081197"]["Value"] == [0x0122]


def test_every_registered_class_has_a_kind_and_no_other_is_believed(everything: World) -> None:
    for one in everything.objects:
        read = kind_of(str(one.sop_class), one.syntax)
        assert read is one.kind, one.name
    storage = "1.2.840.10008.5.1.4.1.1."
    registered = [uid for uid, entry in UID_dictionary.items() if uid.startswith(storage) and entry[1] == "SOP Class"]
    images = [uid for uid in registered if "Image Storage" in UID_dictionary[uid][0]]
    kinds = {uid: kind_of(uid, EXPLICIT) for uid in registered}
    foreign = {"501", "601"}
    video = {uid for uid in images if "Video" in UID_dictionary[uid][0]}
    assert {uid for uid in images if kinds[uid] is not ObjectKind.IMAGE} == video | {
        uid for uid in images if uid.removeprefix(storage).split(".")[0] in foreign
    }
    assert set(kinds.values()) == set(ObjectKind)
    for unknown in (
        PRIVATE_CLASS,
        storage + "88.999",
        storage + "1.9",
        storage + "11.99",
        storage + "66.4.1",
        "1.2",
        "",
    ):
        assert kind_of(unknown, EXPLICIT) is ObjectKind.OTHER
    for uid in registered:
        assert kind_of(uid, "1.2.840.10008.1.2.4.104") is ObjectKind.VIDEO


def test_every_video_syntax_is_one() -> None:
    named = {
        uid
        for uid, entry in UID_dictionary.items()
        if re.search("MPEG|HEVC|SMPTE", entry[0]) and entry[1] == "Transfer Syntax"
    }
    assert len(named) >= 17
    for uid, entry in UID_dictionary.items():
        if entry[1] == "Transfer Syntax":
            assert is_video(uid) is (uid in named), uid


@pytest.mark.parametrize("name", ["deidentified", "teaching", "patient", "front-desk"])
def test_no_masked_level_can_be_told_to_send_what_nobody_cleans(name: str) -> None:
    files = {path.stem: path.read_bytes() for path in (POLICIES / "levels").glob("*.toml")}
    text = files[name].decode()
    for kind in set(ObjectKind) - CLEANABLE:
        changed = text.replace("objects = [", f'objects = ["{kind}", ')
        with pytest.raises(BundleProblems, match=r"looks|decodes"):
            read_level(name, changed.encode(), files=files)
    unsaid = re.sub(r"^objects = \[.*?\]$", "", text, flags=re.DOTALL | re.MULTILINE).encode()
    if name == "teaching":
        # It inherits what it does not say.
        assert read_level(name, unsaid, files=files).objects == load(POLICIES).levels["deidentified"].objects
        return
    with pytest.raises(BundleProblems, match="objects"):
        read_level(name, unsaid, files=files)


def test_a_level_that_sends_more_kinds_is_not_more_masked() -> None:
    levels = load(POLICIES).levels
    more = replace(levels["teaching"], objects=levels["original"].objects)
    assert any("kinds" in sentence for sentence in shows_more(more, levels["deidentified"]))
    assert not list(shows_more(levels["teaching"], levels["deidentified"]))


def test_the_table_of_kinds_tells_all_of_them() -> None:
    bundle = load(POLICIES)
    head, _, *rows = objects_table(bundle).splitlines()
    assert head.count("`") == 2 * len(bundle.levels)
    assert {row.split("`")[1] for row in rows} == set(ObjectKind)
    (video,) = [row for row in rows if row.startswith("| `video`")]
    assert video.count(" refused ") == len(bundle.levels)
