"""The command `safelight`. A command's module is imported only when it is called: `serve` never sees the demo."""

from __future__ import annotations

import importlib
import logging.config
import sys

import click

from server import __version__
from server.errors import SafelightError
from server.logs import configuration

COMMANDS = {
    "audit": "audit",
    "consent": "consent",
    "demo": "demo",
    "explain": "explain",
    "health": "health",
    "import": "importing",
    "init": "init",
    "keys": "keys",
    "label": "label",
    "policy": "policy",
    "prepare": "prepare",
    "project": "project",
    "review": "review",
    "screen": "screen",
    "serve": "serve",
    "token": "token",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"server.commands.{COMMANDS[cmd_name]}").command
        return command


@click.command(cls=_Commands)
@click.version_option(__version__, prog_name="safelight")
def cli() -> None:
    """One sealed film, many views: a DICOMweb server that answers each role at the level it earns."""


def main() -> None:
    """Run a command; what it refuses on purpose is one line and exit status 1."""
    logging.config.dictConfig(configuration())
    try:
        cli()
    except SafelightError as error:
        click.echo(f"safelight: {str(error) or error.public}", err=True)
        sys.exit(1)
