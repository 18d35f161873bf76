"""Dockerfiles on a real engine: images by id or digest, secrets, failures in words."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from app.adapters.docker import client as docker_client
from app.ids import new_id
from app.models import BuildKind, FailureCode
from tests.builds.workshop import PLATFORM, Workshop, others_processes
from tests.engines.docker import BASE_IMAGE, DockerEngine

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "dockerfile-app"
HELLO = f'FROM {BASE_IMAGE}\nCMD ["python3", "-c", "print(42)"]\n'


def _sample(workshop: Workshop) -> Path:
    """The bundled sample, on the base image that the tests have."""
    tree = workshop.tree({path.name: path.read_bytes() for path in SAMPLE.iterdir()})
    dockerfile = tree / "Dockerfile"
    lines = dockerfile.read_text().splitlines()
    lines[0] = f"ARG BASE={BASE_IMAGE}"
    dockerfile.write_text("\n".join(lines) + "\n")
    return tree


@pytest.mark.docker
async def test_without_a_registry_the_image_is_this_machines(
    workshop: Workshop, docker_engine: DockerEngine
) -> None:
    built = await workshop.build({"Dockerfile": HELLO})
    assert built.kind is BuildKind.IMAGE
    assert built.artifact.startswith("sha256:")
    assert docker_engine.run("run", "--rm", built.artifact) == "42"
    [image] = json.loads(docker_engine.run("image", "inspect", built.artifact))
    labels = image["Config"]["Labels"]
    assert labels["paas.organization"] == "acme"
    assert labels["org.opencontainers.image.revision"] == "c" * 40
    assert built.artifact in (await workshop.builder.images(PLATFORM)).values()
    assert built.artifact not in (await workshop.builder.images("plt_other")).values()
    await workshop.builder.remove_image(built.artifact)
    assert built.artifact not in (await workshop.builder.images(PLATFORM)).values()


@pytest.mark.docker
async def test_with_a_registry_the_image_is_known_by_digest(
    workshop: Workshop, docker_engine: DockerEngine, image_registry: str
) -> None:
    workshop.settings["registry"] = image_registry
    built = await workshop.build({"Dockerfile": HELLO})
    assert built.artifact.startswith(f"{image_registry}/acme/storefront/web@sha256:")
    docker_engine.run("image", "rm", "--force", built.artifact)
    assert docker_engine.run("run", "--rm", built.artifact).endswith("42")
    assert built.artifact in (await workshop.builder.images(PLATFORM)).values()
    await workshop.builder.remove_image(built.artifact)
    assert built.artifact not in (await workshop.builder.images(PLATFORM)).values()
    digest = built.artifact.partition("@")[2]
    url = f"http://{image_registry}/v2/acme/storefront/web/manifests/{digest}"
    with pytest.raises(HTTPError, match="404"):
        await asyncio.to_thread(urlopen, url)


@pytest.mark.docker
async def test_registry_that_does_not_answer_fails_the_push(
    workshop: Workshop, docker_engine: DockerEngine
) -> None:
    workshop.settings["registry"] = "127.0.0.1:1"
    failed = await workshop.fail({"Dockerfile": HELLO})
    assert failed.code is FailureCode.IMAGE_PUSH_FAILED
    assert "127.0.0.1:1" in failed.message


@pytest.mark.docker
async def test_secret_is_mounted_and_in_no_layer_argument_or_log(
    workshop: Workshop, docker_engine: DockerEngine
) -> None:
    secret = new_id("token")
    built = await workshop.build(_sample(workshop), env={"BUILD_TOKEN": secret})
    told = docker_engine.run("run", "--rm", built.artifact, "cat", "had-build-token")
    assert told == "yes"
    history = docker_engine.run("history", "--no-trunc", built.artifact)
    inspected = docker_engine.run("image", "inspect", built.artifact)
    saved = workshop.home / "image.tar"
    docker_engine.run("save", "-o", str(saved), built.artifact)
    assert secret not in history + inspected + "\n".join(workshop.log)
    assert secret.encode() not in saved.read_bytes()


@pytest.mark.docker
async def test_ignored_files_do_not_reach_the_image(
    workshop: Workshop, docker_engine: DockerEngine
) -> None:
    tree = {
        "Dockerfile": f"FROM {BASE_IMAGE}\nCOPY . /app\nCMD ls -A /app\n",
        ".dockerignore": "*.log\n.dockerignore\nDockerfile\n",
        "kept": "",
        "big.log": "x",
    }
    built = await workshop.build(tree)
    assert docker_engine.run("run", "--rm", built.artifact) == "kept"


@pytest.mark.docker
@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        (f"FROM {BASE_IMAGE}\nRUN echo almost && exit 3\nCMD x\n", "exit code 3: almost"),
        (f"FROM {BASE_IMAGE}\nNONSENSE\n", "NONSENSE"),
        (f"FROM {BASE_IMAGE}\nCOPY absent /x\nCMD x\n", "absent"),
        (f"FROM {BASE_IMAGE}\nCOPY ../../../etc/passwd /x\nCMD x\n", "passwd"),
        ("FROM registry.invalid/none:1\nCMD x\n", "registry.invalid/none:1 could not be pulled"),
        (f"FROM {BASE_IMAGE}\n", "neither CMD nor ENTRYPOINT"),
    ],
)
async def test_failure_is_told_in_a_sentence(
    workshop: Workshop, docker_engine: DockerEngine, dockerfile: str, said: str
) -> None:
    failed = await workshop.fail({"Dockerfile": dockerfile})
    assert failed.code is FailureCode.BUILD_FAILED
    assert said in failed.message


@pytest.mark.docker
async def test_image_beyond_its_limit_names_the_numbers(
    workshop: Workshop, docker_engine: DockerEngine
) -> None:
    workshop.settings["build_max_image_mb"] = 10
    failed = await workshop.fail({"Dockerfile": HELLO})
    assert failed.code is FailureCode.BUILD_LIMIT
    assert "10 MB" in failed.message


@pytest.mark.docker
async def test_cancelling_stops_the_step_that_runs(
    workshop: Workshop, docker_engine: DockerEngine
) -> None:
    mark = new_id("sleeper")
    tree = {"Dockerfile": f"FROM {BASE_IMAGE}\nRUN sh -c 'sleep 300; : {mark}'\nCMD x\n"}
    building = asyncio.create_task(workshop.build(tree))
    while not others_processes(f"sleep 300; : {mark}") and not building.done():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert not building.done()
    building.cancel()
    await asyncio.gather(building, return_exceptions=True)
    async with asyncio.timeout(20):
        while others_processes(mark):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_dockerfile_that_links_out_of_the_tree_is_not_followed(workshop: Workshop) -> None:
    tree = workshop.tree({"readme": ""})
    (workshop.home / "Dockerfile").write_text(HELLO)
    (tree / "Dockerfile").symlink_to("../../Dockerfile")
    failed = await workshop.fail(tree)
    assert failed.code in {FailureCode.UNSAFE_SOURCE, FailureCode.NOTHING_TO_BUILD}


async def test_without_an_engine_it_says_so_and_what_else_works(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    failed = await workshop.fail({"Dockerfile": HELLO})
    assert failed.code is FailureCode.BUILDER_UNAVAILABLE
    assert "no Docker engine" in failed.message
    assert "Procfile" in failed.hint


async def test_newer_client_without_buildx_is_passed_over(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tmp_path / "docker"
    client.write_text('#!/bin/sh\n[ "$1" = version ] && echo 28.1.0 20.10.24 || exit 1\n')
    client.chmod(0o755)
    monkeypatch.setattr(docker_client, "_candidates", lambda: [str(client)])
    failed = await workshop.fail({"Dockerfile": HELLO})
    assert "28.1.0 lacks its buildx plugin" in failed.message
    assert os.access(client, os.X_OK)
