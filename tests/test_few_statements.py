"""How often a request goes to the catalogue: twice, for who asks and for what is asked; and never less than that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import STEP, House
from statements import told

from server.model import Choice, Consent

FILM = PixelFormat(rows=64, columns=64)
KINDS = (
    ("/rendered", "image/jpeg"),
    ("/frames/1", f'{STEP}"application/octet-stream"'),
    ("/metadata", "application/dicom+json"),
    ("/thumbnail", "image/jpeg"),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("few")) as made:
        for number in (1, 2):
            assert made.store(part10_bytes(chest_film(FILM, instance=number))).status_code == 200
        made.screen()
        yield made


@pytest.mark.parametrize(("suffix", "accept"), KINDS)
@pytest.mark.parametrize("user", ["clinician", "researcher"])
def test_a_request_looks_twice(house: House, user: str, suffix: str, accept: str) -> None:
    path = house.instances(user)[0] + suffix
    assert house.get(path, user, accept).status_code == 200
    with told(house.services.engine) as said:
        assert house.get(path, user, accept).status_code == 200
    said = [one for one in said if one != "ROLLBACK"]
    assert [one.split()[0] for one in said[:2]] == ["SELECT", "BEGIN"], said
    assert "FROM sessions" in said[0]
    assert said.count("BEGIN") == 1, said
    assert len(said) <= (6 if user == "clinician" else 8), said
    assert not [one for one in said if one.split()[0] not in ("BEGIN", "SELECT")]


def test_every_request_sees_what_was_just_written(house: House) -> None:
    (path, _), uid = house.instances("researcher"), Path(house.instances("clinician")[0]).parts[3]
    told = []
    for choice in (Choice.UNSAID, Choice.OPT_OUT, Choice.UNSAID):
        house.services.catalog.set_consent(uid, Consent(research=choice))
        told.append([house.get(path + suffix, "researcher", accept).status_code for suffix, accept in KINDS])
    assert told == [[200] * 4, [404] * 4, [200] * 4]
