"""``paas status``, ``deployments``, ``open``."""

from __future__ import annotations

import sys
import time

import click

from app.cli.client import instances as api
from app.cli.client.instances import InstanceStatusOnInstance
from app.cli.client.shared import DeploymentRow
from app.cli.commands.deploying import deployments_of
from app.cli.failures import OutOfReach
from app.cli.follow import show
from app.cli.output import facts, json_option, print_json, say, table
from app.cli.target import Here, acts_on

_WATCH_SECONDS = 2.0


@click.command()
@click.option("--watch", "-w", is_flag=True, help="Show it anew every two seconds.")
@json_option
@acts_on("org", "project", "app", "env")
def status(here: Here, watch: bool, as_json: bool) -> None:
    """How the app is doing: its copies, what runs, and what happened last."""
    instance_id = here.instance().id
    while True:
        found = api.instance_status(here.client, id=instance_id)
        if found is None:
            raise here.missing(3)
        if watch and sys.stdout.isatty():
            click.clear()
        if as_json:
            print_json(found)
        else:
            _show(here, found)
        if not watch:
            return
        time.sleep(_WATCH_SECONDS)


def _show(here: Here, found: InstanceStatusOnInstance) -> None:
    scale, current = found.scale, found.current_deployment
    copies = "copy" if scale.replicas == 1 else "copies"
    facts(
        [
            ("App", here.path()),
            ("Environment", found.environment.slug),
            ("Status", found.status),
            ("URL", found.url),
            (
                "Scale",
                f"{scale.replicas} {copies} of {scale.cpu_millis} mCPU, {scale.memory_mb} MB",
            ),
            ("Runs", _what(current) if current else "nothing yet"),
        ]
    )
    if found.staged_changes is not None and current is not None:
        changes = found.staged_changes
        names = [each.name for each in changes.variables] + [each.name for each in changes.settings]
        say(f"Staged, and not deployed: {', '.join(names)}. Deploy it with: paas apply")
    if found.containers is None:
        say("The engine does not answer: what is known of the copies is missing.")
    elif found.containers:
        table(
            ["COPY", "STATE", "HEALTHY", "RESTARTS", "STARTED", "MESSAGE"],
            [
                (c.name, c.state, c.healthy, c.restarts, c.started_at, c.message)
                for c in found.containers
            ],
        )
    newest = next(iter(found.deployments.nodes), None)
    if newest is not None and (current is None or newest.id != current.id):
        say(f"The newest deployment is {newest.status.lower()}: {_what(newest)}.")


def _what(row: DeploymentRow) -> str:
    parts = [
        f"#{row.number}",
        (row.commit_sha or "")[:12],
        (row.commit_message or "").partition("\n")[0],
    ]
    return " ".join(part for part in parts if part)


@click.group()
def deployments() -> None:
    """What was deployed, and what became of it."""


@deployments.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@json_option
@acts_on("org", "project", "app", "env")
def list_deployments(here: Here, limit: int, as_json: bool) -> None:
    """Newest first."""
    found = [
        row for _, row in zip(range(limit), deployments_of(here, here.instance()), strict=False)
    ]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f"#{row.number}",
            row.status,
            row.trigger.lower().replace("_", " "),
            (row.commit_sha or "")[:12],
            (row.commit_message or "").partition("\n")[0],
            row.created_at,
            row.creator.name if row.creator else None,
        )
        for row in found
    ]
    table(["NUMBER", "STATUS", "BY", "COMMIT", "MESSAGE", "CREATED", "WHO"], rows)


@deployments.command("show")
@click.argument("number", type=int)
@json_option
@acts_on("org", "project", "app", "env")
def show_deployment(here: Here, number: int, as_json: bool) -> None:
    """One deployment, its steps, and why it failed if it did."""
    instance = here.instance()
    row = next((row for row in deployments_of(here, instance) if row.number == number), None)
    if row is None:
        raise OutOfReach(f"There is no deployment #{number} to {instance.environment}.")
    found = show(here.client, row.id)
    if as_json:
        print_json(found)
        return
    failure = found.failure
    facts(
        [
            ("Deployment", _what(found)),
            ("Status", found.status),
            ("Created", found.created_at),
            ("Finished", found.finished_at),
            *(
                (step.phase.title(), f"{step.status.lower()} {step.message or ''}".strip())
                for step in found.steps
            ),
            *([("Failure", failure.message), ("Next", failure.hint)] if failure else []),
        ]
    )
    for line in failure.log_tail if failure else ():
        say(f"       {line}")


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the address only.")
@acts_on("org", "project", "app", "env")
def open_app(here: Here, only_print: bool) -> None:
    """Open the app in a browser. In a pipe, print its address."""
    url = here.instance().url
    if only_print or not sys.stdout.isatty():
        click.echo(url)
        return
    say(f"Opening {url}")
    click.launch(url)
