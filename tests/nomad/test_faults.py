"""Nomad dies in the middle of a rollout: apps serve on, and the rollout ends as it would have."""

from __future__ import annotations

import pytest

from app.ports.scheduler import RolloutStatus, SchedulerUnavailable
from tests.contract.world import Behaviour, SampleJob
from tests.engines.cluster import Cluster
from tests.engines.load import load_on
from tests.nomad.conditions import live

pytestmark = [pytest.mark.nomad, pytest.mark.slow]


async def test_nomad_killed_in_a_rollout_loses_neither_requests_nor_the_rollout(
    cluster: Cluster, sample: SampleJob
) -> None:
    await sample.submit(1)
    await sample.until(live(sample, 1))
    async with load_on(cluster.ingress, sample.hostname) as load:
        await sample.submit(2)
        await sample.until(lambda seen: bool(sample.copies(seen, 2)))
        await cluster.running["nomad"].stop(kill=True)
        with pytest.raises(SchedulerUnavailable):
            await sample.scheduler.observe(sample.ref)
        await cluster.running["nomad"].start()
        await sample.until(live(sample, 2))
    assert load.failures == []
    assert load.answers["2"] > 0


async def test_nomad_stopped_under_a_watch_is_unavailable_and_then_goes_on(
    cluster: Cluster, sample: SampleJob
) -> None:
    await sample.submit(1)
    seen = await sample.until(live(sample, 1))
    await cluster.running["nomad"].stop()
    with pytest.raises(SchedulerUnavailable):
        await sample.scheduler.watch(sample.ref, seen.cursor, timeout=30)
    await cluster.running["nomad"].start()
    seen = await sample.until(live(sample, 1))
    assert len([copy for copy in seen.allocations if copy.healthy]) == 1


async def test_a_reverted_release_explains_itself_and_the_previous_one_is_registered(
    sample: SampleJob,
) -> None:
    await sample.submit(1)
    await sample.until(live(sample, 1))
    await sample.submit(2, Behaviour.CRASHES)
    await sample.until(lambda seen: seen.release_id == sample.release_id(2))
    seen = await sample.until(live(sample, 1))
    crashed = sample.copies(seen, 2)[-1]
    assert (crashed.exit_code, crashed.oom_killed) == (3, False)
    assert crashed.restarts >= 1
    assert seen.rollout is not None
    assert seen.rollout.status is RolloutStatus.SUCCEEDED
