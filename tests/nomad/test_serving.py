"""No request fails while a healthy app is changed: real Nomad, Consul and Traefik, under load."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.adapters.consul.ingress import ConsulIngress
from app.ports.scheduler import Observation, RolloutStatus
from tests.contract.world import Behaviour, SampleJob, alive, count
from tests.engines.cluster import Cluster
from tests.engines.load import load_on

pytestmark = [pytest.mark.nomad, pytest.mark.slow]


def hostname_of(sample: SampleJob) -> str:
    return f"{sample.organization}.suite-{sample.app}-production.apps.test"


def live(sample: SampleJob, number: int, copies: int) -> Callable[[Observation], bool]:
    def met(seen: Observation) -> bool:
        others = [copy for copy in seen.allocations if copy not in sample.copies(seen, number)]
        return (
            seen.rollout is not None
            and seen.rollout.status is RolloutStatus.SUCCEEDED
            and sample.serving(seen, number) == copies
            and count(others, alive) == 0
        )

    return met


@pytest.mark.parametrize(
    ("before", "after"), [(1, 1), (2, 2), (1, 3), (3, 1)], ids=["one", "two", "up", "down"]
)
async def test_an_update_or_scaling_loses_no_request(
    cluster: Cluster, sample: SampleJob, before: int, after: int
) -> None:
    await sample.submit(1, replicas=before)
    await sample.until(live(sample, 1, before))
    async with load_on(cluster.ingress, hostname_of(sample)) as load:
        await sample.submit(2, replicas=after)
        await sample.until(live(sample, 2, after))
    assert load.failures == []
    assert load.answers["2"] > 100
    assert set(load.answers) == {"1", "2"}


async def test_going_back_loses_no_request(cluster: Cluster, sample: SampleJob) -> None:
    for number in (1, 2):
        await sample.submit(number)
        await sample.until(live(sample, number, 1))
    async with load_on(cluster.ingress, hostname_of(sample)) as load:
        await sample.submit(1)
        await sample.until(live(sample, 1, 1))
    assert load.failures == []
    assert load.answers["1"] > 100


async def test_a_crashing_release_loses_no_request_and_gets_none(
    cluster: Cluster, sample: SampleJob
) -> None:
    await sample.submit(1)
    await sample.until(live(sample, 1, 1))
    async with load_on(cluster.ingress, hostname_of(sample)) as load:
        await sample.submit(2, Behaviour.CRASHES)
        await sample.until(lambda seen: seen.release_id == sample.release_id(2))
        await sample.until(live(sample, 1, 1))
    assert load.failures == []
    assert set(load.answers) == {"1"}


async def test_the_router_says_which_release_it_serves(
    cluster: Cluster, sample: SampleJob, ingress: ConsulIngress
) -> None:
    await sample.submit(1)
    await sample.until(live(sample, 1, 1))
    async with load_on(cluster.ingress, hostname_of(sample), clients=1):
        assert await ingress.serves(hostname_of(sample), sample.release_id(1))
        assert not await ingress.serves(hostname_of(sample), sample.release_id(2))
        assert not await ingress.serves("other.apps.test", sample.release_id(1))
