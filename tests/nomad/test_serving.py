"""No request fails while a healthy app is changed: real Nomad, Consul and Traefik, under load."""

from __future__ import annotations

import pytest

from app.adapters.consul.ingress import ConsulIngress
from tests.contract.world import Behaviour, SampleJob, World
from tests.engines.cluster import Cluster
from tests.engines.load import load_on
from tests.nomad.conditions import live
from tests.nomad.conftest import forget

pytestmark = [pytest.mark.nomad, pytest.mark.slow]


@pytest.mark.parametrize(
    ("before", "after"), [(1, 1), (2, 2), (1, 3), (3, 1)], ids=["one", "two", "up", "down"]
)
async def test_an_update_or_scaling_loses_no_request(
    cluster: Cluster, sample: SampleJob, before: int, after: int
) -> None:
    await sample.submit(1, replicas=before)
    await sample.until(live(sample, 1, before))
    async with load_on(cluster.ingress, sample.hostname) as load:
        await sample.submit(2, replicas=after)
        await sample.until(live(sample, 2, after))
    assert load.failures == []
    assert load.answers["2"] > 100
    assert set(load.answers) == {"1", "2"}


async def test_going_back_loses_no_request(cluster: Cluster, sample: SampleJob) -> None:
    for number in (1, 2):
        await sample.submit(number)
        await sample.until(live(sample, number, 1))
    async with load_on(cluster.ingress, sample.hostname) as load:
        await sample.submit(1)
        await sample.until(live(sample, 1, 1))
    assert load.failures == []
    assert load.answers["1"] > 100


async def test_a_crashing_release_loses_no_request_and_gets_none(
    cluster: Cluster, sample: SampleJob
) -> None:
    await sample.submit(1)
    await sample.until(live(sample, 1, 1))
    async with load_on(cluster.ingress, sample.hostname) as load:
        await sample.submit(2, Behaviour.CRASHES)
        await sample.until(lambda seen: seen.release_id == sample.release_id(2))
        await sample.until(live(sample, 1, 1))
    assert load.failures == []
    assert set(load.answers) == {"1"}


async def test_organizations_whose_names_run_together_stay_apart(
    cluster: Cluster, world: World, ingress: ConsulIngress
) -> None:
    """``a--b-suite-…`` and ``a-b--suite-…`` differ by hyphens alone, which Traefik folds."""
    one = SampleJob(world, app="web", organization="fold", project="by-hyphen")
    other = SampleJob(world, app="web", organization="fold-by", project="hyphen")
    try:
        for number, sample in enumerate((one, other), start=1):
            await sample.submit(number)
        for number, sample in enumerate((one, other), start=1):
            await sample.until(live(sample, number))
        async with (
            load_on(cluster.ingress, one.hostname, clients=2) as first,
            load_on(cluster.ingress, other.hostname, clients=2) as second,
        ):
            await first.answered(50)
            await second.answered(50)
        assert set(first.answers) == {"1"}
        assert set(second.answers) == {"2"}
    finally:
        await forget(one)
        await forget(other)
