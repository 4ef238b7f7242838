"""Peak memory of one worker of a real server under load, by the kernel's account of it (VmHWM)."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_houses import large_film

AT_ONCE = 8


def peaks(directory: Path) -> list[str]:
    """Sentences on the web worker at rest and after pictures of 15 MB frames, eight at a time, and on the detector."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = directory / "demo"
    words = [sys.executable, "-m", "server"]
    log = (directory / "log").open("wb")
    started = [*words, "demo", "--empty", "--data", str(data), "--port", str(port)]
    with log, subprocess.Popen(started, stdout=log, stderr=log) as process:
        try:
            origin = f"http://127.0.0.1:{port}"
            _wait(origin)
            workers = [child for child in _children(process.pid) if b"screen" not in _words(child)]
            rest = sum(_status(worker, "VmRSS") for worker in workers)
            token = {role: _token(words, role, data) for role in ("technologist", "researcher")}
            for number in range(2):
                _ask(f"{origin}/dicomweb/studies", token["technologist"], large_film(number + 1))
            subprocess.run([*words, "screen", "--drain", "--data", str(data)], check=True, stdout=log, stderr=log)
            found = json.loads(_ask(f"{origin}/dicomweb/instances", token["researcher"]))
            paths = [row["00081190"]["Value"][0] for row in found]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                pictures = [paths[number % len(paths)] + "/rendered" for number in range(3 * AT_ONCE)]
                list(pool.map(lambda path: _ask(path, token["researcher"]), pictures))
            peak = sum(_status(worker, "VmHWM") for worker in workers)
            screening = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
            load = f"{AT_ONCE} masked pictures of 15 MB frames at a time, two stores of 15 MB"
            web = f"{rest / 1e6:.0f} MB at rest, {peak / 1e6:.0f} MB at its peak"
            return [
                f"web worker: {web} ({load}): {(peak - rest) / 15e6 / AT_ONCE:.1f} frames each",
                f"screening worker: {screening / 1e6:.0f} MB at its peak",
            ]
        finally:
            process.terminate()


def _wait(origin: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{origin}/healthz"):
                return
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _token(words: list[str], role: str, data: Path) -> str:
    told = subprocess.run([*words, "token", role, "--data", str(data)], check=True, capture_output=True, text=True)
    return told.stdout.split()[-1]


def _ask(url: str, token: str, body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {token}", "Accept": "*/*", "Content-Type": "application/dicom"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as response:
        read: bytes = response.read()
        return read


def _children(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _words(process: int) -> list[bytes]:
    return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")


def _status(process: int, name: str) -> int:
    """A line of the process's status, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
