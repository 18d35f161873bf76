"""Rows for tests that need a world to stand on, written straight to the tables.

Each ``make_…`` reuses what is already there under the same slugs, so a test names only what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update

from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.ids import new_id
from app.models import (
    App,
    Build,
    BuildKind,
    BuildStatus,
    Environment,
    Instance,
    Membership,
    Organization,
    Project,
    Release,
    Role,
    User,
)

COMMIT = "c0ffee" + "0" * 34
WILDCARD_BASE = "apps.test"


@dataclass(frozen=True)
class Placed:
    """One instance and everything above it."""

    organization: Organization
    project: Project
    environment: Environment
    app: App
    instance: Instance


async def make_instance(
    database: Database,
    *,
    organization: str = "acme",
    project: str = "storefront",
    app: str = "web",
    environment: str = "production",
    branch_pattern: str | None = None,
    replicas: int = 1,
    cpu_millis: int = 200,
    memory_mb: int = 256,
) -> Placed:
    """The pattern defaults to ``main`` for production, else to the environment's slug."""
    async with database.write_transaction() as session:
        an_organization = await _organization(session, organization)
        a_project = await _project(session, an_organization, project)
        pattern = branch_pattern or ("main" if environment == "production" else environment)
        an_environment = await _environment(session, a_project, environment, pattern)
        an_app = await _app(session, a_project, app)
        instance = Instance(
            id=new_id("ins"),
            app_id=an_app.id,
            environment_id=an_environment.id,
            hostname=f"{organization}.{project}-{app}-{environment}.{WILDCARD_BASE}",
            replicas=replicas,
            cpu_millis=cpu_millis,
            memory_mb=memory_mb,
        )
        session.add(instance)
        await session.flush()
        await session.refresh(instance)
    return Placed(an_organization, a_project, an_environment, an_app, instance)


async def make_user(
    database: Database, organization: Organization, *, name: str = "ada", role: Role = Role.OWNER
) -> Actor:
    async with database.write_transaction() as session:
        user = User(id=new_id("usr"), name=name)
        session.add(user)
        await session.flush()
        session.add(
            Membership(
                id=new_id("mem"), organization_id=organization.id, user_id=user.id, role=role
            )
        )
    return Actor(user_id=user.id, name=name)


async def make_build(
    database: Database,
    app: App,
    *,
    commit_sha: str = COMMIT,
    status: BuildStatus = BuildStatus.SUCCEEDED,
    kind: BuildKind = BuildKind.SLUG,
) -> Build:
    build = Build(
        id=new_id("bld"),
        app_id=app.id,
        commit_sha=commit_sha,
        inputs_digest=new_id("x")[-20:],
        status=status,
        kind=kind if status is BuildStatus.SUCCEEDED else None,
        artifact=_artifact(kind) if status is BuildStatus.SUCCEEDED else None,
        processes={"web": "python3 main.py healthy"} if kind is BuildKind.SLUG else {},
        runtime={},
    )
    async with database.write_transaction() as session:
        session.add(build)
    return build


async def make_release(
    database: Database,
    box: SecretBox,
    instance: Instance,
    build: Build,
    *,
    env: Mapping[str, str] | None = None,
    current: bool = True,
) -> Release:
    """A release as if an earlier deployment had frozen it; ``current`` as if that one had succeeded."""
    from app.deployments.releases import seal_environment

    async with database.write_transaction() as session:
        row = await session.get(Instance, instance.id, with_for_update=True)
        assert row is not None
        row.release_count += 1
        release = Release(
            id=new_id("rel"),
            instance_id=instance.id,
            number=row.release_count,
            build_id=build.id,
            replicas=row.replicas,
            cpu_millis=row.cpu_millis,
            memory_mb=row.memory_mb,
            container_port=8080,
        )
        seal_environment(release, env or {}, frozenset(), box)
        session.add(release)
        await session.flush()
        if current:
            await session.execute(
                update(Instance)
                .where(Instance.id == instance.id)
                .values(current_release_id=release.id)
            )
    return release


def _artifact(kind: BuildKind) -> str:
    return "5" * 64 if kind is BuildKind.SLUG else f"registry.test/web@sha256:{'6' * 64}"


async def _organization(session: WriteSession, slug: str) -> Organization:
    found = await session.scalar(select(Organization).where(Organization.slug == slug))
    if found is None:
        found = Organization(id=new_id("org"), slug=slug, display_name=slug)
        session.add(found)
        await session.flush()
    return found


async def _project(session: WriteSession, organization: Organization, slug: str) -> Project:
    found = await session.scalar(
        select(Project).where(Project.organization_id == organization.id, Project.slug == slug)
    )
    if found is None:
        found = Project(
            id=new_id("prj"), organization_id=organization.id, slug=slug, display_name=slug
        )
        session.add(found)
        await session.flush()
    return found


async def _environment(
    session: WriteSession, project: Project, slug: str, pattern: str
) -> Environment:
    found = await session.scalar(
        select(Environment).where(Environment.project_id == project.id, Environment.slug == slug)
    )
    if found is None:
        found = Environment(
            id=new_id("env"),
            project_id=project.id,
            slug=slug,
            display_name=slug,
            branch_pattern=pattern,
            is_default=slug == "production",
        )
        session.add(found)
        await session.flush()
    return found


async def _app(session: WriteSession, project: Project, slug: str) -> App:
    found = await session.scalar(select(App).where(App.project_id == project.id, App.slug == slug))
    if found is None:
        found = App(id=new_id("app"), project_id=project.id, slug=slug, display_name=slug)
        session.add(found)
        await session.flush()
    return found
