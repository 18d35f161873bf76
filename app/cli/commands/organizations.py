"""``paas orgs``."""

from __future__ import annotations

import click

from app.cli.client import organizations as api
from app.cli.client.organizations import OrganizationRow
from app.cli.output import facts, json_option, print_json, say, table
from app.cli.pages import every
from app.cli.target import Here, acts_on


@click.group()
def orgs() -> None:
    """Organizations: they own projects, and have members.

    \b
    paas orgs create acme --name "Acme Ltd."
    paas orgs list
    """


@orgs.command("list")
@json_option
@acts_on()
def list_orgs(here: Here, as_json: bool) -> None:
    """Those that you are a member of; for an operator, all."""
    found = list(every(lambda after: api.organization_list(here.client, after=after)))
    if as_json:
        print_json(found)
        return
    table(
        ["NAME", "DISPLAY NAME", "YOUR ROLE"],
        [(row.slug, row.display_name, _role(row)) for row in found],
    )


@orgs.command("show")
@click.argument("organization", required=False, metavar="[ORG]")
@json_option
@acts_on("org")
def show_org(here: Here, organization: str | None, as_json: bool) -> None:
    """One organization."""
    found = the(here, organization)
    if as_json:
        print_json(found)
        return
    facts(
        [
            ("Name", found.slug),
            ("Display name", found.display_name),
            ("Your role", _role(found)),
            ("Created", found.created_at),
        ]
    )


@orgs.command("create")
@click.argument("organization", metavar="ORG")
@click.option("--name", help="As people see it.")
@acts_on()
def create_org(here: Here, organization: str, name: str | None) -> None:
    """Make an organization; you are its first owner. ORG is in its hostnames, and never changes."""
    made = api.OrganizationCreateInput(slug=organization, display_name=name)
    api.organization_make(here.client, input=made)
    say(f"Created the organization {organization}.")


@orgs.command("rename")
@click.argument("name")
@acts_on("org")
def rename_org(here: Here, name: str) -> None:
    """Change how people see it."""
    found = the(here, None)
    change = api.OrganizationUpdateInput(display_name=name)
    api.organization_rename(here.client, id=found.id, input=change)
    say(f"{found.slug} is shown as {name}.")


@orgs.command("delete")
@click.argument("organization", metavar="ORG")
@click.option("--yes", is_flag=True, help="Do not ask.")
@acts_on()
def delete_org(here: Here, organization: str, yes: bool) -> None:
    """At once and for good. Refused while it has projects, also deleted ones."""
    found = the(here, organization)
    if not yes:
        click.confirm(f"Delete the organization {organization} for good?", abort=True, err=True)
    api.organization_remove(here.client, id=found.id, confirm=found.slug)
    say(f"Deleted the organization {organization}.")


def the(here: Here, organization: str | None) -> OrganizationRow:
    """The one named, or the one at hand. Raises OutOfReach."""
    if organization is not None:
        here = here.at(organization)
    found = api.organization_show(here.client, organization=here.organization)
    if found is None:
        raise here.missing(1)
    return found


def _role(row: OrganizationRow) -> str:
    return row.viewer_role.lower() if row.viewer_role else "operator"
