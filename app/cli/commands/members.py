"""``paas members``."""

from __future__ import annotations

from typing import cast

import click

from app.cli.client import organizations as api
from app.cli.commands.organizations import the as the_organization
from app.cli.output import json_option, print_json, say, table
from app.cli.pages import every
from app.cli.target import Here, acts_on

ROLES = ["owner", "admin", "developer", "viewer"]


@click.group()
def members() -> None:
    """Who belongs to an organization, and as what.

    \b
    paas members list --org acme
    paas members set ada developer --org acme
    paas members invite grace@example.com viewer --org acme
    """


@members.command("list")
@json_option
@acts_on("org")
def list_members(here: Here, as_json: bool) -> None:
    """Its members."""

    def page(after: str | None) -> api.MemberListMembers:
        found = api.member_list(here.client, organization=here.organization, after=after)
        if found is None:
            raise here.missing(1)
        return found.members

    found = list(every(page))
    if as_json:
        print_json(found)
        return
    rows = [(row.user.name, row.role.lower(), row.created_at) for row in found]
    table(["USER", "ROLE", "SINCE"], rows)


@members.command("set")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@acts_on("org")
def set_member(here: Here, user: str, role: str) -> None:
    """Add an existing user, or change a member's role."""
    found = the_organization(here, None)
    wanted = cast("api.Role", role.upper())
    member = api.MemberSetInput(organization_id=found.id, user=user, role=wanted)
    api.member_put(here.client, input=member)
    say(f"{user} is {role} in {found.slug}.")


@members.command("invite")
@click.argument("email")
@click.argument("role", type=click.Choice(ROLES))
@json_option
@acts_on("org")
def invite_member(here: Here, email: str, role: str, as_json: bool) -> None:
    """Invite a person who need not be a user yet. Prints the link for them, this once."""
    found = the_organization(here, None)
    wanted = api.MemberInviteInput(
        organization_id=found.id, email=email, role=cast("api.Role", role.upper())
    )
    made = api.member_invite(here.client, input=wanted)
    if as_json:
        print_json({"invitation": made.invitation, "link": made.link, "sent": made.sent})
        return
    click.echo(made.link)
    say("It was sent by mail, too." if made.sent else "Send it to them: it is good for one use.")


@members.command("remove")
@click.argument("user")
@acts_on("org")
def remove_member(here: Here, user: str) -> None:
    """Remove a member, or leave."""
    found = the_organization(here, None)
    api.member_drop(here.client, organization_id=found.id, user=user)
    say(f"{user} is no member of {found.slug} any more.")
