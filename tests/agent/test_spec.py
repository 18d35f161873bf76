"""What the engine reads out of a rendered job, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.agent import plan
from app.agent.spec import parse
from app.ports.scheduler import SchedulerRejected
from jobs import Artifact, Capabilities, JobInput, Scale, render

Document = dict[str, Any]
SHA256 = "ab" * 32


def rendered(*, number: int = 1, replicas: int = 2, url: str = "http://x/slug") -> Document:
    job = JobInput(
        platform="plt_test",
        organization="acme",
        project="storefront",
        app="web",
        environment="production",
        instance_id="ins_1",
        release_id=f"rel_{number}",
        release_number=number,
        commit_sha="c" * 40,
        hostnames=("acme.storefront-web-production.apps.test",),
        container_port=8080,
        artifact=Artifact("slug", url, SHA256, "python main.py"),
        scale=Scale(replicas=replicas, cpu_millis=500, memory_mb=256),
    )
    return render(job, Capabilities(engine="embedded", slug_driver="raw_exec"))


def task_of(document: Document) -> Document:
    task: Document = document["TaskGroups"][0]["Tasks"][0]
    return task


def test_a_rendered_slug_job_is_understood() -> None:
    spec = parse(rendered())
    assert str(spec.ref) == "acme/storefront-web-production"
    assert (spec.driver, spec.count, spec.memory_mb, spec.cpu) == ("process", 2, 256, 500)
    assert spec.release_id == "rel_1"
    assert spec.task == "web-r1"
    assert spec.secret_paths == ("nomad/jobs/storefront-web-production/web/web-r1",)
    assert [(fetch.sha256, fetch.destination) for fetch in spec.fetches] == [(SHA256, "local/slug")]
    assert spec.check is not None
    assert spec.check.kind == "tcp"
    assert spec.service == "acme--storefront-web-production"
    assert spec.shutdown_delay == 2
    assert spec.kill_timeout == 15
    assert spec.update.min_healthy == 1
    assert spec.restart.attempts == 2


def test_only_what_needs_new_copies_changes_the_fingerprint() -> None:
    before = parse(rendered()).fingerprint
    assert parse(rendered(replicas=5)).fingerprint == before
    assert parse(rendered(url="http://x/slug?signed=anew")).fingerprint == before
    assert parse(rendered(number=2)).fingerprint != before


def _two_tasks(document: Document) -> None:
    document["TaskGroups"][0]["Tasks"] *= 2


def _unknown_driver(document: Document) -> None:
    task_of(document)["Driver"] = "java"


def _artifact_without_checksum(document: Document) -> None:
    task_of(document)["Artifacts"][0]["GetterOptions"]["checksum"] = "md5:00"


def _artifact_outside(document: Document) -> None:
    task_of(document)["Artifacts"][0]["RelativeDest"] = "local/../../../etc/passwd"


def _file_template(document: Document) -> None:
    task_of(document)["Templates"][0]["Envvars"] = False


def _hostile_hostname(document: Document) -> None:
    task_of(document)["Services"][0]["Tags"].append(
        "traefik.http.routers.x.rule=Host(`a`) || Host(`b c`)`"
    )


def _hostname_with_backtick(document: Document) -> None:
    task_of(document)["Services"][0]["Tags"].append(
        "traefik.http.routers.x.rule=Host(`a`) || PathPrefix(`/`) || Host(`evil``)"
    )


def _hostile_name(document: Document) -> None:
    document["ID"] = "../../etc"


def _no_groups(document: Document) -> None:
    del document["TaskGroups"]


@pytest.mark.parametrize(
    "spoil",
    [
        _two_tasks,
        _unknown_driver,
        _artifact_without_checksum,
        _artifact_outside,
        _file_template,
        _hostile_hostname,
        _hostname_with_backtick,
        _hostile_name,
        _no_groups,
    ],
)
def test_what_is_not_understood_is_refused(spoil: Callable[[Document], None]) -> None:
    document = rendered()
    spoil(document)
    with pytest.raises(SchedulerRejected):
        parse(document)


def test_a_plan_names_what_changes() -> None:
    old, new = rendered(), rendered(replicas=5)
    assert plan.changes(old, old, stopped=False) == []
    assert plan.changes(None, new, stopped=False) == ["create job storefront-web-production"]
    words = plan.changes(old, new, stopped=False)
    assert "TaskGroups[0].Count: 2 → 5" in words
    assert not any("Meta" in word for word in words)
    assert "start job" in plan.changes(old, old, stopped=True)[0]
