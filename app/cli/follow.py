"""Watching a deployment until it has ended. Only this module knows how it is learned that something changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.cli.client.deployments import DeploymentShowOnDeployment, deployment_show
from app.cli.client.shared import DeploymentRow
from app.cli.client.transport import Client
from app.cli.failures import ClientFailure, OutOfReach
from app.cli.output import DETAIL, STEP, print_json, say, spinner

_POLL_SECONDS = 0.4
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


def until_ended(client: Client, deployment_id: str) -> DeploymentShowOnDeployment:
    """Says each step as it begins."""
    screen = _Screen()
    with spinner("Waiting for a worker") as doing:
        try:
            for found in _states(client, deployment_id):
                for line in screen.news(found):
                    say(line)
                doing(screen.current or "Waiting for a worker")
                if found.finished_at is not None:
                    return found
        except KeyboardInterrupt:
            say(f"{DETAIL}No longer watching; the deployment goes on. See it with: paas status")
            raise
    raise AssertionError("unreachable: the states of a deployment end with its end")


def show(client: Client, deployment_id: str) -> DeploymentShowOnDeployment:
    found = deployment_show(client, id=deployment_id)
    if found is None:
        raise OutOfReach("The deployment is gone: its environment or app was deleted.")
    return found


def _states(client: Client, deployment_id: str) -> Iterator[DeploymentShowOnDeployment]:
    while True:
        found = show(client, deployment_id)
        yield found
        if found.finished_at is not None:
            return
        time.sleep(_POLL_SECONDS)


@dataclass
class _Screen:
    """Turns states into lines that were not said before."""

    current: str = ""
    _said: set[str] = field(default_factory=set)

    def news(self, found: DeploymentShowOnDeployment) -> list[str]:
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


def _judge(found: DeploymentShowOnDeployment, *, quiet: bool) -> None:
    if found.status == "SUCCEEDED":
        if not quiet:
            import click

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
