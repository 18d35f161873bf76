"""A static site: its files and a small server (Starlette and uvicorn, pinned), as one slug."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import replace
from pathlib import Path

from app.adapters.builder.interpreter import Interpreter
from app.adapters.builder.python import python_layers
from app.adapters.builder.requirements import from_text
from app.adapters.builder.start import python_files, python_setup
from app.adapters.builder.task import Prepared, Task
from app.adapters.builder.workspace import safe_file
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

_HERE = Path(__file__).parent
_SERVER = ".paas/serve_static.py"


async def prepare_static(task: Task, python: Interpreter, root: str) -> Prepared:
    """Raises BuildFailed when the folder to serve is not there."""
    root = _root(task.source, root)
    await task.write(f"Serving {'the whole tree' if root == '.' else root + '/'}")
    requirements = from_text((_HERE / "static_requirements.txt").read_text())
    # The server is ours, not the app's: its variables play no part, and every site shares the layer.
    ours = replace(task, build=replace(task.build, build_env={}))
    return Prepared(
        layers=await python_layers(ours, python, requirements),
        files={**python_files(), _SERVER: (_HERE / "serve_static.py").read_bytes()},
        setup=python_setup(python, has_src=False),
        processes={"web": f"python3 {_SERVER} {shlex.quote(root)}"},
        runtime={"language": "python", "version": python.version, "serves": "static"},
    )


def _root(source: Path, detected: str) -> str:
    """``root: folder`` in a Staticfile decides; else what detection found."""
    staticfile = safe_file(source, "Staticfile")
    if staticfile is None or staticfile.stat().st_size > 65_536:
        return detected
    for line in staticfile.read_text(errors="replace").splitlines():
        name, separator, value = line.partition(":")
        if separator and name.strip() == "root" and value.strip():
            return _checked(source, value.strip())
    return detected


def _checked(source: Path, root: str) -> str:
    normal = posixpath.normpath(root)
    if (
        normal.startswith(("/", ".."))
        or not (source / normal).resolve().is_relative_to(source.resolve())
        or not (source / normal).is_dir()
    ):
        raise BuildFailed(
            FailureCode.NOTHING_TO_BUILD,
            f"The Staticfile says `root: {root[:200]}`, and there is no such folder in the tree.",
            "Name a folder of the repository, such as `root: public`.",
        )
    return normal
