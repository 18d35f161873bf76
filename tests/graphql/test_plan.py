"""``deploymentPlan``: the difference, and whether it will fit, before anything is applied."""

from __future__ import annotations

from app.crypto import SecretBox
from app.db import Database
from tests.factories import COMMIT
from tests.graphql.conftest import Api
from tests.graphql.test_access import rows_of
from tests.graphql.test_reading import one_of_each
from tests.services.conftest import World

PLAN = """query ($i: ID!, $d: ID) { deploymentPlan(input: {instanceId: $i, deploymentId: $d}) {
  commitBefore commitAfter fits reasons jobChanges
  changes { settings { name before after } variables { name kind } } } }"""


async def test_a_scale_that_is_staged_is_planned_and_told_that_it_does_not_fit(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await one_of_each(world, database, secret_box)
    await api(
        "mutation ($i: ID!) { scaleUpdate(instanceId: $i, input: {memoryMb: 900000, deploy: false}) { userErrors { message } } }",
        as_=world.owner,
        i=ids["Instance"],
    )
    before = await rows_of(database)
    plan = (await api(PLAN, as_=world.viewer, i=ids["Instance"]))["deploymentPlan"]
    assert plan["fits"] is False
    assert any("memory" in reason for reason in plan["reasons"])
    assert plan["commitBefore"] == plan["commitAfter"] == COMMIT
    assert plan["changes"]["settings"] == [{"name": "memoryMb", "before": 256, "after": 900000}]
    back = await api(PLAN, as_=world.viewer, i=ids["Instance"], d=ids["Deployment"])
    assert back["deploymentPlan"]["fits"] is True
    assert back["deploymentPlan"]["changes"] is None
    assert await rows_of(database) == before


async def test_the_plan_of_anothers_instance_is_not_found(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await one_of_each(world, database, secret_box)
    (error,) = await api.errors(PLAN, as_=world.stranger, i=ids["Instance"])
    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_with_the_engine_down_the_plan_says_so(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await one_of_each(world, database, secret_box)
    api.platform.scheduler.down = True
    (error,) = await api.errors(PLAN, as_=world.owner, i=ids["Instance"])
    assert error["extensions"]["code"] == "EXTERNAL_FAILURE"
