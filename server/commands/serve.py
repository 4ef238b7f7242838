"""`safelight serve`: the production server."""

from __future__ import annotations

import os
import sys
import time

import click

from server.services import Services, SystemRandomness, open_services
from server.settings import check_production, read_settings
from server.web.serving import Server


@click.command()
def command() -> None:
    """Serve with the settings of SAFELIGHT_CONFIG and the environment; there is no default for any secret."""
    settings = check_production(read_settings(os.environ))
    # From here on nothing can import the demo's provider, whoever asks.
    sys.modules["server.demo"] = None  # type: ignore[assignment]

    def open_all() -> Services:
        return open_services(settings, randomness=SystemRandomness(), clock=time.time)

    # Opened once before any worker exists, so that what is wrong is told here and now.
    open_all().close()
    Server(settings, open_all).run()
