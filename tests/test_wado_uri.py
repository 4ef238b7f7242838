"""WADO-URI (PS3.18 chapter 9): its own parameters, what it refuses, and `anonymize=yes`, which only masks more."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from builders import PixelFormat, chest_film, decoded_frames, part10_bytes
from house import House
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom import uid as uids
from sweep_films import planted
from sweep_routes import screen
from sweep_search import Finder, unfolded
from werkzeug.test import TestResponse

from server.admit import admit
from server.anonymize import anonymised
from server.audit.show import read
from server.errors import Busy, NotAcceptable
from server.model import Action, Ask, PatientIdentity, Region, RegionKind
from server.policy.bundle import BundleHolder
from server.policy.words import LevelOrder, PolicyBundle

FORMAT = PixelFormat(rows=96, columns=160)
FILMS = {
    1: chest_film(FORMAT, hiding_places=True, InstanceNumber=1),
    2: chest_film(replace(FORMAT, frames=3), instance=2, hiding_places=True, InstanceNumber=2),
}
TEXT = Region(kind=RegionKind.TEXT, top_row=32, left_column=64, row_count=32, column_count=64)
OBJECT = "&contentType=application/dicom"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("wado")) as one:
        assert one.store(*map(part10_bytes, FILMS.values())).status_code == 200
        screen(one, [TEXT])
        yield one


def place(house: House, user: str, film: int) -> str:
    """The path of a film in a user's world; masked ones are in an order of their own."""
    (row,) = house.get(f"/dicomweb/instances?InstanceNumber={film}", user, "application/dicom+json").json or []
    study, series, one = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    return f"/dicomweb/studies/{study}/series/{series}/instances/{one}"


def address(house: House, user: str = "clinician", film: int = 1) -> str:
    path = place(house, user, film).split("/")
    return f"/wado?requestType=WADO&studyUID={path[3]}&seriesUID={path[5]}&objectUID={path[7]}"


def get(house: House, query: str, user: str = "clinician", film: int = 1, accept: str = "*/*") -> TestResponse:
    return house.get(address(house, user, film) + query, user, accept)


def picture(answer: TestResponse) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.data
    return np.asarray(Image.open(io.BytesIO(answer.data)).convert("L"))


def same_as(house: House, user: str, suffix: str, film: int = 1) -> NDArray[np.uint8]:
    return picture(house.get(place(house, user, film) + suffix, user, "image/png"))


def test_the_default_follows_the_kind_of_object(house: House) -> None:
    assert get(house, "").headers["Content-Type"] == "image/jpeg"
    assert get(house, "", film=2).headers["Content-Type"].startswith("application/dicom; ")
    # What only a picture can have says that a picture is meant.
    assert get(house, "&frameNumber=2", film=2).headers["Content-Type"] == "image/jpeg"
    offline = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    assert get(house, f"{OBJECT}&transferSyntax=*", accept=offline).status_code == 200


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("image/png", "image/png"),
        ("image/webp,image/gif", "image/gif"),
        ("image/png;q=0.3,image/jpeg;q=0.7", "image/jpeg"),
        ("image/jpeg;q=0,image/png", "image/png"),
        ("application/dicom;q=0.1,image/png;q=0.2", "image/png"),
        ("image/png;q=0.1,application/dicom", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"),
        ("text/html", None),
        ("*/*", None),
        ("image/*", None),
        ("", None),
    ],
)
def test_content_types(house: House, asked: str, given: str | None) -> None:
    answer = get(house, f"&contentType={asked}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        (200, given) if given else (406, "application/json")
    )


def test_frames_windows_sizes_and_regions_are_those_of_rendered(house: House) -> None:
    png = "&contentType=image/png"
    for user in ("clinician", "researcher"):
        for query, suffix, film in (
            ("&frameNumber=3", "/frames/3/rendered", 2),
            ("&windowCenter=100&windowWidth=50", "/rendered?window=100,50,linear", 1),
            ("&rows=48&columns=48", "/rendered?viewport=48,48", 1),
            ("&rows=48", "/rendered?viewport=16384,48", 1),
            ("&region=0,0,1,1", "/rendered", 1),
            ("&region=0.25,0.5,0.75,1", "/rendered?viewport=80,48,40,48,80,48", 1),
            ("&region=0.5,0.0,1.0,.5&columns=40&rows=40", "/rendered?viewport=40,40,80,0,80,48", 1),
            ("&region=0.251,0.501,0.252,0.502", "/rendered?viewport=1,1,40,48,1,1", 1),
        ):
            shown = picture(get(house, png + query, user, film))
            assert np.array_equal(shown, same_as(house, user, suffix, film)), (user, query)


def test_a_region_never_shows_what_the_whole_hides(house: House) -> None:
    whole = same_as(house, "researcher", "/rendered")
    clear = same_as(house, "clinician", "/rendered")
    assert not np.array_equal(whole, clear)
    for left, top in ((0.3, 0.3), (0.41, 0.34), (0.5, 0.5)):
        query = f"&contentType=image/png&region={left},{top},{left + 0.2:.2f},{top + 0.2:.2f}"
        part = picture(get(house, query, "researcher"))
        row, column = int(top * 96), int(left * 160)
        assert np.array_equal(part, whole[row : row + part.shape[0], column : column + part.shape[1]])


@pytest.mark.parametrize(
    "query",
    [
        "&unknown=1",
        "&level=original",
        "&anonymize=no" + OBJECT,
        "&anonymize=" + OBJECT,
        "&anonymize=YES" + OBJECT,
        "&anonymize=yes&anonymize=yes" + OBJECT,
        "&anonymize[]=yes" + OBJECT,
        "&anonymize=yes",
        "&anonymize=yes&contentType=image/png",
        "&transferSyntax=*&contentType=image/png",
        "&rows=8" + OBJECT,
        "&region=0,0,1,1" + OBJECT,
        "&frameNumber=1" + OBJECT,
        "&frameNumber=0",
        "&frameNumber=-1",
        "&frameNumber=1,2",
        "&frameNumber=x",
        "&windowCenter=1",
        "&windowWidth=1",
        "&windowCenter=a&windowWidth=1",
        "&windowCenter=1&windowWidth=0",
        "&rows=0",
        "&columns=1.5",
        "&imageQuality=101",
        "&region=0,0,1",
        "&region=0,0,1,1,1",
        "&region=0,0,1,1.1",
        "&region=-0.1,0,1,1",
        "&region=0.5,0,0.5,1",
        "&region=0,0.9,1,0.1",
        "&region=0,0.9,1,0.1&rows=8&columns=8",
        "&region=nan,0,1,1",
        "&region=0,0,1e0,1",
        "&region=",
        "&charset=latin1",
        "&annotation=patient;technique",
        "&iccprofile=cmyk",
        "&presentationUID=1.2.3",
        "&presentationSeriesUID=1.2",
        "&presentationUID=1.2.3&presentationSeriesUID=1.2&region=0,0,1,1",
        "&presentationUID=1.2.3&presentationSeriesUID=1.2&windowCenter=9&windowWidth=9",
        "&contentType=application/dicom&annotation=patient",
        "&contentType=text/html&rows=9",
        "&requestType=WADO",
    ],
)
def test_malformed_requests_are_refused(house: House, query: str) -> None:
    answer = get(house, query)
    assert answer.status_code == 400, answer.status_code
    assert set(json.loads(answer.data)) == {"error"}


@pytest.mark.parametrize("start", ["", "requestType=wado&", "requestType=WADO"])
def test_what_a_request_must_say(house: House, start: str) -> None:
    path = address(house).partition("requestType=WADO&")[2]
    for query in (start + path.replace("objectUID", "object"), start + path if start != "requestType=WADO" else start):
        assert house.get(f"/wado?{query}", "clinician").status_code == 400
    assert get(house, "&frameNumber=4", film=2).status_code == 404
    assert get(house, "&charset=UTF-8").status_code == 200
    assert get(house, f"{OBJECT}&transferSyntax=1.2.840.10008.1.2").status_code == 406


def anonymous(house: House, film: int = 1, user: str = "clinician", more: str = "") -> Dataset:
    answer = get(house, f"{OBJECT}&anonymize=yes{more}", user, film)
    assert answer.status_code == 200, answer.data
    return dcmread(io.BytesIO(answer.data))


def test_anonymize_shows_a_clinician_what_a_more_masked_level_shows(house: House) -> None:
    """The samples and kept attributes are those of deidentified, of which teaching sends no objects; a.C2."""
    hidden = [one.text for one in planted(FILMS[1]) if "CANARY" in one.text]
    uid_texts = [one.text for one in planted(FILMS[1]) if one.vr == "UI"]
    assert len(hidden) > 20
    plain = get(house, OBJECT)
    assert Finder(hidden, stem=False).found(unfolded(plain.data))
    answer = get(house, f"{OBJECT}&anonymize=yes")
    assert not Finder([*hidden, *uid_texts], stem=True).found(unfolded(answer.data))
    found, masked = dcmread(io.BytesIO(answer.data)), place(house, "researcher", 1)
    known = dcmread(io.BytesIO(house.get(masked, "researcher", "application/dicom").data))
    assert found.PixelData == known.PixelData
    assert not np.array_equal(found.pixel_array, decoded_frames(FILMS[1])[0][:, :, 0])
    assert set(map(int, found.keys())) == set(map(int, known.keys()))
    assert found.PatientIdentityRemoved == "YES"
    entry = [one.event for one in read(house.settings.journal, None) if one.event.kind == "answer"]
    assert [one for one in entry if "Anonymized on request." in one.reason][-1].level == "deidentified"


def test_every_anonymised_answer_has_names_of_its_own(house: House) -> None:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "FrameOfReferenceUID")
    answers = [anonymous(house) for _ in range(2)] + [anonymous(house, 2)]
    known = dcmread(io.BytesIO(house.get(place(house, "researcher", 1), "researcher", "application/dicom").data))
    for name in names:
        values = [str(ds.get(name)) for ds in (FILMS[1], known, *answers)]
        assert len(set(values)) == len(values), name
    # They lead nowhere, in nobody's world.
    study, series, one = (
        answers[0][name].value for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    )
    for user in ("clinician", "researcher"):
        assert house.get(f"/dicomweb/studies/{study}/series/{series}/instances/{one}/metadata", user).status_code == 404


def test_an_anonymised_answer_has_no_parts_and_is_never_held(house: House) -> None:
    query = address(house) + OBJECT + "&anonymize=yes"
    first = house.get(query, "clinician")
    assert "Accept-Ranges" not in first.headers
    part = house.get(query, "clinician", headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.data)) == (200, len(first.data))
    again = house.get(query, "clinician", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    assert again.headers["ETag"] != first.headers["ETag"]


def test_anonymize_in_another_syntax(house: House) -> None:
    for syntax in (uids.DeflatedExplicitVRLittleEndian, uids.JPEGLosslessSV1, uids.RLELossless):
        ds = anonymous(house, 2, more=f"&transferSyntax={syntax}")
        assert ds.file_meta.TransferSyntaxUID == syntax
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID != FILMS[2].SOPInstanceUID


def test_who_sees_pseudonyms_already_keeps_them(house: House) -> None:
    known = house.get(place(house, "researcher", 1), "researcher", "application/dicom").data
    assert get(house, f"{OBJECT}&anonymize=yes", "researcher").data == known


def test_no_level_is_guessed_to_be_more_masked(house: House) -> None:
    """Of the patient's own level nobody declared that deidentified shows less, so nothing is sent: a.C2."""
    own = house.own_patient(PatientIdentity(issuer=str(FILMS[1].IssuerOfPatientID), patient_id=str(FILMS[1].PatientID)))
    path = house.instances("patient", token=own)[0].split("/")
    wado = f"/wado?requestType=WADO&studyUID={path[3]}&seriesUID={path[5]}&objectUID={path[7]}{OBJECT}"
    assert house.get(wado, "patient", token=own).status_code == 200
    assert house.get(f"{wado}&anonymize=yes", "patient", token=own).status_code == 406
    for user in ("front-desk", "teacher", "security-auditor"):
        assert house.get(address(house) + f"{OBJECT}&anonymize=yes", user).status_code == 403


def test_an_unscreened_film_is_wholly_masked(tmp_path: Path) -> None:
    with House(tmp_path) as fresh:
        assert fresh.store(part10_bytes(FILMS[1])).status_code == 200
        found = anonymous(fresh).pixel_array
        stored = decoded_frames(FILMS[1])[0][:, :, 0]
        assert (found != stored).mean() > 0.5
        plain = dcmread(io.BytesIO(get(fresh, OBJECT).data))
        assert np.array_equal(plain.pixel_array, stored)


class Policy:
    """A policy in force, as the services hold it."""

    def __init__(self, current: PolicyBundle) -> None:
        self.current = current


def test_levels_that_nobody_declared_to_be_below_are_not_taken(house: House) -> None:
    bundle = house.services.policy.current
    tokens = house.services.tokens
    caller = tokens.caller(tokens.verify(house.token("clinician"), house.now), bundle.roles)
    path = house.instances("clinician")[0].split("/")
    admission = admit(
        house.services, Ask(caller=caller, request=""), Action.RETRIEVE_INSTANCE,
        study=path[3], series=path[5], instance=path[7],
    )  # fmt: skip

    def level_under(changed: PolicyBundle) -> str:
        services = replace(house.services, policy=cast(BundleHolder, Policy(changed)))
        return anonymised(services, admission, Action.RETRIEVE_INSTANCE).permit.level.name

    assert level_under(bundle) == "deidentified"
    # The most masked of those that send objects.
    teaching = replace(
        bundle.levels["teaching"], transactions=bundle.levels["teaching"].transactions | {Action.RETRIEVE_INSTANCE}
    )
    assert level_under(replace(bundle, levels={**bundle.levels, "teaching": teaching})) == "teaching"
    for changed in (
        replace(bundle, order=LevelOrder(less_masked={"deidentified": frozenset({"patient"})})),
        replace(bundle, levels={name: replace(one, pseudonyms=False) for name, one in bundle.levels.items()}),
    ):
        with pytest.raises(NotAcceptable):
            level_under(changed)
    with pytest.raises(Busy):
        level_under(replace(bundle, fingerprint="another"))
