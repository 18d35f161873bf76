"""Copies watched, restarted, adopted and stopped: real processes, without a router in front."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.agent.user import app_user
from app.ports.scheduler import (
    Allocation,
    AllocationState,
    Observation,
    RolloutStatus,
    SchedulerUnavailable,
)
from tests.agent.machine import AGENT, Machine, running_machine, until
from tests.contract.world import Behaviour, SampleJob, alive

_SLOW_TO_END = """
import http.server, os, signal, time
def end(*_):
    time.sleep(0.5)
    print("bye", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
address = ("", int(os.environ["PORT"]))
http.server.HTTPServer(address, http.server.BaseHTTPRequestHandler).serve_forever()
"""

SampleOn = Callable[[Machine], SampleJob]


def ended(status: RolloutStatus) -> Callable[[Observation], bool]:
    return lambda seen: seen.rollout is not None and seen.rollout.status is status


async def live(sample: SampleJob, number: int = 1, *, replicas: int = 1) -> Observation:
    await sample.submit(number, replicas=replicas)
    seen = await sample.until(
        lambda seen: (
            seen.rollout is not None
            and seen.rollout.release_id == sample.release_id(number)
            and seen.rollout.status in {RolloutStatus.SUCCEEDED, RolloutStatus.FAILED}
        )
    )
    tails = [await sample.scheduler.log_tail(sample.ref, c.id, lines=9) for c in seen.allocations]
    assert ended(RolloutStatus.SUCCEEDED)(seen), (seen, tails)
    return seen


def only(seen: Observation) -> Allocation:
    (copy,) = seen.allocations
    return copy


@pytest.mark.slow
async def test_a_copy_that_dies_is_restarted_and_counted(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    before = only(await live(sample))
    for process in machine.app_processes():
        process.send_signal(signal.SIGKILL)
    seen = await sample.until(lambda seen: only(seen).restarts == 1 and only(seen).healthy)
    after = only(seen)
    assert after.id == before.id
    assert after.state is AllocationState.RUNNING
    assert (after.started_at or 0) != before.started_at


async def test_a_copy_that_dies_says_how_until_it_is_back(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    await live(sample)
    for process in machine.app_processes():
        process.send_signal(signal.SIGKILL)
    seen = await sample.until(lambda seen: not only(seen).healthy)
    assert only(seen).exit_code == 128 + signal.SIGKILL
    assert "signal 9" in only(seen).message
    assert not only(seen).oom_killed


async def test_copies_outlive_a_killed_agent_and_are_adopted_as_they_are(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    before = await live(sample, replicas=2)
    pids = {process.pid for process in machine.app_processes()}
    machine.kill_agent()
    assert {process.pid for process in machine.app_processes()} == pids
    await machine.start_agent()
    seen = await sample.until(lambda seen: sample.serving(seen, 1) == 2)
    assert {process.pid for process in machine.app_processes()} == pids
    assert {copy.id for copy in seen.allocations} == {copy.id for copy in before.allocations}
    assert [copy.restarts for copy in seen.allocations] == [0, 0]
    assert seen.modify_index == before.modify_index


@pytest.mark.slow
async def test_an_adopted_copy_that_dies_is_noticed_and_its_exit_code_is_not_known(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    await live(sample)
    machine.kill_agent()
    await machine.start_agent()
    for process in machine.app_processes():
        process.send_signal(signal.SIGKILL)
    seen = await sample.until(lambda seen: not only(seen).healthy)
    assert only(seen).exit_code is None
    await sample.until(lambda seen: only(seen).healthy and only(seen).restarts == 1)


@pytest.mark.slow
async def test_what_died_while_no_agent_was_there_is_started_again(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    await live(sample)
    machine.kill_agent()
    for process in machine.app_processes():
        process.kill()
    await machine.start_agent()
    seen = await sample.until(lambda seen: only(seen).healthy)
    assert only(seen).restarts == 1


@pytest.mark.slow
async def test_a_process_that_was_started_but_not_noted_does_not_outlive_the_next_start(
    machine: Machine, sample_on: SampleOn
) -> None:
    """As if the agent had died between starting a process and writing its number down."""
    sample = sample_on(machine)
    await live(sample)
    before = machine.app_sessions()
    machine.kill_agent()
    (state,) = (machine.home / "agent" / "copies").glob("*/state.json")
    noted = state.read_text()
    state.write_text(re.sub(r'"pid":\d+', '"pid":null', noted))
    await machine.start_agent()
    await sample.until(lambda seen: only(seen).healthy and only(seen).restarts == 1)
    assert len(machine.app_sessions()) == 1
    assert machine.app_sessions().isdisjoint(before)


@pytest.mark.slow
async def test_shutdown_leaves_no_process_and_the_next_start_runs_the_same_jobs(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    before = await live(sample, replicas=2)
    await machine.scheduler.shutdown()
    assert machine.agent is not None
    assert machine.agent.wait(20) == 0
    assert machine.app_processes() == []
    assert list((machine.home / "agent" / "copies").iterdir()) == []
    await machine.start_agent()
    seen = await sample.until(lambda seen: sample.serving(seen, 1) == 2)
    assert seen.modify_index == before.modify_index
    assert ended(RolloutStatus.SUCCEEDED)(seen)


@pytest.mark.slow
async def test_a_stopped_job_takes_the_processes_along_that_left_its_session(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    job = sample.job(1)
    task = job["TaskGroups"][0]["Tasks"][0]
    script = "setsid sleep 1000 & setsid -f sleep 1000; exec python3 -m http.server $PORT"
    task["Config"] = {"command": "/bin/sh", "args": ["-c", script]}
    await sample.scheduler.put_secrets(sample.ref, sample.secrets_path(1), {})
    await sample.scheduler.submit(job, expected_index=0)
    await sample.until(ended(RolloutStatus.SUCCEEDED))
    assert len(machine.app_processes()) == 3
    await sample.scheduler.stop(sample.ref, purge=True)
    await sample.until(lambda seen: seen.modify_index == 0 and not seen.allocations)
    assert machine.app_processes() == []


@pytest.mark.slow
async def test_a_first_deploy_that_fails_leaves_its_last_lines_and_no_process(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    await sample.submit(1, Behaviour.CRASHES)
    seen = await sample.until(ended(RolloutStatus.FAILED))
    assert seen.rollout
    assert "exited with code 3" in seen.rollout.message
    assert (only(seen).state, only(seen).restarts) == (AllocationState.EXITED, 2)
    tail = await sample.scheduler.log_tail(sample.ref, only(seen).id, lines=10)
    assert tail[-1] == "boom: no database"
    assert machine.app_processes() == []


async def test_an_app_that_never_listens_fails_at_the_deadline_and_says_so(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    job = sample.job(1, Behaviour.SILENT)
    job["TaskGroups"][0]["Update"]["HealthyDeadline"] = 1_000_000_000
    await sample.scheduler.put_secrets(sample.ref, sample.secrets_path(1), {})
    await sample.scheduler.submit(job, expected_index=0)
    seen = await sample.until(ended(RolloutStatus.FAILED))
    assert seen.rollout
    assert "nothing listens on port" in seen.rollout.message
    await sample.until(lambda seen: not any(alive(copy) for copy in seen.allocations))
    assert machine.app_processes() == []


@pytest.mark.slow
async def test_a_slug_that_is_not_what_its_digest_says_never_runs(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    digest = sample.world.artifact("true").sha256
    (machine.home / "slugs" / digest[:2] / f"{digest}.tar.gz").write_bytes(b"something else")
    await sample.submit(1)
    seen = await sample.until(ended(RolloutStatus.FAILED))
    assert seen.rollout
    assert "SHA-256" in seen.rollout.message
    assert list((machine.home / "apps" / "slugs").iterdir()) == []


async def test_a_variable_that_no_process_can_be_given_is_said_to_be_too_large(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    await sample.submit(1, secrets={"HUGE": "x" * 200_000})
    seen = await sample.until(ended(RolloutStatus.FAILED))
    assert seen.rollout
    assert "too large" in seen.rollout.message
    assert only(seen).restarts == 0, "trying again cannot help"


@pytest.mark.slow
async def test_a_job_that_this_version_cannot_read_is_left_running(
    machine: Machine, sample_on: SampleOn
) -> None:
    readable, unreadable = sample_on(machine), sample_on(machine)
    await live(readable)
    await live(unreadable)
    pids = {process.pid for process in machine.app_processes()}
    machine.kill_agent()
    (record,) = (machine.home / "agent" / "jobs").glob(f"*/{unreadable.ref.id}.json")
    record.write_text(record.read_text().replace('"Driver":"raw_exec"', '"Driver":"newer"'))
    await machine.start_agent()
    await readable.until(lambda seen: readable.serving(seen, 1) == 1)
    assert {process.pid for process in machine.app_processes()} == pids
    assert "is not supervised" in (machine.home / "agent.log").read_text()

    machine.kill_agent()
    record.write_text(record.read_text().replace('"Driver":"newer"', '"Driver":"raw_exec"'))
    await machine.start_agent()
    await unreadable.until(lambda seen: unreadable.serving(seen, 1) == 1)
    assert {process.pid for process in machine.app_processes()} == pids


async def test_secrets_and_records_are_the_platforms_own(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    await sample.submit(1, secrets={"TOKEN": "s3cret\nwith a second line"})
    await sample.until(ended(RolloutStatus.SUCCEEDED))
    agent = machine.home / "agent"
    assert stat.S_IMODE(agent.stat().st_mode) == 0o700
    assert stat.S_IMODE((agent / "agent.sock").stat().st_mode) == 0o600
    (secret,) = agent.glob("secrets/*/*/*.json")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    for process in machine.app_processes():
        assert process.environ()["TOKEN"] == "s3cret\nwith a second line"
        assert "s3cret" not in " ".join(process.cmdline())
    for path in (agent / "jobs").glob("*/*"):
        assert "s3cret" not in path.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run apps as another user")
async def test_as_root_apps_run_as_a_user_who_cannot_enter_the_platforms_folder(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    await live(sample)
    user = app_user()
    assert user is not None
    for process in machine.app_processes():
        assert process.uids().real == process.uids().saved == user.uid
        assert process.gids().real == user.gid
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^Groups:\s*$", status, re.MULTILINE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its files away")
async def test_a_restart_follows_no_link_that_the_app_left_in_its_folder(
    machine: Machine, sample_on: SampleOn, tmp_path: Path
) -> None:
    """Else the app would be given the folder it points at, say that of the platform."""
    sample, victim = sample_on(machine), tmp_path / "victim"
    victim.mkdir(mode=0o700)
    copy = only(await live(sample))
    for folder in (machine.home / "apps" / "copies" / copy.id / "web-r1").iterdir():
        folder.rename(folder.with_suffix(".own"))
        folder.symlink_to(victim)
    for process in machine.app_processes():
        process.kill()
    await sample.until(lambda seen: only(seen).restarts == 2)
    assert (victim.stat().st_uid, list(victim.iterdir())) == (0, [])


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a home that apps may not enter")
async def test_as_root_a_home_closed_to_others_is_no_obstacle(sample_on: SampleOn) -> None:
    """As ``/root`` is: the apps' folders are then elsewhere."""
    async with running_machine(home_mode=0o700) as machine:
        sample = sample_on(machine)
        await live(sample)
        elsewhere = (machine.home / "apps").resolve()
        assert machine.home not in elsewhere.parents
        await machine.scheduler.stop(sample.ref, purge=True)
    shutil.rmtree(elsewhere)


async def test_an_agent_that_is_not_there_is_said_to_be_that(machine: Machine) -> None:
    machine.end_agent()
    with pytest.raises(SchedulerUnavailable) as raised:
        await machine.scheduler.list_jobs()
    assert "isn't running" in raised.value.message
    assert "paas agent" in (raised.value.hint or "")
    await machine.start_agent()


async def test_a_second_agent_refuses_to_start(machine: Machine) -> None:
    second = await asyncio.to_thread(
        subprocess.run, AGENT, env=machine.environment, capture_output=True, text=True, timeout=30
    )
    assert second.returncode == 1
    assert "Another agent already runs for" in second.stderr


@pytest.mark.slow
async def test_the_whole_of_an_app_is_asked_to_end_and_given_the_time(
    machine: Machine, sample_on: SampleOn
) -> None:
    """The shell that started it ends at the signal; what it started takes half a second to."""
    sample = sample_on(machine)
    job = sample.job(1)
    script = f"python3 -c '{_SLOW_TO_END}'; true"
    job["TaskGroups"][0]["Tasks"][0]["Config"] = {"command": "/bin/sh", "args": ["-c", script]}
    await sample.scheduler.put_secrets(sample.ref, sample.secrets_path(1), {})
    await sample.scheduler.submit(job, expected_index=0)
    seen = await sample.until(ended(RolloutStatus.SUCCEEDED))
    log = machine.home / "agent" / "copies" / only(seen).id / "stdout.log"
    with log.open() as written:
        await sample.scheduler.stop(sample.ref, purge=True)
        await sample.until(lambda seen: not seen.allocations)
        assert "bye" in written.read()
    assert machine.app_processes() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hundred_updates_leave_nothing_behind(
    machine: Machine, sample_on: SampleOn
) -> None:
    sample = sample_on(machine)
    for number in range(1, 101):
        await sample.submit(number)
        if number % 10 == 0:
            await live(sample, number)
    seen = await live(sample, 101)
    await sample.until(lambda seen: len(seen.allocations) == 1)

    assert len(machine.app_sessions()) == 1
    for folder in ("agent/copies", "apps/copies", "apps/slugs"):
        assert len(list((machine.home / folder).iterdir())) == 1, folder
    assert seen.release_id == sample.release_id(101)

    await sample.scheduler.stop(sample.ref, purge=True)
    await sample.until(lambda seen: seen.modify_index == 0 and not seen.allocations)

    async def nothing_left() -> bool:
        folders = ("agent/copies", "apps/copies", "apps/slugs", "agent/jobs")
        return not any(list((machine.home / folder).iterdir()) for folder in folders)

    await until(nothing_left, "every folder is empty")
    assert machine.app_processes() == []
