"""Preview environments, from a real push to their end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.access.actor import Actor
from app.db import Database
from app.environments import previews
from app.environments import service as environments
from app.environments.reconcile import PreviewReconciler
from app.errors import Forbidden, PreconditionFailed
from app.instances.secrets import new_variable, open_value
from app.models import DeploymentStatus, Environment, EnvVar, Instance, PushStatus, Quota, Role
from app.reconcile.driver import Driver
from tests.factories import make_instance, make_user
from tests.git.world import GitWorld


async def _rule(world: GitWorld, actor: Actor | None = None, **values: Any) -> None:
    await world.environment("staging", "staging")
    async with world.database.write_transaction() as session:
        source = await session.scalar(
            select(Environment).where(
                Environment.project_id == world.placed.project.id, Environment.slug == "staging"
            )
        )
        assert source is not None
        await previews.set_rule(
            session,
            actor or world.actor,
            world.placed.project,
            **{"branch_pattern": "pr-*", "source": source, **values},
        )


async def _previews(world: GitWorld, *, ending: bool = False) -> list[Environment]:
    async with world.database.read_session() as session:
        statement = select(Environment).where(
            Environment.project_id == world.placed.project.id,
            Environment.preview_branch.is_not(None),
            Environment.deleted_at.is_not(None) if ending else Environment.deleted_at.is_(None),
        )
        return list(await session.scalars(statement.order_by(Environment.id)))


async def _reconcile(database: Database, world: GitWorld) -> None:
    await Driver(database, [PreviewReconciler(database, world.repositories)]).run_until_idle()


async def _set_expiry(world: GitWorld, at: datetime) -> None:
    async with world.database.write_transaction() as session:
        await session.execute(
            update(Environment).where(Environment.preview_branch.is_not(None)).values(expires_at=at)
        )


async def test_first_push_makes_the_environment_and_the_next_deploys_to_it(
    world: GitWorld,
) -> None:
    await _rule(world)
    clone = await world.clone()
    await clone.commit("first", a="1")
    async with world.worker():
        first = await clone.push("main:pr-12")
        await clone.commit("second", a="2")
        second = await clone.push("main:pr-12")
    assert first.status == second.status == 0, first
    assert "-----> The branch 'pr-12' has the preview environment pr-12" in first.remote
    assert not any("has the preview environment" in line for line in second.remote)
    (preview,) = await _previews(world)
    assert (preview.slug, preview.branch_pattern, preview.is_default) == ("pr-12", "pr-12", False)
    assert preview.expires_at is not None
    assert preview.expires_at > datetime.now(UTC) + timedelta(days=6)
    assert len(await world.deployments()) == 2


async def test_variables_are_sealed_anew_and_scale_is_copied_for_every_app(
    world: GitWorld,
) -> None:
    box = world.wiring.secret_box
    await _rule(world)
    staging = await make_instance(
        world.database,
        organization=world.organization,
        app="api",
        environment="staging",
        replicas=3,
    )
    async with world.database.write_transaction() as session:
        session.add(new_variable(box, staging.instance.id, "DSN", "secret", is_build=True))
    clone = await world.clone()
    await clone.commit("first", a="1")
    assert (await clone.push("-o", "no-wait", "main:pr-1")).status == 0
    (preview,) = await _previews(world)
    async with world.database.read_session() as session:
        copies = list(
            await session.scalars(select(Instance).where(Instance.environment_id == preview.id))
        )
        assert sorted(copy.replicas for copy in copies) == [1, 3]
        copied = next(copy for copy in copies if copy.app_id == staging.app.id)
        (row,) = await session.scalars(select(EnvVar).where(EnvVar.instance_id == copied.id))
        (original,) = await session.scalars(
            select(EnvVar).where(EnvVar.instance_id == staging.instance.id)
        )
    assert open_value(box, row) == "secret"
    assert row.is_build
    assert row.ciphertext != original.ciphertext
    assert row.digest != original.digest


async def test_deleted_branch_takes_its_environment_along(world: GitWorld) -> None:
    await _rule(world)
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main:pr-1", "main:pr-2")
    ran = await clone.push(":pr-1")
    said = "[paas] skipped: the branch 'pr-1' was deleted, and its environment pr-1 with it"
    assert said in ran.remote
    assert [row.slug for row in await _previews(world)] == ["pr-2"]
    again = await clone.push("-o", "no-wait", "main:pr-1")
    assert again.status == 0
    made = (await _previews(world))[-1]
    assert made.slug.startswith("pr-1-"), "the first one is still being stopped"


async def test_environment_stays_while_another_app_has_the_branch(world: GitWorld) -> None:
    await _rule(world)
    other = await make_instance(world.database, organization=world.organization, app="api")
    await make_instance(
        world.database, organization=world.organization, app="api", environment="staging"
    )
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main:pr-1")
    clone.remote = world.url(f"{world.organization}/storefront/{other.app.slug}")
    pushed = await clone.push("-o", "no-wait", "main:pr-1")
    assert pushed.status == 0, pushed
    assert len(await _previews(world)) == 1
    await clone.push(":pr-1")
    assert len(await _previews(world)) == 1
    clone.remote = world.url()
    await clone.push(":pr-1")
    assert await _previews(world) == []


async def test_beyond_the_limit_a_push_is_taken_and_skipped_and_says_so(world: GitWorld) -> None:
    await _rule(world, max_environments=2)
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main:pr-1", "main:pr-2")
    ran = await clone.push("main:pr-3")
    assert ran.status == 0
    (line,) = [line for line in ran.remote if line.startswith("[paas] skipped")]
    assert "storefront has 2 of at most 2 preview environments (pr-1, pr-2)" in line
    assert await world.repositories.read_ref(world.key, "refs/heads/pr-3") == sha
    assert len(await _previews(world)) == 2
    await clone.push(":pr-1")
    await clone.commit("more", a="2")
    assert (await clone.push("-o", "no-wait", "main:pr-3")).status == 0
    assert [row.slug for row in await _previews(world)] == ["pr-2", "pr-3"]


async def test_idle_preview_ends_and_one_in_use_does_not(
    world: GitWorld, database: Database
) -> None:
    await _rule(world, idle_hours=2)
    clone = await world.clone()
    await clone.commit("first", a="1")
    await clone.push("-o", "no-wait", "main:pr-1")
    past = datetime.now(UTC) - timedelta(minutes=1)
    await _set_expiry(world, past)
    await _reconcile(world.database, world)
    (kept,) = await _previews(world)
    assert kept.expires_at is not None
    assert kept.expires_at > past, "a deployment of a moment ago puts it off"
    (deployment,) = await world.deployments()
    await world.set_deployment(deployment, created_at=past - timedelta(hours=2))
    await _set_expiry(world, past)
    await _reconcile(world.database, world)
    assert await _previews(world) == []
    assert [row.slug for row in await _previews(world, ending=True)] == ["pr-1"]


async def test_waiting_push_that_fails_leaves_no_environment(world: GitWorld) -> None:
    await _rule(world)
    clone = await world.clone()
    await clone.commit("first", a="1")
    async with world.worker(DeploymentStatus.FAILED, failure_message="It crashed."):
        ran = await clone.push("-o", "wait", "main:pr-1")
    assert ran.status != 0
    assert await _previews(world) == []
    assert await world.repositories.branches(world.key) == {}


async def test_rule_is_no_way_to_secrets_that_its_author_may_not_read(world: GitWorld) -> None:
    viewer = await make_user(
        world.database,
        world.placed.organization,
        name=f"v of {world.organization}",
        role=Role.VIEWER,
    )
    with pytest.raises(Forbidden):
        await _rule(world, viewer)


async def test_author_who_lost_the_right_to_read_makes_no_more_previews(world: GitWorld) -> None:
    author = await make_user(
        world.database,
        world.placed.organization,
        name=f"d of {world.organization}",
        role=Role.DEVELOPER,
    )
    await _rule(world, author)
    async with world.database.write_transaction() as session:
        await session.execute(
            update(Environment)
            .where(Environment.project_id == world.placed.project.id, Environment.slug == "staging")
            .values(protected_for=[Role.OWNER.value])
        )
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push("main:pr-1")
    assert ran.status == 0
    assert any("may not read the variables of staging any more" in line for line in ran.remote)
    (push,) = await world.pushes()
    assert push.status is PushStatus.SKIPPED
    assert await _previews(world) == []


async def test_source_of_previews_cannot_be_deleted(world: GitWorld) -> None:
    await _rule(world)
    async with world.database.write_transaction() as session:
        staging = await session.scalar(
            select(Environment).where(
                Environment.project_id == world.placed.project.id, Environment.slug == "staging"
            )
        )
        assert staging is not None
        with pytest.raises(PreconditionFailed, match="copied from staging"):
            await environments.delete(session, world.actor, staging)


async def test_name_that_another_app_spells_is_left_to_it(world: GitWorld) -> None:
    await _rule(world)
    host = f"{world.organization}.storefront-web-pr-1"
    other = await make_instance(
        world.database,
        organization=world.organization,
        project="storefront-web",
        app="pr",
        environment="1",
    )
    base = world.wiring.settings.wildcard_base
    async with world.database.write_transaction() as session:
        await session.execute(
            update(Instance)
            .where(Instance.id == other.instance.id)
            .values(hostname=f"{host}.{base}")
        )
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push("-o", "no-wait", "main:pr-1")
    assert ran.status == 0, ran
    (preview,) = await _previews(world)
    assert preview.slug.startswith("pr-1-")
    assert len(await world.deployments()) == 1


async def test_quota_of_the_organization_holds_for_previews(world: GitWorld) -> None:
    await _rule(world)
    async with world.database.write_transaction() as session:
        session.add(Quota(holder=world.placed.organization.id, replicas=2))
    clone = await world.clone()
    await clone.commit("first", a="1")
    ran = await clone.push("main:pr-1")
    assert ran.status == 0
    assert any(line.startswith("[paas] skipped") for line in ran.remote), ran
    assert await _previews(world) == []
    assert await world.deployments() == []
    (push,) = await world.pushes()
    assert push.status is PushStatus.SKIPPED


async def test_two_apps_that_push_one_branch_at_once_share_one_environment(
    world: GitWorld,
) -> None:
    await _rule(world)
    await make_instance(world.database, organization=world.organization, app="api")
    await make_instance(
        world.database, organization=world.organization, app="api", environment="staging"
    )
    one, other = await world.clone(), await world.clone()
    other.remote = world.url(f"{world.organization}/storefront/api")
    for clone in (one, other):
        await clone.commit("first", a="1")
    pushed = await asyncio.gather(
        one.push("-o", "no-wait", "main:pr-1"), other.push("-o", "no-wait", "main:pr-1")
    )
    assert [ran.status for ran in pushed] == [0, 0], pushed
    assert len(await _previews(world)) == 1
