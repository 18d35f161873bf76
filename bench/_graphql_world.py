"""20 projects × 3 environments × 5 apps; each of the 300 instances was deployed ten times."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

from sqlalchemy import text, update

from app.db import Database, WriteSession
from app.ids import new_id
from app.models import (
    App,
    Build,
    BuildKind,
    BuildStatus,
    Deployment,
    DeploymentStatus,
    DeploymentTrigger,
    Environment,
    Instance,
    Membership,
    Organization,
    Project,
    Push,
    PushStatus,
    Release,
    Role,
    User,
)
from app.tokens import service as tokens

PROJECTS, APPS, HISTORY = 20, 5, 10
ENVIRONMENTS = ("preview", "production", "staging")
_DONE = datetime(2026, 11, 1, 12, 30, 15, 123456, tzinfo=UTC)


async def populate(database: Database) -> str:
    """The secret of a token of the organization's owner."""
    async with database.write_transaction() as session:
        user = User(id=new_id("usr"), name="ada")
        organization = Organization(id=new_id("org"), slug="acme", display_name="Acme")
        session.add_all([user, organization])
        await session.flush()
        session.add(
            Membership(
                id=new_id("mem"),
                organization_id=organization.id,
                user_id=user.id,
                role=Role.OWNER,
            )
        )
        _, secret = await tokens.create(session, user, "bench")
        for number in range(PROJECTS):
            await _project(session, organization, user, number)
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))
    return secret


async def _project(
    session: WriteSession, organization: Organization, user: User, number: int
) -> None:
    project = Project(
        id=new_id("prj"),
        organization_id=organization.id,
        slug=f"project-{number:02}",
        display_name=f"Project {number}",
    )
    session.add(project)
    await session.flush()
    apps = [
        App(id=new_id("app"), project_id=project.id, slug=f"app-{each}", display_name=f"App {each}")
        for each in range(APPS)
    ]
    environments = [
        Environment(
            id=new_id("env"),
            project_id=project.id,
            slug=slug,
            display_name=slug.title(),
            branch_pattern="main" if slug == "production" else slug,
            is_default=slug == "production",
        )
        for slug in ENVIRONMENTS
    ]
    session.add_all([*apps, *environments])
    await session.flush()
    for app, environment in product(apps, environments):
        await _instance(session, user, project, app, environment)


async def _instance(
    session: WriteSession, user: User, project: Project, app: App, environment: Environment
) -> None:
    instance = Instance(
        id=new_id("ins"),
        app_id=app.id,
        environment_id=environment.id,
        hostname=f"acme.{project.slug}-{app.slug}-{environment.slug}.apps.example.com",
        replicas=2,
    )
    session.add(instance)
    await session.flush()
    for number in range(1, HISTORY + 1):
        release = await _deployed(session, user, instance, number)
    await session.execute(
        update(Instance)
        .where(Instance.id == instance.id)
        .values(current_release_id=release.id, release_count=HISTORY, deployment_count=HISTORY)
    )


async def _deployed(session: WriteSession, user: User, instance: Instance, number: int) -> Release:
    sha = f"{number:040x}"
    build = Build(
        id=new_id("bld"),
        app_id=instance.app_id,
        commit_sha=sha,
        inputs_digest=new_id("x")[-20:],
        status=BuildStatus.SUCCEEDED,
        kind=BuildKind.SLUG,
        artifact="5" * 64,
        processes={},
        runtime={},
    )
    push = Push(
        id=new_id("psh"),
        app_id=instance.app_id,
        user_id=user.id,
        ref="refs/heads/main",
        before_sha="0" * 40,
        after_sha=sha,
        status=PushStatus.DEPLOYED,
    )
    release = Release(
        id=new_id("rel"),
        instance_id=instance.id,
        number=number,
        build_id=build.id,
        env_ciphertext=b"",
        key_id="k",
        env_digests={},
        replicas=2,
        cpu_millis=200,
        memory_mb=256,
        container_port=8080,
    )
    deployment = Deployment(
        id=new_id("dep"),
        instance_id=instance.id,
        number=number,
        status=DeploymentStatus.SUCCEEDED,
        trigger=DeploymentTrigger.GIT_PUSH,
        user_id=user.id,
        push_id=push.id,
        build_id=build.id,
        release_id=release.id,
        ref="refs/heads/main",
        commit_sha=sha,
        commit_message=f'Commit {number}: "a title" – and so on',
        started_at=_DONE,
        finished_at=_DONE,
    )
    session.add_all([build, push])
    await session.flush()
    session.add(release)
    await session.flush()
    session.add(deployment)
    await session.flush()
    return release
