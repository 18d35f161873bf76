"""How containers were, how they are, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.adapters.memory.cluster import Behaviour
from app.crypto import SecretBox
from app.db import Database
from app.events import queries
from app.events.containers import happened, known_of
from app.events.reconcile import ContainersReconciler
from app.events.words import sentence
from app.models import EventKind
from app.ports.scheduler import Allocation, AllocationState
from app.reconcile.lease import acquire
from tests.deployments.stage import Stage
from tests.factories import make_instance

RUNNING = Allocation("a1", "web[0]", "rel_1", AllocationState.RUNNING, healthy=True)
STARTING = replace(RUNNING, healthy=False)
PENDING = replace(STARTING, state=AllocationState.PENDING)
ENDED = replace(STARTING, state=AllocationState.EXITED)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, PENDING, []),
        (None, STARTING, ["started"]),
        (None, RUNNING, ["started", "healthy"]),
        (None, ENDED, []),
        (PENDING, RUNNING, ["started", "healthy"]),
        (STARTING, RUNNING, ["healthy"]),
        (RUNNING, RUNNING, []),
        (RUNNING, STARTING, ["unhealthy"]),
        (RUNNING, replace(STARTING, restarts=1, exit_code=1), ["crashed"]),
        (RUNNING, replace(RUNNING, restarts=3), ["crashed", "healthy"]),
        (RUNNING, replace(ENDED, exit_code=143), ["stopped"]),
        (RUNNING, replace(ENDED, exit_code=3), ["crashed"]),
        (RUNNING, replace(ENDED, exit_code=137, oom_killed=True), ["crashed"]),
        (RUNNING, replace(ENDED, state=AllocationState.LOST), ["crashed"]),
        (RUNNING, None, ["stopped"]),
        (PENDING, None, []),
        (ENDED, None, []),
    ],
)
def test_what_is_told(before: Allocation | None, now: Allocation | None, told: list[str]) -> None:
    known = [] if before is None else [known_of(before)]
    events = happened(known, [] if now is None else [now])
    assert [event.kind.value for event in events] == [f"container.{each}" for each in told]


async def _look(stage: Stage, instance_id: str) -> list[tuple[EventKind, object]]:
    """What was told of containers so far, after another look."""
    lease = await acquire(stage.database, "containers", instance_id, owner="test", seconds=5.0)
    try:
        await ContainersReconciler(stage.database, stage.scheduler).reconcile(instance_id, lease)
    finally:
        await lease.release()
    async with stage.database.read_session() as session:
        found = await queries.after(session, 0, instance_id=instance_id)
    return [
        (event.kind, event.payload["releaseId"])
        for event in found
        if event.kind.value.startswith("container.")
    ]


async def test_containers_of_a_deployment_are_told_of_once(
    database: Database, secret_box: SecretBox
) -> None:
    stage, placed = Stage(database, secret_box), await make_instance(database)
    await stage.push(placed, "c1")
    await stage.run()
    first = await _look(stage, placed.instance.id)
    assert [kind for kind, _ in first] == [
        EventKind.CONTAINER_STARTED,
        EventKind.CONTAINER_HEALTHY,
    ]
    assert await _look(stage, placed.instance.id) == first
    await stage.push(placed, "c2", behaviour=Behaviour.HEALTHY)
    await stage.run()
    then = (await _look(stage, placed.instance.id))[len(first) :]
    assert {kind for kind, release in then if release == first[0][1]} <= {
        EventKind.CONTAINER_STOPPED
    }
    assert EventKind.CONTAINER_STARTED in {kind for kind, _ in then}


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_event_is_said_in_a_sentence_whatever_its_payload_lacks(
    kind: EventKind,
) -> None:
    assert sentence(kind, {}).endswith(".")
