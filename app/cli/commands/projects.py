"""``paas projects``."""

from __future__ import annotations

import click

from app.cli.client import projects as api
from app.cli.client.projects import ProjectShowProject
from app.cli.commands.organizations import the as the_organization
from app.cli.output import facts, json_option, print_json, say, table
from app.cli.pages import every
from app.cli.target import Here, acts_on


@click.group()
def projects() -> None:
    """Projects: apps that belong together, and the environments they run in.

    \b
    paas projects create storefront --org acme
    paas projects list --org acme
    """


@projects.command("list")
@click.option("--deleted", is_flag=True, help="Also those that are deleted and can be restored.")
@json_option
@acts_on("org")
def list_projects(here: Here, deleted: bool, as_json: bool) -> None:
    """Those of an organization."""

    def page(after: str | None) -> api.ProjectListProjects:
        found = api.project_list(
            here.client, organization=here.organization, include_deleted=deleted, after=after
        )
        if found is None:
            raise here.missing(1)
        return found.projects

    found = list(every(page))
    if as_json:
        print_json(found)
        return
    rows = [
        (row.slug, row.display_name, "deleted" if row.deleted_at else "live", row.created_at)
        for row in found
    ]
    table(["NAME", "DISPLAY NAME", "STATE", "CREATED"], rows)


@projects.command("show")
@click.argument("project", required=False, metavar="[PROJECT]")
@json_option
@acts_on("org", "project")
def show_project(here: Here, project: str | None, as_json: bool) -> None:
    """One project, its apps and environments."""
    found = the(here, project)
    if as_json:
        print_json(found)
        return
    environments = [
        f"{each.slug} ← {each.branch_pattern}{' (default)' if each.is_default else ''}"
        for each in found.environments.nodes
    ]
    facts(
        [
            ("Name", found.slug),
            ("Display name", found.display_name),
            ("Apps", ", ".join(each.slug for each in found.apps.nodes)),
            ("Environments", ", ".join(environments)),
            ("Created", found.created_at),
            *([("Deleted", found.deleted_at)] if found.deleted_at else []),
        ]
    )


@projects.command("create")
@click.argument("project")
@click.option("--name", help="As people see it.")
@acts_on("org")
def create_project(here: Here, project: str, name: str | None) -> None:
    """Make a project. It has one environment: production, deployed by pushes to main."""
    organization = the_organization(here, None)
    made = api.ProjectCreateInput(organization_id=organization.id, slug=project, display_name=name)
    api.project_make(here.client, input=made)
    say(
        f"Created the project {organization.slug}/{project}, with the environment production ← main."
    )


@projects.command("rename")
@click.argument("name")
@acts_on("org", "project")
def rename_project(here: Here, name: str) -> None:
    """Change how people see it."""
    found = the(here, None)
    change = api.ProjectUpdateInput(display_name=name)
    api.project_rename(here.client, id=found.id, input=change)
    say(f"{found.slug} is shown as {name}.")


@projects.command("delete")
@click.argument("project")
@click.option("--yes", is_flag=True, help="Do not ask.")
@acts_on("org")
def delete_project(here: Here, project: str, yes: bool) -> None:
    """Stop its apps and refuse pushes. `paas projects restore` brings it back."""
    found = the(here, project)
    if not yes:
        click.confirm(f"Stop every app of {project}, and delete it?", abort=True, err=True)
    api.project_remove(here.client, id=found.id)
    say(f"Deleted the project {project}. To bring it back: paas projects restore {project}")


@projects.command("restore")
@click.argument("project")
@acts_on("org")
def restore_project(here: Here, project: str) -> None:
    """Bring a deleted project back: what ran in it is started again."""
    api.project_bring_back(here.client, id=the(here, project).id)
    say(f"Restored the project {project}.")


def the(here: Here, project: str | None) -> ProjectShowProject:
    """The one named, or the one at hand. Raises OutOfReach."""
    here = here.at(here.organization, project) if project is not None else here
    found = api.project_show(here.client, organization=here.organization, project=here.project)
    if found is None or found.project is None:
        raise here.missing(2)
    return found.project
