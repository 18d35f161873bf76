"""Node dependencies from the lock file, as a layer at ``node_modules``.

Install scripts are the tenant's code, so a layer serves the app that it was installed for and no other.
A tree whose own scripts take part (``build``, ``postinstall``, workspaces) is installed and built whole,
anew for each commit.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from app.adapters.builder.layers import Layer, layer_key
from app.adapters.builder.pack import packing
from app.adapters.builder.run import Command, program, run
from app.adapters.builder.start import node_setup
from app.adapters.builder.task import Prepared, Task
from app.adapters.builder.users import BuildUser, borrowed_user
from app.adapters.builder.workspace import copy_tree, safe_file, write_file
from app.errors import ExternalFailure
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

_MANIFESTS = ("package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc")
_OWN_SCRIPTS = {
    "preinstall",
    "install",
    "postinstall",
    "prepublish",
    "preprepare",
    "prepare",
    "postprepare",
}
_MAX_MANIFEST = 16 * 1024 * 1024
_LAYER_GZIP_LEVEL = 6
_TAIL_LINES = 6


async def prepare_node(task: Task) -> Prepared:
    """Raises BuildFailed with npm's last words when something cannot be installed or built."""
    major = await asyncio.to_thread(_node_version)
    manifests = _read_manifests(task.source)
    prepared = Prepared(setup=node_setup(major), runtime={"language": "node", "version": major})
    if not _takes_part(manifests):
        layer = await _layer(task, major, manifests)
        return replace(prepared, layers=[layer], replaces=frozenset({"node_modules"}))
    tree, owner = await _built_tree(task, manifests)
    return replace(prepared, tree=tree, owner=owner)


@cache
def _node_version() -> str:
    """The major version. Raises BuildFailed(BUILDER_UNAVAILABLE) when Node or npm is missing."""
    try:
        program("npm")
        asked = subprocess.run(
            [program("node"), "-p", "process.versions.node"],
            capture_output=True, check=True, text=True, cwd="/",
        )  # fmt: skip
    except (ExternalFailure, subprocess.CalledProcessError) as error:
        raise BuildFailed(
            FailureCode.BUILDER_UNAVAILABLE,
            f"This is a Node.js app, and the machine that builds cannot build those: {error}",
            "Install Node.js there (apt-get install nodejs npm), or give the app a Dockerfile.",
        ) from error
    return asked.stdout.split(".")[0]


def _read_manifests(source: Path) -> dict[str, str]:
    found = {}
    for name in _MANIFESTS:
        path = safe_file(source, name)
        if path is not None:
            if path.stat().st_size > _MAX_MANIFEST:
                raise _malformed(name, f"it is larger than {_MAX_MANIFEST // (1024 * 1024)} MB")
            found[name] = path.read_text("utf-8", errors="replace")
    return found


def _takes_part(manifests: Mapping[str, str]) -> bool:
    """Whether files of the tree, and not the manifests alone, decide what is installed."""
    package = _json(manifests, "package.json")
    lock_name = "npm-shrinkwrap.json" if "npm-shrinkwrap.json" in manifests else "package-lock.json"
    scripts, locked = package.get("scripts", {}), _json(manifests, lock_name).get("packages", {})
    if not isinstance(scripts, dict) or not isinstance(locked, dict):
        raise _malformed("package.json", "its scripts, or the lock's packages, are no object")
    linked = any(
        isinstance(entry, dict)
        and (entry.get("link") or str(entry.get("resolved", "")).startswith("file:"))
        for entry in locked.values()
    )
    return linked or "workspaces" in package or bool(scripts.keys() & {*_OWN_SCRIPTS, "build"})


async def _layer(task: Task, major: str, manifests: Mapping[str, str]) -> Layer:
    key = layer_key(
        node=major,
        files=sorted(manifests.items()),
        app=task.build.app_id,
        variables=task.build.inputs_digest,
    )
    found = task.layers.find(key)
    if found is not None:
        await task.write("Dependencies are unchanged: reusing them.")
        return found
    await task.write(f"Installing dependencies for Node.js {major}")
    async with borrowed_user() as user:
        scratch = task.area.scratch(task.build.build_id, user)
        tree = scratch / "tree"
        tree.mkdir()
        user.own(tree)
        for name, content in manifests.items():
            write_file(tree / name, content, user)
        await _Npm(task, scratch, user, tree).run("ci", "--omit=dev")
    return await asyncio.to_thread(_pack, task, key, tree / "node_modules", user)


async def _built_tree(task: Task, manifests: Mapping[str, str]) -> tuple[Path, int | None]:
    async with borrowed_user() as user:
        scratch = task.area.scratch(task.build.build_id, user)
        tree = await asyncio.to_thread(copy_tree, task.source, scratch / "tree", user)
        npm = _Npm(task, scratch, user, tree)
        await task.write("Installing dependencies, and building")
        await npm.run("ci", "--include=dev")
        if "build" in _json(manifests, "package.json").get("scripts", {}):
            await npm.run("run", "build")
        await npm.run("prune", "--omit=dev", "--ignore-scripts")
    return tree, user.uid


def _pack(task: Task, key: str, modules: Path, user: BuildUser) -> Layer:
    def pack(out: BinaryIO) -> int:
        with packing(
            out, max_bytes=task.max_bytes, level=_LAYER_GZIP_LEVEL, owner=user.uid
        ) as packer:
            if modules.is_dir() and not modules.is_symlink():
                packer.add_tree(modules, "node_modules")
        return packer.unpacked

    return task.layers.add(key, pack)


@dataclass
class _Npm:
    task: Task
    scratch: Path
    user: BuildUser
    tree: Path
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    async def run(self, *arguments: str) -> None:
        options = [
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=warn",
            "--no-color",
        ]
        command = Command(
            [program("npm"), *arguments, *options],
            self.scratch,
            self.task.build.build_id,
            cwd=self.tree,
            env={"CI": "true", **self.task.build.build_env},
            user=self.user,
            limits=self.task.limits,
        )
        status = await run(command, self._write)
        if status != 0:
            said = " ".join(line.strip() for line in self.tail if line.strip())
            raise BuildFailed(
                FailureCode.BUILD_FAILED,
                f"`npm {' '.join(arguments)}` ended with status {status}: {said[-600:]}",
                "The build log has the whole output. Correct it, commit and push again.",
            )

    async def _write(self, line: str) -> None:
        self.tail.append(line)
        await self.task.write(line)


def _json(manifests: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        value = json.loads(manifests.get(name, "{}"))
    except (ValueError, RecursionError) as error:
        raise _malformed(name, str(error)) from error
    if not isinstance(value, dict):
        raise _malformed(name, "it is no JSON object")
    return value


def _malformed(name: str, problem: str) -> BuildFailed:
    return BuildFailed(
        FailureCode.BUILD_FAILED,
        f"{name} cannot be read: {problem}.",
        f"Correct {name} and push again.",
    )
