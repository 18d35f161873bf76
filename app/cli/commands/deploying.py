"""``paas deploy``, ``apply``, ``rollback``, ``promote``, ``cancel``, ``plan``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli import git
from app.cli.client import deployments as api
from app.cli.client.instances import apply as apply_staged
from app.cli.client.shared import DeploymentRow
from app.cli.failures import OutOfReach
from app.cli.follow import concluded
from app.cli.output import DETAIL, STEP, facts, json_option, print_json, say, spinner, wait_option
from app.cli.pages import every
from app.cli.target import Here, Instance, acts_on

_SHA = re.compile(r"[0-9a-f]{40}")


@click.command()
@click.argument("ref", required=False)
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def deploy(here: Here, ref: str | None, wait: bool, as_json: bool) -> None:
    """Deploy the files as they are here, or REF: a branch, tag or commit that was pushed.

    Without REF, the files of this clone go out with every change, committed or not; what .gitignore
    names stays here. No branch moves. Deploying what was committed is what `git push paas` is for.

    \b
    paas deploy                      these files, to the default environment
    paas deploy --env staging        these files, to staging
    paas deploy main --env staging   the branch main, as it was pushed
    """
    instance = here.instance()
    commit = ref if ref is not None and _SHA.fullmatch(ref) else None
    if ref is None:
        commit = _send_files(here, instance)
    elif commit is not None:
        ref = None
    asked = api.DeploymentCreateInput(instance_id=instance.id, ref=ref, commit_sha=commit)
    made = api.deployment_make(here.client, input=asked).deployment
    concluded(here.client, made, wait=wait, as_json=as_json)


def _send_files(here: Here, instance: Instance) -> str:
    """The commit that the platform now has of them."""
    with git.working_tree(Path.cwd()) as repository, spinner("Sending the files"):
        commit, changed = git.commit_of_files(repository)
        what = "the files as they are" if changed else f"commit {commit[:12]}"
        say(f"{STEP}Sending {what}")
        for secret in _looks_secret(repository, commit):
            say(f"{DETAIL}{secret} goes along: git does not ignore it.")
        ref = f"refs/paas/trees/{instance.environment}"
        git.push(repository, instance.git_remote_url, f"+{commit}:{ref}", here.host)
    return commit


def _looks_secret(repository: git.Repository, commit: str) -> list[str]:
    names = repository.git("ls-tree", "-r", "--name-only", "-z", commit).split("\x00")
    return [name for name in names if re.search(r"(^|/)\.env(\.local)?$", name)]


@click.command()
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def apply(here: Here, wait: bool, as_json: bool) -> None:
    """Deploy what was changed with --no-deploy: variables and scale, with the code in place."""
    made = apply_staged(here.client, id=here.instance().id).deployment
    concluded(here.client, made, wait=wait, as_json=as_json)


@click.command()
@click.argument("number", type=int, required=False)
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def rollback(here: Here, number: int | None, wait: bool, as_json: bool) -> None:
    """Go back to deployment NUMBER, or to the last one before what runs now that succeeded.

    Code, variables and scale of then, in one step and without building. They also become what is
    desired. `paas deployments list` shows the numbers.
    """
    instance = here.instance()
    target = _numbered(here, instance, number) if number else _before_current(here, instance)
    say(f"{STEP}Rolling back to #{target.number}")
    made = api.roll_back(here.client, id=target.id).deployment
    concluded(here.client, made, wait=wait, as_json=as_json)


@click.command()
@click.argument("to", metavar="TO_ENV")
@click.option("--number", "-n", type=int, help="Which deployment; the newest that succeeded.")
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def promote(here: Here, to: str, number: int | None, wait: bool, as_json: bool) -> None:
    """Deploy what runs in one environment (--env) to another, without building.

    It gets the variables and the scale of the environment it goes to.

    \b
    paas promote production --env staging
    """
    instance = here.instance()
    source = _numbered(here, instance, number) if number else _newest_good(here, instance)
    place = _environment_id(here, to)
    say(f"{STEP}Promoting #{source.number} of {instance.environment} to {to}")
    made = api.promote(here.client, id=source.id, to_environment_id=place).deployment
    concluded(here.client, made, wait=wait, as_json=as_json)


@click.command()
@click.argument("number", type=int, required=False)
@acts_on("org", "project", "app", "env")
def cancel(here: Here, number: int | None) -> None:
    """Cancel deployment NUMBER, or the one that is under way. What ran before is put back."""
    instance = here.instance()
    if number:
        target = _numbered(here, instance, number)
    else:
        newest = next(deployments_of(here, instance), None)
        if newest is None or newest.finished_at is not None:
            say("Nothing is being deployed.")
            return
        target = newest
    api.cancel(here.client, id=target.id)
    say(f"Cancelling deployment #{target.number} to {instance.environment}.")


@click.command()
@click.option("--rollback", "number", type=int, metavar="NUMBER", help="Plan to roll back to it.")
@click.option("--engine", is_flag=True, help="Also what the engine would change in the job.")
@json_option
@acts_on("org", "project", "app", "env")
def plan(here: Here, number: int | None, engine: bool, as_json: bool) -> None:
    """What a deployment of what is staged would change, and whether there is room. Changes nothing."""
    instance = here.instance()
    chosen = _numbered(here, instance, number).id if number else None
    asked = api.DeploymentPlanInput(instance_id=instance.id, deployment_id=chosen)
    found = api.plan(here.client, input=asked)
    if as_json:
        print_json(found)
        return
    facts(list(_plan_facts(found, engine=engine)))


def _plan_facts(found: api.Plan, *, engine: bool) -> Iterator[tuple[str, object]]:
    before, after = (found.commit_before or "")[:12], (found.commit_after or "")[:12]
    yield "Commit", after if before == after else f"{before or 'nothing'} → {after or 'nothing'}"
    changes = found.changes
    for each in changes.variables if changes else ():
        yield "Variable", f"{each.name} {each.kind.lower()}"
    for setting in changes.settings if changes else ():
        yield "Setting", f"{setting.name} {setting.before} → {setting.after}"
    if changes and changes.needs_build:
        yield "Build", "again: a variable that it sees differs"
    for line in found.job_changes if engine else ():
        yield "Engine", line
    yield "Fits", found.fits
    for reason in found.reasons:
        yield "Reason", reason


def deployments_of(here: Here, instance: Instance) -> Iterator[DeploymentRow]:
    """Newest first."""

    def page(after: str | None) -> api.DeploymentListOnInstanceDeployments:
        found = api.deployment_list(here.client, id=instance.id, first=20, after=after)
        if found is None:
            raise here.missing(3)
        return found.deployments

    return every(page)


def _numbered(here: Here, instance: Instance, number: int) -> DeploymentRow:
    """Raises OutOfReach."""
    for row in deployments_of(here, instance):
        if row.number == number:
            return row
    raise OutOfReach(
        f"There is no deployment #{number} to {instance.environment}.",
        hint=f"See which there are: paas deployments list --env {instance.environment}",
    )


def _newest_good(here: Here, instance: Instance) -> DeploymentRow:
    """Raises OutOfReach."""
    for row in deployments_of(here, instance):
        if row.status == "SUCCEEDED":
            return row
    raise OutOfReach(f"No deployment to {instance.environment} has succeeded yet.")


def _before_current(here: Here, instance: Instance) -> DeploymentRow:
    """Raises OutOfReach."""
    good = (row for row in deployments_of(here, instance) if row.status == "SUCCEEDED")
    current = next(good, None)
    for row in good:
        return row
    raise OutOfReach(
        f"There is nothing to roll back to in {instance.environment}: "
        + ("only one deployment succeeded." if current else "no deployment has succeeded yet.")
    )


def _environment_id(here: Here, slug: str) -> str:
    from app.cli.commands.environments import the as the_environment

    return the_environment(here, slug).id
