"""Keep a worker going: begin it, see how it ends, begin it again, and pass on what ended it.

A detector that crashes, hangs or eats the memory takes its process along and nothing else: the film is given back with
one attempt less, and fails when it has none left.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from server.model import ReviewReason

# What a worker exits with that met something nobody had thought of (sysexits.h, EX_SOFTWARE).
UNEXPECTED = 70
_POLITELY_SECONDS = 20.0
_LEAST_PAUSE, _LONGEST_PAUSE, _GOOD_WHILE = 0.2, 30.0, 60.0
# glibc (mallopt(3)): what is larger goes back to the system as soon as it is freed. Its own guess grows with the films,
# and a worker kept 1.2 GB of which it used 0.9.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4194304", "MALLOC_TRIM_THRESHOLD_": "4194304"}
_LOG = logging.getLogger("safelight.screening")


class Supervisor:
    """Runs one worker process after another, `words` being its command, until one ends well or `parent` has ended."""

    def __init__(
        self,
        words: Sequence[str],
        parent: int | None,
        pauses: tuple[float, float] = (_LEAST_PAUSE, _LONGEST_PAUSE),
    ) -> None:
        """`pauses` are the least and the longest before the next beginning, in seconds."""
        self._words = words
        self._parent = parent
        self._pauses = pauses
        self._stopping = False

    def run(self) -> int:
        """The exit status for this process: that of a worker that refused to begin, else 0."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        least, longest = self._pauses
        pause, how = least, ""
        while True:
            began = time.monotonic()
            words = [*self._words, *(("--ended", how) if how else ())]
            process = subprocess.Popen(words, env={**os.environ, **MEMORY})  # noqa: S603
            code = self._wait(process)
            if self._stopping or code == 0:
                return 0
            if 0 < code != UNEXPECTED:
                return code
            how = f"{process.pid}:{reason_of(code).value}"
            _LOG.warning("the screening worker has ended: %s", reason_of(code).value)
            pause = least if time.monotonic() - began > _GOOD_WHILE else min(2 * pause, longest)
            time.sleep(pause)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while not self._stopping and (self._parent is None or os.getppid() == self._parent):
            try:
                return process.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
        self._stopping = True
        process.terminate()
        try:
            return process.wait(_POLITELY_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True


def reason_of(code: int) -> ReviewReason:
    """How a process ended, from its exit status: minus the signal's number, where one ended it."""
    if code == -signal.SIGALRM:
        return ReviewReason.TIMED_OUT
    return ReviewReason.DETECTOR_FAILED if code == UNEXPECTED else ReviewReason.DETECTOR_ENDED


def worker_words(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command of a worker that ends when this process does."""
    return (sys.executable, "-m", "server", "screen", "--looking", "--with-parent", str(os.getpid()), *arguments)
