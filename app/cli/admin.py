"""``paas admin …``: what an operator does with a shell on the platform's machine. It acts on the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click

from app.access import find
from app.access.actor import OPERATOR
from app.access.permissions import Permission
from app.cli import users
from app.container import Container, open_container
from app.crypto import key_file, new_key
from app.errors import InProgress
from app.instances import rotation
from app.models import Project, Role
from app.projects import service
from app.settings import load_settings
from app.tokens.issue import Limits, issue
from app.up.admin_token import write_secret

_T = TypeVar("_T")

_PURGE_SECONDS = 120
_POLL_SECONDS = 0.2


@click.group()
def admin() -> None:
    """Users, tokens, purging, key rotation."""


@admin.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.option("--user", "user_name", default="admin", show_default=True, help="Made when missing.")
@click.option("--name", "token_name", default="cli", show_default=True, help="To know it by later.")
@click.option("--admin/--no-admin", "is_admin", default=None, help="A new user is an operator.")
@click.option("--org", help="Also make the user a member of this organization.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="developer")
@click.option("--project", help="Only for this project of --org.")
@click.option("--env", "environment", help="Only for this environment of --project.")
@click.option("--app", help="Only for this app of --project.")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice([permission.value for permission in Permission]),
    help="At most this; may be repeated. Without it: all that the user may.",
)
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Without it: never.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Write it here (mode 0600) instead."
)
def create_token(
    user_name: str,
    token_name: str,
    is_admin: bool | None,
    org: str | None,
    role: str,
    project: str | None,
    environment: str | None,
    app: str | None,
    permissions: tuple[str, ...],
    expires_in_days: int | None,
    output: Path | None,
) -> None:
    """Make a token and print its secret, this once.

    With --project, --env or --app it may do nothing anywhere else; with --permission, nothing else there.
    """

    async def act(container: Container) -> str:
        async with container.database.write_transaction() as session:
            slugs = (org, project, environment, app)
            place = await find.place_by_slugs(session, OPERATOR, *slugs)
            organization = place.organization if isinstance(place, find.Place) else place
            return await issue(
                session,
                user_name=user_name,
                token_name=token_name,
                is_admin=is_admin if is_admin is not None else organization is None,
                organization=organization,
                role=Role(role),
                limits=Limits(
                    permissions=[Permission(each) for each in permissions] or None,
                    place=place if isinstance(place, find.Place) else None,
                    lifetime=timedelta(days=expires_in_days) if expires_in_days else None,
                ),
            )

    secret = _run(act)
    if output is None:
        click.echo(secret)
        return
    write_secret(output, secret)
    click.echo(f"Written to {output}.")


@admin.command()
@click.argument("target", metavar="ORG/PROJECT")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(target: str, yes: bool) -> None:
    """Remove a deleted project, its apps and its repositories for good."""
    organization, separator, project = target.partition("/")
    if not separator:
        raise click.UsageError("Name it as ORG/PROJECT.")
    if not yes:
        click.confirm(f"Remove {target} with its history and repositories, for good?", abort=True)

    async def act(container: Container) -> None:
        async with container.database.write_transaction() as session:
            found = await find.project(session, OPERATOR, slugs=(organization, project))
            await service.purge(session, OPERATOR, found)
        await _until_gone(container, found.id)

    _run(act)
    click.echo(f"{target} is gone.")


async def _until_gone(container: Container, project_id: str) -> None:
    deadline = time.monotonic() + _PURGE_SECONDS
    while time.monotonic() < deadline:
        async with container.database.read_session() as session:
            if await session.get(Project, project_id) is None:
                return
        await asyncio.sleep(_POLL_SECONDS)
    raise InProgress(
        "It is marked, and a worker will remove it; that takes longer than I wait here.",
        hint="A worker must run (`paas up`, or `paas worker`), and its engine must answer.",
    )


@admin.command("rotate-key")
@click.option("--drop-old", is_flag=True, help="Instead: forget older keys that nothing uses.")
def rotate_key(drop_old: bool) -> None:
    """Encrypt every stored secret with a new key, while the platform runs.

    With a generated key file a new key is put in front of it. With PAAS_SECRET_KEY, put the new key
    in front yourself, restart the platform, and run this.
    """
    settings = load_settings()
    if not settings.secret_key and not drop_old:
        _put_in_front(key_file(settings), new_key())

    async def act(container: Container) -> int:
        box, database = container.secret_box, container.database
        count = await rotation.rotate(database, box)
        async with database.read_session() as session:
            if drop_old and await rotation.uses_other_keys(session, box.current_key_id):
                raise InProgress("Something was encrypted with an older key.", hint="Run it again.")
        return count

    click.echo(f"{_run(act)} secret(s) encrypted with the newest key.")
    if drop_old and not settings.secret_key:
        file = key_file(settings)
        write_secret(file, file.read_text().split()[0])
        click.echo("The older keys are forgotten.")


def _put_in_front(file: Path, key: str) -> None:
    """Older keys stay below it: they open what is not encrypted anew yet."""
    older = file.read_text() if file.exists() else ""
    write_secret(file, "\n".join([key, *older.split()]))


def _run(act: Callable[[Container], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        container = await open_container(load_settings(), role="admin")
        try:
            return await act(container)
        finally:
            await container.close()

    return asyncio.run(run())


admin.add_command(users.group(_run))
