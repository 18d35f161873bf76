"""``paas logs``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from app.cli.client import deployments as api
from app.cli.commands.deploying import deployments_of
from app.cli.failures import OutOfReach
from app.cli.follow import build_lines
from app.cli.output import json_option, log_text, print_json_line
from app.cli.target import Here, acts_on


@click.command()
@click.option("--build", is_flag=True, help="What the build wrote.")
@click.option("--number", "-n", type=int, help="Of which deployment; the newest.")
@click.option("--follow", "-f", is_flag=True, help="Go on until it has ended.")
@json_option
@acts_on("org", "project", "app", "env")
def logs(here: Here, build: bool, number: int | None, follow: bool, as_json: bool) -> None:
    """What a build wrote.

    \b
    paas logs --build        of the newest deployment
    paas logs --build -n 12  of deployment #12
    """
    deployment_id = _deployment_id(here, number)
    lines = build_lines(here.client, deployment_id) if follow else _written(here, deployment_id)
    if as_json:
        for line in lines:
            print_json_line(line)
        return
    for line in lines:
        click.echo(log_text(line.message))


def _deployment_id(here: Here, number: int | None) -> str:
    instance = here.instance()
    for row in deployments_of(here, instance):
        if number is None or row.number == number:
            return row.id
    raise OutOfReach(
        "There is no such deployment.", hint="See which there are: paas deployments list"
    )


def _written(here: Here, deployment_id: str) -> Iterator[api.BuildLinesOnDeploymentBuildLogNodes]:
    """What there is of it by now."""
    after: str | None = None
    while True:
        found = api.build_lines(here.client, id=deployment_id, after=after)
        log = found.build_log if found is not None else None
        if log is None:
            return
        yield from log.nodes
        if not log.page_info.has_next_page:
            return
        after = log.page_info.end_cursor
