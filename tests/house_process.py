"""A house in processes of its own: filled and screened here, then served by the production server until it is ended."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from house import House
from processes import free_port, processes_of, wait_ready

from server.auth.keys import FixedKeys
from server.demo.users import public_key_set
from server.services import SystemRandomness, open_services
from server.settings import Settings
from server.web.serving import Server

_HERE = Path(__file__).resolve().parent


@contextmanager
def serving(house: House, directory: Path, **settings: object) -> Iterator[tuple[int, int]]:
    """Serve what a house holds (which is to be closed first); the port, and the server's first process."""
    port = free_port()
    wanted = replace(house.settings, port=port, **settings)  # type: ignore[arg-type]
    told = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(wanted).items()}
    said = {"settings": told, "keys": public_key_set(house.provider_key), "now": house.now}
    file = directory / "serving.json"
    file.write_text(json.dumps(said))
    log = directory / "serving.log"
    with log.open("ab") as output:
        words = [sys.executable, str(_HERE / "house_process.py"), str(file)]
        process = subprocess.Popen(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=_HERE.parent)
    try:
        if settings.get("certificate"):
            _wait_for_tls(port, process, log)
        else:
            wait_ready(port, process, log)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_tls(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a handshake succeeds; by whom is for the test to look at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no TLS: {log.read_text()[-2000:]}")


def children(main: int) -> tuple[int, ...]:
    """The web workers alone."""
    return tuple(map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split()))


def workers(main: int) -> tuple[int, ...]:
    """The web workers and what they have started, as far as they live."""
    return processes_of(main).web


def memory(pid: int, name: str) -> int:
    """A line of a process's status, in bytes; 0 for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _serve(file: Path) -> None:
    said = json.loads(file.read_text())
    paths = {"data", "keyring", "policies"}
    values: dict[str, Any] = {
        name: Path(value) if name in paths else tuple(value) if isinstance(value, list) else value
        for name, value in said["settings"].items()
    }
    settings = Settings(**values)
    keys = FixedKeys(json.dumps(said["keys"]).encode())
    # gunicorn would read the arguments of this process.
    sys.argv = sys.argv[:1]
    Server(
        settings,
        lambda: open_services(settings, randomness=SystemRandomness(), clock=lambda: said["now"], key_source=keys),
    ).run()


if __name__ == "__main__":
    sys.path[:0] = [str(_HERE.parent)]
    _serve(Path(sys.argv[1]))
