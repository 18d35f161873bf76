"""``paas logs``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from app.cli.client import deployments as api
from app.cli.commands.deploying import deployments_of
from app.cli.failures import OutOfReach
from app.cli.output import json_option, log_text, print_json
from app.cli.target import Here, acts_on

_POLL_SECONDS = 0.5


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
    lines = _build_lines(here, deployment_id, follow=follow)
    if as_json:
        print_json(list(lines))
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


def _build_lines(
    here: Here, deployment_id: str, *, follow: bool
) -> Iterator[api.BuildLinesOnDeploymentBuildLogNodes]:
    after: str | None = None
    while True:
        found = api.build_lines(here.client, id=deployment_id, after=after)
        if found is None:
            raise OutOfReach("The deployment is gone.")
        log = found.build_log
        if log is not None:
            yield from log.nodes
            after = log.page_info.end_cursor or after
            if log.page_info.has_next_page:
                continue
        ended = found.finished_at is not None or (found.build and found.build.finished_at)
        if not follow or ended:
            return
        time.sleep(_POLL_SECONDS)
