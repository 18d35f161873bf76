"""The Builder port on this machine."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from app.adapters.builder.area import Area, open_area
from app.adapters.builder.detect import AppKind, detect
from app.adapters.builder.interpreter import interpreter_for
from app.adapters.builder.layers import LayerStore
from app.adapters.builder.run import Limits
from app.adapters.builder.slug import build_slug
from app.adapters.builder.task import Task
from app.adapters.builder.users import end_marked, is_root
from app.adapters.builder.workspace import files_near_top
from app.adapters.docker.images import ImageBuilder
from app.errors import ExternalFailure, InvalidInput
from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed, BuildInput, BuildOutput, SlugStore, WriteLine
from app.settings import Settings

_MEGABYTE = 1024 * 1024


class LocalBuilder:
    """Builds slugs by itself, and images by the Docker engine that it finds."""

    def __init__(
        self, settings: Settings, slugs: SlugStore, engine: Literal["embedded", "nomad"]
    ) -> None:
        self._settings = settings
        self._slugs = slugs
        self._engine = engine

    async def build(self, build: BuildInput, write: WriteLine) -> BuildOutput:
        try:
            detected = detect(await asyncio.to_thread(files_near_top, build.source))
            await write(f"{detected.kind} app (found {detected.because})")
            if detected.kind is AppKind.DOCKERFILE:
                return await self._images.build(build, self._area, write)
            python = None
            if detected.kind in {AppKind.PYTHON, AppKind.STATIC}:
                python = await asyncio.to_thread(interpreter_for, self._engine)
            return await build_slug(self._task(build, write), detected, python, self._slugs)
        except InvalidInput as error:
            hint = error.hint or "Correct it and deploy again."
            raise BuildFailed(FailureCode.BUILD_FAILED, error.message, hint) from error
        except (ExternalFailure, subprocess.CalledProcessError, OSError) as error:
            raise _machine_trouble(error) from error
        finally:
            if not is_root():  # else the build's user was emptied when it was given back
                await end_marked(build.build_id)
            await asyncio.to_thread(self._area.remove_scratch, build.build_id)

    async def clean(self, build_id: str) -> None:
        await end_marked(build_id)
        await asyncio.to_thread(self._area.remove_scratch, build_id)

    async def leftovers(self) -> list[str]:
        return [path.name.removesuffix(".slug") for path in self._area.staging.iterdir()]

    async def images(self, platform: str) -> Mapping[str, str]:
        return await self._images.held(platform)

    async def remove_image(self, reference: str) -> None:
        await self._images.remove(reference)

    async def prune_cache(self, *, max_bytes: int) -> int:
        await self._images.prune_cache(max_bytes)
        return await asyncio.to_thread(LayerStore(self._area.layers).prune, max_bytes)

    async def close(self) -> None:
        """Holds nothing open."""

    def _task(self, build: BuildInput, write: WriteLine) -> Task:
        settings = self._settings
        limits = Limits(settings.build_timeout_seconds, 2 * settings.build_max_slug_mb)
        area = self._area
        max_bytes = settings.build_max_slug_mb * _MEGABYTE
        return Task(build, area, LayerStore(area.layers), limits, max_bytes, write)

    @cached_property
    def _area(self) -> Area:
        return open_area(self._settings.home_path)

    @cached_property
    def _images(self) -> ImageBuilder:
        return ImageBuilder(self._settings, self._engine)


def _machine_trouble(error: Exception) -> BuildFailed:
    """Not the app's fault: the disk is full, a program is missing, a user cannot be made."""
    hint = (
        getattr(error, "hint", None)
        or "Ask the operator to look at the worker's log, then redeploy."
    )
    return BuildFailed(
        FailureCode.BUILDER_UNAVAILABLE, f"The machine that builds is in trouble: {error}", hint
    )
