"""The one suite that every Ingress must pass: the fake, the embedded engine's, and Consul's with Traefik.

What a router knows trails what the scheduler did, so each promise is of what comes true in the end, and
some of what must never be true on the way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from app.ports.ingress import Ingress, Route
from app.ports.scheduler import Observation, RolloutStatus
from jobs.render import service_name_of
from tests.contract.world import Behaviour, SampleJob, World

UNKNOWN = "contract--nothing-of-this-name"


def service_of(sample: SampleJob) -> str:
    return service_name_of(sample.ref.namespace, sample.ref.id)


def succeeded(sample: SampleJob, number: int) -> Callable[[Observation], bool]:
    return lambda seen: (
        seen.rollout is not None
        and seen.rollout.release_id == sample.release_id(number)
        and seen.rollout.status is RolloutStatus.SUCCEEDED
    )


async def live(sample: SampleJob, number: int, *, replicas: int = 1) -> Observation:
    await sample.submit(number, replicas=replicas)
    return await sample.until(succeeded(sample, number))


async def eventually(met: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not await met():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)


async def healthy(ingress: Ingress, service: str) -> list[Route]:
    return [route for route in await ingress.routes(service) if route.healthy]


async def test_what_nobody_registered_has_no_routes(world: World) -> None:
    assert list(await world.ingress.routes(UNKNOWN)) == []
    assert UNKNOWN not in await world.ingress.services()
    assert not await world.ingress.serves("nothing.apps.test", "rel_nothing")


async def test_a_live_release_is_served_by_each_of_its_copies(sample: SampleJob) -> None:
    ingress, service = sample.world.ingress, service_of(sample)
    seen = await live(sample, 1, replicas=2)

    async def both() -> bool:
        return len(await healthy(ingress, service)) == 2

    await eventually(both, "two healthy routes")
    routes = await healthy(ingress, service)
    assert {route.allocation_id for route in routes} == {copy.id for copy in seen.allocations}
    assert {route.service for route in routes} == {service}
    assert all(route.address.rpartition(":")[2].isdigit() for route in routes)
    assert service in await ingress.services()

    async def served() -> bool:
        return await ingress.serves(sample.hostname, sample.release_id(1))

    await eventually(served, "release 1 is served")


async def test_only_its_own_hostname_and_release_count_as_served(sample: SampleJob) -> None:
    ingress = sample.world.ingress
    await live(sample, 1)

    async def served() -> bool:
        return await ingress.serves(sample.hostname, sample.release_id(1))

    await eventually(served, "release 1 is served")
    assert not await ingress.serves(f"x{sample.hostname}", sample.release_id(1))
    assert not await ingress.serves(sample.hostname.removeprefix("c"), sample.release_id(1))
    assert not await ingress.serves(sample.hostname, sample.release_id(2))


async def test_an_update_hands_the_hostname_to_the_new_release(sample: SampleJob) -> None:
    ingress = sample.world.ingress
    await live(sample, 1)
    await live(sample, 2)

    async def handed_over() -> bool:
        new = await ingress.serves(sample.hostname, sample.release_id(2))
        old = await ingress.serves(sample.hostname, sample.release_id(1))
        return new and not old

    await eventually(handed_over, "release 2 is served and release 1 is not")


async def test_a_release_is_served_alone_once_the_one_before_it_is_let_go_of(
    sample: SampleJob,
) -> None:
    ingress = sample.world.ingress
    await live(sample, 1)
    await sample.submit(2)

    async def alone() -> bool:
        return await ingress.serves(sample.hostname, sample.release_id(2), alone=True)

    await eventually(alone, "release 2 is served alone")
    assert not await ingress.serves(sample.hostname, sample.release_id(1))


async def test_a_crashing_update_is_never_served(sample: SampleJob) -> None:
    ingress = sample.world.ingress
    await live(sample, 1)

    async def served() -> bool:
        return await ingress.serves(sample.hostname, sample.release_id(1))

    await eventually(served, "release 1 is served")
    await sample.submit(2, Behaviour.CRASHES)
    await sample.until(lambda seen: any(c.exit_code == 3 for c in sample.copies(seen, 2)))
    assert not await ingress.serves(sample.hostname, sample.release_id(2))
    assert await served()


async def test_nothing_of_a_purged_job_is_left(sample: SampleJob) -> None:
    ingress, service = sample.world.ingress, service_of(sample)
    await live(sample, 1)
    await sample.scheduler.stop(sample.ref, purge=True)
    await sample.until(lambda seen: seen.modify_index == 0)

    async def gone() -> bool:
        served = await ingress.serves(sample.hostname, sample.release_id(1))
        return not (served or await ingress.routes(service) or service in await ingress.services())

    await eventually(gone, "no route is left")
    await ingress.remove(service)


async def test_removing_what_is_not_there_is_fine(world: World) -> None:
    await world.ingress.remove(UNKNOWN)


async def test_the_platform_makes_itself_known_and_leaves(world: World) -> None:
    await world.ingress.register_platform("paas-contract", "127.0.0.1", 7070)
    await world.ingress.register_platform("paas-contract", "127.0.0.1", 7070)
    assert "paas-contract" not in await world.ingress.services(), "it is no app"
    await world.ingress.deregister_platform("paas-contract")
    await world.ingress.deregister_platform("paas-contract")
