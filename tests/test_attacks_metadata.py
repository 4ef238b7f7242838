"""Section 1 of the list of attacks (metadata), over HTTP on every route with the levels as they are shipped.

a.M10, a.M11 and a.M12 are in `test_attacks_pseudonyms`.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from attack_films import FAMILY, SEQUENCES, SIZES, SMALL, AttackFilm, films
from builders import chest_film, part10_bytes
from house import House, parts
from pydicom import dcmread
from sweep_routes import Rule, calls, client, offers, rules, screen, short, unsynced
from sweep_search import unfolded

from server.negotiate import Offer

JSON = "application/dicom+json"
CALLERS = ("researcher", "teacher", "front-desk")
PSEUDONYMOUS = CALLERS[:2]
META = {
    *("FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID"),
    *("MediaStorageSOPInstanceUID", "TransferSyntaxUID", "ImplementationClassUID", "ImplementationVersionName"),
}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One answer: where from, and its headers and body with everything that can be unpacked from it."""

    path: str
    status: int
    pieces: Sequence[bytes]

    @cached_property
    def joined(self) -> bytes:
        """All pieces in one: what is not in it is in none of them."""
        return b"\n".join(self.pieces)


@dataclass(frozen=True, kw_only=True)
class World:
    """A house that holds every attack's film, and all that each masked caller was sent of it."""

    house: House
    films: Mapping[str, AttackFilm]
    sent: Mapping[str, Sequence[Sent]]

    def find(self, needles: Sequence[bytes], callers: Sequence[str] = CALLERS) -> list[tuple[str, str, bytes]]:
        """Which of the needles which caller was sent by which path: as they are, in UTF-16 and base64."""
        wanted = [(needle, form) for needle in needles for form in _forms(needle)]
        return [
            (caller, one.path, needle)
            for caller in callers
            for one in self.sent[caller]
            for needle, form in wanted
            if form in one.joined and any(form in piece for piece in one.pieces)
        ]


def _forms(needle: bytes) -> set[bytes]:
    forms = {needle, b"".join(bytes([byte, 0]) for byte in needle)}
    for before in range(3):
        if len(needle) > 6:
            coded = base64.b64encode(bytes(before) + needle)
            forms.add(coded[-(-before * 8 // 6) : (before + len(needle)) * 8 // 6])
    return forms


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("attacks"), seed="attacks") as house:
        unsynced(patch)
        every = films()
        for one in every:
            answer = house.store(one.body)
            assert answer.status_code == 200, (one.name, answer.get_data())
        screen(house, [])
        offered = offers(house, patch)
        sent = {caller: list(_swept(house, offered, caller)) for caller in CALLERS}
        yield World(house=house, films={one.name: one for one in every}, sent=sent)


def _swept(house: House, offered: Mapping[Rule, tuple[Offer, ...]], caller: str) -> Iterator[Sent]:
    who = client(house, caller, house.token(caller))
    here = [short(path) for path in house.instances(caller)]
    assert len(here) == len(films())
    for rule in sorted(rules(house)):
        if rule[0] != "GET" or rule[1] in {"/sign-in", "/callback"}:
            continue
        for call in calls(rule, offered.get(rule, ()), here, brief=True):
            response = who.send(house, call)
            assert response.status_code < 500, call.path
            headers = "\n".join(f"{name}: {value}" for name, value in response.headers if name != "Safelight-Request")
            media_type = response.headers.get("Content-Type", "")
            pieces = [headers.encode(), *unfolded(response.get_data(), media_type)]
            yield Sent(path=call.path, status=response.status_code, pieces=pieces)


def rows(house: House, user: str, query: str = "", **changes: Any) -> list[dict[str, Any]]:
    found = house.get(f"/dicomweb/instances?{query}", user, JSON, token=house.token(user, **changes)).json
    return list(found or [])


def metadata(house: House, user: str, row: Mapping[str, Any]) -> dict[str, Any]:
    path = str(row["00081190"]["Value"][0]).partition("8080")[2]
    (found,) = house.get(f"{path}/metadata", user, JSON).json or []
    return dict(found)


def test_the_sweep_answers(world: World) -> None:
    """A sweep of refusals would find nothing either."""
    for caller in CALLERS:
        assert sum(one.status == 200 for one in world.sent[caller]) > 4 * len(world.films)
    clinician = rows(world.house, "clinician")
    told = b"".join(json.dumps(metadata(world.house, "clinician", row)).encode() for row in clinician)
    told += b"".join(base64.b64decode(one) for one in re.findall(rb'"InlineBinary": "([^"]*)"', told))
    missed = {name for name, one in world.films.items() if not any(text in told for text in one.hidden)}
    assert missed <= {"M7", "M8"}


def test_a_M1_nested_to_any_depth(world: World) -> None:
    """Eleven sequences, five levels of items in each, every VR; the front desk may see names, in requests too."""
    hidden = world.films["M1"].hidden
    assert len(hidden) == 5 * len(SEQUENCES)
    assert not (found := world.find([b"QVM1-"], PSEUDONYMOUS)), found[:5]
    shown = f"QVM1-{SEQUENCES.index('RequestAttributesSequence')}-".encode()
    assert not (found := world.find([one for one in hidden if not one.startswith(shown)])), found[:5]


def test_a_M2_nothing_private(world: World) -> None:
    """The levels that are shipped keep nothing private, whoever is said to vouch for it."""
    assert not world.find([b"QVM2-", b"4711004711"])
    for user in CALLERS:
        for row in rows(world.house, user):
            odd = [tag for tag in _tags(metadata(world.house, user, row)) if int(tag[:4], 16) % 2]
            assert not odd


def _tags(item: Mapping[str, Any]) -> Iterator[str]:
    for tag, element in item.items():
        yield tag
        for one in element.get("Value", []) if element["vr"] == "SQ" else []:
            yield from _tags(one)


def test_a_M3_what_was_changed_encrypted_or_signed_before(world: World) -> None:
    assert not world.find([b"QVM3-", b"4711004713"])
    gone = {"04000561", "04000500", "04000510", "04000520", "04000550", "FFFAFFFA"}
    for user in CALLERS:
        assert not {tag for row in rows(world.house, user) for tag in _tags(metadata(world.house, user, row))} & gone


def test_a_M4_a_thousand_unknown_tags(world: World) -> None:
    assert not world.find([b"QVM4-"])


def test_a_M5_names_in_free_text(world: World) -> None:
    hidden = world.films["M5"].hidden
    assert not (found := world.find(hidden, PSEUDONYMOUS)), found[:5]
    assert world.find([FAMILY.encode()], ["front-desk"])


def test_a_M6_names_in_every_group_and_character_set(world: World) -> None:
    hidden = world.films["M6-0"].hidden
    assert not (found := world.find(hidden, PSEUDONYMOUS)), found[:5]
    for user in CALLERS:
        for one in world.sent[user]:
            if "/metadata" in one.path and one.status == 200:
                body = one.pieces[1]
                (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode("utf-8")


def test_a_M7_file_meta_and_preamble_are_written_anew(world: World) -> None:
    found, refused = 0, []
    assert not (leaked := world.find([b"QVM7-", b"4711004717"])), leaked[:5]
    for row in rows(world.house, "researcher"):
        response = world.house.get(str(row["00081190"]["Value"][0]).partition("8080")[2], "researcher")
        found += 1
        if response.status_code == 406:
            # An object of a kind that this level does not send.
            refused.append(row["00080016"]["Value"][0])
            continue
        ((_, body),) = parts(response)
        assert body[:132] == bytes(128) + b"DICM"
        meta = dcmread(io.BytesIO(body)).file_meta
        assert {element.keyword for element in meta} <= META
        assert meta.MediaStorageSOPInstanceUID == row["00080018"]["Value"][0]
    assert found == len(world.films)
    assert len(refused) == 9  # documents, plans, signals, surfaces, raw data and video


def test_a_M8_nothing_behind_the_pixels(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding, elements behind the pixels, slack in them; bytes behind the data set are refused at the door."""
    unsynced(monkeypatch)
    assert not world.find([b"QVM8-"])
    tail = part10_bytes(chest_film(SMALL, study=900)) + b"QVM8-AFTER-THE-END"
    answer = world.house.store(tail)
    assert answer.status_code == 409
    assert b"QVM8" not in answer.get_data()


def test_a_M9_no_original_uid_in_headers_or_bodies(world: World) -> None:
    """RetrieveURL, Content-Location, BulkDataURI, references, frames of reference and entity tags among them."""
    uids = set()
    for one in world.films.values():
        uids |= set(re.findall(rb"2\.25\.[0-9]{13,}", one.body))
    assert len(uids) >= 3 * len(world.films)
    assert not (found := world.find(sorted(uid for uid in uids if len(uid) > 12), PSEUDONYMOUS)), found[:5]


def test_a_M16_no_way_of_sending_binary_tells_of_it(world: World) -> None:
    """Neither inline nor by URI, for values of 1 byte to 10 MB; an address of one leads nowhere."""
    assert not world.find([b"QVM16-", b"QVM16-5"])
    (real,) = rows(world.house, "technologist", f"StudyInstanceUID={_study(world, 'M16')}")
    assert sum("BulkDataURI" in one for one in metadata(world.house, "technologist", real).values()) > len(SIZES) // 2
    for user in CALLERS:
        for row in rows(world.house, user):
            for tag, element in metadata(world.house, user, row).items():
                assert "InlineBinary" not in element or tag in {"00281201", "00281202", "00281203"}
                assert "BulkDataURI" not in element or tag == "7FE00010"
    for row in rows(world.house, "researcher")[:8]:
        path = str(row["00081190"]["Value"][0]).partition("8080")[2]
        for tag in ("00111010", "00111015", "00420011", "00282000", "60003000", "50003000", "00189990", "04000520"):
            assert world.house.get(f"{path}/bulkdata/{tag}", "researcher").status_code in (404, 406)


def _study(world: World, name: str) -> str:
    return str(dcmread(io.BytesIO(world.films[name].body)).StudyInstanceUID)


def test_a_M17_every_kind_of_object(world: World) -> None:
    """Reports, key objects, presentation states, documents, models, contours, waveforms, segments, video, raw data."""
    kinds = [one for name, one in world.films.items() if name.startswith("M17")]
    assert len(kinds) == 12
    needles = [needle for one in kinds for needle in one.hidden]
    assert not (found := world.find(needles)), found[:5]
