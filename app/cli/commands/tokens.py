"""``paas tokens``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast, get_args

import click

from app.cli.client import viewer as api
from app.cli.commands.environments import the as the_environment
from app.cli.failures import NotSignedIn, OutOfReach
from app.cli.output import json_option, print_json, say, table
from app.cli.pages import every
from app.cli.target import Here, acts_on

PERMISSIONS = [each.lower().replace("_", "-") for each in get_args(api.Permission)]


@click.group()
def tokens() -> None:
    """Your API tokens, for CI and scripts.

    \b
    paas tokens create laptop
    paas tokens create ci --for 'acme/storefront/*/staging' --may deploy --days 90
    paas tokens revoke ci
    """


@tokens.command("list")
@json_option
@acts_on()
def list_tokens(here: Here, as_json: bool) -> None:
    """Those that are not revoked, newest first."""
    found = _all(here)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            row.name,
            row.secret_hint,
            row.reach or "everywhere",
            ", ".join(map(_shown, row.permissions)) if row.permissions is not None else "all",
            row.last_used_at or "never",
            row.expires_at or "never",
        )
        for row in found
    ]
    table(["NAME", "STARTS WITH", "FOR", "MAY", "LAST USED", "EXPIRES"], rows)


@tokens.command("create")
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 3650), help="It expires then; otherwise never.")
@click.option("--for", "reach", metavar="PATH", help="The one place where it may do anything.")
@click.option(
    "--may",
    "permissions",
    multiple=True,
    type=click.Choice(PERMISSIONS),
    help="What it may do at most; may be repeated.",
)
@json_option
@acts_on()
def create_token(
    here: Here,
    name: str,
    days: int | None,
    reach: str | None,
    permissions: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a token, and print its secret, this once.

    It may do what you may, or less. PATH is ORG, ORG/PROJECT, ORG/PROJECT/APP or ORG/PROJECT/APP/ENV, with
    * as the app for an environment with all of its apps. A token that may deploy may also push and read.

    \b
    paas tokens create ci --for 'acme/storefront/*/staging' --may deploy --days 90
    """
    until = datetime.now(UTC) + timedelta(days=days) if days else None
    wanted = api.TokenCreateInput(
        name=name,
        expires_at=until,
        permissions=_permissions(permissions),
        resource_id=_resource_id(here, reach) if reach else None,
    )
    made = api.token_make(here.client, input=wanted)
    if as_json:
        print_json({"secret": made.secret, "token": made.token})
        return
    click.echo(made.secret)
    say("It is shown this once: keep it where secrets are kept.")


@tokens.command("revoke")
@click.argument("token", metavar="NAME_OR_ID")
@acts_on()
def revoke_token(here: Here, token: str) -> None:
    """End a token at once."""
    found = [row for row in _all(here) if token in {row.name, row.id}]
    if len(found) > 1:
        ids = ", ".join(row.id for row in found)
        raise click.UsageError(f"Several of your tokens are called {token}. Say which: {ids}")
    if not found:
        raise OutOfReach(
            f"You have no token {token}.", hint="See which there are: paas tokens list"
        )
    api.token_end(here.client, id=found[0].id)
    say(f"The token {found[0].name} is revoked.")


def _permissions(chosen: tuple[str, ...]) -> list[api.Permission] | None:
    return cast("list[api.Permission]", [each.upper().replace("-", "_") for each in chosen]) or None


def _shown(permission: str) -> str:
    return permission.lower().replace("_", "-")


def _resource_id(here: Here, path: str) -> str:
    """Raises OutOfReach."""
    parts = path.split("/")
    if len(parts) == 4 and parts[2] == "*":
        return the_environment(here.at(*parts[:2]), parts[3]).id
    found = api.resource_find(here.client, path=path)
    if found is None:
        raise OutOfReach(
            f"There is no {path} that you may know of.",
            hint="Write ORG, ORG/PROJECT, ORG/PROJECT/APP or ORG/PROJECT/APP/ENV; or see: paas orgs list",
        )
    return found.id


def _all(here: Here) -> list[api.TokenRow]:
    def page(after: str | None) -> api.TokenListTokens:
        found = api.token_list(here.client, after=after)
        if found is None:
            raise NotSignedIn(
                f"The token for {here.host} is not valid.", hint="Sign in: paas login"
            )
        return found.tokens

    return list(every(page))
