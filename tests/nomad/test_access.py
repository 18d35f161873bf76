"""What the platform's token may do, what a copy may read, and what is said when something may not be."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import msgspec
import pytest

from app.adapters.nomad.scheduler import NomadScheduler
from app.ports.scheduler import JobRef, SchedulerRejected, SchedulerUnavailable
from app.settings import Settings
from jobs.render import literal
from tests.contract.world import SampleJob, World
from tests.engines.cluster import Cluster
from tests.nomad.conditions import live

pytestmark = [pytest.mark.nomad, pytest.mark.slow]

READER = """
import os, sys, time, urllib.error, urllib.request
for path in sys.argv[2:]:
    request = urllib.request.Request(
        f"{sys.argv[1]}/v1/var/{path}?namespace=contract",
        headers={"X-Nomad-Token": os.environ["NOMAD_TOKEN"]},
    )
    try:
        answer = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        answer = error.code
    print(path.split("/")[-1] if "other" not in path else "other", answer, flush=True)
time.sleep(600)
"""
"""Reads Variables with the identity that Nomad gives the task, and prints what it is answered."""


async def test_a_copy_reads_its_own_release_and_no_other(
    cluster: Cluster, sample: SampleJob
) -> None:
    other = JobRef("contract", "suite-other-production")
    foreign = f"nomad/jobs/{other.id}/web/web-r1"
    await sample.scheduler.ensure_namespace("contract")
    await sample.scheduler.put_secrets(other, foreign, {"A": "secret"})
    for number in (1, 2):
        await sample.scheduler.put_secrets(sample.ref, sample.secrets_path(number), {"A": "1"})
    job = sample.job(2)
    task = job["TaskGroups"][0]["Tasks"][0]
    paths = [sample.secrets_path(2), sample.secrets_path(1), foreign]
    line = shlex.join(["python3", "-c", READER, cluster.access.address, *paths])
    task["Config"]["args"][-1] = literal(line)
    task["Identity"] = {"Env": True}
    await sample.scheduler.submit(job, expected_index=0)
    seen = await sample.until(lambda seen: bool(seen.allocations))
    while True:
        tail = await sample.scheduler.log_tail(sample.ref, seen.allocations[0].id, lines=5)
        if len(tail) == 3:
            break
        seen = await sample.scheduler.watch(sample.ref, seen.cursor, timeout=0.2)
    assert list(tail) == ["web-r2 200", "web-r1 403", "other 403"]
    await sample.scheduler.delete_secrets(other, foreign)


async def test_variables_reach_the_app_whatever_they_hold(sample: SampleJob) -> None:
    value = (
        "two\nlines, \"both\" 'quotes', $HOME ${HOME} %{if} {{ .Foo }} \\n \\ #no=comment ü 🚀\t."
    )
    await sample.submit(1, secrets={"GREETING": value, "EMPTY": "", "lower.dotted": "x"})
    seen = await sample.until(live(sample, 1))
    tail = await sample.scheduler.log_tail(sample.ref, seen.allocations[0].id, lines=10)
    assert "\n".join(tail) == f"starting healthy greeting={value}"


async def test_an_operator_sees_what_a_job_is(cluster: Cluster, sample: SampleJob) -> None:
    await sample.submit(1)
    status = await cluster.operator("job", "status", "-namespace=contract")
    assert f"suite-{sample.app}-production" in status
    inspected = json.loads(
        await cluster.operator("job", "inspect", "-namespace=contract", sample.ref.id)
    )
    assert inspected["Job"]["Meta"] == {
        "paas": "1",
        "platform": "plt_test",
        "organization": "contract",
        "project": "suite",
        "app": sample.app,
        "environment": "production",
        "instance": sample.instance_id,
        "release": sample.release_id(1),
        "release_number": "1",
        "commit": f"{1:040x}",
    }


async def test_secrets_stand_nowhere_in_the_job(cluster: Cluster, sample: SampleJob) -> None:
    await sample.submit(1, secrets={"GREETING": "correct-horse-battery"})
    await sample.until(live(sample, 1))
    inspected = await cluster.operator("job", "inspect", "-namespace=contract", sample.ref.id)
    assert sample.release_id(1) in inspected
    assert "correct-horse" not in inspected
    command_lines = {
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    }
    assert not any(b"correct-horse" in line for line in command_lines)


async def test_variables_too_large_for_nomad_are_refused_with_the_size(sample: SampleJob) -> None:
    await sample.scheduler.ensure_namespace("contract")
    with pytest.raises(SchedulerRejected, match="60,000"):
        await sample.scheduler.put_secrets(
            sample.ref, sample.secrets_path(1), {"BIG": "x" * 10_000_000}
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ("acl", "token", "list"),
        ("namespace", "apply", "taken-over"),
        ("var", "put", "-namespace=contract", "shared/secret", "a=b"),
        ("node", "drain", "-self", "-enable", "-yes", "-detach"),
        ("operator", "raft", "list-peers"),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
async def test_the_platforms_token_reaches_no_further_than_its_policy(
    cluster: Cluster, world: World, arguments: tuple[str, ...]
) -> None:
    await world.scheduler.ensure_namespace("contract")
    status, output = await cluster.nomad(*arguments, token=cluster.access.platform_token)
    assert status != 0
    assert "403" in output or "ermission denied" in output, output


async def test_without_a_namespace_token_an_operator_is_told_what_to_type(
    cluster: Cluster, world: World
) -> None:
    await world.scheduler.ensure_namespace("contract")
    scheduler = NomadScheduler(cluster.settings)
    await scheduler.ensure_namespace("contract")
    with pytest.raises(SchedulerRejected) as refused:
        await scheduler.ensure_namespace("newcomer")
    assert "nomad namespace apply newcomer" in (refused.value.hint or "")
    await cluster.operator("namespace", "apply", "newcomer")
    await scheduler.ensure_namespace("newcomer")
    await cluster.operator("namespace", "delete", "newcomer")
    await scheduler.close()


async def test_a_token_that_is_none_is_refused_with_the_policys_name(
    cluster: Cluster, sample: SampleJob
) -> None:
    wrong = _with(cluster.settings, nomad_token="5f7b1a1c-0000-0000-0000-000000000000")
    scheduler = NomadScheduler(wrong)
    with pytest.raises(SchedulerRejected) as refused:
        await scheduler.observe(sample.ref)
    assert "platform-policy.hcl" in (refused.value.hint or "")
    with pytest.raises(SchedulerRejected):
        await scheduler.list_secrets(sample.ref)
    await scheduler.close()


async def test_no_nomad_at_the_address_is_unavailable(cluster: Cluster, sample: SampleJob) -> None:
    scheduler = NomadScheduler(_with(cluster.settings, nomad_addr="http://127.0.0.1:9"))
    with pytest.raises(SchedulerUnavailable, match="does not answer"):
        await scheduler.observe(sample.ref)
    with pytest.raises(SchedulerUnavailable, match="does not answer"):
        await scheduler.list_secrets(sample.ref)
    await scheduler.close()


def _with(settings: Settings, **changes: str) -> Settings:
    return msgspec.structs.replace(settings, **changes)
