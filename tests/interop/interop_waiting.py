"""Waiting for a provider that is a process of its own."""

from __future__ import annotations

import subprocess
import time

import requests


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until somebody answers there; `process` is the one that is to."""
    for _ in range(300):
        assert process.poll() is None, "the provider ended"
        try:
            if requests.get(url, timeout=1).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the provider does not answer")
