"""What is left behind (a.A10): no plaintext of a film in any file, while serving and after, nor in the decoders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from builders import all_canaries, chest_film, part10_bytes
from house import House
from pydicom import uid as uids
from storage_world import FRAME, IMAGES, TEXT
from sweep_routes import screen
from sweep_search import Finder


def test_a_A10_no_plaintext_in_any_file_while_serving_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    ds = chest_film(FRAME, hiding_places=True)
    body = part10_bytes(ds, uids.JPEG2000Lossless)
    texts = {text for text in all_canaries(ds).values() if len(text) > 7}
    finder = Finder({*texts, ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID}, stem=True)
    # Some bytes of the codestream and of the samples, which are no less the film than its names.
    at = body.index(b"\xff\x93")
    samples = (body[at + 40 : at + 72], bytes(ds.PixelData[3000:3032]))
    written: list[str] = []
    monkeypatch.setattr(os, "fsync", _watched(os.fsync, lambda: written.extend(_residue([tmp_path], finder, samples))))
    with House(tmp_path / "house") as house:
        assert house.store(body).status_code == 200
        screen(house, [TEXT])
        for user in ("clinician", "researcher", "teacher", "front-desk", "technologist"):
            for path in house.instances(user):
                for suffix in IMAGES:
                    house.get(path + suffix, user)
                    written += _residue([tmp_path / "house" / "data", temporary], finder, samples)
        assert house.services.decoder.process_ids()
        for process in house.services.decoder.process_ids():
            for name in ("environ", "cmdline"):
                assert not finder.found([Path(f"/proc/{process}/{name}").read_bytes()])
            open_files = [str(one.readlink()) for one in Path(f"/proc/{process}/fd").iterdir()]
            assert all(one.startswith(("pipe:", "/dev/null")) for one in open_files), open_files
    written += _residue([tmp_path], finder, samples)
    assert not written
    assert not list(temporary.iterdir())


def _watched(real: Callable[[int], None], look: Callable[[], None]) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        real(descriptor)
        look()

    return fsync


def _residue(roots: Sequence[Path], finder: Finder, samples: Sequence[bytes]) -> list[str]:
    """The files below these directories that hold anything of a film; the keyring's own directory included."""
    found = []
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                if finder.found([data]) or any(one in data for one in samples):
                    found.append(str(path))
    return found


def test_a_A10_the_search_for_residue_finds_some(tmp_path: Path) -> None:
    ds = chest_film(FRAME, hiding_places=True)
    (tmp_path / "film").write_bytes(part10_bytes(ds))
    finder = Finder(set(), stem=True)
    assert _residue([tmp_path], finder, ()) == [str(tmp_path / "film")]
    assert _residue([tmp_path], Finder({"nothing of it"}, stem=False), (bytes(ds.PixelData[3000:3032]),))
