"""Removes what no release needs any more: slugs, images, packed dependencies, and leftovers on disk.

Kept are the artifacts of unfinished deployments, of what runs, of the last releases of each instance, and
of each app's newest build. A build whose artifact is gone keeps its row and log; deploying its commit again
builds it anew.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Collection, Sequence

from app.builds import queries
from app.builds.reconcile import source_folder
from app.db import Database
from app.models import BuildKind
from app.ports.builder import Builder, SlugStore
from app.reconcile.lease import HeldLease
from app.settings import Settings

log = logging.getLogger(__name__)

_KEY = "artifacts"
_MEGABYTE = 1024 * 1024


class PruneReconciler:
    kind = "prune"
    period = 300.0
    concurrency = 1

    def __init__(
        self, database: Database, builder: Builder, slugs: SlugStore, settings: Settings
    ) -> None:
        self._database = database
        self._builder = builder
        self._slugs = slugs
        self._settings = settings
        self._unknown_slugs: set[str] = set()
        self._unknown_images: set[str] = set()

    async def pending(self) -> Sequence[str]:
        return [_KEY]

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        if key != _KEY:
            return
        await self._prune_builds(lease)
        await self._remove_unknown_slugs(lease)
        await self._remove_unknown_images(lease)
        await self._clean_leftovers(lease)
        freed = await self._builder.prune_cache(
            max_bytes=self._settings.build_max_cache_mb * _MEGABYTE
        )
        if freed:
            log.info("removed %d MB of packed dependencies", freed // _MEGABYTE)

    async def _prune_builds(self, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            build_ids = await queries.prunable(session, keep=self._settings.build_keep)
        for build_id in build_ids:
            await self._prune(build_id, lease)

    async def _prune(self, build_id: str, lease: HeldLease) -> None:
        """Under the row's lock it is judged again: a deployment may have taken it meanwhile."""
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            await queries.lock_artifacts(session)
            build = await queries.locked(session, build_id)
            if build is None or build.artifact is None:
                return
            if await queries.is_kept(session, build_id, keep=self._settings.build_keep):
                return
            artifact, build.artifact = build.artifact, None
            if await queries.artifact_used_elsewhere(session, artifact, build_id):
                return
            log.info("pruning %s of build %s", artifact, build_id)
            if build.kind is BuildKind.SLUG:
                await self._slugs.delete(artifact)
            else:
                await self._builder.remove_image(artifact)

    async def _remove_unknown_slugs(self, lease: HeldLease) -> None:
        """Of deleted apps, or of workers that died before they recorded one. A slug that is just being
        recorded is unknown too, so only what was so a period ago is removed."""
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            await queries.lock_artifacts(session)
            unknown = set(await self._slugs.list()) - await queries.known_artifacts(session)
            for sha256 in unknown & self._unknown_slugs:
                log.info("removing slug %s, which no build knows", sha256)
                await self._slugs.delete(sha256)
            self._unknown_slugs = unknown - self._unknown_slugs

    async def _remove_unknown_images(self, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            platform = await queries.platform(session)
        held = await self._builder.images(platform)
        async with self._database.read_session() as session:
            known = await queries.known_artifacts(session)
            running = await queries.unfinished_among(session, held.keys())
        unknown = {
            reference
            for build_id, reference in held.items()
            if reference not in known and build_id not in running
        }
        for reference in unknown & self._unknown_images:
            lease.check()
            log.info("removing image %s, which no build knows", reference)
            await self._builder.remove_image(reference)
        self._unknown_images = unknown - self._unknown_images

    async def _clean_leftovers(self, lease: HeldLease) -> None:
        """Of builds that ended while no worker was there to tidy up."""
        left = {*await self._builder.leftovers(), *await asyncio.to_thread(self._source_folders)}
        for build_id in left - await self._unfinished(left):
            lease.check()
            await self._builder.clean(build_id)
            folder = source_folder(self._settings, build_id)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _unfinished(self, build_ids: Collection[str]) -> set[str]:
        async with self._database.read_session() as session:
            return await queries.unfinished_among(session, build_ids)

    def _source_folders(self) -> list[str]:
        folder = source_folder(self._settings, "").resolve()
        return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
