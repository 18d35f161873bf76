"""Python dependencies as a layer at ``.paas/python``.

First as ``paas-fetch``, wheels only: nothing of the tenant runs, so the layer may serve every app that asks
for the same. What needs more (a source distribution, a URL, a private index) is installed as the build's
own user, whose code may do anything to it, and serves this app alone.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from app.adapters.builder.interpreter import Interpreter
from app.adapters.builder.layers import Layer, layer_key
from app.adapters.builder.pack import packing
from app.adapters.builder.relocate import relocate
from app.adapters.builder.requirements import Requirements, read_requirements
from app.adapters.builder.run import INHERITED, Command, run
from app.adapters.builder.start import python_files, python_setup
from app.adapters.builder.task import Prepared, Task
from app.adapters.builder.users import BuildUser, borrowed_user, fetcher
from app.adapters.builder.workspace import copy_tree, safe_file, write_file
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed, WriteLine
from app.settings import inherited_environment

FOLDER = ".paas/python"
_LAYER_GZIP_LEVEL = 6
_TAIL_LINES = 4


async def prepare_python(task: Task, python: Interpreter) -> Prepared:
    """Raises BuildFailed with uv's last words when something cannot be installed."""
    await _warn_of_other_version(task, python)
    requirements = read_requirements(task.source)
    return Prepared(
        layers=await python_layers(task, python, requirements),
        files=python_files(),
        setup=python_setup(python, has_src=(task.source / "src").is_dir()),
        runtime={"language": "python", "version": python.version},
    )


async def python_layers(
    task: Task, python: Interpreter, requirements: Requirements
) -> Sequence[Layer]:
    if requirements.empty:
        return []
    shared, own = _keys(task, python, requirements)
    for key in (shared, own):
        layer = task.layers.find(key) if key else None
        if layer is not None:
            await task.write("Dependencies are unchanged: reusing them.")
            return [layer]
    await task.write(f"Installing dependencies for Python {python.version}")
    layer = await _fetched(task, python, requirements, shared) if shared else None
    return [layer or await _built(task, python, requirements, own)]


def _keys(task: Task, python: Interpreter, requirements: Requirements) -> tuple[str, str]:
    """The key that all apps share (empty when this may not be shared), and this app's own."""
    indexes = inherited_environment(name for name in INHERITED if "INDEX" in name)
    inputs = {
        "python": [python.version, python.tag, python.platform],
        "files": [requirements.text, requirements.lock, requirements.project],
        "indexes": sorted(indexes.items()),
    }
    shareable = requirements.shareable and not task.build.build_env
    commit = task.build.commit_sha if requirements.needs_tree else ""
    own = {"app": task.build.app_id, "variables": task.build.inputs_digest, "commit": commit}
    return layer_key(**inputs) if shareable else "", layer_key(**inputs, **own)


async def _fetched(
    task: Task, python: Interpreter, requirements: Requirements, key: str
) -> Layer | None:
    """The layer from wheels alone; None when that is not enough, having written nothing to the log."""
    user = fetcher()
    scratch = task.area.scratch(task.build.build_id, user)
    downloads = str(task.area.download_cache())
    command = Command((), scratch, task.build.build_id, user=user, limits=task.limits)
    command = replace(command, env={"UV_CACHE_DIR": downloads, "UV_LINK_MODE": "copy"})
    output: list[str] = []

    async def remember(line: str) -> None:
        output.append(line)

    installation = _Installation(task, python, requirements, command, remember)
    if not await installation.install("--only-binary", ":all:"):
        await task.write("Wheels alone are not enough: trying with source distributions.")
        return None
    for line in output:
        await task.write(line)
    return await asyncio.to_thread(_pack, task, key, scratch, user)


async def _built(task: Task, python: Interpreter, requirements: Requirements, key: str) -> Layer:
    async with borrowed_user() as user:
        scratch = task.area.scratch(task.build.build_id, user)
        command = Command((), scratch, task.build.build_id, user=user, limits=task.limits)
        command = replace(command, env=task.build.build_env)
        if requirements.needs_tree:
            tree = await asyncio.to_thread(copy_tree, task.source, scratch / "tree", user)
            command = replace(command, cwd=tree)
        installation = _Installation(task, python, requirements, command, task.write)
        if not await installation.install():
            raise installation.failure()
    return await asyncio.to_thread(_pack, task, key, scratch, user)


@dataclass
class _Installation:
    """uv's steps, in one scratch folder as one user."""

    task: Task
    python: Interpreter
    requirements: Requirements
    command: Command
    write: WriteLine
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    async def install(self, *options: str) -> bool:
        """Whether everything is now in ``site/`` of the scratch folder."""
        scratch = self.command.scratch
        listing = self._place("requirements.txt", self.requirements.text)
        if self.requirements.lock:
            self._place("uv.lock", self.requirements.lock)
            self._place("pyproject.toml", self.requirements.project)
            exported = ["export", "--frozen", "--no-dev", "--no-emit-project", "--no-header"]
            if not await self._uv(*exported, "--quiet", "-o", str(listing)):
                return False
        site = str(scratch / "site")
        if not await self._uv("pip", "install", "--target", site, "-r", str(listing), *options):
            return False
        await self._compile(site)
        return True

    def failure(self) -> BuildFailed:
        said = " ".join(line.strip() for line in self.tail if line.strip())
        return BuildFailed(
            FailureCode.BUILD_FAILED,
            f"The Python dependencies could not be installed: {said[-600:] or 'uv said nothing'}",
            "The build log has the whole output. Correct the requirements, commit and push again.",
        )

    def _place(self, name: str, content: str) -> Path:
        folder = self.command.cwd or self.command.scratch
        if self.command.cwd is not None and name != "requirements.txt":
            return folder / name
        return write_file(folder / name, content, self.command.user)

    async def _uv(self, *arguments: str) -> bool:
        uv = str(self.task.area.uv())
        options = ["--no-python-downloads", "--color", "never", "--no-progress"]
        arguments = (uv, *arguments, "--python", self.python.path, *options)
        return await run(replace(self.command, arguments=arguments), self._write) == 0

    async def _compile(self, site: str) -> None:
        """So that no start has to. Hash-based and never checked: times do not survive packing, and
        installed packages do not change. A module that does not compile is left as it is."""
        compiling = [self.python.path, "-I", "-m", "compileall", "-qq", "-j", "0"]
        compiling += ["--invalidation-mode", "unchecked-hash", "-s", site, "-p", f"/{FOLDER}", site]
        env = {**self.command.env, "PYTHONHASHSEED": "0"}
        await run(replace(self.command, arguments=compiling, env=env), _discard)

    async def _write(self, line: str) -> None:
        self.tail.append(line)
        await self.write(line)


def _pack(task: Task, key: str, scratch: Path, user: BuildUser) -> Layer:
    site = scratch / "site"
    relocate(site)

    def pack(out: BinaryIO) -> int:
        with packing(
            out, max_bytes=task.max_bytes, level=_LAYER_GZIP_LEVEL, owner=user.uid
        ) as packer:
            packer.add_parents(f"{FOLDER}/")
            packer.add_tree(site, FOLDER, leave_out=frozenset({".lock"}))
        return packer.unpacked

    try:
        return task.layers.add(key, pack)
    finally:
        shutil.rmtree(site, ignore_errors=True)


async def _discard(line: str) -> None:
    """compileall's complaints concern modules that nobody may ever import."""


async def _warn_of_other_version(task: Task, python: Interpreter) -> None:
    for name in (".python-version", "runtime.txt"):
        path = safe_file(task.source, name)
        if path is not None and path.stat().st_size < 200:
            asked = path.read_text(errors="replace").strip().removeprefix("python-")
            if asked and not asked.startswith(python.version):
                await task.write(
                    f"{name} asks for Python {asked}; this platform has {python.version}."
                )
