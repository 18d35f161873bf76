"""Watching a deployment until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import click

from app.cli.client.deployments import (
    BuildLogLines,
    BuildLogLinesLines,
    DeploymentState,
    build_log_lines,
    deployment_changes,
    deployment_show,
)
from app.cli.client.shared import DeploymentRow
from app.cli.client.transport import Client
from app.cli.failures import ClientFailure, OutOfReach
from app.cli.live import resumed
from app.cli.output import DETAIL, STEP, print_json, say, spinner

_TITLES = {
    "BUILD": "Building",
    "RELEASE": "Making the release",
    "SCHEDULE": "Starting",
    "HEALTH_CHECK": "Checking health",
    "ROUTE": "Switching the router",
}


def concluded(
    client: Client, deployment: DeploymentRow | None, *, wait: bool, as_json: bool
) -> None:
    """The end of every command that queues a deployment. Raises ClientFailure when that did not succeed."""
    if deployment is None:
        if as_json:
            print_json({"deployment": None})
        else:
            say("Nothing had to be deployed.")
        return
    if not wait:
        found = show(client, deployment.id)
        say(f"{STEP}Queued deployment #{found.number} to {found.instance.environment.slug}")
        say(f"{DETAIL}Not waiting for it, as asked: paas status shows it.")
    else:
        found = until_ended(client, deployment.id)
    if as_json:
        print_json({"deployment": found})
    if wait:
        _judge(found, quiet=as_json)


def until_ended(client: Client, deployment_id: str) -> DeploymentState:
    """Says each step as it begins, and what a build writes."""
    screen = _Screen()
    with spinner("Waiting for a worker") as doing:
        try:
            while True:
                found = _until_built(client, deployment_id, screen, doing)
                if found.finished_at is not None:
                    return found
                for line in build_lines(client, deployment_id):
                    say(f"{DETAIL}{line.message}")
        except KeyboardInterrupt:
            say(f"{DETAIL}No longer watching; the deployment goes on. See it with: paas status")
            raise


def _until_built(
    client: Client, deployment_id: str, screen: _Screen, doing: Callable[[str], None]
) -> DeploymentState:
    """Until it has ended, or a build is under way whose log was not shown yet."""
    for found in resumed(lambda: deployment_changes(client, id=deployment_id)):
        for line in screen.news(found):
            say(line)
        doing(screen.current or "Waiting for a worker")
        if found.finished_at is not None or screen.begins_to_build(found):
            return found
    return show(client, deployment_id)


def build_lines(
    client: Client, deployment_id: str, after: str | None = None
) -> Iterator[BuildLogLinesLines]:
    """As they are written, until the build has ended."""
    position = after

    def subscribe() -> Iterator[BuildLogLines]:
        return build_log_lines(client, id=deployment_id, after=position)

    for event in resumed(subscribe):
        yield from event.lines
        position = event.cursor or position


def show(client: Client, deployment_id: str) -> DeploymentState:
    found = deployment_show(client, id=deployment_id)
    if found is None:
        raise OutOfReach("The deployment is gone: its environment or app was deleted.")
    return found


@dataclass
class _Screen:
    """Turns states into lines that were not said before."""

    current: str = ""
    _said: set[str] = field(default_factory=set)
    _build_seen: bool = False

    def begins_to_build(self, found: DeploymentState) -> bool:
        """Once: its log is shown then."""
        building = found.build is not None and found.build.status in {"QUEUED", "RUNNING"}
        begins, self._build_seen = building and not self._build_seen, self._build_seen or building
        return begins

    def news(self, found: DeploymentState) -> list[str]:
        lines: list[str] = []
        place = found.instance.environment.slug
        self._add(lines, f"{STEP}Deployment #{found.number} to {place}")
        for step in found.steps:
            if step.status in {"PENDING", "SKIPPED"}:
                continue
            self.current = _TITLES.get(step.phase, step.phase.title())
            self._add(lines, f"{STEP}{self.current}")
            if step.message:
                self._add(lines, f"{DETAIL}{step.message}")
        return lines

    def _add(self, lines: list[str], line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            lines.append(line)


def _judge(found: DeploymentState, *, quiet: bool) -> None:
    if found.status == "SUCCEEDED":
        if not quiet:
            click.echo(f"{STEP}Live at {found.instance.url}")
        return
    place, number = found.instance.environment.slug, found.number
    if found.failure is not None:
        for line in found.failure.log_tail:
            say(f"{DETAIL}{line}")
        raise ClientFailure(
            f"Deployment #{number} to {place} failed: {found.failure.message}",
            hint=found.failure.hint or f"See the build's log with: paas logs --build {number}",
        )
    if found.status == "SUPERSEDED" and found.superseded_by is not None:
        raise ClientFailure(
            f"Deployment #{number} to {place} gave way to #{found.superseded_by.number}.",
            hint="See how that one went: paas status",
        )
    raise ClientFailure(f"Deployment #{number} to {place} was cancelled.")
