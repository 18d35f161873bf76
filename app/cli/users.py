"""``paas admin user …``: people who sign in in a browser."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from app.access.actor import OPERATOR
from app.access.users import by_name
from app.container import Container
from app.models import User
from app.users import service

Run = Callable[[Callable[[Container], Awaitable[Any]]], Any]


def group(run: Run) -> click.Group:
    """``run`` opens the container, does the work and closes it."""

    @click.group()
    def user() -> None:
        """People who sign in in a browser."""

    @user.command("create")
    @click.argument("name")
    @click.option("--email", help="May sign in with this instead of the name.")
    @click.option("--admin", "is_admin", is_flag=True, help="An operator of the platform.")
    def create(name: str, email: str | None, is_admin: bool) -> None:
        """Make a user, and print a link with which the password is set, once."""

        async def act(container: Container) -> str:
            async with container.database.write_transaction() as session:
                made = await service.create(
                    session, OPERATOR, name=name, email=email, is_admin=is_admin
                )
                return await _link(container, session, made)

        _show(run(act))

    @user.command("password")
    @click.argument("name")
    def password(name: str) -> None:
        """Print a link with which a user's password is set anew, once. Older links end.

        The first operator is named admin, whom `paas up` makes.
        """

        async def act(container: Container) -> str:
            async with container.database.write_transaction() as session:
                return await _link(container, session, await by_name(session, name))

        _show(run(act))

    return user


async def _link(container: Container, session: Any, user: User) -> str:
    settings = container.settings
    _, secret = await service.issue_link(session, settings, OPERATOR, user)
    return f"{settings.external_url}/auth/#password={secret}"


def _show(link: str) -> None:
    click.echo(link)
    if sys.stdout.isatty():
        click.echo("Open it in a browser to set the password. It is good for one use.", err=True)
