"""Every route for every caller in every media type: no canary that the caller's level hides comes out anywhere.

Bodies are looked at as they are, decompressed and decoded; then headers, log records and every file that was written.
What a level may show follows from its file; who is at which level, and sees what, from the table of `sweep_world`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import numpy as np
import pytest
from builders import chest_film, part10_bytes
from house import House
from sweep_films import HIGH, films
from sweep_pattern import correlation, whole_frames
from sweep_routes import FORM_TOKEN, Call, Rule, fill, offers, rules, screen, short, unsynced, without_network
from sweep_search import Finder, unfolded
from sweep_world import ASKERS, NOBODY, WRITTEN, Asker, World, other_world, share_all, wanted
from werkzeug.test import TestResponse

from server.model import Region, RegionKind
from server.policy.safety import masks_pixels

DIGEST = re.compile(rb"[0-9A-Za-z+/_-]{32,}")
PATTERN_REGION = Region(kind=RegionKind.TEXT, top_row=36, left_column=68, row_count=24, column_count=56)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("world"), seed="canaries") as house:
        unsynced(patch)
        without_network(house)
        every = films()
        for film in every:
            answer = house.store(film.body)
            assert answer.status_code == 200, (film.name, answer.get_data())
        screen(house, [PATTERN_REGION])
        originals = [short(path) for path in house.instances("technologist")]
        assert len(originals) == len(every)
        share_all(house, originals)
        yield World(house=house, films=every, offered=offers(house, patch), originals=originals)


def check(finder: Finder, call: Call, response: TestResponse) -> None:
    """No hidden text in the body, however it is packed, nor in the headers."""
    media_type = response.headers.get("Content-Type", "")
    body = unfolded(response.get_data(), media_type)
    assert not (found := finder.found(body)), (call.path, call.accept, response.status_code, found)
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers if name != "Safelight-Request")
    assert not (found := finder.found([headers.encode()])), (call.path, call.accept, found)
    assert len(response.headers.get("Safelight-Request", "0" * 32)) == 32


@pytest.mark.parametrize("asker", ASKERS, ids=str)
def test_no_route_sends_what_the_level_hides(
    world: World, asker: Asker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced(monkeypatch)
    caplog.set_level(logging.DEBUG)
    who, finder, house = world.client(asker), world.finder(asker), world.house
    instances = world.instances(asker)
    expected = sum(film.patient in asker.patients for film in world.films)
    assert len(instances) == expected
    covered, answered, sent = set(), 0, 0
    level, seen = world.level(asker), [0.0]
    for call in wanted(world, asker, instances or world.originals[:1]):
        response = who.send(house, call)
        check(finder, call, response)
        covered.add(call.rule)
        answered += response.status_code == 200
        sent += 1
        found = [correlation(frame) for frame in whole_frames(response)]
        if call.rule[1].endswith("/thumbnail") or (level and masks_pixels(level)):
            assert max(found, default=0.0) < 0.3, (call.path, call.accept, found)
        else:
            seen += found
        assert response.status_code < 500, (call.path, response.get_data())
        if call.path == "/" and who.cookie:
            assert response.get_data().count(b"/films/") == len(asker.patients)
    if instances:
        # The other worlds' names: of films that are there, under names that are not theirs here.
        for call in wanted(world, NOBODY, [other_world(world, asker)]):
            check(finder, call, who.send(house, call))
    missed = rules(house) - WRITTEN - covered
    assert not missed, f"no request was made for {missed}"
    assert (answered > 150) if asker.thorough else sent > 30
    if asker.thorough and level and not masks_pixels(level):
        # The pattern is found where it may be seen, or finding none elsewhere would mean nothing.
        assert len(seen) > 50
        assert float(np.median(seen)) > 0.9
    everything = Finder({one.text for film in world.films for one in film.canaries if len(one.text) > 8}, stem=True)
    messages = [f"{one.name} {one.getMessage()} {one.__dict__}".encode() for one in caplog.records]
    assert not everything.found(messages)


def test_refused_stores_and_acts_repeat_nothing(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced(monkeypatch)
    caplog.set_level(logging.DEBUG)
    house = world.house
    everything = Finder({one.text for film in world.films for one in film.canaries if len(one.text) > 8}, stem=True)
    own_uids = {one.text for film in world.films for one in film.canaries if one.vr == "UI"}
    texts = Finder(
        {one.text for film in world.films for one in film.canaries if len(one.text) > 8} - own_uids, stem=True
    )
    bodies = list(_bad_objects(world.films[0].body))
    boundary = {"Content-Type": "application/dicom"}
    for path in ("/dicomweb/studies", "/dicomweb/studies/1.2.3"):
        for body in bodies:
            answer = house.request("POST", path, "technologist", data=body, headers=boundary)
            assert answer.status_code in (200, 202, 400, 409, 413, 415), answer.get_data()
            # A store's answer names the objects that were sent, and nothing else of them.
            assert not texts.found(unfolded(answer.get_data(), "application/json"))
            for user in ("clinician", "researcher", "front-desk", "patient", "security-auditor", "janitor"):
                refused = house.request("POST", path, user, data=body, headers=boundary)
                assert refused.status_code == 403
                check(everything, Call(rule=("POST", path), path=path), refused)
    for asker in ASKERS:
        who = world.client(asker)
        for rule, data in _acts():
            path = fill(rule[1], world.originals[0])
            headers = {"Content-Type": "application/json" if data[:1] == b"{" else "application/x-www-form-urlencoded"}
            call = Call(rule=rule, path=path, data=data, headers=headers)
            check(everything, call, who.send(house, call))
            check(everything, call, who.send(house, call, method="DELETE"))
    messages = [f"{one.name} {one.getMessage()} {one.__dict__}".encode() for one in caplog.records]
    assert not everything.found(messages)


def _acts() -> Iterator[tuple[Rule, bytes]]:
    labels = json.dumps({"departments": ["radiology"], "care_team": ["CANARY-SUBJECT"]}).encode()
    yield ("PUT", "/labels/studies/<study>"), labels
    yield ("PUT", "/labels/studies/<study>"), b'{"CANARY-KEY": 1}'
    yield ("PUT", "/review/studies/<study>/series/<series>/instances/<instance>"), b'{"verdict": "accept"}'
    yield ("PUT", "/review/studies/<study>/series/<series>/instances/<instance>"), b'{"CANARY-KEY": 1}'
    yield ("POST", "/break-glass/studies/<study>"), b'{"reason": "CANARY-REASON", "text": "CANARY-TEXT"}'
    yield ("POST", "/break-glass/<entry>/review"), b'{"finding": "CANARY-FINDING", "text": "CANARY-TEXT"}'
    for page in ("labels", "consents", "projects", "reviews", "shares", "ended-shares"):
        form = f"form_token={FORM_TOKEN}&study=CANARY-STUDY&labels=CANARY-LABEL&project=CANARY-PROJECT&seq=CANARY-SEQ"
        form += "&issuer=CANARY-ISSUER&subject=CANARY-SUBJECT&level=CANARY-LEVEL&days=1&share=CANARY-SHARE"
        yield ("POST", f"/governance/{page}"), form.encode()
    yield ("POST", "/shares"), b'{"study": "CANARY-STUDY", "level": "CANARY-LEVEL", "purpose": "CANARY-PURPOSE"}'
    yield ("POST", "/accepted-shares"), b'{"link": "CANARY-LINK"}'
    for form in (f"form_token={FORM_TOKEN}&role=CANARY-ROLE", "form_token=CANARY-FORM"):
        yield ("POST", "/role"), form.encode()
    yield ("POST", "/sign-out"), b"form_token=CANARY-FORM"
    yield ("POST", "/backchannel-logout"), b"logout_token=CANARY.TOKEN.HERE"


def _bad_objects(good: bytes) -> Iterator[bytes]:
    """Objects that cannot be stored, each full of canaries: cut, contradicting, another body under a known name."""
    yield good[:400]
    yield good[: len(good) // 2]
    yield good + b"CANARY-AFTER-THE-END"
    yield good.replace(b"CANARY-PatientComments", b"CANARY-PatientCOMMENTS")
    yield b"CANARY-NOT-DICOM"
    ds = chest_film(hiding_places=True, PatientID="CANARY-OTHER-PATIENT", instance=77)
    yield part10_bytes(ds)
    ds = chest_film(hiding_places=True, study=5, instance=78, PhotometricInterpretation="CANARY_PHOTO")
    yield part10_bytes(ds)
    ds = chest_film(hiding_places=True, study=5, instance=79)
    ds.Rows = 9999
    yield part10_bytes(ds)
    body = part10_bytes(chest_film(hiding_places=True, study=5, instance=80))
    yield body.replace(b"CANARY-StudyDescription", b"\xff" * 23)[:-300]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_tell_nothing_more(world: World, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    for asker in ASKERS:
        if asker.level in (None, "deidentified", "front-desk"):
            who, finder = world.client(asker), world.finder(asker)
            for call in list(wanted(world, NOBODY, world.originals[:1]))[:40]:
                response = who.send(world.house, call, method=method)
                check(finder, call, response)
                assert response.get_data() == b"" or method != "HEAD"


def test_no_two_views_share_an_entity_tag(world: World) -> None:
    tags: dict[str, set[str]] = {}
    for asker in ASKERS:
        if asker.level:
            who = world.client(asker)
            for one in world.instances(asker):
                study, series, sop = one.strip("/").split("/")
                path = f"/dicomweb/studies/{study}/series/{series}/instances/{sop}/metadata"
                tag = who.send(world.house, Call(rule=("GET", path), path=path)).headers.get("ETag")
                tags.setdefault(str(tag), set()).add(asker.level)
    assert len(tags) > 20
    assert all(len(levels) == 1 for levels in tags.values())


def test_nothing_readable_is_stored(world: World) -> None:
    """With the keyring kept elsewhere, the data directory holds no name, date or UID of any film."""
    assert not world.house.settings.keyring.is_relative_to(world.house.settings.data)
    every = {one.text for film in world.films for one in film.canaries if len(one.text) >= 8}
    everything = Finder({*every, HIGH}, stem=True)
    dates = Finder({text for text in every if text.isdigit()}, stem=False)
    files = [path for path in world.house.settings.data.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") or path.suffix == ".sqlite" for path in files)
    for path in files:
        body = path.read_bytes()
        found = everything.found([body, str(path).encode()])
        # Eight digits in a row are in some digest of the journal now and then: no date stands within one.
        found = {text for text in found if not text.isdigit()} | dates.found([DIGEST.sub(b"", body)])
        assert not found, (path, found)


def test_the_search_finds_what_is_there(world: World) -> None:
    """The treating clinician is sent every canary but those that nobody is ever sent, so each can be found."""
    asker = ASKERS[0]
    who = world.client(asker)
    sent: list[bytes] = []
    for one in world.originals:
        study, series, sop = one.strip("/").split("/")
        path = f"/dicomweb/studies/{study}/series/{series}/instances/{sop}"
        for call in (Call(rule=("GET", path), path=path), Call(rule=("GET", path), path=f"{path}/bulkdata")):
            response = who.send(world.house, call)
            sent += unfolded(response.get_data(), response.headers["Content-Type"])
    level = world.level(asker)
    assert level is not None
    shown = {one.text for film in world.films for one in film.canaries if one.shown(level)}
    joined = b"\n".join(sent)
    assert not [text for text in shown if text.encode() not in joined]
    assert HIGH.encode() in joined
