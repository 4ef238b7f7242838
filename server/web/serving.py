"""gunicorn around the application: services are opened in each worker, the policy is read again when it changes."""

from __future__ import annotations

import ctypes
import gc
import logging
import ssl
import threading
from collections.abc import Callable
from typing import Any

import cv2
from flask import Flask
from gunicorn.app.base import BaseApplication

from server.logs import configuration
from server.services import Services
from server.settings import Settings
from server.web.app import create_app
from server.web.worker import PatientWorker

_LOG = logging.getLogger("safelight.web")
_M_ARENA_MAX = -8
# Objects more than at the last collection: some requests instead of a part of one. Frames of films are in no cycles.
_COLLECT_AFTER = 5000


class Server(BaseApplication):  # type: ignore[misc]
    """One gunicorn server. `open_all` opens the services inside a worker, `extend` may add to the application."""

    def __init__(
        self,
        settings: Settings,
        open_all: Callable[[], Services],
        extend: Callable[[Flask, Services], None] | None = None,
    ) -> None:
        self.settings = settings
        self._open_all = open_all
        self._extend = extend
        # Requests run side by side already; threads inside one would only take each other's time. Said before the
        # workers are forked: a pool of threads would not come along, and be waited for.
        cv2.setNumThreads(1)
        one_arena()
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        chosen: dict[str, Any] = {
            "bind": f"{settings.host}:{settings.port}",
            "worker_class": PatientWorker,
            "workers": settings.workers,
            "threads": settings.threads,
            "timeout": 120,
            "graceful_timeout": 30,
            "keepalive": 5,
            "limit_request_line": 8190,
            # Each piece is sent by the worker's own clock.
            "sendfile": False,
            "logconfig_dict": configuration(),
            # A path names studies, so there is no access log; the journal is the record of who saw what.
            "accesslog": None,
        }
        if settings.certificate is not None and settings.certificate_key is not None:
            files = {"certfile": str(settings.certificate), "keyfile": str(settings.certificate_key)}
            chosen |= {**files, "ssl_context": tls_context}
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        services = self._open_all()
        app = create_app(services)
        if self._extend is not None:
            self._extend(app, services)
        watch_policy(services, threading.Event())
        # What is here now stays: no collection has to go through it again while requests come.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)
        return app


def tls_context(_config: object, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS as RFC 9325 and PS3.15 section B.12 want it: 1.2 and 1.3, forward secrecy, authenticated ciphers."""
    context = make()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Those of 1.3 are all of this kind, and are not chosen here.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    return context


def one_arena() -> bool:
    """Let all threads of this process and its forks share what they free (glibc mallopt(3)); False where there is none.

    With an arena each, every thread keeps the memory of a whole film for itself that the next one could have used.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, 1))


def watch_policy(services: Services, stop: threading.Event) -> threading.Thread:
    """Reload the policy when it changes; a bundle that does not pass its checks leaves the former one in force."""

    def watch() -> None:
        told: tuple[str, ...] = ()
        while not stop.wait(services.settings.policy_reload_seconds):
            problems = services.policy.reload()
            if problems and problems != told:
                _LOG.error("the changed policy is not valid and not in force: %s", "; ".join(problems))
            told = problems

    thread = threading.Thread(target=watch, name="policy", daemon=True)
    thread.start()
    return thread
