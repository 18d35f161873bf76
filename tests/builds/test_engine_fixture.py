import pytest

from tests.engines.docker import DockerEngine


@pytest.mark.docker
def test_base_image_runs_python(docker_engine: DockerEngine, image_registry: str) -> None:
    assert (
        docker_engine.run("run", "--rm", docker_engine.base_image, "python3", "-c", "print(6 * 7)")
        == "42"
    )
