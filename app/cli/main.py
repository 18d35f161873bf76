"""``paas``: the platform's own command. Nothing heavy is imported here; ``--help`` must be instant."""

from __future__ import annotations

import sys

import click

from app.cli.lazy import LazyGroup
from app.errors import PaasError

_COMMANDS = {
    "up": ("app.cli.up:up", "Start the whole platform on this machine; Ctrl-C stops it."),
    "down": ("app.cli.up:down", "Stop a platform that was started with `paas up`."),
    "doctor": ("app.cli.doctor:doctor", "Say what is missing on this machine, and what to type."),
    "admin": ("app.cli.admin:admin", "Tokens, purging, key rotation."),
    "engine": ("app.cli.engine:engine", "Find or build Nomad and Consul."),
    "migrate": ("app.cli.processes:migrate", "Bring the database's schema up to date."),
    "serve": ("app.cli.processes:serve", "Run the API process."),
    "worker": ("app.cli.processes:worker", "Run a worker process."),
    "agent": ("app.cli.processes:agent", "Run the embedded engine's agent process."),
    "version": ("app.cli.processes:version", "Print the version."),
}

cli = LazyGroup(
    lazy=_COMMANDS,
    name="paas",
    help="Push a git branch, get a running, routed application on your own machines.",
)


def main(arguments: list[str] | None = None) -> None:
    """The console script. A failure with a code of ours is two lines and exit code 1, not a traceback."""
    try:
        cli.main(arguments, prog_name="paas")
    except PaasError as error:
        click.echo(f" !  {error.message}", err=True)
        if error.hint:
            click.echo(f"    {error.hint}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
