"""Pushing with the real git client."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from app.models import (
    Build,
    BuildLogLine,
    BuildStatus,
    DeploymentPhase,
    DeploymentStatus,
    DeploymentStep,
    PushStatus,
    StepStatus,
)
from tests.git.world import GitWorld, run_git


async def test_push_to_a_matching_branch_deploys_and_ends_with_the_url(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", Procfile="web: true\n")
    async with world.worker():
        ran = await clone.push("main")
    assert ran.status == 0, ran
    assert f"-----> Deploying {sha[:12]} to production (#1)" in ran.remote
    url = f"http://{world.organization}.storefront-web-production.apps.test:7080"
    assert f"-----> Live at {url}" in ran.remote
    (push,) = await world.pushes()
    assert (push.status, push.ref, push.after_sha) == (
        PushStatus.DEPLOYED,
        "refs/heads/main",
        sha,
    )
    (deployment,) = await world.deployments()
    assert (deployment.commit_sha, deployment.commit_message) == (sha, "first")
    assert await world.repositories.branches(world.key) == {"main": sha}


async def test_push_to_a_branch_of_no_environment_is_skipped_with_a_reason(
    world: GitWorld,
) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    ran = await clone.push("main:feature/x")
    assert ran.status == 0, ran
    reason = "no environment deploys the branch 'feature/x' (production deploys 'main')"
    assert ran.remote == [f"[paas] skipped: {reason}"]
    (push,) = await world.pushes()
    assert (push.status, push.reason) == (PushStatus.SKIPPED, reason)
    assert await world.deployments() == []
    assert await world.repositories.branches(world.key) == {"feature/x": sha}


async def test_what_was_pushed_can_be_cloned_and_fetched(world: GitWorld) -> None:
    clone = await world.clone()
    first = await clone.commit("first", a="1")
    await clone.push("main:topic")
    folder = world.folder()
    ran = await run_git("clone", "-q", "-b", "topic", world.url(), str(folder), cwd=world.scratch)
    assert ran.status == 0, ran
    second = await clone.commit("second", a="2")
    await clone.push("main:topic")
    ran = await run_git("pull", "-q", cwd=folder)
    assert ran.status == 0, ran
    ran = await run_git("log", "--format=%H", cwd=folder)
    assert ran.out.split() == [second, first]


async def test_failed_deployment_is_explained_and_the_push_stands(world: GitWorld) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    failed = {
        "failure_message": "The app ended by itself.",
        "failure_hint": "Look at its log.",
        "failure_log_tail": ["boom"],
    }
    async with world.worker(DeploymentStatus.FAILED, **failed):
        ran = await clone.push("main")
    assert ran.status == 0, ran
    assert " !     Deployment #1 to production failed: The app ended by itself." in ran.remote
    assert " !     Look at its log." in ran.remote
    assert "       boom" in ran.remote
    assert await world.repositories.branches(world.key) == {"main": sha}


async def test_build_that_was_there_is_named_instead_of_printing_its_log_again(
    world: GitWorld,
) -> None:
    clone = await world.clone()
    sha = await clone.commit("first", a="1")
    build = Build(
        id=f"bld_{world.organization}",
        app_id=world.placed.app.id,
        commit_sha=sha,
        inputs_digest="none",
        status=BuildStatus.SUCCEEDED,
        finished_at=datetime(2026, 11, 24, 11, 40, 12, tzinfo=UTC),
    )
    async with world.database.write_transaction() as session:
        session.add(build)
        await session.flush()
        session.add(BuildLogLine(build_id=build.id, number=0, text="Installing dependencies"))
    pushing = asyncio.create_task(clone.push("main"))
    (deployment,) = await world.queued()
    async with world.database.write_transaction() as session:
        session.add(
            DeploymentStep(
                deployment_id=deployment.id,
                phase=DeploymentPhase.BUILD,
                status=StepStatus.SKIPPED,
            )
        )
    ended = {"status": DeploymentStatus.SUCCEEDED, "build_id": build.id}
    await world.set_deployment(deployment, **ended)
    ran = await pushing
    assert f"       Using the build of {sha[:12]} made at 2026-11-24 11:40:12 UTC" in ran.remote
    assert not any("Installing dependencies" in line for line in ran.remote)
