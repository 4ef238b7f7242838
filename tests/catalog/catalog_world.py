"""What the catalogue's tests share: a sealer, a repeatable randomness, made-up instances, a PostgreSQL server."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine

from server.catalog import Catalog, NewInstance, identifiers
from server.catalog.database import writing
from server.errors import Overtaken, SealBroken
from server.model import (
    Identifier,
    IdentifierKind,
    InstancePath,
    InstanceRecord,
    ObjectReference,
    PatientIdentity,
    StudyLabels,
)

INDEX_KEY = bytes(range(32))
PATIENT = PatientIdentity(issuer="MUSTERKRANKENHAUS", patient_id="MUSTER-4711")
LABELS = StudyLabels(stored_by="technologist-1", stored_department="radiology", stored_at=1_700_000_000.25)


def row_keys(catalog: Catalog, wanted: Mapping[Identifier, str], *, study_uid: str) -> Mapping[Identifier, bytes]:
    """Draw row keys and write them down by themselves, as a store does with what it registers."""
    while True:
        known = catalog.look(instance_uids=(), study_uids=[study_uid], wanted=wanted)
        keys = catalog.draw(wanted, known.row_keys, {})
        try:
            with writing(catalog._access.engine) as connection:
                identifiers.keep(catalog._access, connection, [(keys, study_uid not in known.studies)])
        except Overtaken:
            continue
        return keys.every


def stored(
    catalog: Catalog, new: NewInstance, wanted: Mapping[Identifier, str], make: Callable[[str], bytes]
) -> InstanceRecord:
    """Register an instance as a store does: with what it draws for it, in one transaction."""
    known = catalog.look(instance_uids=(), study_uids=[new.path.study], wanted=wanted)
    keys = catalog.draw(wanted, known.row_keys, {})
    fresh = None if new.path.study in known.study_keys else catalog.new_study_key(new.path.study, make)
    return catalog.register(replace(new, study_row_keys=keys.every, keys=keys, study_key=fresh)).instance


class AesSealer:
    """As the vault seals rows: AES-256-GCM, bound to table and row."""

    def __init__(self, key: bytes = b"k" * 32) -> None:
        self._cipher = AESGCM(key)

    def seal(self, table: str, row: str, value: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, value, f"{table}/{row}".encode())

    def open(self, table: str, row: str, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], f"{table}/{row}".encode())
        except InvalidTag as error:
            raise SealBroken from error


class Repeatable:
    """Bytes by purpose and by how often that purpose has drawn before."""

    def __init__(self, seed: str = "seed") -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self.drawn: Counter[str] = Counter()

    def bytes(self, count: int, label: str) -> bytes:
        with self._lock:
            number = self.drawn[label]
            self.drawn[label] += 1
        return hashlib.shake_256(f"{self._seed}|{label}|{number}".encode()).digest(count)


def new_catalog(engine: Engine, *, seed: str = "seed") -> Catalog:
    return Catalog(engine, sealer=AesSealer(), index_key=INDEX_KEY, randomness=Repeatable(seed))


def study_attributes(
    name: str = "MUSTER^MAXIMA", accession: str = "A-1", day: str = "20240131"
) -> dict[str, dict[str, Any]]:
    return {
        "00080020": {"vr": "DA", "Value": [day]},
        "00080050": {"vr": "SH", "Value": [accession]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]},
    }


def new_instance(study: int = 1, series: int = 1, number: int = 1, **changes: Any) -> NewInstance:
    """A made-up instance; `name`, `accession` and `day` change the study's attributes, the rest the fields."""
    attributes = {key: changes.pop(key) for key in ("name", "accession", "day") if key in changes}
    instance = f"2.25.{study}.{series}.{number}"
    uid = Identifier(kind=IdentifierKind.UID, value=instance)
    new = NewInstance(
        path=InstancePath(study=f"2.25.{study}", series=f"2.25.{study}.{series}", instance=instance),
        patient=PATIENT,
        labels=LABELS,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        number_of_frames=1,
        content=ObjectReference(name=hashlib.md5(instance.encode()).hexdigest(), kind="content", version=1, segments=3),
        body_digest=hashlib.sha256(instance.encode()).digest(),
        study_attributes=study_attributes(**attributes),
        series_attributes={"00200011": {"vr": "IS", "Value": [series]}, "00080060": {"vr": "CS", "Value": ["DX"]}},
        instance_attributes={"00200013": {"vr": "IS", "Value": [number]}},
        instance_row_keys={uid: hashlib.md5(instance.encode()).digest()},
    )
    return replace(new, **changes)


def regions_reference(name: str = "ab" * 16) -> ObjectReference:
    return ObjectReference(name=name, kind="regions", version=1, segments=1)


def postgresql_binaries() -> Path | None:
    """Where a PostgreSQL server's programs are, if this machine has any."""
    places = []
    if program := shutil.which("pg_config"):
        told = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
        places.append(Path(told.stdout.strip()))
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if program := shutil.which("initdb"):
        places.append(Path(program).resolve().parent)
    return next((place for place in places if (place / "initdb").is_file() and (place / "pg_ctl").is_file()), None)


@contextmanager
def postgresql_server(binaries: Path) -> Iterator[str]:
    """A server of its own on the loopback, under another user if this one is root; yields the address of its database.

    It trades durability for speed, which the tests do not look at.
    """
    directory = Path(tempfile.mkdtemp(prefix="safelight-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": "nobody", "group": "nogroup" if Path("/etc/debian_version").exists() else "nobody"}
        shutil.chown(directory, **user)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(directory)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [str(binaries / program), *arguments]
        with (directory / "out").open("ab") as out:
            subprocess.run(command, check=True, cwd=directory, env=environment, stdout=out, stderr=out, **user)

    data = str(directory / "data")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={directory} -c fsync=off"
    try:
        run("initdb", "-D", data, "-U", "safelight", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(directory / "log"), "start")
        try:
            yield f"postgresql+pg8000://safelight@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def wait_until(condition: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
