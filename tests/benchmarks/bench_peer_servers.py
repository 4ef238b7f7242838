"""The two servers that are compared, each as processes of its own on the loopback address, and what they use.

`python bench_peer_servers.py DATA PORT CHAIN` serves the films of DATA. `whole` is the product; the other chains exist
here alone: `further` keeps no answers, as a role that asks for a film first, `drawn` nor finds a picture ready, `cold`
has no base renditions either, `unmasked` paints nothing, `unsealed` decrypts nothing twice.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from server import bases, develop  # noqa: E402
from server.commands.demo import _open, prepare  # noqa: E402
from server.commands.opening import demo_settings  # noqa: E402
from server.demo.mount import mount  # noqa: E402
from server.model import InstanceRecord  # noqa: E402
from server.pixels import redact as redacting  # noqa: E402
from server.services import Services  # noqa: E402
from server.settings import Settings  # noqa: E402
from server.vault import envelope  # noqa: E402
from server.web.serving import Server  # noqa: E402

ISSUER_PORT = 18080
_TICK = os.sysconf("SC_CLK_TCK")
WORKERS, THREADS = 2, 4


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A running server: where it is, its process, and the headers that a request to it carries."""

    name: str
    port: int
    process: int
    prefix: str
    headers: Mapping[str, str]

    def cpu(self) -> float:
        """Seconds of CPU that all its processes have used."""
        return sum(_ticks(one) for one in tree(self.process)) / _TICK

    def memory(self) -> float:
        """Proportional memory of all its processes, in MB."""
        return sum(_proportional(one) for one in tree(self.process)) / 1024


def tree(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        found += [one for child in task.read_text().split() for one in tree(int(child))]
    return found


def _ticks(process: int) -> int:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:13]))


def _proportional(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def settings_at(data: Path, port: int) -> Settings:
    """All chains have one issuer and one public address, whatever port they listen on."""
    settings = demo_settings(data, ISSUER_PORT)
    # One caller asks for everybody here.
    return replace(settings, port=port, workers=WORKERS, threads=THREADS, requests_per_minute=10**9)


def opened(data: Path, port: int = ISSUER_PORT) -> tuple[Services, dict[str, str]]:
    settings = settings_at(data, port)
    key = prepare(settings)
    return _open(settings, key), key


class _NoBases:
    """Base renditions of which there are none."""

    @contextmanager
    def opened(self, *_: object) -> Iterator[None]:
        yield None


def _draw() -> None:
    """No picture stands ready: as where the regions in force are others than the base was made under."""

    def others(record: InstanceRecord) -> bytes:
        return b"others"

    bases._regions_of = others


class _Nothing:
    """Answers of which none is kept."""

    def of(self, *_: object) -> _Nothing:
        return self

    def get_pair(self, *_: object) -> None:
        return None

    def put_pair(self, *_: object) -> None:
        return None


def _unmask() -> None:
    paint: Any = redacting.redact

    def nothing(frame: Any, _regions: Any, level: Any, **named: Any) -> Any:
        return paint(frame, (), level, **named)

    develop.redact = nothing  # type: ignore[attr-defined,assignment]


def _unseal() -> None:
    known = dict[bytes, Any]()

    def once(decrypt: Callable[..., Any]) -> Callable[..., Any]:
        def opened(cipher: Any, nonce: bytes, sealed: bytes | memoryview, context: bytes) -> Any:
            tag = bytes(sealed[-16:])
            if tag not in known:
                known[tag] = decrypt(cipher, nonce, sealed, context)
            return known[tag]

        return opened

    envelope._decrypt = once(envelope._decrypt)
    # What is masked in place is the same when it is masked again.
    envelope._decrypt_large = once(envelope._decrypt_large)


def serve(data: Path, port: int, chain: str) -> None:
    settings = settings_at(data, port)
    key = prepare(settings)

    def open_all() -> Services:
        services = _open(settings, key)
        if chain == "whole":
            return services
        services = replace(services, answers=_Nothing())  # type: ignore[arg-type]
        return services if chain in ("further", "drawn") else replace(services, bases=_NoBases())  # type: ignore[arg-type]

    {"unmasked": _unmask, "unsealed": _unseal, "drawn": _draw}.get(chain, lambda: None)()
    Server(settings, open_all, lambda app, services: mount(app, services, key)).run()


@contextmanager
def ours(data: Path, port: int, token: str, chain: str) -> Iterator[Peer]:
    """This server in one of the chains."""
    words = [sys.executable, __file__, str(data), str(port), chain]
    with _running(words, f"http://127.0.0.1:{port}/healthz", data.parent / f"{chain}.log", {}) as process:
        headers = {"Authorization": f"Bearer {token}"}
        yield Peer(name=chain, port=port, process=process, prefix="/dicomweb", headers=headers)


def orthanc_program(root: Path | None) -> tuple[Path, Path] | None:
    """Orthanc and its plugins: as installed, or below `root`, where packages were unpacked; None if it is not there."""
    places = [root] if root else [Path("/")]
    for place in places:
        program, plugins = place / "usr/sbin/Orthanc", place / "usr/share/orthanc/plugins"
        if program.exists() and (plugins / "libOrthancDicomWeb.so").exists():
            return program, plugins
    found = shutil.which("Orthanc")
    return (Path(found), Path("/usr/share/orthanc/plugins")) if found and not root else None


@contextmanager
def orthanc(program: Path, plugins: Path, scratch: Path, port: int) -> Iterator[Peer]:
    """Orthanc as its handbook has it for DICOMweb, unmasked, in the clear, without a token."""
    (scratch / "orthanc").mkdir(exist_ok=True)
    configuration = {
        "Name": "PEER", "StorageDirectory": str(scratch / "orthanc"), "HttpPort": port, "DicomServerEnabled": False,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "KeepAlive": True, "StorageCompression": False,
        "BuiltinDecoderTranscoderOrder": "Before", "Plugins": [str(one.resolve()) for one in _plugins(plugins)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
    }  # fmt: skip
    file = scratch / "orthanc.json"
    file.write_text(json.dumps(configuration))
    libraries = [str(program.parents[2] / one) for one in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")]
    environment = {"LD_LIBRARY_PATH": ":".join(libraries)} if program.parents[2] != Path("/") else {}
    dictionary = program.parents[2] / "usr/share/libdcmtk17/dicom.dic"
    if environment and dictionary.exists():
        environment["DCMDICTPATH"] = str(dictionary)
    at = f"http://127.0.0.1:{port}/system"
    with _running([str(program), str(file)], at, scratch / "orthanc.log", environment) as process:
        yield Peer(name="orthanc", port=port, process=process, prefix="/dicom-web", headers={})


def _plugins(directory: Path) -> list[Path]:
    return [directory / name for name in ("libOrthancDicomWeb.so", "libOrthancGdcm.so") if (directory / name).exists()]


@contextmanager
def _running(words: list[str], alive: str, log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    with log.open("wb") as sink:
        process = subprocess.Popen(words, stdout=sink, stderr=sink, env={**os.environ, **environment})
        try:
            _wait(alive, process)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
