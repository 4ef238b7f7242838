"""What a screening worker does all day, in a process that may be killed at any moment, by itself too.

Every frame is looked at against the clock: the kernel's alarm ends a process that gives no sign of life in time, be it
in the middle of somebody else's code.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from server.ahead import grant_series
from server.bases import grant_wish
from server.commands.opening import services_of
from server.commands.supervise import UNEXPECTED
from server.errors import AuditUnavailable, Busy, KeyUnavailable, SealBroken, StorageUnavailable
from server.model import ReviewReason
from server.screen import delete_retired, drain, found_by, screen_again, screen_next
from server.screening.detectors import Detectors, load
from server.services import Services
from server.sharing import LONGEST_REQUEST_SECONDS, forget_over
from server.sweep import sweep
from server.workers import Pace, at_work, note_pace, release_ended

PATIENCE_SECONDS = 300
_MEMORY_BYTES = 6 << 30
_IDLE_SECONDS = 0.5
_SWEEP_SECONDS = 24 * 3600.0
_TIDY_SECONDS = 300.0
_PACE_OVER = 50
_PASSING = (AuditUnavailable, Busy, KeyUnavailable, StorageUnavailable)
_LOG = logging.getLogger("safelight.screening")


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How long to work: until the queue is empty, or while `parent` lives. `patience` is in seconds a frame.

    `ended` says how the worker before this one ended.
    """

    until_empty: bool
    parent: int | None
    patience: int
    ended: Mapping[int, ReviewReason]


class Worker:
    """One worker's day: waiting films first, then those that older detectors have screened, last used first.

    Or that were screened when other rules about devices were in force: the list of these may change while it works.
    """

    def __init__(self, services: Services, detectors: Detectors, name: str, patience: int) -> None:
        self._services, self.detectors, self._name = services, detectors, name
        self._patience = patience
        self._finished: deque[float] = deque(maxlen=_PACE_OVER)
        self._done = 0
        self._outdated: list[str] = []
        self._known = ""
        self._swept = self._tidied = -_SWEEP_SECONDS

    def alive(self) -> None:
        """A sign of life: from here on the patience runs anew."""
        signal.alarm(self._patience)

    def one(self) -> bool:
        """Screen one film, or screen one again; False if there was nothing to do, or nothing can be done now."""
        try:
            worked = screen_next(self._services, self.detectors, self._name, self.alive) is not None or self._again()
        except _PASSING as error:
            _LOG.warning("screening waits: %s", type(error).__name__)
            worked = False
        finally:
            signal.alarm(0)
        if worked:
            self.note()
        return worked

    def note(self) -> None:
        """Let `safelight screen --status` see how this worker gets on."""
        self._done += 1
        self._finished.append(time.monotonic())
        span = self._finished[-1] - self._finished[0]
        rate = (len(self._finished) - 1) / span if span else 0.0
        note_pace(self._services, self._name, Pace(done=self._done, rate=rate))

    def tidy(self) -> None:
        """What there is time for when there are no films."""
        now = time.monotonic()
        try:
            grant_wish(self._services)
            grant_series(self._services)
            if now - self._tidied >= _TIDY_SECONDS:
                self._tidied = now
                delete_retired(self._services)
                forget_over(self._services, self._services.clock() - LONGEST_REQUEST_SECONDS)
            if now - self._swept >= _SWEEP_SECONDS:
                self._swept = now
                sweep(self._services)
        except (*_PASSING, SealBroken, OSError) as error:
            _LOG.error("nothing was swept: %s", type(error).__name__)

    def _again(self) -> bool:
        version = found_by(self._services, self.detectors)
        if self._known != version:
            self._known = version
            try:
                self._outdated = self._services.catalog.outdated(version)[::-1]
            except SealBroken:
                _LOG.error("what is to be screened again cannot be told: a row does not open")
                self._outdated = []
        while self._outdated:
            row = self._outdated.pop()
            if screen_again(self._services, self.detectors, self._name, row, self.alive) is not None:
                return True
        return False


def work(data: Path | None, shift: Shift) -> None:
    """Screen until the shift ends. Raises `ConfigurationError` when there is nothing to work with."""
    sys.excepthook = _unexpected
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _stop)
    # Address space beyond this is refused: a film that would eat the machine's memory fails by itself.
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    with services_of(data) as services, at_work(services) as name:
        release_ended(services, shift.ended)
        # Without a list of devices that can be read nothing is looked at.
        services.devices.current()
        worker = Worker(services, load(threads=os.cpu_count() or 1), name, shift.patience)
        whole = False
        try:
            if shift.until_empty:
                _drain(services, worker, name)
            else:
                while shift.parent is None or os.getppid() == shift.parent:
                    if not worker.one():
                        worker.tidy()
                        time.sleep(_IDLE_SECONDS)
            whole = True
        except (SystemExit, KeyboardInterrupt):
            # Told to stop: that was not the film's doing.
            services.catalog.release(name, attempted=False)
            whole = True
            raise
        finally:
            if not whole:
                services.catalog.release(name, attempted=True, fault=ReviewReason.DETECTOR_FAILED)


def _drain(services: Services, worker: Worker, name: str) -> None:
    """Screen everything that is waiting, behind a progress bar."""
    with tqdm(desc="screening", unit=" films", total=services.catalog.pending()) as bar:

        def progress(waiting: int) -> None:
            bar.total = max(bar.total or 0, bar.n + waiting)
            bar.update(bar.total - waiting - bar.n)
            if bar.n:
                worker.note()

        drain(services, worker.detectors, name, progress, worker.alive)
    signal.alarm(0)


def _stop(_number: int, _frame: object) -> None:
    sys.exit(0)


def _unexpected(kind: type[BaseException], _value: BaseException, trace: TracebackType | None) -> None:
    """The kind and the place, without the text, which may carry what no log may."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown"
    _LOG.error("unexpected %s at %s", kind.__name__, place)
    logging.shutdown()
    os._exit(UNEXPECTED)
