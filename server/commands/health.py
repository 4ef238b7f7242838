"""`safelight health`: whether the configured server on this machine answers, for a container's health check."""

from __future__ import annotations

import http.client
import os
import ssl
import sys

import click

from server.settings import Settings, check_production, read_settings

_SECONDS = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@click.command()
def command() -> None:
    """Ask the configured server for its health; exit status 0 when it is ready."""
    settings = check_production(read_settings(os.environ))
    connection = _connection(settings)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        click.echo(f"no answer: {type(error).__name__}", err=True)
        sys.exit(1)
    finally:
        connection.close()
    click.echo(f"status {status}")
    sys.exit(0 if status == 200 else 1)


def _connection(settings: Settings) -> http.client.HTTPConnection:
    """A connection from this machine to the server, trusting nobody but its own certificate."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    if settings.certificate is None:
        return http.client.HTTPConnection(host, settings.port, timeout=_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificate is for the public name, and need not be a root: it is pinned here instead.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cafile=settings.certificate)
    return http.client.HTTPSConnection(host, settings.port, timeout=_SECONDS, context=context)
