"""What a crash leaves on disk is swept away; what anything refers to, or what is too young to judge, never is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from builders import chest_film, part10_bytes
from house import House
from sqlalchemy import text

from server import sweep as sweeping
from server.audit.show import read
from server.errors import SealBroken
from server.sweep import STALE_SECONDS, sweep

KEY = bytes(32)


def _later(house: House) -> None:
    """The house's clock at an hour and more from the time at which its files were really written."""
    house.now = time.time() + STALE_SECONDS + 60


def _film(instance: int) -> bytes:
    return part10_bytes(chest_film(instance=instance))


def test_orphans_go_and_films_with_their_regions_stay(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.store(_film(1), _film(2)).status_code == 200
        house.screen()
        kept = set(house.services.objects.names())
        assert kept == set(house.services.catalog.object_names())
        assert len(kept) == 4
        orphan = house.services.objects.put(KEY, "instance", [b"never catalogued"])
        unfinished = house.settings.objects / orphan.name[:2] / f"{'0' * 32}.part"
        unfinished.write_bytes(b"half")
        _later(house)
        assert sweep(house.services) == 1
        assert set(house.services.objects.names()) == kept
        assert not unfinished.exists()
        entry = list(read(house.settings.journal, None))[-1].event
        assert (entry.kind, entry.reason) == ("sweep", "1 sealed files without a row are removed")
        house.now = time.time()
        for path in house.instances("researcher"):
            assert house.get(path + "/frames/1", "researcher").status_code == 200


def test_a_store_in_progress_is_never_touched(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        young = house.services.objects.put(KEY, "instance", [b"to be catalogued in a moment"])
        house.now = time.time() + STALE_SECONDS - 60
        assert sweep(house.services) == 0
        assert list(house.services.objects.names()) == [young.name]


def test_nothing_is_swept_by_a_catalogue_that_is_not_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalogue put back from an older copy knows nothing of many films: they are not orphans."""
    monkeypatch.setattr(sweeping, "MOST", 2)
    with House(tmp_path) as house:
        for number in range(3):
            house.services.objects.put(KEY, "instance", [b"%d" % number])
        _later(house)
        assert sweep(house.services) == 0
        assert len(list(house.services.objects.names())) == 3


def test_nothing_is_swept_while_a_row_does_not_open(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.store(_film(1)).status_code == 200
        orphan = house.services.objects.put(KEY, "instance", [b"never catalogued"])
        with house.services.engine.begin() as connection:
            connection.execute(text("UPDATE instances SET sealed = zeroblob(400)"))
        _later(house)
        with pytest.raises(SealBroken):
            sweep(house.services)
        assert orphan.name in set(house.services.objects.names())


def test_names_written_before_a_time(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        objects = house.services.objects
        old, new = (objects.put(KEY, "instance", [b"x"]) for _ in range(2))
        os.utime(house.settings.objects / old.name[:2] / old.name, (1000, 1000))
        assert list(objects.names(before=2000)) == [old.name]
        assert set(objects.names()) == {old.name, new.name}
