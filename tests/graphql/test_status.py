"""An instance's status and its running copies, from the engine and the router."""

from __future__ import annotations

import pytest

from app.crypto import SecretBox
from app.db import Database
from app.instances.status import InstanceStatus, status_of
from app.ports.scheduler import JobRef, RolloutStatus
from jobs.render import Artifact, JobInput, Scale, render, secrets_path_of
from tests.graphql.conftest import Api
from tests.graphql.test_reading import one_of_each
from tests.services.conftest import World

STATUS = """query ($i: ID!) { node(id: $i) { ... on Instance { status
  containers { name state healthy restarts oomKilled } } } }"""


@pytest.mark.parametrize(
    ("deleted", "deploying", "replicas", "healthy", "expected"),
    [
        (True, True, 2, 2, InstanceStatus.STOPPED),
        (False, True, None, None, InstanceStatus.DEPLOYING),
        (False, False, None, None, InstanceStatus.EMPTY),
        (False, False, 0, None, InstanceStatus.STOPPED),
        (False, False, 2, None, InstanceStatus.UNKNOWN),
        (False, False, 2, 3, InstanceStatus.RUNNING),
        (False, False, 2, 1, InstanceStatus.DEGRADED),
        (False, False, 2, 0, InstanceStatus.CRASHED),
    ],
)
def test_status_of(
    deleted: bool,
    deploying: bool,
    replicas: int | None,
    healthy: int | None,
    expected: InstanceStatus,
) -> None:
    found = status_of(deleted=deleted, deploying=deploying, replicas=replicas, healthy=healthy)
    assert found is expected


async def test_a_running_instance_and_one_whose_engine_is_away(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await one_of_each(world, database, secret_box)
    crashed = await api(STATUS, as_=world.viewer, i=ids["Instance"])
    assert crashed["node"] == {"status": "CRASHED", "containers": []}

    await run_release(api, ids)
    running = (await api(STATUS, as_=world.viewer, i=ids["Instance"]))["node"]
    assert running["status"] == "RUNNING"
    (container,) = running["containers"]
    assert (container["state"], container["healthy"]) == ("RUNNING", True)

    api.platform.scheduler.down = api.platform.ingress.down = True
    away = await api(STATUS, as_=world.viewer, i=ids["Instance"])
    assert away["node"] == {"status": "UNKNOWN", "containers": None}


async def run_release(api: Api, ids: dict[str, str]) -> None:
    """acme/storefront/worker in production, as its deployment would have registered it."""
    scheduler = api.platform.scheduler
    job = render(
        JobInput(
            platform="plt_test",
            organization="acme",
            project="storefront",
            app="worker",
            environment="production",
            instance_id=ids["Instance"],
            release_id=ids["Release"],
            release_number=1,
            commit_sha="c" * 40,
            hostnames=("acme.storefront-worker-production.apps.test",),
            container_port=8080,
            artifact=Artifact("slug", "https://x/slug", "5" * 64, "python3 main.py healthy"),
            scale=Scale(replicas=1, cpu_millis=100, memory_mb=64),
        ),
        await scheduler.capabilities(),
    )
    ref = JobRef("acme", "storefront-worker-production")
    await scheduler.ensure_namespace(ref.namespace)
    await scheduler.put_secrets(ref, secrets_path_of(ref.id, 1), {})
    await scheduler.submit(job, expected_index=0)
    observed = await scheduler.observe(ref)
    while observed.rollout is None or observed.rollout.status is not RolloutStatus.SUCCEEDED:
        observed = await scheduler.watch(ref, observed.cursor, timeout=5)
