"""How a command finds the server it speaks of: a demo's data directory, or the settings of a production server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from server.errors import ConfigurationError
from server.services import Services, SystemRandomness, open_services
from server.settings import DEMO_MARK, Settings, check_production, read_settings

PROVIDER_KEY = "provider.json"


def data_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option by which a command speaks of a demo; without it, of the configured server."""
    help_text = "The data directory of a demo; without it, the server of SAFELIGHT_CONFIG and the environment."
    return click.option("--data", type=click.Path(path_type=Path, file_okay=False), help=help_text)(function)


def keys_of(data: Path) -> Path:
    """Where a demo keeps its keys: a directory beside its data."""
    return data.resolve().with_name(data.resolve().name + ".keys")


def demo_port(data: Path) -> int:
    """The port of the demo in `data`. Raises `ConfigurationError` for a directory that no demo made."""
    try:
        return int(json.loads((data / DEMO_MARK).read_text("utf-8"))["port"])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError("this is not the data directory of a demo") from error


def demo_settings(data: Path, port: int) -> Settings:
    """The settings of the demo in `data`: everything on the loopback address, its provider the only issuer."""
    data = data.resolve()
    origin = f"http://127.0.0.1:{port}"
    return Settings(
        data=data,
        keyring=keys_of(data) / "keyring.json",
        issuer=f"{origin}/provider/demo",
        audience=origin,
        public_url=origin,
        database=f"sqlite:///{data / 'catalog.sqlite'}",
        policies=Path(__file__).resolve().parents[2] / "policies",
        claims={},
        # The demo's provider asks no password and binds no token, so neither would prove anything.
        proof_roles=(),
        step_up={},
        algorithms=("ES256",),
        port=port,
        workers=1,
        threads=8,
    )


def settings_of(data: Path | None) -> Settings:
    """Raises `ConfigurationError`."""
    if data is None:
        return check_production(read_settings(os.environ))
    return demo_settings(data, demo_port(data))


@contextmanager
def services_of(data: Path | None) -> Iterator[Services]:
    """The open services of the demo in `data`, or of the configured production server."""
    opened = open_services(settings_of(data), randomness=SystemRandomness(), clock=time.time)
    try:
        yield opened
    finally:
        opened.close()
