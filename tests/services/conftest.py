"""A small world: acme/storefront with its default environment, people of each role, and another tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from app.access import members, users
from app.access.actor import OPERATOR, Actor
from app.apps import service as apps
from app.db import Database, WriteSession
from app.environments import service as environments
from app.models import App, Environment, Organization, Project, Role
from app.organizations import service as organizations
from app.projects import service as projects

BASE = "apps.example.com"
Result = TypeVar("Result")


@dataclass
class World:
    database: Database
    owner: Actor
    admin: Actor
    developer: Actor
    viewer: Actor
    stranger: Actor
    """Owns another organization, and is no member of acme."""
    acme: Organization
    storefront: Project

    async def write(self, work: Callable[[WriteSession], Awaitable[Result]]) -> Result:
        async with self.database.write_transaction() as session:
            return await work(session)

    async def app(self, slug: str, *, project: Project | None = None) -> App:
        return await self.write(
            lambda session: apps.create(
                session, self.owner, project or self.storefront, slug=slug, wildcard_base=BASE
            )
        )

    async def environment(
        self, slug: str, *, pattern: str = "*", make_default: bool = False
    ) -> Environment:
        return await self.write(
            lambda session: environments.create(
                session,
                self.owner,
                self.storefront,
                slug=slug,
                branch_pattern=pattern,
                make_default=make_default,
                wildcard_base=BASE,
            )
        )

    async def project(self, slug: str, *, organization: Organization | None = None) -> Project:
        return await self.write(
            lambda session: projects.create(
                session, self.owner, organization or self.acme, slug=slug
            )
        )


async def blocked_or_done(database: Database, *tasks: asyncio.Task[Any]) -> None:
    """Until every task has ended or waits for a row that another transaction holds."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with database.engine.connect() as connection:
        for _ in range(1000):
            stuck = await connection.scalar(waiting) or 0
            await connection.rollback()
            if stuck + sum(task.done() for task in tasks) >= len(tasks):
                return
            await asyncio.sleep(0.01)
    raise TimeoutError("the tasks neither ended nor wait for a lock")


async def make_actor(session: WriteSession, name: str) -> Actor:
    user = await users.create(session, OPERATOR, name=name)
    return Actor(user_id=user.id, name=user.name)


@pytest.fixture
async def world(database: Database) -> World:
    async with database.write_transaction() as session:
        names = ("olga", "adam", "dora", "vera", "mallory")
        owner, admin, developer, viewer, stranger = [
            await make_actor(session, name) for name in names
        ]
        acme = await organizations.create(session, owner, slug="acme", display_name="Acme")
        await organizations.create(session, stranger, slug="evil")
        for actor, role in (
            (admin, Role.ADMIN),
            (developer, Role.DEVELOPER),
            (viewer, Role.VIEWER),
        ):
            user = await users.by_name(session, actor.name)
            await members.set_role(session, owner, acme, user, role)
        storefront = await projects.create(session, owner, acme, slug="storefront")
    return World(database, owner, admin, developer, viewer, stranger, acme, storefront)
