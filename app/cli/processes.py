"""The platform's processes, each in the foreground: what ``paas up`` starts and a service manager may."""

from __future__ import annotations

import click

from app.settings import load_settings


@click.command()
def serve() -> None:
    """Run the API process: GraphQL, REST, git over HTTP."""
    from app.main import run

    run(load_settings())


@click.command()
def worker() -> None:
    """Run a worker: it builds, deploys and repairs. Any number may run."""
    from app.worker import run

    run(load_settings())


@click.command()
def agent() -> None:
    """Run the embedded engine's agent, which supervises the apps' processes on this machine."""
    from app.agent.main import run

    run(load_settings())


@click.command()
def migrate() -> None:
    """Bring the database's schema up to date; safe while the platform runs."""
    import asyncio

    from app.container import database_url
    from app.migrate import migrate as upgrade

    asyncio.run(upgrade(database_url(load_settings())))
    click.echo("The database's schema is up to date.")


@click.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    click.echo(f"paas {installed('paas')}")
