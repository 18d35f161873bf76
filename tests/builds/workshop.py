"""Trees in, slugs out: helpers for tests of the real builder."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.adapters.builder.builder import LocalBuilder
from app.adapters.local.slugs import LocalSlugStore
from app.crypto import SecretBox
from app.ids import new_id
from app.ports.builder import BuildFailed, BuildInput, BuildOutput
from app.settings import Settings

PLATFORM = "plt_test"
Tree = Mapping[str, str | bytes]


@dataclass
class Workshop:
    home: Path
    box: SecretBox
    log: list[str] = field(default_factory=list)
    settings: dict[str, int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slugs = LocalSlugStore(self.home / "slugs", self.box, "http://api.test")

    @property
    def builder(self) -> LocalBuilder:
        settings = Settings(home=str(self.home), **self.settings)  # type: ignore[arg-type]
        return LocalBuilder(settings, self.slugs, "embedded")

    async def build(
        self,
        tree: Tree | Path,
        *,
        env: Mapping[str, str] | None = None,
        app_id: str = "app_1",
        commit: str = "c" * 40,
        build_id: str | None = None,
    ) -> BuildOutput:
        """``self.log`` is this build's log afterwards."""
        self.log.clear()
        given = BuildInput(
            platform=PLATFORM,
            build_id=build_id or new_id("bld"),
            app_id=app_id,
            app_name="acme/storefront/web",
            commit_sha=commit,
            source=self.tree(tree) if not isinstance(tree, Path) else tree,
            build_env=env or {},
            inputs_digest="".join(sorted(env or {})),
        )
        return await self.builder.build(given, self._write)

    async def fail(self, tree: Tree | Path, *, env: Mapping[str, str] | None = None) -> BuildFailed:
        """The failure that building the tree ends in."""
        try:
            built = await self.build(tree, env=env)
        except BuildFailed as failed:
            return failed
        raise AssertionError(f"the build succeeded: {built}")

    def tree(self, files: Tree) -> Path:
        folder = self.home / "sources" / new_id("src")
        folder.mkdir(parents=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            if path.read_bytes().startswith(b"#!"):
                path.chmod(0o755)
        return folder

    async def unpack(self, built: BuildOutput) -> Path:
        """As a node does."""
        folder = self.home / "unpacked" / new_id("run")
        folder.mkdir(parents=True)
        archive = folder / "slug"
        archive.write_bytes(b"".join([chunk async for chunk in self.slugs.open(built.artifact)]))
        unpacking = ["tar", "-xof", str(archive), "-C", str(folder)]
        await asyncio.to_thread(subprocess.check_call, unpacking)
        archive.unlink()
        return folder

    async def names(self, built: BuildOutput) -> list[str]:
        folder = await self.unpack(built)
        return sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()
        )

    async def run(
        self, built: BuildOutput, process: str = "web", *, path: str = "/usr/bin:/bin"
    ) -> subprocess.CompletedProcess[str]:
        """What a process of the slug prints, started as an engine starts it."""
        folder = await self.unpack(built)
        line = built.processes.get(process, process)
        return await asyncio.to_thread(
            subprocess.run,
            ["/bin/sh", ".paas/start", line],
            cwd=folder,
            env={"PATH": path, "PORT": "8080"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    async def _write(self, line: str) -> None:
        self.log.append(line)


def wheel(name: str, version: str, files: Mapping[str, str], scripts: str = "") -> bytes:
    """A wheel of these files, so that a test can install something without a network."""
    import io
    import zipfile

    out = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if scripts:
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    record = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return out.getvalue()


def members(archive: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(archive, "r:gz") as opened:
        return opened.getmembers()


def others_processes(mark: str) -> list[int]:
    """Processes whose command line holds ``mark``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


_BACKEND = """
import os, pathlib, sys, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    tenants_code()
    name = "hostile-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as out:
        info = "hostile-1.0.dist-info"
        out.writestr("hostile.py", "")
        out.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: hostile\\nVersion: 1.0\\n")
        out.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        out.writestr(f"{info}/RECORD", "")
    return name

def tenants_code():
"""


def running(code: str) -> dict[str, str]:
    """A Python app whose installation runs ``code``, without needing a network."""
    body = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return {
        "Procfile": "web: python3 -c pass",
        "requirements.txt": "./hostile\n",
        "hostile/pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "hostile"\nversion = "1.0"\n'
        ),
        "hostile/backend.py": _BACKEND + body,
    }
