"""``paas up`` and ``paas down``."""

from __future__ import annotations

from typing import Literal

import click

from app.settings import Settings, load_settings


def _say(line: str) -> None:
    """Steps as a pushing git client shows them; what is indented belongs to the step above."""
    click.echo(line if line.startswith(" ") else f"-----> {line}")


@click.command()
@click.option("--demo", is_flag=True, help="Make a demo app and push it with git.")
@click.option(
    "--engine",
    type=click.Choice(["embedded", "nomad"]),
    help="What runs the apps. The default is PAAS_SCHEDULER; or Nomad, where NOMAD_ADDR answers.",
)
def up(demo: bool, engine: Literal["embedded", "nomad"] | None) -> None:
    """Start the whole platform on this machine, and stop it on Ctrl-C.

    The embedded engine runs apps as plain processes: it is for one machine and isolates nothing.
    """
    from app.up.run import Options, up

    settings = load_settings()
    up(settings, Options(engine=engine or configured_engine(settings), demo=demo), _say)


@click.command()
def down() -> None:
    """Stop a platform that was started with `paas up`, or what a killed one left."""
    from app.up.down import down

    down(load_settings(), _say)


def configured_engine(settings: Settings) -> Literal["embedded", "nomad"]:
    import asyncio

    from app.container import chosen_engine

    return asyncio.run(chosen_engine(settings))
