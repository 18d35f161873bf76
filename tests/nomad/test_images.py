"""Images on Nomad: run by digest from the registry, checked inside the container, drained on updates."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ports.scheduler import AllocationState, Observation
from jobs import Artifact
from tests.contract import world as contract
from tests.contract.world import Behaviour, SampleJob
from tests.engines.cluster import Cluster
from tests.engines.docker import DockerEngine
from tests.engines.load import load_on
from tests.nomad.conditions import live

pytestmark = [pytest.mark.nomad, pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="module")
def image(
    docker_engine: DockerEngine, image_registry: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The sample app as an image in the registry, by digest; its port is 8080."""
    folder = tmp_path_factory.mktemp("image")
    shutil.copy(Path(contract.__file__).parent / "sample_app" / "main.py", folder)
    (folder / "Dockerfile").write_text(
        f"FROM {docker_engine.base_image}\nCOPY main.py /\n"
        'CMD ["python3", "-u", "/main.py", "healthy"]\n'
    )
    name = f"{image_registry}/contract/sample:{uuid.uuid4().hex}"
    docker_engine.run("build", "-q", "-t", name, str(folder))
    docker_engine.run("push", "-q", name)
    digest = docker_engine.run("inspect", "--format", "{{index .RepoDigests 0}}", name)
    docker_engine.run("rmi", name)
    yield digest
    docker_engine.run("image", "prune", "-f")


def of(reference: str, behaviour: Behaviour | None = None) -> Artifact:
    command = f"python3 -u /main.py {behaviour.value}" if behaviour else ""
    return Artifact(kind="image", reference=reference, command=command)


async def submit(sample: SampleJob, number: int, artifact: Artifact, **options: int) -> None:
    scheduler = sample.scheduler
    await scheduler.ensure_namespace(sample.ref.namespace)
    await scheduler.put_secrets(sample.ref, sample.secrets_path(number), {"GREETING": "a b\nc"})
    seen = await scheduler.observe(sample.ref)
    job = sample.job(number, Behaviour.HEALTHY, images=artifact, **options)
    await scheduler.submit(job, expected_index=seen.modify_index)


async def test_an_image_is_run_with_its_variables_and_updated_without_a_lost_request(
    cluster: Cluster, sample: SampleJob, image: str
) -> None:
    assert (await sample.scheduler.capabilities()).images
    await submit(sample, 1, of(image))
    seen = await sample.until(live(sample, 1))
    tail = await sample.scheduler.log_tail(sample.ref, seen.allocations[0].id, lines=5)
    assert list(tail) == ["starting healthy greeting=a b", "c"]
    async with load_on(cluster.ingress, sample.hostname) as load:
        await submit(sample, 2, of(image), replicas=2)
        await sample.until(live(sample, 2, 2))
    assert load.failures == []
    assert set(load.answers) == {"1", "2"}


async def test_a_container_that_never_listens_is_not_taken_for_a_listening_one(
    sample: SampleJob, image: str
) -> None:
    """Docker's proxy accepts connections on the published port from the start."""
    await submit(sample, 1, of(image, Behaviour.SILENT))

    def checked(seen: Observation) -> bool:
        return any(copy.listening is not None for copy in sample.copies(seen, 1))

    seen = await sample.until(checked)
    for _ in range(5):
        (copy,) = sample.copies(seen, 1)
        assert copy.state is AllocationState.RUNNING
        assert (copy.listening, copy.healthy) == (False, False)
        seen = await sample.scheduler.watch(sample.ref, seen.cursor, timeout=1)


async def test_a_container_beyond_its_memory_is_said_to_be_that(
    sample: SampleJob, image: str
) -> None:
    await submit(sample, 1, of(image, Behaviour.HUNGRY), memory_mb=32)
    seen = await sample.until(lambda seen: any(c.oom_killed for c in sample.copies(seen, 1)))
    assert sample.copies(seen, 1)[0].exit_code == 137


async def test_an_image_that_is_not_in_the_registry_explains_itself(
    sample: SampleJob, image: str
) -> None:
    missing = f"{image.split('@')[0]}@sha256:{'0' * 64}"
    await submit(sample, 1, of(missing))
    seen = await sample.until(
        lambda seen: any("pull" in copy.message for copy in sample.copies(seen, 1))
    )
    assert sample.serving(seen, 1) == 0
