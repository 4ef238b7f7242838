"""What is measured on: a house with large films, a long series and a small film; and one with many studies.

Both are filled where writing costs nothing, if the system has such a place, and then moved to the disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from builders import BurnedText, PixelFormat, chest_film, part10_bytes
from house import NOW, House
from pydicom.dataset import Dataset
from tqdm import tqdm

from server.catalog.new_instance import NewInstance
from server.metadata.attributes import Attributes, dataset_from_attributes
from server.metadata.identifiers import identifiers
from server.model import Identifier, InstancePath, ObjectReference, PatientIdentity, StudyLabels

LARGE = PixelFormat(
    rows=2500,
    columns=3000,
    burned=(
        BurnedText(text="MUSTER^MAXIMA 4711", top_row=60, left_column=80, height=60),
        BurnedText(text="1970-01-01 F", top_row=2380, left_column=2300, height=50),
    ),
)
CT = PixelFormat(rows=512, columns=512)
SERIES = 300
# 100 000 take a quarter of an hour to be catalogued.
STUDIES = int(os.environ.get("SAFELIGHT_BENCH_STUDIES", "10000"))


@contextmanager
def moved(name: str, disk: Path) -> Iterator[tuple[House, Mover]]:
    """A house on a fast file system, and how to move it to the disk."""
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None) as place:
        link = disk / name
        link.symlink_to(place)
        with House(link) as house:
            yield house, Mover(house, link)


class Mover:
    """Puts a filled house from where it was filled onto the disk, under the same name."""

    def __init__(self, house: House, link: Path) -> None:
        self._house = house
        self._link = link

    def to_disk(self) -> None:
        self._house.close()
        filled = self._link.resolve()
        self._link.unlink()
        shutil.copytree(filled, self._link)
        self._house.services = self._house._open()
        self._house.reopen()


def noisy(film: Dataset, seed: int = 1) -> Dataset:
    """The film with noise of 5 bits, as a detector has; without it an encoder would have too little to do."""
    samples = np.frombuffer(film.PixelData, "<u2")
    grain = np.random.default_rng(seed).normal(0, 12, samples.shape)
    film.PixelData = np.clip(samples + grain, 0, 4095).astype("<u2").tobytes()
    return film


def large_film(instance: int = 1) -> bytes:
    return part10_bytes(noisy(chest_film(LARGE, instance=instance), instance))


def fill_films(house: House) -> None:
    """One large film that is screened, and a series of small ones."""
    assert house.store(large_film()).status_code == 200
    house.screen()
    for number in tqdm(range(1, SERIES + 1), desc="storing a series", unit=" films"):
        small = chest_film(PixelFormat(rows=32, columns=32), study=2, instance=number)
        assert house.store(part10_bytes(small)).status_code == 200


def fill_studies(house: House) -> None:
    """Studies of one instance each, straight through the catalogue: nothing of them is sealed but their rows."""
    for number in tqdm(range(1, STUDIES + 1), desc="cataloguing", unit=" studies"):
        house.services.catalog.register(_new_study(number))


def _new_study(number: int) -> NewInstance:
    uids = [f"2.25.{number}", f"2.25.{number}.1", f"2.25.{number}.1.1"]
    patient = PatientIdentity(issuer="MUSTERKRANKENHAUS", patient_id=f"M-{number:05d}")
    study: Attributes = {
        "00080020": {"vr": "DA", "Value": [f"{2000 + number % 25}{1 + number % 12:02d}{1 + number % 28:02d}"]},
        "00080050": {"vr": "SH", "Value": [f"A-{number:05d}"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": f"MUSTER{number:05d}^MAXIMA"}]},
        "00100020": {"vr": "LO", "Value": [patient.patient_id]},
        "00100021": {"vr": "LO", "Value": [patient.issuer]},
        "0020000D": {"vr": "UI", "Value": uids[:1]},
    }
    series: Attributes = {"0020000E": {"vr": "UI", "Value": uids[1:2]}, "00080060": {"vr": "CS", "Value": ["DX"]}}
    instance: Attributes = {"00080018": {"vr": "UI", "Value": uids[2:]}}
    return NewInstance(
        path=InstancePath(study=uids[0], series=uids[1], instance=uids[2]),
        patient=patient,
        labels=StudyLabels(
            stored_by="technologist", stored_department="radiology", stored_at=NOW, departments=frozenset({"radiology"})
        ),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        number_of_frames=1,
        content=ObjectReference(name=hashlib.md5(uids[2].encode()).hexdigest(), kind="instance", version=1, segments=3),
        body_digest=hashlib.sha256(uids[2].encode()).digest(),
        study_attributes=study,
        series_attributes=series,
        instance_attributes=instance,
        study_row_keys=_row_keys(study),
        series_row_keys=_row_keys(study, series),
        instance_row_keys=_row_keys(study, instance),
    )


def _row_keys(*levels: Attributes) -> dict[Identifier, bytes]:
    found = identifiers(dataset_from_attributes(*levels))
    return {one: hashlib.sha256(f"{one.kind}{one.value}".encode()).digest()[:16] for one in found}
