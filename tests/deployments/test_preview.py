"""What a deployment would change, and whether it fits, before it is made."""

from __future__ import annotations

import pytest

from app.access.actor import Actor
from app.deployments.preview import DeploymentPlan, deployment_plan
from app.models import Deployment
from tests.deployments.stage import Stage
from tests.factories import Placed, make_user

A, B = "a" * 40, "b" * 40


@pytest.fixture
async def ada(stage: Stage, web: Placed) -> Actor:
    return await make_user(stage.database, web.organization)


async def planned(
    stage: Stage, ada: Actor, web: Placed, deployment: Deployment | None = None
) -> DeploymentPlan:
    instance = await stage.instance(web)
    return await deployment_plan(
        stage.database, ada, instance, stage.scheduler, stage.slugs, deployment=deployment
    )


async def test_a_first_deployment_is_planned_before_anything_was_built(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    plan = await planned(stage, ada, web)
    assert plan.fits
    assert (plan.code.before, plan.code.after) == (None, None)
    assert {change.name for change in plan.changes.settings} >= {"replicas", "memoryMb"}
    assert stage.scheduler.cluster.jobs == {}


async def test_staged_changes_are_named_and_no_value_is_shown(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    await stage.deployed(web, A)
    await stage.set_variable(web, "TOKEN", "hunter2")
    await stage.set_scale(web, replicas=3)
    plan = await planned(stage, ada, web)
    assert [(c.name, c.kind) for c in plan.changes.variables] == [("TOKEN", "added")]
    assert [(c.name, c.before, c.after) for c in plan.changes.settings] == [("replicas", 1, 3)]
    assert plan.fits
    assert plan.job_changes
    assert "hunter2" not in repr(plan)


async def test_a_scale_that_fits_nowhere_is_said_before_it_is_applied(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    running = await stage.deployed(web, A)
    await stage.set_scale(web, memory_mb=1_000_000)
    plan = await planned(stage, ada, web)
    assert not plan.fits
    assert any("memory" in reason for reason in plan.reasons)
    assert await stage.serves(web, running)


async def test_a_rollback_is_planned_with_what_that_deployment_ran_with(
    stage: Stage, web: Placed, ada: Actor
) -> None:
    first = await stage.deployed(web, A)
    await stage.set_scale(web, replicas=2)
    await stage.deployed(web, B)
    await stage.set_scale(web, replicas=5)
    plan = await planned(stage, ada, web, first)
    assert (plan.code.before, plan.code.after) == (B, A)
    assert [(c.name, c.before, c.after) for c in plan.changes.settings] == [("replicas", 2, 1)]
