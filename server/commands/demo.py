"""`safelight demo`: the whole product on one machine, with made-up identities and a provider that asks no password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
from tqdm import tqdm

from server.auth.keys import FixedKeys
from server.commands.opening import PROVIDER_KEY, demo_settings, keys_of
from server.demo.films import expected_number, sample_films
from server.demo.mount import mount
from server.demo.users import demo_users, new_signing_key, public_key_set
from server.errors import ConfigurationError
from server.importing import import_body
from server.incoming import Storer
from server.services import Services, SystemRandomness, initialise, open_services
from server.settings import DEMO_MARK, Settings
from server.web.serving import Server

_SELF = (sys.executable, "-m", "server")


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"), show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--empty", is_flag=True, help="No sample films.")
@click.option("--only-fill", is_flag=True, hidden=True)
def command(data: Path, port: int, empty: bool, only_fill: bool) -> None:
    """Make keys, seal and screen sample films, serve on 127.0.0.1 with demo users of every role."""
    settings = demo_settings(data, port)
    key = prepare(settings)
    if only_fill:
        fill(settings, key)
        return
    if not empty and not (settings.data / "films").exists():
        # In processes of their own: drawing and detecting start threads, and the server's workers are forked from here.
        subprocess.run([*_SELF, "demo", "--only-fill", "--data", str(settings.data), "--port", str(port)], check=True)  # noqa: S603
        subprocess.run([*_SELF, "screen", "--drain", "--data", str(settings.data)], check=True)  # noqa: S603
        (settings.data / "films").touch()
    threading.Thread(target=keep_screening, args=(settings.data,), name="screening", daemon=True).start()
    announce(settings)
    Server(settings, lambda: _open(settings, key), lambda app, services: mount(app, services, key)).run()


def prepare(settings: Settings) -> dict[str, str]:
    """Make (or find again) the demo's keys and data directory; returns the provider's signing key."""
    randomness = SystemRandomness()
    mark = settings.data / DEMO_MARK
    secrets = keys_of(settings.data) / PROVIDER_KEY
    if not mark.exists():
        if settings.data.exists() and any(settings.data.iterdir()):
            raise ConfigurationError("the data directory is not empty and not a demo's")
        initialise(settings, randomness)
        descriptor = os.open(secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(new_signing_key(randomness), file)
    mark.write_text(json.dumps({"port": settings.port}), "utf-8")
    found: dict[str, str] = json.loads(secrets.read_text("utf-8"))
    return found


def fill(settings: Settings, key: dict[str, str]) -> None:
    """Store the sample films behind a progress bar."""
    services = _open(settings, key)
    try:
        storer = Storer(subject="demo-technologist", department="radiology")
        for body in tqdm(sample_films(), desc="sealing", unit=" films", total=expected_number()):
            import_body(services, storer, body)
    finally:
        services.close()


def keep_screening(data: Path) -> None:
    """Run the screening worker, and again whenever it ends; it ends by itself once this process has ended."""
    command_line = [*_SELF, "screen", "--with-parent", str(os.getpid()), "--data", str(data)]
    while True:
        subprocess.run(command_line, check=False)  # noqa: S603
        time.sleep(1)


def announce(settings: Settings) -> None:
    """Say where it is, who can sign in, and one line to try."""
    click.echo(f"\nSafelight is on {settings.public_url} (stop with Ctrl-C)\n\nDemo users, no password:")
    for user in demo_users().values():
        click.echo(f"  {user.name:<24}{', '.join(user.roles)}")
    command_line = Path(sys.executable).with_name("safelight")
    click.echo(
        f"\nThe same films as JSON, as a researcher sees them:\n"
        f"  curl -H 'Accept: application/dicom+json' \\\n"
        f'    -H "Authorization: Bearer $({command_line} token researcher --data {settings.data})" \\\n'
        f"    {settings.public_url}/dicomweb/studies\n"
    )


def _open(settings: Settings, key: dict[str, str]) -> Services:
    public = FixedKeys(json.dumps(public_key_set(key)).encode())
    return open_services(settings, randomness=SystemRandomness(), clock=time.time, key_source=public)
