"""The installed package, away from the source tree, has all that it needs at run time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CARRIED = """
import app
from app.adapters.builder import static
from app.engines.paths import configuration_folder
from app.graphql import asgi
from app.migrate import newest_revision
from app.up.demo import sample

print(app.__file__, newest_revision(), configuration_folder(), sample())
"""
"""Imports what reads a file of the package, and asks for the rest."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment into which nothing but the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = str(Path(sys.executable).parent / "uv")
    python = folder / "venv" / "bin" / "python"
    _run(uv, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    locked = ["--constraint", str(ROOT / "requirements.lock")]
    _run(uv, "pip", "install", "--quiet", "--python", str(python), *locked, str(wheel))
    return python.parent


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_wheel_alone_is_the_whole_platform(installed: Path, tmp_path: Path) -> None:
    version = _run(str(installed / "paas"), "version", cwd=tmp_path)
    assert version.startswith("paas ")

    carried = _run(str(installed / "python"), "-c", CARRIED, cwd=tmp_path)
    package, revision, configuration, sample = carried.split()
    assert revision.isdigit()
    for path in (package, configuration, sample):
        assert Path(path).is_relative_to(installed.parent.resolve())
    assert (Path(configuration) / "engines" / "nomad" / "go.sum").is_file()
    assert (Path(sample) / "Procfile").is_file()


def _run(*command: str, cwd: Path = ROOT) -> str:
    environment = {**os.environ, "PYTHONPATH": "", "VIRTUAL_ENV": ""}
    finished = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
