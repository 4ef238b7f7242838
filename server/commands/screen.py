"""`safelight screen`: the screening worker, in a process of its own."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import click
from tqdm import tqdm

from server.commands.opening import data_option, services_of
from server.errors import AuditUnavailable, Busy, KeyUnavailable, SealBroken, StorageUnavailable
from server.screen import drain, screen_next
from server.screening.text import TextDetector
from server.services import Services
from server.sweep import sweep
from server.workers import at_work

_IDLE_SECONDS = 0.5
_SWEEP_SECONDS = 24 * 3600.0
_PASSING = (AuditUnavailable, Busy, KeyUnavailable, StorageUnavailable)
_LOG = logging.getLogger("safelight.screening")


@click.command()
@click.option("--drain", "until_empty", is_flag=True, help="Return when nothing is left to screen.")
@click.option("--with-parent", "parent", type=int, help="End when this process, which began this one, has ended.")
@data_option
def command(until_empty: bool, parent: int | None, data: Path | None) -> None:
    """Find what has to be hidden in the films that have come in."""
    with services_of(data) as services, at_work(services) as worker:
        detector = TextDetector(threads=os.cpu_count() or 1)
        if until_empty:
            show_drain(services, detector, worker)
            return
        swept = -_SWEEP_SECONDS
        while parent is None or os.getppid() == parent:
            if _screened_one(services, detector, worker):
                continue
            if time.monotonic() - swept >= _SWEEP_SECONDS:
                swept = time.monotonic()
                _sweep(services)
            time.sleep(_IDLE_SECONDS)


def _screened_one(services: Services, detector: TextDetector, worker: str) -> bool:
    """False if there was nothing to do, or nothing can be done at this moment."""
    try:
        return screen_next(services, detector, worker) is not None
    except _PASSING as error:
        _LOG.warning("screening waits: %s", type(error).__name__)
        return False


def _sweep(services: Services) -> None:
    try:
        sweep(services)
    except (*_PASSING, SealBroken) as error:
        _LOG.error("nothing was swept: %s", type(error).__name__)


def show_drain(services: Services, detector: TextDetector, worker: str) -> int:
    """Screen everything that is waiting, behind a progress bar. Returns how many were screened."""
    with tqdm(desc="screening", unit=" films", total=services.catalog.pending()) as bar:

        def progress(waiting: int) -> None:
            bar.total = max(bar.total or 0, bar.n + waiting)
            bar.update(bar.total - waiting - bar.n)

        return drain(services, detector, worker, progress)
