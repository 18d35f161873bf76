"""The one suite that every Scheduler must pass: the fake, the embedded engine, and Nomad.

It says what reconciling relies on. Where engines differ (enforced memory limits), the world says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.errors import Conflict
from app.ports.scheduler import (
    AllocationState,
    CopyUsage,
    JobConflict,
    Observation,
    RolloutStatus,
)
from tests.contract.world import TOO_MUCH_MEMORY_MB, Behaviour, SampleJob, World, alive, count

Met = Callable[[Observation], bool]


def succeeded(sample: SampleJob, number: int) -> Met:
    def met(seen: Observation) -> bool:
        return (
            seen.rollout is not None
            and seen.rollout.release_id == sample.release_id(number)
            and seen.rollout.status is RolloutStatus.SUCCEEDED
        )

    return met


def failed(sample: SampleJob, number: int) -> Met:
    def met(seen: Observation) -> bool:
        """The engine says so, or has put the previous release back already."""
        if seen.rollout is None or seen.rollout.release_id != sample.release_id(number):
            return seen.release_id != sample.release_id(number)
        return seen.rollout.status is RolloutStatus.FAILED

    return met


# Registering


async def test_an_unknown_job_is_observed_as_absent(sample: SampleJob) -> None:
    seen = await sample.scheduler.observe(sample.ref)
    assert (seen.modify_index, seen.release_id, seen.stopped) == (0, "", False)
    assert seen.rollout is None
    assert list(seen.allocations) == []


async def test_a_first_release_becomes_healthy_with_all_of_its_copies(sample: SampleJob) -> None:
    index = await sample.submit(1, replicas=2, expected_index=0)
    seen = await sample.until(succeeded(sample, 1))
    assert index > 0
    assert seen.modify_index >= index
    assert seen.release_id == sample.release_id(1)
    assert not seen.stopped
    assert seen.rollout is not None
    assert (seen.rollout.desired, seen.rollout.healthy) == (2, 2)
    running = [copy for copy in sample.copies(seen, 1) if copy.state is AllocationState.RUNNING]
    assert len(running) == 2
    assert all(copy.healthy and copy.address and copy.started_at for copy in running)
    assert len({copy.id for copy in running}) == 2


async def test_creating_a_job_that_exists_is_a_conflict(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    with pytest.raises(JobConflict):
        await sample.submit(2, expected_index=0)
    seen = await sample.scheduler.observe(sample.ref)
    assert seen.release_id == sample.release_id(1)
    assert sample.serving(seen, 1) == 1


async def test_an_index_that_moved_is_a_conflict(sample: SampleJob) -> None:
    first = await sample.submit(1, expected_index=0)
    await sample.until(succeeded(sample, 1))
    before = (await sample.scheduler.observe(sample.ref)).modify_index
    await sample.submit(2, expected_index=before)
    with pytest.raises(JobConflict):
        await sample.submit(3, expected_index=first)
    assert (await sample.scheduler.observe(sample.ref)).release_id == sample.release_id(2)


async def test_updating_a_job_that_has_gone_is_a_conflict(sample: SampleJob) -> None:
    with pytest.raises(JobConflict):
        await sample.submit(1, expected_index=7)
    assert (await sample.scheduler.observe(sample.ref)).modify_index == 0


async def test_registering_the_same_release_again_restarts_nothing(sample: SampleJob) -> None:
    await sample.submit(1)
    before = await sample.until(succeeded(sample, 1))
    await sample.submit(1)
    after = await sample.until(succeeded(sample, 1))
    assert {c.id for c in after.allocations if alive(c)} == {
        c.id for c in before.allocations if alive(c)
    }


# Updating


async def test_an_update_replaces_the_copies_and_always_serves(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2)
    await sample.until(
        succeeded(sample, 2),
        always=lambda seen: sample.serving(seen, 1) + sample.serving(seen, 2) >= 1,
    )
    seen = await sample.until(lambda seen: count(sample.copies(seen, 1), alive) == 0)
    assert seen.release_id == sample.release_id(2)
    assert sample.serving(seen, 2) == 1


async def test_a_crashing_update_leaves_the_previous_release_serving(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2, Behaviour.CRASHES)
    seen = await sample.until(
        lambda seen: any(copy.exit_code == 3 for copy in sample.copies(seen, 2)),
        always=lambda seen: sample.serving(seen, 1) == 1,
    )
    crashed = next(copy for copy in sample.copies(seen, 2) if copy.exit_code == 3)
    assert not crashed.healthy
    assert not crashed.oom_killed
    tail = await sample.scheduler.log_tail(sample.ref, crashed.id, lines=10)
    assert "boom: no database" in tail


async def test_the_engine_gives_a_crashing_update_up_by_itself(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2, Behaviour.CRASHES)
    seen = await sample.until(failed(sample, 2), seconds=sample.world.gives_up_seconds)
    assert sample.serving(seen, 1) == 1
    assert any(copy.exit_code == 3 for copy in sample.copies(seen, 2)), "nothing explains it"


async def test_a_failed_update_can_be_undone_by_registering_the_previous_release(
    sample: SampleJob,
) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2, Behaviour.SILENT)
    await sample.until(
        lambda seen: any(
            copy.state is not AllocationState.PENDING for copy in sample.copies(seen, 2)
        )
    )
    await sample.submit(1)
    seen = await sample.until(
        lambda seen: (
            seen.release_id == sample.release_id(1)
            and count(sample.copies(seen, 2), alive) == 0
            and sample.serving(seen, 1) == 1
        ),
        always=lambda seen: sample.serving(seen, 1) == 1,
    )
    assert not seen.stopped


async def test_a_newer_release_overtakes_one_that_is_being_rolled_out(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2, Behaviour.SILENT)
    await sample.until(lambda seen: bool(sample.copies(seen, 2)))
    await sample.submit(3)
    await sample.until(
        succeeded(sample, 3),
        always=lambda seen: sample.serving(seen, 1) + sample.serving(seen, 3) >= 1,
    )
    await sample.until(
        lambda seen: count(sample.copies(seen, 1) + sample.copies(seen, 2), alive) == 0
    )


async def test_an_app_that_never_listens_is_running_and_not_healthy(sample: SampleJob) -> None:
    await sample.submit(1, Behaviour.SILENT)
    seen = await sample.until(
        lambda seen: any(
            copy.state in {AllocationState.RUNNING, AllocationState.UNHEALTHY}
            for copy in sample.copies(seen, 1)
        ),
        always=lambda seen: sample.serving(seen, 1) == 0,
    )
    assert all(copy.listening is not True for copy in sample.copies(seen, 1))
    assert not succeeded(sample, 1)(seen)


async def test_a_first_release_that_crashes_is_restarted_and_then_given_up(
    sample: SampleJob,
) -> None:
    await sample.submit(1, Behaviour.CRASHES)
    await sample.until(lambda seen: any(copy.restarts >= 1 for copy in sample.copies(seen, 1)))
    await sample.until(failed(sample, 1), seconds=sample.world.gives_up_seconds)


async def test_memory_beyond_the_limit_is_said_to_be_that(sample: SampleJob, world: World) -> None:
    if not world.kills_hungry:
        pytest.skip("this engine does not enforce memory limits")
    await sample.submit(1, Behaviour.HUNGRY, memory_mb=32)
    await sample.until(lambda seen: any(copy.oom_killed for copy in sample.copies(seen, 1)))


# Scale


async def test_scale_is_a_release_with_another_count(sample: SampleJob) -> None:
    await sample.submit(1, replicas=1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2, replicas=3)
    seen = await sample.until(
        succeeded(sample, 2),
        always=lambda seen: sample.serving(seen, 1) + sample.serving(seen, 2) >= 1,
    )
    assert sample.serving(seen, 2) == 3


async def test_no_copies_is_a_success_without_health(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2, replicas=0)
    seen = await sample.until(
        lambda seen: succeeded(sample, 2)(seen) and count(seen.allocations, alive) == 0
    )
    assert seen.rollout is not None
    assert (seen.rollout.desired, seen.rollout.healthy) == (0, 0)
    assert not seen.stopped


# Planning


async def test_a_plan_says_that_it_fits_and_registers_nothing(sample: SampleJob) -> None:
    await sample.scheduler.ensure_namespace(sample.ref.namespace)
    plan = await sample.scheduler.plan(sample.job(1))
    assert plan.fits
    assert plan.changes
    assert (await sample.scheduler.observe(sample.ref)).modify_index == 0


async def test_a_plan_says_what_does_not_fit(sample: SampleJob) -> None:
    await sample.scheduler.ensure_namespace(sample.ref.namespace)
    plan = await sample.scheduler.plan(sample.job(1, memory_mb=TOO_MUCH_MEMORY_MB))
    assert not plan.fits
    assert any("memory" in reason for reason in plan.reasons)


async def test_a_plan_of_what_runs_changes_nothing(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    assert list((await sample.scheduler.plan(sample.job(1))).changes) == []
    assert (await sample.scheduler.plan(sample.job(2))).changes


async def test_a_release_without_room_says_why_and_the_previous_serves(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.submit(2, memory_mb=TOO_MUCH_MEMORY_MB)
    seen = await sample.until(
        lambda seen: bool(seen.unplaceable), always=lambda seen: sample.serving(seen, 1) == 1
    )
    assert any("memory" in reason for reason in seen.unplaceable)


# Secrets


async def test_secrets_reach_the_app_as_they_are(sample: SampleJob) -> None:
    greeting = "quotes \" and ' and $HOME and {{ braces }} and ünïcode"
    await sample.submit(1, secrets={"GREETING": greeting})
    seen = await sample.until(succeeded(sample, 1))
    copy = sample.copies(seen, 1)[0]
    tail = await sample.scheduler.log_tail(sample.ref, copy.id, lines=10)
    assert f"starting healthy greeting={greeting}" in tail


async def test_secrets_of_a_release_never_change(sample: SampleJob) -> None:
    await sample.scheduler.ensure_namespace(sample.ref.namespace)
    path = sample.secrets_path(1)
    await sample.scheduler.put_secrets(sample.ref, path, {"A": "1"})
    await sample.scheduler.put_secrets(sample.ref, path, {"A": "1"})
    with pytest.raises(Conflict):
        await sample.scheduler.put_secrets(sample.ref, path, {"A": "2"})
    assert list(await sample.scheduler.list_secrets(sample.ref)) == [path]


async def test_secrets_are_listed_and_deleted_one_release_at_a_time(sample: SampleJob) -> None:
    await sample.scheduler.ensure_namespace(sample.ref.namespace)
    for number in (1, 2, 3):
        await sample.scheduler.put_secrets(sample.ref, sample.secrets_path(number), {"A": "1"})
    await sample.scheduler.delete_secrets(sample.ref, sample.secrets_path(2))
    await sample.scheduler.delete_secrets(sample.ref, sample.secrets_path(2))
    assert set(await sample.scheduler.list_secrets(sample.ref)) == {
        sample.secrets_path(1),
        sample.secrets_path(3),
    }


# Stopping


async def test_a_stopped_job_keeps_its_record_and_starts_again(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.scheduler.stop(sample.ref, purge=False)
    seen = await sample.until(lambda seen: seen.stopped and count(seen.allocations, alive) == 0)
    assert seen.modify_index > 0
    await sample.submit(1, expected_index=seen.modify_index)
    seen = await sample.until(lambda seen: sample.serving(seen, 1) == 1)
    assert not seen.stopped


async def test_a_purged_job_is_gone(sample: SampleJob) -> None:
    await sample.submit(1)
    await sample.until(succeeded(sample, 1))
    await sample.scheduler.stop(sample.ref, purge=True)
    seen = await sample.until(lambda seen: seen.modify_index == 0)
    assert sample.ref not in {job.ref for job in await sample.scheduler.list_jobs()}
    assert seen.release_id == ""
    await sample.scheduler.stop(sample.ref, purge=True)


async def test_jobs_are_listed_with_what_they_are_for(sample: SampleJob) -> None:
    await sample.submit(1)
    listed = {job.ref: job for job in await sample.scheduler.list_jobs()}[sample.ref]
    assert listed.instance_id == sample.instance_id
    assert listed.release_id == sample.release_id(1)
    assert not listed.stopped
    await sample.scheduler.stop(sample.ref, purge=False)
    await sample.until(lambda seen: seen.stopped)
    listed = {job.ref: job for job in await sample.scheduler.list_jobs()}[sample.ref]
    assert listed.stopped


# Watching, logs, the rest


async def test_a_watch_wakes_on_a_change(sample: SampleJob) -> None:
    await sample.submit(1)
    seen = await sample.until(succeeded(sample, 1))
    while True:  # what still trails the success (a last health report) is a change too
        later = await sample.scheduler.watch(sample.ref, seen.cursor, timeout=1)
        if later.cursor == seen.cursor:
            break
        seen = later
    watching = asyncio.create_task(sample.scheduler.watch(sample.ref, seen.cursor, timeout=60))
    await sample.scheduler.stop(sample.ref, purge=False)
    async with asyncio.timeout(30):
        later = await watching
    assert later.cursor != seen.cursor


async def test_a_watch_without_a_change_ends_by_itself(sample: SampleJob) -> None:
    seen = await sample.scheduler.observe(sample.ref)
    async with asyncio.timeout(30):
        later = await sample.scheduler.watch(sample.ref, seen.cursor, timeout=0.2)
    assert later.modify_index == 0


async def test_what_each_copy_uses_is_measured(sample: SampleJob) -> None:
    await sample.submit(1, replicas=2, expected_index=0)
    seen = await sample.until(succeeded(sample, 1))
    running = {copy.id for copy in sample.copies(seen, 1)}
    used: dict[str, CopyUsage] = {}
    async with asyncio.timeout(30):
        while set(used) != running or not all(usage.memory_bytes for usage in used.values()):
            found = await sample.scheduler.usage()
            used = {usage.id: usage for usage in found if usage.ref == sample.ref}
            await asyncio.sleep(0.2)
    assert all(1 << 20 < usage.memory_bytes < 64 << 20 for usage in used.values()), used
    assert all(0 <= usage.cpu_millis < 4000 for usage in used.values()), used


async def test_a_log_tail_is_the_last_lines_and_empty_for_the_unknown(sample: SampleJob) -> None:
    await sample.submit(1)
    seen = await sample.until(succeeded(sample, 1))
    copy = sample.copies(seen, 1)[0]
    assert len(await sample.scheduler.log_tail(sample.ref, copy.id, lines=1)) == 1
    unknown = "00000000-0000-0000-0000-000000000000"
    assert list(await sample.scheduler.log_tail(sample.ref, unknown, lines=5)) == []


async def test_a_namespace_is_made_and_removed_once_empty(sample: SampleJob) -> None:
    namespace = f"contract-{sample.app}"
    await sample.scheduler.ensure_namespace(namespace)
    await sample.scheduler.ensure_namespace(namespace)
    await sample.scheduler.delete_namespace(namespace)
    await sample.scheduler.delete_namespace(namespace)


async def test_an_engine_names_itself(world: World) -> None:
    found = await world.scheduler.capabilities()
    assert found == world.capabilities
    assert found.engine in {"embedded", "nomad", "memory"}
