"""No request fails while a healthy app is changed, or the engine restarts: real processes, real Traefik."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from app.adapters.local.ingress import LocalIngress
from app.ports.scheduler import Observation, RolloutStatus
from jobs.render import SECOND
from tests.agent.load import Load, load
from tests.agent.machine import Machine, until
from tests.contract.world import Behaviour, SampleJob

pytestmark = pytest.mark.slow

SampleOn = Callable[[Machine], SampleJob]


def ended(sample: SampleJob, number: int, status: RolloutStatus) -> Callable[[Observation], bool]:
    def met(seen: Observation) -> bool:
        rollout = seen.rollout
        return (
            rollout is not None
            and rollout.release_id == sample.release_id(number)
            and rollout.status is status
        )

    return met


@asynccontextmanager
async def under_load(machine: Machine, sample: SampleJob) -> AsyncIterator[Load]:
    """Release 1 is live and answers requests without a pause; afterwards none may have failed."""
    await sample.submit(1)
    await sample.until(ended(sample, 1, RolloutStatus.SUCCEEDED))
    async with load(machine.ingress, sample.hostname) as running:
        yield running
    assert running.failures == []
    assert running.answers["1"] > 0


async def deploy(sample: SampleJob, number: int, *, replicas: int = 1) -> None:
    await sample.submit(number, replicas=replicas)
    await sample.until(ended(sample, number, RolloutStatus.SUCCEEDED))


async def answered_by(running: Load, release: str) -> None:
    async def answered() -> bool:
        return running.latest == release

    await until(answered, f"release {release} answers")


async def test_updates_scaling_and_rollback_fail_no_request(
    routed_machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(routed_machine)
    async with under_load(routed_machine, sample) as running:
        await deploy(sample, 2)
        await answered_by(running, "2")
        await deploy(sample, 3, replicas=3)
        await deploy(sample, 4, replicas=1)
        await answered_by(running, "4")
        await deploy(sample, 1)
        await answered_by(running, "1")


async def test_an_old_copy_is_not_stopped_before_the_router_has_let_go_of_it(
    routed_machine: Machine, sample_on: SampleOn
) -> None:
    """With next to no shutdown delay, nothing but asking Traefik protects the requests."""
    sample = sample_on(routed_machine)
    async with under_load(routed_machine, sample) as running:
        for number in (2, 3, 4):
            job = sample.job(number)
            job["TaskGroups"][0]["Tasks"][0]["ShutdownDelay"] = SECOND // 20
            path = sample.secrets_path(number)
            await sample.scheduler.put_secrets(sample.ref, path, {})
            seen = await sample.scheduler.observe(sample.ref)
            await sample.scheduler.submit(job, expected_index=seen.modify_index)
            await sample.until(ended(sample, number, RolloutStatus.SUCCEEDED))
        await answered_by(running, "4")


async def test_a_failed_deploy_fails_no_request(
    routed_machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(routed_machine)
    async with under_load(routed_machine, sample) as running:
        await sample.submit(2, Behaviour.CRASHES)
        await sample.until(ended(sample, 2, RolloutStatus.FAILED))
        await sample.submit(3, Behaviour.SILENT)
        await sample.until(lambda seen: bool(sample.copies(seen, 3)))
        await deploy(sample, 4)
    assert set(running.answers) == {"1", "4"}


async def test_the_agent_killed_or_replaced_fails_no_request(
    routed_machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(routed_machine)
    async with under_load(routed_machine, sample) as running:
        routed_machine.kill_agent()
        await routed_machine.start_agent()
        await deploy(sample, 2)
        routed_machine.end_agent()
        await routed_machine.start_agent()
        await answered_by(running, "2")


async def test_the_agent_killed_in_the_middle_of_a_rollout_finishes_it_and_fails_no_request(
    routed_machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(routed_machine)
    async with under_load(routed_machine, sample) as running:
        for number, stage in ((2, 0.0), (3, 0.6), (4, 1.2), (5, 1.5), (6, 2.0)):
            await sample.submit(number)
            await asyncio.sleep(
                stage
            )  # any moment will do: this only spreads them over the rollout
            routed_machine.kill_agent()
            await routed_machine.start_agent()
            await sample.until(ended(sample, number, RolloutStatus.SUCCEEDED))
        await answered_by(running, "6")


async def test_an_app_that_is_down_answers_503_and_one_that_is_gone_404(
    routed_machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(routed_machine)
    await deploy(sample, 1)
    statuses: list[int] = []

    async def answers(status: int) -> bool:
        async with (
            aiohttp.ClientSession() as session,
            session.get(routed_machine.ingress, headers={"Host": sample.hostname}) as response,
        ):
            statuses.append(response.status)
        return statuses[-1] == status

    assert await answers(200)
    for process in routed_machine.app_processes():
        process.kill()
    await until(lambda: answers(503), "503 while it is down")
    await until(lambda: answers(200), "200 when it is back")
    await sample.scheduler.stop(sample.ref, purge=True)
    await until(lambda: answers(404), "404 when it is gone")
    assert set(statuses) <= {200, 502, 503, 404}


async def test_the_router_serves_the_current_release_and_then_nobody(
    routed_machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(routed_machine)
    ingress = LocalIngress(routed_machine.settings)
    try:
        await deploy(sample, 1)
        assert await ingress.serves(sample.hostname, sample.release_id(1))
        assert not await ingress.serves(sample.hostname, sample.release_id(2))
        assert not await ingress.serves("other.apps.test", sample.release_id(1))
        service = f"contract--{sample.ref.id}"
        assert list(await ingress.services()) == [service]
        assert [route.healthy for route in await ingress.routes(service)] == [True]

        await sample.scheduler.stop(sample.ref, purge=True)
        await sample.until(lambda seen: seen.modify_index == 0 and not seen.allocations)
        assert not await ingress.serves(sample.hostname, sample.release_id(1))
        assert list(await ingress.services()) == []
    finally:
        await ingress.close()
