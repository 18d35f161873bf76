"""Image jobs of the embedded engine on a real Docker engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from app.ports.scheduler import Allocation, AllocationState, Observation, RolloutStatus
from jobs import Artifact
from tests.agent.machine import Machine
from tests.contract.world import SampleJob
from tests.engines.docker import DockerEngine

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SampleOn = Callable[[Machine], SampleJob]

SERVES = 'printf "%s|" "$GREETING"; echo; exec python3 -u -m http.server "$PORT"'


def status_is(status: RolloutStatus) -> Callable[[Observation], bool]:
    return lambda seen: seen.rollout is not None and seen.rollout.status is status


def only(seen: Observation) -> Allocation:
    (copy,) = seen.allocations
    return copy


@pytest.fixture
def containers(machine: Machine, docker_engine: DockerEngine) -> Callable[[], list[str]]:
    """Ids of this machine's containers, running or not."""
    label = f"label=paas.home={machine.home / 'agent'}"
    return lambda: docker_engine.run("ps", "-aq", "--filter", label).split()


async def gone(containers: Callable[[], list[str]]) -> None:
    """A copy's end is seen before what Docker kept of it is removed."""
    async with asyncio.timeout(20):
        while await asyncio.to_thread(containers):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def submit(
    sample: SampleJob, image: str, command: str, *, memory_mb: int = 64, deadline: int = 120
) -> None:
    """As release 1, with two lines of a secret."""
    job = sample.job(1, memory_mb=memory_mb, images=Artifact("image", image, command=command))
    job["TaskGroups"][0]["Update"]["HealthyDeadline"] = deadline * 1_000_000_000
    values = {"GREETING": "two\nlines"}
    await sample.scheduler.put_secrets(sample.ref, sample.secrets_path(1), values)
    await sample.scheduler.submit(job, expected_index=0)


async def test_an_image_runs_and_answers_and_leaves_nothing(
    machine: Machine,
    sample_on: SampleOn,
    docker_engine: DockerEngine,
    containers: Callable[[], list[str]],
) -> None:
    sample = sample_on(machine)
    assert (await machine.scheduler.capabilities()).images
    await submit(sample, docker_engine.base_image, SERVES)
    seen = await sample.until(status_is(RolloutStatus.SUCCEEDED))
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{only(seen).address}/") as response,
    ):
        assert response.status == 200
    tail = await sample.scheduler.log_tail(sample.ref, only(seen).id, lines=50)
    assert list(tail[:2]) == ["two", "lines|"]
    assert len(containers()) == 1
    limits = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}"
    shown = docker_engine.run("inspect", "--format", limits, *containers())
    assert shown == f"{64 << 20} 4096"

    await sample.scheduler.stop(sample.ref, purge=True)
    await sample.until(lambda seen: seen.modify_index == 0 and not seen.allocations)
    await gone(containers)


async def test_a_container_outlives_a_killed_agent_and_is_adopted(
    machine: Machine,
    sample_on: SampleOn,
    docker_engine: DockerEngine,
    containers: Callable[[], list[str]],
) -> None:
    sample = sample_on(machine)
    await submit(sample, docker_engine.base_image, SERVES)
    await sample.until(status_is(RolloutStatus.SUCCEEDED))
    before = containers()
    machine.kill_agent()
    await machine.start_agent()
    seen = await sample.until(lambda seen: sample.serving(seen, 1) == 1)
    assert containers() == before
    assert only(seen).restarts == 0
    docker_engine.run("kill", *before)
    seen = await sample.until(lambda seen: only(seen).restarts == 1 and only(seen).healthy)
    assert containers() != before


async def test_a_crashing_image_keeps_its_code_and_last_lines(
    machine: Machine,
    sample_on: SampleOn,
    docker_engine: DockerEngine,
    containers: Callable[[], list[str]],
) -> None:
    sample = sample_on(machine)
    await submit(sample, docker_engine.base_image, "echo no database >&2; exit 3")
    seen = await sample.until(status_is(RolloutStatus.FAILED))
    assert (only(seen).state, only(seen).exit_code) == (AllocationState.EXITED, 3)
    tail = await sample.scheduler.log_tail(sample.ref, only(seen).id, lines=5)
    assert tail[-1] == "no database"
    await gone(containers)


async def test_an_image_that_never_listens_is_not_taken_for_one_that_does(
    machine: Machine, sample_on: SampleOn, docker_engine: DockerEngine
) -> None:
    """Docker's proxy accepts connections on the published port whatever the app does."""
    sample = sample_on(machine)
    await submit(sample, docker_engine.base_image, "exec sleep 1000", deadline=2)
    seen = await sample.until(status_is(RolloutStatus.FAILED))
    assert seen.rollout
    assert "nothing listens" in seen.rollout.message
    assert only(seen).listening is False


async def test_an_image_that_needs_more_than_its_memory_is_said_to(
    machine: Machine, sample_on: SampleOn, docker_engine: DockerEngine
) -> None:
    sample = sample_on(machine)
    hungry = "exec python3 -c 'held = [b\"x\" * (1 << 20) for _ in range(1 << 20)]'"
    await submit(sample, docker_engine.base_image, hungry, memory_mb=16)
    seen = await sample.until(lambda seen: any(copy.oom_killed for copy in seen.allocations))
    assert "memory" in only(seen).message


async def test_an_image_that_is_nowhere_fails_in_words(
    machine: Machine, sample_on: SampleOn, docker_engine: DockerEngine
) -> None:
    sample = sample_on(machine)
    missing = "127.0.0.1:9/nothing/here:latest"
    await submit(sample, missing, SERVES)
    seen = await sample.until(status_is(RolloutStatus.FAILED))
    assert seen.rollout
    assert "Docker cannot run the app's image" in seen.rollout.message
