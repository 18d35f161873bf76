"""``paas apps``."""

from __future__ import annotations

import click

from app.cli.client import apps as api
from app.cli.client.apps import AppShowProjectApp
from app.cli.commands.projects import the as the_project
from app.cli.output import facts, json_option, print_json, say, table
from app.cli.pages import every
from app.cli.target import Here, acts_on


@click.group()
def apps() -> None:
    """Apps: code with one git remote, in every environment of its project.

    \b
    paas apps create web --project acme/storefront
    paas apps show web
    """


@apps.command("list")
@json_option
@acts_on("org", "project")
def list_apps(here: Here, as_json: bool) -> None:
    """Those of a project."""

    def page(after: str | None) -> api.AppListProjectApps:
        found = api.app_list(
            here.client, organization=here.organization, project=here.project, after=after
        )
        if found is None or found.project is None:
            raise here.missing(2)
        return found.project.apps

    found = list(every(page))
    if as_json:
        print_json(found)
        return
    table(
        ["NAME", "DISPLAY NAME", "GIT REMOTE"],
        [(row.slug, row.display_name, row.git_remote_url) for row in found],
    )


@apps.command("show")
@click.argument("app", required=False, metavar="[APP]")
@json_option
@acts_on("org", "project", "app")
def show_app(here: Here, app: str | None, as_json: bool) -> None:
    """One app: its remote, and how it is doing in each environment."""
    found = the(here, app)
    if as_json:
        print_json(found)
        return
    facts(
        [
            ("Name", found.slug),
            ("Display name", found.display_name),
            ("Container port", found.container_port),
            ("Git remote", found.git_remote_url),
            *(
                (each.environment.slug, f"{each.status} {each.url}")
                for each in found.instances.nodes
            ),
        ]
    )


@apps.command("create")
@click.argument("app")
@click.option("--name", help="As people see it.")
@click.option(
    "--container-port", type=int, default=8080, show_default=True, help="Where an image listens."
)
@acts_on("org", "project")
def create_app(here: Here, app: str, name: str | None, container_port: int) -> None:
    """Make an app. Then link a directory to it: paas init ORG/PROJECT/APP"""
    made = api.AppCreateInput(
        project_id=the_project(here, None).id,
        slug=app,
        display_name=name,
        container_port=container_port,
    )
    created = api.app_make(here.client, input=made).app
    say(f"Created the app {here.path(2)}/{app}.")
    if created is not None:
        say(f"Its git remote is {created.git_remote_url}")


@apps.command("update")
@click.option("--name", help="As people see it.")
@click.option(
    "--container-port", type=int, help="Where an image listens; from the next release on."
)
@acts_on("org", "project", "app")
def update_app(here: Here, name: str | None, container_port: int | None) -> None:
    """Change what is given."""
    if name is None and container_port is None:
        raise click.UsageError("Say what to change: --name or --container-port.")
    found = the(here, None)
    change = api.AppUpdateInput(display_name=name, container_port=container_port)
    api.app_change(here.client, id=found.id, input=change)
    say(f"Changed the app {found.slug}.")


@apps.command("delete")
@click.argument("app")
@click.option("--yes", is_flag=True, help="Do not ask.")
@acts_on("org", "project")
def delete_app(here: Here, app: str, yes: bool) -> None:
    """Stop it everywhere, then remove its repository and releases, for good."""
    found = the(here, app)
    if not yes:
        click.confirm(f"Stop {app} everywhere, and delete it for good?", abort=True, err=True)
    api.app_remove(here.client, id=found.id, confirm=found.slug)
    say(f"Deleting the app {app}: it is stopped now.")


def the(here: Here, app: str | None) -> AppShowProjectApp:
    """The one named, or the one at hand. Raises OutOfReach."""
    here = here.at(here.organization, here.project, app) if app is not None else here
    found = api.app_show(
        here.client, organization=here.organization, project=here.project, app=here.app
    )
    if found is None or found.project is None:
        raise here.missing(2)
    if found.project.app is None:
        raise here.missing(3)
    return found.project.app
