"""The worker process: it drives the reconcilers. Any number may run; a lease decides who acts on what."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from app import faults, log, loop, tracing
from app.container import Container, database_url, open_container
from app.migrate import migrate_if_behind
from app.reconcile.driver import Driver
from app.reconcile.reconciler import Reconciler
from app.settings import Settings, load_settings

logger = logging.getLogger("app.worker")


def reconcilers(container: Container) -> Sequence[Reconciler]:
    """Every kind of background work."""
    from app.adapters.statuses.github import HttpCommitStatuses
    from app.adapters.traefik.requests import TraefikRequests, router_pages
    from app.builds.prune import PruneReconciler
    from app.builds.reconcile import BuildReconciler
    from app.builds.service import ensure
    from app.drift.reconcile import DriftReconciler
    from app.environments.previews import PreviewMaker
    from app.environments.reconcile import PreviewReconciler
    from app.events.reconcile import ContainersReconciler, EventPruneReconciler
    from app.logs.collect import CopiesReconciler, LogPruneReconciler, LogsReconciler
    from app.metrics.reconcile import MetricsReconciler
    from app.outbound.client import Outbound
    from app.outbound.guard import guard_of
    from app.pushes.reconcile import PushReconciler, RepositoryReconciler
    from app.remotes.reconcile import RemoteReconciler
    from app.remotes.statuses import CommitStatusReconciler
    from app.rollouts.reconcile import InstanceReconciler
    from app.teardown.reconcile import TeardownReconciler
    from app.webhooks.reconcile import WebhookReconciler

    outbound = Outbound(guard_of(container.settings))
    settings, database, box = container.settings, container.database, container.secret_box
    # A slug runs on either engine, but not an image that only this machine's Docker holds.
    profile = f"{container.engine} {settings.registry}"
    return (
        PushReconciler(database, container.repositories, PreviewMaker(box, settings.wildcard_base)),
        PreviewReconciler(database, container.repositories),
        WebhookReconciler(database, box, outbound),
        CommitStatusReconciler(database, box, HttpCommitStatuses(outbound), settings),
        RemoteReconciler(
            database,
            box,
            container.repositories,
            container.mirrors,
            outbound.guard,
            PreviewMaker(box, settings.wildcard_base),
        ),
        RepositoryReconciler(container.repositories),
        BuildReconciler(
            database, box, container.repositories, container.builder, container.slugs, settings
        ),
        InstanceReconciler(
            database,
            box,
            container.scheduler,
            container.ingress,
            container.slugs,
            partial(ensure, profile=profile),
            rollout_seconds=settings.rollout_timeout_seconds,
        ),
        DriftReconciler(database, container.scheduler, container.ingress),
        TeardownReconciler(database, container.repositories, container.scheduler),
        CopiesReconciler(database, container.scheduler),
        LogsReconciler(database, container.scheduler, container.logs),
        LogPruneReconciler(database, container.logs, settings),
        ContainersReconciler(database, container.scheduler),
        EventPruneReconciler(database, keep=timedelta(days=settings.events_keep_days)),
        MetricsReconciler(
            database,
            container.scheduler,
            TraefikRequests(router_pages(settings, container.engine)),
            period_seconds=settings.metrics_period_seconds,
            keep=timedelta(hours=settings.metrics_keep_hours),
        ),
        PruneReconciler(database, container.builder, container.slugs, settings),
    )


async def work(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; what is under way is let go, and another worker goes on with it."""
    log.configure(settings)
    faults.arm(settings.fault_kill)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await migrate_if_behind(database_url(settings))
    container = await open_container(settings, role="worker")
    try:
        tracing.configure(settings, role="worker", database=container.database)
        driver = Driver(
            container.database,
            reconcilers(container),
            listener=container.wakes,
            lease_seconds=settings.lease_seconds,
        )
        logger.info("worker %s on the %s engine", driver.worker, container.engine)
        await container.wakes.start()
        if settings.ready_file:
            Path(settings.ready_file).touch()
        await driver.run(stop)
    finally:
        tracing.close()
        await container.close()


def run(settings: Settings) -> None:
    """The process's entry."""
    loop.run(work(settings))


if __name__ == "__main__":
    run(load_settings())
