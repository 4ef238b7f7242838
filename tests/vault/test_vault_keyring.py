"""The keyring: wrapping bound to its context, rotation and destruction across processes, and who may read the file."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_helpers import STUDY_KEY, SeededRandomness, StuckRandomness, everything_below, opens

from server.errors import ConfigurationError, Conflict, KeyUnavailable, SealBroken
from server.vault.keyring import KeyringFile, KeyService, check_apart, wrapping_key_id
from server.vault.keyring_disk import locked
from server.vault.keyring_format import Keyring, parse_keyring, serialise_keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keyring.json"


@pytest.fixture
def keyring(path: Path) -> KeyringFile:
    return KeyringFile.create(path, SeededRandomness("a"))


def test_keys_come_back_in_every_process(keyring: KeyringFile, path: Path) -> None:
    service: KeyService = keyring
    wrapped = service.wrap(STUDY_KEY, "study 7")
    assert STUDY_KEY not in wrapped
    assert service.unwrap(wrapped, "study 7") == STUDY_KEY
    assert KeyringFile.open(path, SeededRandomness()).unwrap(wrapped, "study 7") == STUDY_KEY


def test_a_A9_a_wrapped_key_is_bound_to_its_context_and_every_bit(keyring: KeyringFile) -> None:
    wrapped = keyring.wrap(STUDY_KEY, "study 7")
    assert not opens(lambda: keyring.unwrap(wrapped, "study 8"))
    for position in range(len(wrapped) * 8):
        altered = bytearray(wrapped)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(KeyUnavailable if 8 <= position < 72 else SealBroken):
            keyring.unwrap(bytes(altered), "study 7")
    for length in range(len(wrapped)):
        assert not opens(keyring.unwrap, wrapped[:length], "study 7")
    assert not opens(lambda: keyring.unwrap(wrapped + b"\x00", "study 7"))


def test_a_A9_a_wrapped_key_cannot_be_renamed_to_another_key_of_the_ring(keyring: KeyringFile) -> None:
    wrapped = keyring.wrap(STUDY_KEY, "study 7")
    other = keyring.rotate()
    assert not opens(lambda: keyring.unwrap(wrapped[:1] + bytes.fromhex(other) + wrapped[9:], "study 7"))


def test_rotation_keeps_former_keys_and_uses_the_new_one(keyring: KeyringFile) -> None:
    old = keyring.wrap(STUDY_KEY, "study 7")
    new_id = keyring.rotate()
    assert wrapping_key_id(old) != new_id
    assert keyring.unwrap(old, "study 7") == STUDY_KEY
    rewrapped = keyring.rewrap(old, "study 7")
    assert wrapping_key_id(rewrapped) == new_id == wrapping_key_id(keyring.wrap(b"other", "x"))
    assert keyring.unwrap(rewrapped, "study 7") == STUDY_KEY
    assert not opens(lambda: keyring.rewrap(old, "study 8"))


def test_what_another_process_rotates_or_destroys_counts_at_once(keyring: KeyringFile, path: Path) -> None:
    other = KeyringFile.open(path, SeededRandomness("b"))
    old = keyring.wrap(STUDY_KEY, "study 7")
    new_id = other.rotate()
    assert keyring.unwrap(other.wrap(STUDY_KEY, "study 8"), "study 8") == STUDY_KEY
    assert wrapping_key_id(keyring.wrap(STUDY_KEY, "study 9")) == new_id
    other.destroy(wrapping_key_id(old))
    for service in (keyring, other, KeyringFile.open(path, SeededRandomness())):
        with pytest.raises(KeyUnavailable):
            service.unwrap(old, "study 7")
        with pytest.raises(KeyUnavailable):
            service.rewrap(old, "study 7")
        with pytest.raises(KeyUnavailable):
            service.destroy(wrapping_key_id(old))


def test_a_destroyed_key_is_nowhere_beside_the_keyring(keyring: KeyringFile, path: Path) -> None:
    old_id = wrapping_key_id(keyring.wrap(STUDY_KEY, "study 7"))
    encoded = json.loads(path.read_bytes())["keys"][old_id].encode()
    # What a crash in the middle of an earlier change would leave.
    path.with_name("keyring.json.new").write_bytes(path.read_bytes())
    keyring.rotate()
    keyring.destroy(old_id)
    assert encoded not in everything_below(path.parent)
    assert old_id.encode() in path.read_bytes()


def test_the_active_key_is_not_destroyed(keyring: KeyringFile) -> None:
    wrapped = keyring.wrap(STUDY_KEY, "study 7")
    with pytest.raises(Conflict):
        keyring.destroy(wrapping_key_id(wrapped))
    with pytest.raises(KeyUnavailable):
        keyring.destroy("0" * 16)
    assert keyring.unwrap(wrapped, "study 7") == STUDY_KEY


def test_a_A9_the_key_id_is_part_of_the_seal(path: Path) -> None:
    # Two ids for one key never arise by chance; only the id in the associated data tells them apart.
    KeyringFile.create(path, SeededRandomness())
    path.write_bytes(
        serialise_keyring(
            Keyring(active="ab" * 8, keys=dict.fromkeys(["ab" * 8, "cd" * 8], STUDY_KEY), destroyed=frozenset())
        )
    )
    keyring = KeyringFile.open(path, SeededRandomness())
    wrapped = keyring.wrap(STUDY_KEY, "study 7")
    assert opens(keyring.unwrap, wrapped, "study 7")
    assert not opens(keyring.unwrap, wrapped[:1] + b"\xcd" * 8 + wrapped[9:], "study 7")


def test_a_change_waits_for_whoever_holds_the_lock(keyring: KeyringFile, path: Path) -> None:
    before = path.read_bytes()
    thread = threading.Thread(target=keyring.rotate)
    with locked(path):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert path.read_bytes() == before
    thread.join(10)
    assert len(parse_keyring(path.read_bytes()).keys) == 2


def _rotate(path: Path, name: str, start: Barrier) -> None:
    keyring = KeyringFile.open(path, SeededRandomness(name))
    start.wait(60)
    for _ in range(10):
        keyring.rotate()


def test_no_key_is_lost_when_processes_rotate_at_the_same_time(keyring: KeyringFile, path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    processes = [context.Process(target=_rotate, args=(path, f"p{number}", start)) for number in range(3)]
    for process in processes:
        process.start()
    seen = [keyring.wrap(STUDY_KEY, "study 7")]
    while any(process.is_alive() for process in processes):
        seen.append(keyring.wrap(STUDY_KEY, "study 7"))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(parse_keyring(path.read_bytes()).keys) == 31
    assert {keyring.unwrap(wrapped, "study 7") for wrapped in seen} == {STUDY_KEY}


def test_the_files_belong_to_the_server_alone(keyring: KeyringFile, path: Path) -> None:
    keyring.rotate()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {child.name for child in path.parent.iterdir()} == {"keyring.json", "keyring.json.lock"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o700, 0o666, 0o4600, 0o1600])
def test_a_looser_mode_is_refused(keyring: KeyringFile, path: Path, mode: int) -> None:
    wrapped = keyring.wrap(STUDY_KEY, "study 7")
    path.chmod(mode)
    with pytest.raises(ConfigurationError):
        KeyringFile.open(path, SeededRandomness())
    calls: list[Callable[[], object]] = [
        lambda: keyring.unwrap(wrapped, "study 7"),
        lambda: keyring.wrap(STUDY_KEY, "study 7"),
        keyring.rotate,
        lambda: keyring.destroy(wrapping_key_id(wrapped)),
    ]
    for call in calls:
        with pytest.raises(KeyUnavailable):
            call()
    path.chmod(0o600)
    assert keyring.unwrap(wrapped, "study 7") == STUDY_KEY


def test_a_read_only_keyring_is_as_good(keyring: KeyringFile, path: Path) -> None:
    path.chmod(0o400)
    KeyringFile.open(path, SeededRandomness()).wrap(STUDY_KEY, "study 7")


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701, 0o710, 0o777])
def test_a_looser_directory_is_refused(keyring: KeyringFile, path: Path, mode: int) -> None:
    path.parent.chmod(mode)
    with pytest.raises(ConfigurationError):
        KeyringFile.open(path, SeededRandomness())
    with pytest.raises(ConfigurationError):
        KeyringFile.create(path.with_name("second.json"), SeededRandomness())
    assert not path.with_name("second.json").exists()
    with pytest.raises(KeyUnavailable):
        keyring.rotate()


def test_another_owner_is_refused(keyring: KeyringFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError):
        KeyringFile.open(path, SeededRandomness())
    with pytest.raises(ConfigurationError):
        KeyringFile.create(path.with_name("second.json"), SeededRandomness())
    assert not path.with_name("second.json").exists()


def test_another_owner_of_the_file_alone_is_refused(
    keyring: KeyringFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat = os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        fields = list(fstat(descriptor))
        fields[stat.ST_UID] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", foreign)
    with pytest.raises(ConfigurationError):
        KeyringFile.open(path, SeededRandomness())


def test_a_hard_link_elsewhere_is_refused(keyring: KeyringFile, path: Path, tmp_path: Path) -> None:
    os.link(path, tmp_path / "copy")
    with pytest.raises(ConfigurationError):
        KeyringFile.open(path, SeededRandomness())
    with pytest.raises(KeyUnavailable):
        keyring.wrap(STUDY_KEY, "study 7")


@pytest.mark.parametrize("instead", ["nothing", "directory", "pipe", "loop", "large"])
def test_what_is_no_keyring_file_is_refused(
    keyring: KeyringFile, path: Path, instead: str, request: pytest.FixtureRequest
) -> None:
    wrapped = keyring.wrap(STUDY_KEY, "study 7")
    path.unlink()
    if instead == "directory":
        path.mkdir(mode=0o600)
    elif instead == "pipe":
        os.mkfifo(path, 0o600)
        request.addfinalizer(partial(os.close, os.open(path, os.O_RDWR)))
    elif instead == "loop":
        path.symlink_to(path)
    elif instead == "large":
        path.touch(0o600)
        os.truncate(path, 2**25)
    with pytest.raises(ConfigurationError):
        KeyringFile.open(path, SeededRandomness())
    with pytest.raises(KeyUnavailable):
        keyring.unwrap(wrapped, "study 7")


def test_a_keyring_is_never_overwritten(keyring: KeyringFile, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigurationError):
        KeyringFile.create(path, SeededRandomness("other"))
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_former_keyring(
    keyring: KeyringFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(KeyUnavailable):
            keyring.rotate()
        with pytest.raises(ConfigurationError):
            KeyringFile.create(path.with_name("second.json"), SeededRandomness())
    assert path.read_bytes() == before
    assert not path.with_name("keyring.json.new").exists()
    keyring.rotate()


def test_a_random_source_that_repeats_itself_cannot_rotate(path: Path) -> None:
    keyring = KeyringFile.create(path, StuckRandomness())
    with pytest.raises(KeyUnavailable):
        keyring.rotate()


@given(
    ids=st.lists(st.binary(min_size=8, max_size=8).map(bytes.hex), min_size=1, max_size=5, unique=True),
    key=st.binary(min_size=32, max_size=32),
    destroyed=st.integers(0, 4),
)
@settings(max_examples=30, deadline=None)
def test_the_written_form_comes_back(ids: list[str], key: bytes, destroyed: int) -> None:
    kept = ids[destroyed:] or ids[:1]
    ring = Keyring(active=kept[0], keys=dict.fromkeys(kept, key), destroyed=frozenset(ids) - frozenset(kept))
    assert parse_keyring(serialise_keyring(ring)) == ring


_GOOD = json.loads(
    serialise_keyring(Keyring(active="ab" * 8, keys={"ab" * 8: STUDY_KEY}, destroyed=frozenset({"cd" * 8})))
)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "safelight-keyring-2"},
        {"format": None},
        {"active": "cd" * 8},
        {"active": ["ab" * 8]},
        {"active": ""},
        {"keys": {}},
        {"keys": [["ab" * 8, _GOOD["keys"]["ab" * 8]]]},
        {"keys": {"ab" * 8: "AAAA"}},
        {"keys": {"ab" * 8: None}},
        {"keys": {"ab" * 8: _GOOD["keys"]["ab" * 8] + "!"}},
        {"keys": {"ab" * 8: "\u00e9" * 44}},
        {"keys": {**_GOOD["keys"], "AB" * 8: _GOOD["keys"]["ab" * 8]}},
        {"destroyed": "cd" * 8},
        {"destroyed": [7]},
        {"destroyed": ["ab" * 8]},
        {"more": 1},
    ],
    ids=repr,
)
def test_a_malformed_keyring_is_refused_without_quoting_it(change: dict[str, object]) -> None:
    assert parse_keyring(json.dumps(_GOOD).encode())
    with pytest.raises(ConfigurationError) as refused:
        parse_keyring(json.dumps({**_GOOD, **change}).encode())
    assert str(refused.value) == "the keyring is malformed"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"' + b"A" * 50, b"[" * 100_000, json.dumps(_GOOD).encode()[:-2]]
)
def test_what_is_no_json_is_refused_and_not_held_by_the_error(text: bytes) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_keyring(text)
    assert refused.value.__context__ is None


def test_no_error_and_no_representation_shows_a_key(keyring: KeyringFile, path: Path) -> None:
    ring = parse_keyring(path.read_bytes())
    assert "b'" not in repr(ring)
    assert "b'" not in repr(keyring)


def test_a_keyring_inside_the_data_directory_is_refused(tmp_path: Path) -> None:
    data, keys = tmp_path / "data", tmp_path / "keys"
    (data / "deeper").mkdir(parents=True)
    keys.mkdir()
    (tmp_path / "to-data").symlink_to(data)
    (tmp_path / "to-deeper").symlink_to(data / "deeper")
    (data / "out").symlink_to(keys)
    (data / "out.json").symlink_to(keys / "k.json")
    for keyring in [
        data / "k.json",
        data / "deeper" / "k.json",
        data,
        tmp_path / "to-data" / "k.json",
        tmp_path / "to-deeper" / "k.json",
        keys / ".." / "data" / "k.json",
        data / "missing" / "k.json",
        data / "out" / "k.json",
        data / "out.json",
    ]:
        for directory in (data, tmp_path / "to-data", data / "..", tmp_path):
            with pytest.raises(ConfigurationError):
                check_apart(keyring, directory)


def test_a_keyring_apart_from_the_data_directory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    check_apart(tmp_path / "keys" / "k.json", data)
    with pytest.raises(ConfigurationError):
        check_apart(data / "k.json", data)
    data.mkdir()
    check_apart(tmp_path / "keys" / "k.json", data)
    check_apart(tmp_path / "k.json", data)
    check_apart(tmp_path / "data-keys" / "k.json", data)
    monkeypatch.chdir(data)
    check_apart(Path("../keys/k.json"), Path())
    with pytest.raises(ConfigurationError):
        check_apart(Path("k.json"), Path())
    with pytest.raises(ConfigurationError):
        check_apart(Path("k.json"), data)


def test_a_data_directory_that_lies_elsewhere_too_is_known_by_its_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a bind mount shows it: two paths without a link between them, one directory.
    data, other = tmp_path / "data", tmp_path / "mounted"
    data.mkdir()
    other.mkdir()
    samefile = Path.samefile

    def mounted(self: Path, found: Path) -> bool:
        return samefile(data if self == other else self, found)

    monkeypatch.setattr(Path, "samefile", mounted)
    with pytest.raises(ConfigurationError):
        check_apart(other / "k.json", data)
