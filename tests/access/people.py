"""One world, and everybody who may ask for something in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx2
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.routing import Mount

from app import rest
from app.access import members, project_members, users
from app.access.actor import OPERATOR, Actor
from app.access.find import place_of
from app.access.permissions import Permission
from app.apps import service as apps
from app.audit import guard
from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.environments import service as environments
from app.events.graphql import EVENTS
from app.graphql.asgi import graphql_app
from app.graphql.connection import encode_cursor
from app.instances.secrets import new_variable
from app.models import (
    App,
    AuditEntry,
    DeliveryStatus,
    Deployment,
    DeploymentStatus,
    DeploymentTrigger,
    Environment,
    Event,
    EventKind,
    Instance,
    Invitation,
    Membership,
    Organization,
    PreviewRule,
    Project,
    ProjectMembership,
    Push,
    PushStatus,
    Release,
    Remote,
    RemoteHost,
    Role,
    User,
    UserIdentity,
    UserSession,
    Webhook,
    WebhookDelivery,
)
from app.organizations import service as organizations
from app.ports.repositories import Repositories
from app.projects import service as projects
from app.settings import Settings
from app.tokens import service as tokens
from tests.factories import make_build, make_release
from tests.graphql.conftest import SHA, OneCommit, Platform

BASE = "apps.example.com"

WHO = (
    "anonymous",
    "stranger",
    "viewer",
    "developer",
    "admin",
    "owner",
    "member",
    "ci",
    "operator",
)
"""In the order of a row's letters. ``member`` is a developer of one project and nothing in the organization;
``ci`` a developer's token for deploying staging, and nothing else."""


class Undone(Database):
    """Whatever a request writes is checked as at its commit, and then rolled back: the world stays as it is."""

    @asynccontextmanager
    async def write_transaction(self) -> AsyncIterator[WriteSession]:
        async with self._write() as session:
            yield session
            await session.store_last()
            await session.flush()
            await session.run_sync(guard.require_entry)
            await session.rollback()


class Branches(OneCommit):
    """Every branch has the one commit."""

    async def resolve(self, key: str, ref: str) -> str | None:
        return SHA

    async def read_ref(self, key: str, ref: str) -> str | None:
        return SHA


@dataclass
class World:
    platform: Platform
    http: httpx2.AsyncClient
    ids: dict[str, str]
    """By the names that documents and paths have for them, ``$Instance``."""
    secrets: dict[str, str] = field(repr=False)

    async def all_actors(self) -> dict[str, Actor]:
        """Whoever has a token, as its requests are theirs."""
        async with self.platform.database.read_session() as session:
            return {
                who: (await tokens.identify(session, secret))[0]
                for who, secret in self.secrets.items()
            }

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None, who: str
    ) -> httpx2.Response:
        headers = {}
        if who in self.secrets:
            headers["Authorization"] = f"Bearer {self.secrets[who]}"
        return await self.http.request(method, path, json=body, headers=headers)

    async def graphql(
        self, document: str, who: str, *, ids: Mapping[str, str] | None = None
    ) -> Any:
        sent = {"query": filled(document, ids or self.ids)}
        return (await self.request("POST", "/graphql", sent, who)).json()


def filled(text: str, ids: Mapping[str, str]) -> str:
    for name in sorted(ids, key=len, reverse=True):
        text = text.replace(f"${name}", ids[name])
    return text


@dataclass(frozen=True)
class Built:
    acme: Organization
    storefront: Project
    web: App
    production: Environment
    staging: Environment
    people: Mapping[str, User]


async def build_world(database: Database, box: SecretBox) -> tuple[Built, dict[str, str]]:
    """acme/storefront/web in production, which is kept for admins, and in staging; acme/backoffice beside
    it; and mallory's evil."""
    async with database.write_transaction() as session:
        people = {
            name: await users.create(session, OPERATOR, name=name, is_admin=name == "operator")
            for name in WHO
            if name not in {"anonymous", "ci"}
        }
        acme = await organizations.create(session, OPERATOR, slug="acme", display_name="Acme")
        await organizations.create(session, _actor(people["stranger"]), slug="evil")
        for role in Role:
            await members.set_role(session, OPERATOR, acme, people[role.value], role)
        storefront = await projects.create(session, OPERATOR, acme, slug="storefront")
        await projects.create(session, OPERATOR, acme, slug="backoffice")
        developer = Role.DEVELOPER
        await project_members.set_role(session, OPERATOR, storefront, people["member"], developer)
        web = await apps.create(session, OPERATOR, storefront, slug="web", wildcard_base=BASE)
        await apps.create(session, OPERATOR, storefront, slug="worker", wildcard_base=BASE)
        staging = await environments.create(
            session,
            OPERATOR,
            storefront,
            slug="staging",
            branch_pattern="staging",
            wildcard_base=BASE,
        )
        production = await _environment(session, storefront, "production")
        await environments.protect(session, OPERATOR, production, [Role.ADMIN])
        built = Built(acme, storefront, web, production, staging, people)
    return built, await _secrets(database, built)


async def _secrets(database: Database, built: Built) -> dict[str, str]:
    secrets = {}
    async with database.write_transaction() as session:
        for name, user in built.people.items():
            _, secrets[name] = await tokens.create(session, user, "laptop")
        _, secrets["ci"] = await tokens.create(
            session,
            built.people["developer"],
            "ci",
            permissions=[Permission.DEPLOY],
            place=await place_of(session, built.staging),
        )
    return secrets


async def fill(database: Database, box: SecretBox, built: Built) -> dict[str, str]:
    """A push, a build, a release, two deployments and a variable in staging and in production."""
    ids = {
        "Organization": built.acme.id,
        "Project": built.storefront.id,
        "App": built.web.id,
        "Environment": built.staging.id,
        "ProtectedEnvironment": built.production.id,
        "User": built.people["owner"].id,
        "Beginning": encode_cursor(EVENTS, SimpleNamespace(id=0)),
    }
    build = await make_build(database, built.web)
    sealed = box.seal(b"secret", context="webhook")
    async with database.write_transaction() as session:
        push = Push(
            id="psh_" + "1" * 26,
            app_id=built.web.id,
            ref="refs/heads/main",
            before_sha="0" * 40,
            after_sha="1" * 40,
            status=PushStatus.DEPLOYED,
        )
        invitation = Invitation(
            id="inv_" + "1" * 26,
            organization_id=built.acme.id,
            email="new@example.com",
            role=Role.VIEWER,
            secret_hash=b"",
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )
        token, _ = await tokens.create(session, built.people["developer"], "phone")
        webhook = Webhook(
            id="whk_" + "1" * 26,
            organization_id=built.acme.id,
            url="https://8.8.8.8/",
            kinds=[],
            secret_ciphertext=sealed.ciphertext,
            key_id=sealed.key_id,
            cursor=0,
        )
        delivery = WebhookDelivery(
            id="whd_" + "1" * 26,
            webhook_id=webhook.id,
            kind="ping",
            body="{}",
            status=DeliveryStatus.FAILED,
        )
        remote = Remote(
            app_id=built.web.id,
            host=RemoteHost.GITHUB,
            url="https://8.8.8.8/web.git",
            hook_secret=sealed.ciphertext,
            hook_key_id=sealed.key_id,
        )
        user_id = built.people["developer"].id
        browser = UserSession(
            id="ses_" + "1" * 26,
            user_id=user_id,
            secret_hash=b"",
            address="192.0.2.1",
            user_agent="Browser",
            last_used_at=datetime.now(UTC),
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )
        identity = UserIdentity(
            id="idn_" + "1" * 26, user_id=user_id, issuer="https://id.example.com", subject="1"
        )
        session.add_all([push, invitation, webhook, remote, browser, identity])
        await session.flush()
        session.add(delivery)
        session.add(
            PreviewRule(
                project_id=built.storefront.id,
                branch_pattern="pr-*",
                slug_template="{branch}",
                source_environment_id=built.staging.id,
                max_environments=5,
            )
        )
    ids |= {"Build": build.id, "Push": push.id, "Invitation": invitation.id, "ApiToken": token.id}
    ids |= {"Session": browser.id, "Identity": identity.id}
    ids |= {"Webhook": webhook.id, "WebhookDelivery": delivery.id}
    async with database.read_session() as session:
        for kind in (Membership, ProjectMembership, AuditEntry):
            found = select(kind.__table__.c.id)
            if "organization_id" in kind.__table__.c:
                found = found.where(kind.__table__.c.organization_id == built.acme.id)
            ids[kind.__name__] = (await session.scalars(found)).all()[0]
    for prefix, environment in (("", built.staging), ("Protected", built.production)):
        async with database.read_session() as session:
            instance = await _instance(session, built.web, environment)
        releases = [await make_release(database, box, instance, build) for _ in range(2)]
        ids |= await _deploy(database, box, instance, releases, push, prefix)
    return ids


async def _deploy(
    database: Database,
    box: SecretBox,
    instance: Instance,
    releases: list[Release],
    push: Push,
    prefix: str,
) -> dict[str, str]:
    async with database.write_transaction() as session:
        row = await session.get_one(Instance, instance.id)
        row.deployment_count, row.current_release_id = 2, releases[1].id
        session.add(new_variable(box, instance.id, "KEY", "hunter2", is_build=False))
        deployments = [
            Deployment(
                id=f"dep_{number}{prefix[:1].lower() or 's'}" + "1" * 24,
                instance_id=instance.id,
                number=number,
                status=DeploymentStatus.SUCCEEDED,
                trigger=DeploymentTrigger.GIT_PUSH,
                push_id=push.id if number == 1 else None,
                build_id=release.build_id,
                release_id=release.id,
            )
            for number, release in enumerate(releases, start=1)
        ]
        session.add_all(deployments)
        scaled = {"kind": EventKind.SCALE_CHANGED, "organization_id": push.app_id}
        session.add_last(Event(**scaled, instance_id=instance.id, payload={}))
    return {
        f"{prefix}Instance": instance.id,
        f"{prefix}Release": releases[0].id,
        f"{prefix}Deployment": deployments[0].id,
    }


async def _environment(session: WriteSession, project: Project, slug: str) -> Environment:
    statement = select(Environment).where(
        Environment.project_id == project.id, Environment.slug == slug
    )
    return (await session.scalars(statement)).one()


async def _instance(session: Any, app: App, environment: Environment) -> Instance:
    statement = select(Instance).where(
        Instance.app_id == app.id, Instance.environment_id == environment.id
    )
    return cast("Instance", (await session.scalars(statement)).one())


def _actor(user: User) -> Actor:
    return Actor(user_id=user.id, name=user.name, is_admin=user.is_admin)


@asynccontextmanager
async def opened(database: Database, box: SecretBox, home: str) -> AsyncIterator[World]:
    built, secrets = await build_world(database, box)
    ids = await fill(database, box, built)
    undone = Undone(database.url)
    settings = Settings(home=home, wildcard_base=BASE, public_url="https://paas.example.com")
    platform = Platform(undone, box, cast("Repositories", Branches()), settings)
    app = Starlette(routes=[*rest.routes(platform), Mount("/graphql", app=graphql_app(platform))])
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://paas.example.com", follow_redirects=True
    ) as http:
        yield World(platform, http, ids, secrets)
    await undone.close()
