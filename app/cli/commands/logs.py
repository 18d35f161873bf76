"""``paas logs``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast

import click

from app.cli.client import deployments
from app.cli.client import logs as api
from app.cli.client.deployments import BuildLinesOnDeploymentBuildLogNodes, BuildLogLinesLines
from app.cli.commands.deploying import deployments_of
from app.cli.failures import OutOfReach
from app.cli.follow import build_lines
from app.cli.live import resumed
from app.cli.output import json_option, log_text, print_json_line, say
from app.cli.target import Here, Instance, acts_on

_AGO = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _Moment(click.ParamType[datetime]):
    """``10m`` ago, or a date and time."""

    name = "when"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if found := _AGO.fullmatch(str(value)):
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is no time: write 10m, 2h, 3d, or 2026-01-31T12:00:00Z.", param, ctx
            )
        return moment if moment.tzinfo else moment.astimezone()


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written from now on.")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="How many of the last.",
)
@click.option("--since", type=_Moment(), help="Not older than: 10m, 2h, 3d, or a date and time.")
@click.option("--until", type=_Moment(), help="Older than.")
@click.option("--search", metavar="TEXT", help="Only lines that contain it.")
@click.option(
    "--level",
    "levels",
    multiple=True,
    type=click.Choice(["debug", "info", "warn", "error"]),
    help="Only these.",
)
@click.option(
    "--stream",
    "streams",
    multiple=True,
    type=click.Choice(["stdout", "stderr", "system"]),
    help="Only these.",
)
@click.option("--deployment", "number", type=int, metavar="NUMBER", help="Only of this deployment.")
@click.option("--build", is_flag=True, help="Instead: what the build of a deployment wrote.")
@click.option("--timestamps", "-t", is_flag=True, help="With the time of each line.")
@json_option
@acts_on("org", "project", "app", "env")
def logs(
    here: Here,
    follow: bool,
    lines: int,
    since: datetime | None,
    until: datetime | None,
    search: str | None,
    levels: tuple[str, ...],
    streams: tuple[str, ...],
    number: int | None,
    build: bool,
    timestamps: bool,
    as_json: bool,
) -> None:
    """What the app writes, in all of its copies; with --json an object a line.

    Lines of copies that crashed are there too. After a break, --follow goes on where it was, and says so
    when lines are missing.

    \b
    paas logs -f
    paas logs --since 1h --level error --env staging
    paas logs --build
    """
    instance = here.instance()
    shown: Iterator[Line]
    if build:
        deployment_id = _deployment_id(here, instance, number)
        shown = build_lines(here.client, deployment_id) if follow else _built(here, deployment_id)
    else:
        wanted = api.LogFilterInput(
            since=since,
            until=until,
            text=search,
            levels=cast("list[api.LogLevel]", [each.upper() for each in levels]) or None,
            streams=cast("list[api.LogStream]", [each.upper() for each in streams]) or None,
            deployment_id=_deployment_id(here, instance, number) if number else None,
        )
        shown = _ran(here, instance, wanted, lines, follow=follow)
    for line in shown:
        if as_json:
            print_json_line(line)
        else:
            when = f"{line.timestamp.isoformat(timespec='milliseconds')} " if timestamps else ""
            click.echo(when + log_text(line.message))


Line = api.LogRow | BuildLogLinesLines | BuildLinesOnDeploymentBuildLogNodes


def _ran(
    here: Here, instance: Instance, wanted: api.LogFilterInput, count: int, *, follow: bool
) -> Iterator[api.LogRow]:
    found = api.log_page(here.client, id=instance.id, filter=wanted, last=count)
    if found is None:
        raise here.missing(3)
    yield from found.logs.nodes
    if not follow:
        return
    position = found.logs.page_info.end_cursor

    def subscribe() -> Iterator[api.LogFeed]:
        return api.log_feed(here.client, instance_id=instance.id, filter=wanted, after=position)

    for event in resumed(subscribe):
        if event.gap:
            say("…lines are missing here: they are not kept any more, or were lost.")
        if event.dropped:
            say(f"…{event.dropped} lines are left out here: they came faster than they were read.")
        yield from event.lines
        position = event.cursor


def _deployment_id(here: Here, instance: Instance, number: int | None) -> str:
    """The newest without a number. Raises OutOfReach."""
    for row in deployments_of(here, instance):
        if number is None or row.number == number:
            return row.id
    raise OutOfReach(
        "There is no such deployment.", hint="See which there are: paas deployments list"
    )


def _built(here: Here, deployment_id: str) -> Iterator[BuildLinesOnDeploymentBuildLogNodes]:
    """What the build has written by now."""
    after: str | None = None
    while True:
        found = deployments.build_lines(here.client, id=deployment_id, after=after)
        log = found.build_log if found is not None else None
        if log is None:
            return
        yield from log.nodes
        if not log.page_info.has_next_page:
            return
        after = log.page_info.end_cursor
