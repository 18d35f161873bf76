"""``paas envs``: not to be mixed up with ``paas env``, which is about variables."""

from __future__ import annotations

from typing import cast

import click

from app.cli.client import environments as api
from app.cli.client.environments import EnvironmentShowProjectEnvironment
from app.cli.commands.members import ROLES
from app.cli.commands.projects import the as the_project
from app.cli.failures import OutOfReach
from app.cli.output import facts, json_option, print_json, say, table
from app.cli.pages import every
from app.cli.target import Here, acts_on


@click.group()
def envs() -> None:
    """Environments: where apps run. The branch that is pushed decides which one.

    \b
    paas envs create staging --branch staging
    paas envs create preview --branch '*'
    paas envs match feature/x
    """


@envs.command("list")
@json_option
@acts_on("org", "project")
def list_envs(here: Here, as_json: bool) -> None:
    """Those of a project."""

    def page(after: str | None) -> api.EnvironmentListProjectEnvironments:
        found = api.environment_list(
            here.client, organization=here.organization, project=here.project, after=after
        )
        if found is None or found.project is None:
            raise here.missing(2)
        return found.project.environments

    found = list(every(page))
    if as_json:
        print_json(found)
        return
    table(
        ["NAME", "BRANCH", "DEFAULT", "DISPLAY NAME"],
        [(row.slug, row.branch_pattern, row.is_default, row.display_name) for row in found],
    )


@envs.command("show")
@click.argument("environment", metavar="ENV")
@json_option
@acts_on("org", "project")
def show_env(here: Here, environment: str, as_json: bool) -> None:
    """One environment, and how each app is doing in it."""
    found = the(here, environment)
    if as_json:
        print_json(found)
        return
    facts(
        [
            ("Name", found.slug),
            ("Display name", found.display_name),
            ("Branch", found.branch_pattern),
            ("Default", found.is_default),
            ("Protected for", ", ".join(role.lower() for role in found.protected_for or ())),
            *((each.app.slug, f"{each.status} {each.url}") for each in found.instances.nodes),
        ]
    )


@envs.command("match")
@click.argument("branch")
@json_option
@acts_on("org", "project")
def match(here: Here, branch: str, as_json: bool) -> None:
    """Where a push to BRANCH would go, and why."""
    found = api.branch_way(here.client, project_id=the_project(here, None).id, branch=branch)
    if found is None:
        raise here.missing(2)
    if as_json:
        print_json(found)
        return
    for each in found.environments:
        click.echo(each.slug)
    say(f"{found.reason[:1].upper()}{found.reason[1:]}.")


@envs.command("create")
@click.argument("environment", metavar="ENV")
@click.option(
    "--branch",
    required=True,
    metavar="PATTERN",
    help="Pushes to it deploy here: main, release-*, *",
)
@click.option("--name", help="As people see it.")
@click.option("--default", "make_default", is_flag=True, help="Make it the default.")
@acts_on("org", "project")
def create_env(
    here: Here, environment: str, branch: str, name: str | None, make_default: bool
) -> None:
    """Make an environment, with a place in it for each app of the project."""
    made = api.EnvironmentCreateInput(
        project_id=the_project(here, None).id,
        slug=environment,
        branch_pattern=branch,
        display_name=name,
        make_default=make_default,
    )
    api.environment_make(here.client, input=made)
    say(f"Created the environment {environment} ← {branch}.")


@envs.command("update")
@click.argument("environment", metavar="ENV")
@click.option("--branch", metavar="PATTERN", help="Which branches deploy here.")
@click.option("--name", help="As people see it.")
@click.option("--default", "make_default", is_flag=True, help="Make it the default.")
@acts_on("org", "project")
def update_env(
    here: Here, environment: str, branch: str | None, name: str | None, make_default: bool
) -> None:
    """Change what is given. What runs there goes on."""
    if not (branch or name or make_default):
        raise click.UsageError("Say what to change: --branch, --name or --default.")
    change = api.EnvironmentUpdateInput(
        branch_pattern=branch, display_name=name, make_default=make_default or None
    )
    api.environment_change(here.client, id=the(here, environment).id, input=change)
    say(f"Changed the environment {environment}.")


@envs.command("protect")
@click.argument("environment", metavar="ENV")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="It, and owners, may deploy there and use its variables; may be repeated.",
)
@click.option("--off", is_flag=True, help="Any role may that may elsewhere.")
@acts_on("org", "project")
def protect_env(here: Here, environment: str, roles: tuple[str, ...], off: bool) -> None:
    """Keep an environment for some roles.

    \b
    paas envs protect production --role admin
    """
    if off == bool(roles):
        raise click.UsageError("Say either which roles (--role), or --off.")
    kept = None if off else cast("list[api.Role]", [role.upper() for role in roles])
    api.environment_keep(here.client, id=the(here, environment).id, roles=kept)
    say(
        f"{environment} is " + ("for every role." if off else f"for {', '.join(roles)} and owners.")
    )


@envs.command("delete")
@click.argument("environment", metavar="ENV")
@click.option("--yes", is_flag=True, help="Do not ask.")
@acts_on("org", "project")
def delete_env(here: Here, environment: str, yes: bool) -> None:
    """Stop its apps and remove their variables, for good."""
    found = the(here, environment)
    if not yes:
        click.confirm(
            f"Stop every app in {environment}, and delete it for good?", abort=True, err=True
        )
    api.environment_remove(here.client, id=found.id, confirm=found.slug)
    say(f"Deleting the environment {environment}: its apps are stopped now.")


def the(here: Here, environment: str) -> EnvironmentShowProjectEnvironment:
    """Raises OutOfReach."""
    found = api.environment_show(
        here.client, organization=here.organization, project=here.project, environment=environment
    )
    if found is None or found.project is None:
        raise here.missing(2)
    if found.project.environment is None:
        raise OutOfReach(
            f"There is no environment {environment} in {here.path(2)}.",
            hint=f"See which there are: paas envs list --project {here.path(2)}",
        )
    return found.project.environment
