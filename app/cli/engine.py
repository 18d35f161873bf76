"""``paas engine …``: the real engines' programs on this machine."""

from __future__ import annotations

import click

from app.engines import install as engines


@click.group()
def engine() -> None:
    """Find or build Nomad and Consul."""


@engine.command()
@click.option("--keep-modules", is_flag=True, help="Keep Go's module cache of the build (4 GB).")
def install(keep_modules: bool) -> None:
    """Make Nomad, Consul and Docker available; builds what is missing, once for this user."""
    engines.install(lambda line: click.echo(f"-----> {line}"), keep_modules=keep_modules)


@engine.command()
def status() -> None:
    """Say which program would be run for each, and end with 1 when one is missing."""
    missing = False
    for wanted in engines.ENGINES:
        found = engines.find(wanted.name)
        missing = missing or found is None
        click.echo(f"{wanted.name:<8}{found or 'missing: paas engine install'}")
    raise SystemExit(1 if missing else 0)
