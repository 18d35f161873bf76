"""One slug: dependencies, the source and the start wrapper in one archive."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from app.adapters.builder.detect import AppKind, Detected
from app.adapters.builder.interpreter import Interpreter
from app.adapters.builder.node import prepare_node
from app.adapters.builder.pack import end_archive, packing, too_large
from app.adapters.builder.procfile import parse_procfile
from app.adapters.builder.python import prepare_python
from app.adapters.builder.start import processes_file, start_script
from app.adapters.builder.static import prepare_static
from app.adapters.builder.task import Prepared, Task
from app.adapters.builder.workspace import safe_file
from app.models.build import BuildKind
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed, BuildOutput, SlugStore

_SOURCE_GZIP_LEVEL = 1
_MAX_PROCFILE = 65_536
_RESERVED = ".paas"


async def build_slug(
    task: Task, detected: Detected, python: Interpreter | None, slugs: SlugStore
) -> BuildOutput:
    """Raises BuildFailed."""
    prepared = await _prepared(task, detected, python)
    processes = dict(prepared.processes) or _procfile(task.source)
    await task.write("Packing the slug")
    archive = task.area.staging / f"{task.build.build_id}.slug"
    try:
        await asyncio.to_thread(_assemble, task, prepared, processes, archive)
        size = archive.stat().st_size
        sha256 = await slugs.put(archive)
    finally:
        archive.unlink(missing_ok=True)
    await task.write(f"Packed {size / 1_048_576:.1f} MB")
    return BuildOutput(BuildKind.SLUG, sha256, size, processes, prepared.runtime)


async def _prepared(task: Task, detected: Detected, python: Interpreter | None) -> Prepared:
    if detected.kind in {AppKind.PYTHON, AppKind.PLAIN, AppKind.NODE}:
        _procfile(task.source)  # a mistake there should not cost an installation
    match detected.kind:
        case AppKind.NODE:
            return await prepare_node(task)
        case AppKind.PYTHON if python is not None:
            return await prepare_python(task, python)
        case AppKind.STATIC if python is not None:
            return await prepare_static(task, python, detected.root)
        case _:
            return Prepared()


def _procfile(source: Path) -> dict[str, str]:
    path = safe_file(source, "Procfile")
    if path is None:
        return {}
    if path.stat().st_size > _MAX_PROCFILE:
        raise BuildFailed(
            FailureCode.NOTHING_TO_BUILD,
            f"The Procfile is larger than {_MAX_PROCFILE // 1024} KB.",
            "Each line is `name: command`; move longer commands into a script.",
        )
    return parse_procfile(path.read_text("utf-8", errors="replace"))


def _assemble(task: Task, prepared: Prepared, processes: dict[str, str], archive: Path) -> None:
    unpacked = sum(layer.unpacked for layer in prepared.layers)
    if unpacked > task.max_bytes:
        raise too_large(task.max_bytes)
    files = {
        **prepared.files,
        ".paas/start": start_script(prepared.setup),
        ".paas/processes.json": processes_file(processes),
    }
    with archive.open("wb") as out:
        for layer in prepared.layers:
            with open(layer.path, "rb") as packed:
                shutil.copyfileobj(packed, out, 1024 * 1024)
        with packing(
            out, max_bytes=task.max_bytes - unpacked, level=_SOURCE_GZIP_LEVEL, owner=prepared.owner
        ) as packer:
            packer.add_parents(f"{_RESERVED}/")
            for name in sorted(files):
                packer.add_parents(name)
                packer.add_bytes(name, files[name], executable=files[name].startswith(b"#!"))
            leave_out = frozenset({_RESERVED, *prepared.replaces})
            packer.add_tree(prepared.tree or task.source, "", leave_out=leave_out)
        end_archive(out)
