"""Base renditions on disk: each part sealed, of this object, level and making alone, bounded, gone with its object."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vault_helpers import SeededRandomness

from server.errors import SealBroken
from server.model import ObjectReference
from server.vault.bases import SealedBases

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
FILM = ObjectReference(name="ab" * 16, kind="instance", version=1, segments=3)
PARTS = [b"facts", b"", b"a stream of samples" * 100]


def bases(root: Path, *, form: str = "now", capacity: int = 1 << 20) -> SealedBases:
    return SealedBases(root / "bases", SeededRandomness(), form=form, parts=len(PARTS), capacity=capacity)


def parts(kept: SealedBases, key: bytes = KEY, film: ObjectReference = FILM, level: str = "masked") -> list[bytes]:
    with kept.opened(key, film, level, "label") as base:
        return [base.part(number) for number in range(len(PARTS))] if base is not None else []


def files(root: Path) -> list[Path]:
    return sorted(path for path in (root / "bases").rglob("*") if path.is_file())


def test_what_is_kept_is_there_again_and_sealed(tmp_path: Path) -> None:
    kept = bases(tmp_path)
    assert parts(kept) == []
    kept.put(KEY, FILM, "masked", "label", PARTS)
    assert parts(kept) == PARTS
    (file,) = files(tmp_path)
    assert b"stream" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    kept.put(KEY, FILM, "masked", "label", [*PARTS[:2], b"another"])
    assert parts(kept) == [*PARTS[:2], b"another"]
    assert files(tmp_path) == [file]


def test_it_is_of_this_study_object_version_level_label_and_form_alone(tmp_path: Path) -> None:
    others = [
        (KEY, ObjectReference(name=FILM.name, kind="instance", version=2, segments=3), "label", "now"),
        (OTHER_KEY, FILM, "label", "now"),
        (KEY, FILM, "another label", "now"),
        (KEY, FILM, "label", "earlier"),
    ]
    for key, film, label, form in others:
        kept = bases(tmp_path)
        kept.put(KEY, FILM, "masked", "label", PARTS)
        with pytest.raises(SealBroken), bases(tmp_path, form=form).opened(key, film, "masked", label):
            pass
        assert files(tmp_path) == [], "what is not what it should be is removed"
    kept.put(KEY, FILM, "masked", "label", PARTS)
    (file,) = files(tmp_path)
    assert parts(kept, level="original") == []
    # Moved to the place of another level or object.
    moved = ObjectReference(name="cd" * 16, kind="instance", version=1, segments=3)
    kept.put(KEY, moved, "masked", "label", PARTS)
    kept.put(KEY, FILM, "original", "label", PARTS)
    for place in [path for path in files(tmp_path) if path != file]:
        place.write_bytes(file.read_bytes())
    with pytest.raises(SealBroken):
        parts(kept, film=moved)
    with pytest.raises(SealBroken):
        parts(kept, level="original")


def test_any_altered_bit_is_found(tmp_path: Path) -> None:
    kept = bases(tmp_path)
    kept.put(KEY, FILM, "masked", "label", [b"1", b"", b"333"])
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(SealBroken):
            parts(kept)
        assert files(tmp_path) == []
    for changed in (b"", whole[:-1], whole + b"0", whole[:40]):
        file.write_bytes(changed)
        with pytest.raises(SealBroken):
            parts(kept)


def test_the_oldest_go_first_and_all_go_with_their_object_or_level(tmp_path: Path) -> None:
    kept = bases(tmp_path, capacity=7000)
    films = [ObjectReference(name=f"{number:02x}" * 16, kind="instance", version=1, segments=3) for number in range(5)]
    for age, film in enumerate(films):
        kept.put(KEY, film, "masked", "label", PARTS)
        for file in files(tmp_path):
            if file.name == film.name:
                os.utime(file, (1000 + age, 1000 + age))
    assert set(kept.names()) == {film.name for film in films[2:]}
    kept.put(KEY, films[4], "original", "label", PARTS)
    kept.delete(films[4].name)
    assert set(kept.names()) == {film.name for film in films[3:4]}
    kept.put(KEY, films[0], "original", "label", PARTS)
    kept.keep_only(["original"])
    assert set(kept.names()) == {films[0].name}


def test_a_full_disk_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    kept = bases(tmp_path)
    monkeypatch.setattr("server.vault.bases.Path.replace", full)
    kept.put(KEY, FILM, "masked", "label", PARTS)
    assert files(tmp_path) == []
    with pytest.raises(ValueError, match="count the segments"):
        kept.put(KEY, FILM, "masked", "label", PARTS[:2])


def test_a_name_is_a_name(tmp_path: Path) -> None:
    film = ObjectReference(name="../../secret", kind="instance", version=1, segments=3)
    with pytest.raises(ValueError, match="object name"), bases(tmp_path).opened(KEY, film, "masked", "label"):
        pass
