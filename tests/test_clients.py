"""Somebody else's client over a real socket: dicomweb-client stores, searches and retrieves at three roles."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import PixelFormat, chest_film, decoded_frames, part10_bytes
from dicomweb_client.api import DICOMwebClient
from house import House
from pydicom import Dataset, dcmread
from requests import Session
from requests.exceptions import HTTPError
from werkzeug.serving import make_server

FILM = PixelFormat(rows=96, columns=120, frames=3)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str]]:
    with House(tmp_path_factory.mktemp("clients")) as house:
        server = make_server("127.0.0.1", 0, house.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield house, f"http://127.0.0.1:{server.server_port}/dicomweb"
        server.shutdown()
        thread.join()


def client(served: tuple[House, str], user: str) -> DICOMwebClient:
    house, url = served
    session = Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {house.token(user)}"
    return DICOMwebClient(url=url, session=session)


@pytest.fixture(scope="module")
def film(served: tuple[House, str]) -> Dataset:
    """One film of three frames, stored by the client itself and screened."""
    house, _ = served
    made = chest_film(FILM)
    answer = client(served, "technologist").store_instances([dcmread(io.BytesIO(part10_bytes(made)))])
    assert len(answer.ReferencedSOPSequence) == 1
    house.screen()
    return made


def test_a_clinician_gets_the_film(served: tuple[House, str], film: Dataset) -> None:
    its = client(served, "clinician")
    (study,) = its.search_for_studies(search_filters={"PatientName": "CANARY-Patient*"})
    assert study["00100010"]["Value"][0]["Alphabetic"] == str(film.PatientName)
    path = (str(film.StudyInstanceUID), str(film.SeriesInstanceUID), str(film.SOPInstanceUID))
    instance = its.retrieve_instance(*path)
    assert instance.PatientID == film.PatientID
    expected = decoded_frames(film)
    assert np.array_equal(instance.pixel_array, np.stack([frame[:, :, 0] for frame in expected]))
    frames = its.retrieve_instance_frames(*path, frame_numbers=[3, 1])
    for number, body in zip((3, 1), frames, strict=True):
        assert np.array_equal(np.frombuffer(body, "<u2").reshape(96, 120), expected[number - 1][:, :, 0])
    (metadata,) = its.retrieve_study_metadata(path[0])
    assert metadata["00100020"]["Value"] == [film.PatientID]
    assert its.retrieve_instance_rendered(*path, media_types=("image/jpeg",)).startswith(b"\xff\xd8")
    assert its.retrieve_instance_rendered(*path, media_types=("image/png",)).startswith(b"\x89PNG")
    (bulk,) = its.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"].replace(house_origin(), served[1]))
    assert len(bulk) == 96 * 120 * 2 * 3


def house_origin() -> str:
    return "http://127.0.0.1:8080/dicomweb"


def test_a_researcher_gets_a_masked_one_under_other_names(served: tuple[House, str], film: Dataset) -> None:
    its = client(served, "researcher")
    (study,) = its.search_for_studies()
    uid = study["0020000D"]["Value"][0]
    assert uid != film.StudyInstanceUID
    (row,) = its.search_for_instances(study_instance_uid=uid)
    path = (uid, row["0020000E"]["Value"][0], row["00080018"]["Value"][0])
    instance = its.retrieve_instance(*path)
    assert (instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID) == path
    assert instance.PatientIdentityRemoved == "YES"
    assert instance.PatientID not in ("", film.PatientID)
    frames = its.retrieve_instance_frames(*path, frame_numbers=[1, 2, 3])
    assert b"".join(frames) == instance.PixelData
    # What was asked by the masked value is found by it, by the real value nothing.
    assert its.search_for_studies(search_filters={"PatientID": instance.PatientID})
    assert not its.search_for_studies(search_filters={"PatientID": film.PatientID})
    assert not its.search_for_studies(search_filters={"PatientName": "CANARY*"})
    with pytest.raises(HTTPError, match="404"):
        its.retrieve_study_metadata(str(film.StudyInstanceUID))


def test_the_front_desk_reads_whose_it_is_and_sees_no_body(served: tuple[House, str], film: Dataset) -> None:
    its = client(served, "front-desk")
    (study,) = its.search_for_studies(search_filters={"PatientID": str(film.PatientID)})
    assert study["00100010"]["Value"][0]["Alphabetic"] == str(film.PatientName)
    path = (str(film.StudyInstanceUID), str(film.SeriesInstanceUID), str(film.SOPInstanceUID))
    picture = its.retrieve_instance_rendered(*path, media_types=("image/png",))
    assert picture.startswith(b"\x89PNG")
    with pytest.raises(HTTPError, match="403"):
        its.retrieve_instance(*path)
    with pytest.raises(HTTPError, match="403"):
        its.retrieve_instance_frames(*path, frame_numbers=[1])


@pytest.mark.parametrize("user", ["system-administrator", "security-administrator", "security-auditor"])
def test_officers_see_no_film(served: tuple[House, str], film: Dataset, user: str) -> None:
    its = client(served, user)
    with pytest.raises(HTTPError, match="403"):
        its.search_for_studies()
    with pytest.raises(HTTPError, match="403"):
        its.retrieve_study_metadata(str(film.StudyInstanceUID))


def test_the_store_is_durable_across_a_restart(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        made = chest_film()
        assert house.store(part10_bytes(made)).status_code == 200
        before = house.get(house.instances("clinician")[0], "clinician", "application/dicom").data
        house.reopen()
        assert house.get(house.instances("clinician")[0], "clinician", "application/dicom").data == before
