"""Builds what is queued: lease, export the commit, build, record, wake the deployments that wait.

The row is the queue. A build whose worker died starts from scratch when its lease has ended, after
whatever the dead one left has been removed; one that is cancelled, or that no deployment needs any more,
is stopped with everything that it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from app import faults
from app.builds import queries, service
from app.builds.log import PROGRESS, BuildLog, LogUnavailable, build_log
from app.builds.queries import BuildJob
from app.crypto import SecretBox
from app.db import Database
from app.errors import PaasError
from app.instances.secrets import open_build_env
from app.models import BuildKind, BuildStatus, FailureCode
from app.ports.builder import Builder, BuildFailed, BuildInput, BuildOutput, SlugStore
from app.ports.repositories import Repositories, SourceTooLarge, UnsafeSource
from app.quotas.service import may_build
from app.reconcile.lease import HeldLease, LeaseLost
from app.settings import Settings

log = logging.getLogger(__name__)

STEPS = ("build.started", "build.exported", "build.built", "build.recorded")
"""Every checkpoint of a build, in order."""

_LOOK_SECONDS = 5.0
"""How often a running build asks whether it is still needed, wakes aside."""
_MEGABYTE = 1024 * 1024
_TEMPORARY = (SQLAlchemyError, LogUnavailable, LeaseLost)
"""What passes by itself: the driver tries again. Anything else ends the build."""


class ArtifactVanished(Exception):
    """The slug was pruned between its making and its recording: build it again."""


@dataclass(frozen=True)
class _Started:
    job: BuildJob
    build_env: Mapping[str, str]
    again: bool
    """An earlier worker had begun it."""


class BuildReconciler:
    kind = "build"
    period = 5.0

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        repositories: Repositories,
        builder: Builder,
        slugs: SlugStore,
        settings: Settings,
    ) -> None:
        self.concurrency = settings.build_concurrency
        self._database = database
        self._box = box
        self._repositories = repositories
        self._builder = builder
        self._slugs = slugs
        self._settings = settings

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return await queries.with_work(session)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        started = await self._start(key, lease)
        if started is None:
            return
        faults.checkpoint("build.started")
        await self._builder.clean(key)
        folder = source_folder(self._settings, key)
        try:
            await asyncio.to_thread(_make_empty, folder)
            await self._build_watched(started, folder, lease)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _start(self, key: str, lease: HeldLease) -> _Started | None:
        """None when there is nothing to do: it has ended, was cancelled, or nobody wants it."""
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            if await service.cancel_if_unneeded(session, key):
                return None
            build = await queries.locked(session, key)
            job = await queries.job(session, key)
            if build is None or job is None or build.status not in queries.LIVE:
                return None
            again = build.status is BuildStatus.RUNNING
            if not again and not await may_build(session, job.organization_id):
                log.info("build %s waits: its organization runs as many as it may", key)
                return None
            build.status = BuildStatus.RUNNING
            build.started_at = datetime.now(UTC)
            build_env = open_build_env(self._box, build)
        return _Started(job, build_env, again)

    async def _build_watched(self, started: _Started, folder: Path, lease: HeldLease) -> None:
        """Build, while listening whether it is still wanted."""
        work = asyncio.create_task(self._build(started, folder, lease))
        try:
            while not work.done():
                lease.woken.clear()
                if not await self._is_wanted(started.job.build.id, lease):
                    log.info("build %s is not wanted any more", started.job.build.id)
                    return
                await _done_or_woken(work, lease)
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _is_wanted(self, key: str, lease: HeldLease) -> bool:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            if await service.cancel_if_unneeded(session, key):
                return False
            return await queries.status_of(session, key) is BuildStatus.RUNNING

    async def _build(self, started: _Started, folder: Path, lease: HeldLease) -> None:
        key = started.job.build.id
        async with build_log(
            self._database,
            lease,
            key,
            secrets=started.build_env.values(),
            max_lines=self._settings.build_max_log_lines,
        ) as lines:
            if started.again:
                await lines.note("The build was interrupted: starting it again from the beginning.")
            outcome = await self._outcome(started, folder, lines)
        faults.checkpoint("build.built")
        await self._record(key, outcome, lease)
        faults.checkpoint("build.recorded")

    async def _outcome(
        self, started: _Started, folder: Path, lines: BuildLog
    ) -> BuildOutput | BuildFailed:
        seconds = self._settings.build_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._export_and_build(started, folder, lines)
        except BuildFailed as failed:
            return failed
        except TimeoutError:
            return BuildFailed(
                FailureCode.BUILD_TIMEOUT,
                f"The build took longer than {seconds} seconds and was stopped.",
                "Make the build do less, or raise PAAS_BUILD_TIMEOUT_SECONDS.",
            )
        except _TEMPORARY:
            raise
        except Exception as error:
            log.exception("build %s failed by a fault of the platform", started.job.build.id)
            return BuildFailed(
                FailureCode.INTERNAL,
                f"The platform failed while building ({type(error).__name__}).",
                "Redeploy to try again; the worker's log has the details for the operator.",
            )

    async def _export_and_build(
        self, started: _Started, folder: Path, lines: BuildLog
    ) -> BuildOutput:
        job = started.job
        try:
            await self._repositories.export(
                job.repository_key,
                job.build.commit_sha,
                folder,
                max_bytes=self._settings.build_max_source_mb * _MEGABYTE,
                max_files=self._settings.build_max_source_files,
            )
        except PaasError as error:
            raise _not_exported(error) from error
        faults.checkpoint("build.exported")
        build = BuildInput(
            platform=job.platform,
            build_id=job.build.id,
            app_id=job.build.app_id,
            app_name=job.app_name,
            commit_sha=job.build.commit_sha,
            source=folder,
            build_env=started.build_env,
            inputs_digest=job.build.inputs_digest,
        )
        return await self._builder.build(build, lines.write)

    async def _record(self, key: str, outcome: BuildOutput | BuildFailed, lease: HeldLease) -> None:
        """Raises ArtifactVanished."""
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            await queries.lock_artifacts(session)
            build = await queries.locked(session, key)
            if build is None or build.status is not BuildStatus.RUNNING:
                return
            if isinstance(outcome, BuildFailed):
                service.end(build, BuildStatus.FAILED)
                build.failure_code = outcome.code
                build.failure_message = outcome.message
                build.failure_hint = outcome.hint
            else:
                await self._check_kept(outcome)
                service.end(build, BuildStatus.SUCCEEDED)
                build.kind = outcome.kind
                build.artifact = outcome.artifact
                build.artifact_bytes = outcome.size
                build.processes = dict(outcome.processes)
                build.runtime = dict(outcome.runtime)
            for instance_id in await queries.waiting_instances(session, key):
                await session.wake("instance", instance_id)
            await session.wake(PROGRESS, key)

    async def _check_kept(self, output: BuildOutput) -> None:
        if output.kind is BuildKind.SLUG and not await self._slugs.has(output.artifact):
            raise ArtifactVanished(f"slug {output.artifact} is gone already")


def source_folder(settings: Settings, build_id: str) -> Path:
    """Where a build's commit is written; closed to build users."""
    return settings.home_path / "builds" / build_id


def _make_empty(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


async def _done_or_woken(work: asyncio.Task[None], lease: HeldLease) -> None:
    woken = asyncio.create_task(lease.woken.wait())
    try:
        await asyncio.wait(
            {work, woken}, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        woken.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await woken


def _not_exported(error: PaasError) -> BuildFailed:
    if isinstance(error, UnsafeSource):
        code = FailureCode.UNSAFE_SOURCE
    elif isinstance(error, SourceTooLarge):
        code = FailureCode.BUILD_LIMIT
    else:
        code = FailureCode.INTERNAL
    hint = error.hint or "Correct the commit and push again."
    return BuildFailed(code, error.message, hint)
