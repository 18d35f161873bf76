"""Builds that install from the real package registries: the bundled samples, and what languages need."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.models import FailureCode
from app.ports.builder import BuildOutput
from tests.builds.workshop import Workshop

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@contextlib.asynccontextmanager
async def served(workshop: Workshop, built: BuildOutput) -> AsyncIterator[str]:
    """The slug's web process as an engine starts it; yields its URL, and asks it to end by SIGTERM."""
    folder = await workshop.unpack(built)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        ".paas/start",
        built.processes["web"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PORT": str(port), "GREETING": "Hello <you>"},
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await asyncio.to_thread(_until_it_answers, url)
        yield url
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) in {0, -signal.SIGTERM}


def _until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


async def _page(url: str) -> str:
    def read() -> str:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)


@pytest.mark.parametrize("sample", ["python-procfile", "node-procfile"])
async def test_sample_serves_its_page(warm_workshop: Workshop, sample: str) -> None:
    built = await warm_workshop.build(SAMPLES / sample)
    async with served(warm_workshop, built) as url:
        page = await _page(url)
        assert "Hello &lt;you&gt;" in page
        assert '"status"' in await _page(f"{url}/healthz")


async def test_static_sample_serves_its_pages(warm_workshop: Workshop) -> None:
    built = await warm_workshop.build(SAMPLES / "static-site", env={"UNRELATED": "x" * 20})
    async with served(warm_workshop, built) as url:
        assert "A folder of files" in await _page(url)
        assert "The journey" in await _page(f"{url}/journey")


async def test_wheels_are_shared_between_apps(warm_workshop: Workshop) -> None:
    tree = {"Procfile": "web: python -c 'import idna'", "requirements.txt": "idna==3.10\n"}
    first = await warm_workshop.build(tree, app_id="app_1")
    second = await warm_workshop.build(tree, app_id="app_2")
    assert "Dependencies are unchanged: reusing them." in warm_workshop.log
    assert first.artifact == second.artifact
    assert (await warm_workshop.run(second)).returncode == 0


async def test_source_distribution_serves_its_own_app(warm_workshop: Workshop) -> None:
    """docopt has no wheel: its setup.py runs, as the build's own user."""
    tree = {"Procfile": "web: python -c 'import docopt'", "requirements.txt": "docopt==0.6.2\n"}
    built = await warm_workshop.build(tree, app_id="app_1")
    assert (await warm_workshop.run(built)).returncode == 0
    await warm_workshop.build(tree, app_id="app_1")
    assert "Dependencies are unchanged: reusing them." in warm_workshop.log
    await warm_workshop.build(tree, app_id="app_2")
    assert "Dependencies are unchanged: reusing them." not in warm_workshop.log


async def test_uv_lock_decides_over_everything_else(warm_workshop: Workshop) -> None:
    tree = warm_workshop.tree(
        {
            "Procfile": "web: python -c 'import idna; print(idna.__version__)'",
            "pyproject.toml": (
                '[project]\nname = "web"\nversion = "1"\nrequires-python = ">=3.9"\n'
                'dependencies = ["idna<3.11"]\n'
            ),
            "requirements.txt": "no-such-package-anywhere==1\n",
        }
    )
    locking = await asyncio.create_subprocess_exec(
        str(Path(warm_workshop.builder._area.uv())),
        "lock",
        "--quiet",
        "--no-config",
        "--python",
        "/usr/bin/python3",
        cwd=tree,
    )
    assert await locking.wait() == 0
    built = await warm_workshop.build(tree)
    assert (await warm_workshop.run(built)).stdout.startswith("3.10")


async def test_package_that_does_not_exist_fails_with_its_name(warm_workshop: Workshop) -> None:
    tree = {"Procfile": "web: x", "requirements.txt": "no-such-package-of-ours-1f3a==1.0\n"}
    failed = await warm_workshop.fail(tree)
    assert failed.code is FailureCode.BUILD_FAILED
    assert "no-such-package-of-ours-1f3a" in failed.message


async def test_node_build_script_runs_with_its_variables_and_leaves_no_development_packages(
    warm_workshop: Workshop,
) -> None:
    tree = {
        "Procfile": "web: cat dist/out",
        "package.json": '{"name":"w","version":"1.0.0","scripts":{"build":"mkdir dist && cp secret-length dist/out",'
        '"prebuild":"printf %s ${#TOKEN} > secret-length"}}',
        "package-lock.json": '{"name":"w","version":"1.0.0","lockfileVersion":3,"requires":true,'
        '"packages":{"":{"name":"w","version":"1.0.0"}}}',
    }
    built = await warm_workshop.build(tree, env={"TOKEN": "12345678"})
    assert (await warm_workshop.run(built)).stdout == "8"


async def test_node_lock_that_does_not_match_fails_in_words(warm_workshop: Workshop) -> None:
    tree = {
        "Procfile": "web: node .",
        "package.json": '{"name":"w","version":"1.0.0","dependencies":{"escape-html":"1.0.3"}}',
        "package-lock.json": '{"name":"w","version":"1.0.0","lockfileVersion":3,"packages":{"":{}}}',
    }
    failed = await warm_workshop.fail(tree)
    assert failed.code is FailureCode.BUILD_FAILED
    assert "npm ci" in failed.message
