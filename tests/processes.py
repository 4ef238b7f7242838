"""Real processes for the tests: the demo as its command starts it, its process tree, and one whole request to it."""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from server.cli import main

SAFELIGHT = (sys.executable, "-m", "server")
_READY_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response of which status, header and the whole body were received; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request(self) -> str:
        return self.headers.get("safelight-request", "")


def ask(port: int, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """One request on a connection of its own. Raises OSError or HTTPException unless the answer came whole."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body or None, dict(headers or {}))
        response = connection.getresponse()
        # Raises IncompleteRead where the length, or the last chunk, says that more should have come.
        received = response.read()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=names, body=received)
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def safelight(
    *arguments: str | Path, env: Mapping[str, str] | None = None, seconds: float = 90
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Without `env`, an environment that holds no setting of Safelight."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    return subprocess.run(
        [*SAFELIGHT, *map(str, arguments)],
        env=clean | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def here(*arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """As `safelight`, within this process, which saves the start of an interpreter. Never begins to serve."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    words = ["safelight", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", words),
        patch.dict(os.environ, clean | dict(env or {}), clear=True),
        patch("server.web.serving.Server.run", side_effect=AssertionError("it would have served")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            status: object = 0
        except SystemExit as ended:
            status = ended.code or 0
        finally:
            if sys.modules.get("server.demo", main) is None:
                del sys.modules["server.demo"]
    return subprocess.CompletedProcess(words, int(str(status)), out.getvalue(), err.getvalue())


@contextmanager
def running(*arguments: str | Path, port: int, log: Path, env: Mapping[str, str] | None = None) -> Iterator[int]:
    """A server command in the background, ready; its process id. It is ended politely, then without mercy."""
    process = begin(arguments, log, env)
    try:
        wait_ready(port, process, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def begin(
    arguments: tuple[str | Path, ...], log: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; what it prints goes to the end of `log`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    with log.open("ab") as output:
        return subprocess.Popen(
            [*SAFELIGHT, *map(str, arguments)],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=clean | dict(env or {}),
        )


def wait_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when `/healthz` answers 200."""
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"the server has ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            if ask(port, "GET", "/healthz").status == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    raise AssertionError(f"the server is not ready: {log.read_text()[-2000:]}")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes of a demo: the first one, its web workers, its screening worker; decoders with their parents."""

    main: int
    web: tuple[int, ...]
    screening: tuple[int, ...]


def processes_of(main: int) -> Processes:
    """The process tree below `main` at this moment."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True)
    children: dict[int, list[tuple[int, str]]] = {}
    for line in listing.stdout.splitlines():
        number, parent, command = [*line.split(None, 2), ""][:3]
        children.setdefault(int(parent), []).append((int(number), command))

    def below(pid: int) -> list[int]:
        return [one for child, _ in children.get(pid, []) for one in (child, *below(child))]

    web: list[int] = []
    screening: list[int] = []
    for pid, command in children.get(main, []):
        (screening if " screen " in command else web).extend([pid, *below(pid)])
    return Processes(main=main, web=tuple(web), screening=tuple(screening))


def alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended and only waits for its parent counts as gone."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in {"", "Z"}


def kill(*pids: int) -> None:
    """SIGKILL to each, all at once as far as that goes; one that is gone already is well."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
