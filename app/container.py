"""Everything that a process is wired from, built once from the settings.

What a role does not use is neither imported nor built: the API knows no builder, the worker no GraphQL. An
operator's commands act on the database alone, so that no engine need answer them.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from app.crypto import SecretBox, load_secret_box
from app.db import Database
from app.errors import ExternalFailure
from app.live.fanout import Fanouts
from app.logs.feed import feeds
from app.ports.builder import Builder, SlugStore
from app.ports.ingress import Ingress
from app.ports.logs import LogLine, LogStore
from app.ports.mirrors import Mirrors
from app.ports.repositories import Repositories
from app.ports.scheduler import Scheduler
from app.reconcile.wake import WakeListener
from app.settings import Settings

logger = logging.getLogger(__name__)

Role = Literal["api", "worker", "admin"]
Engine = Literal["embedded", "nomad"]


@dataclass(frozen=True)
class Container:
    settings: Settings
    engine: Engine
    database: Database
    secret_box: SecretBox
    repositories: Repositories
    slugs: SlugStore
    scheduler: Scheduler
    ingress: Ingress
    logs: LogStore
    log_feeds: Fanouts[LogLine]
    """What the process shows of them live."""
    wakes: WakeListener
    """Hears of committed changes, once whoever waits for one has started it."""
    _closing: AsyncExitStack
    _builder: Builder | None = None

    @property
    def mirrors(self) -> Mirrors:
        """What keeps the repositories also fetches into them."""
        from app.adapters.git.repositories import LocalRepositories

        assert isinstance(self.repositories, LocalRepositories)
        return self.repositories

    @property
    def builder(self) -> Builder:
        """The worker's. Raises ExternalFailure in a process of another role: that is a bug of ours."""
        if self._builder is None:
            raise ExternalFailure("This process builds nothing; only workers do.")
        return self._builder

    async def close(self) -> None:
        await self._closing.aclose()


def database_url(settings: Settings) -> str:
    """The configured server, or the embedded one of this home."""
    if settings.database_url:
        return settings.database_url
    from app.adapters.local.postgres import existing

    return existing(settings.home_path, settings.postgres_port).url()


async def open_container(settings: Settings, *, role: Role) -> Container:
    """Build it. Raises InvalidInput or ExternalFailure, saying which setting is wrong or what is missing."""
    async with AsyncExitStack() as stack:
        database = Database(database_url(settings))
        stack.push_async_callback(database.close)
        wakes = WakeListener(database.url)
        stack.push_async_callback(wakes.close)
        secret_box = load_secret_box(settings)
        engine = "embedded" if role == "admin" else await chosen_engine(settings)
        scheduler, ingress = _engine_adapters(settings, engine)
        stack.push_async_callback(ingress.close)
        stack.push_async_callback(scheduler.close)
        slugs = _slugs(settings, secret_box)
        builder = _builder(settings, engine, slugs) if role == "worker" else None
        if builder is not None:
            stack.push_async_callback(builder.close)
        logs = _logs(settings)
        return Container(
            settings=settings,
            engine=engine,
            database=database,
            secret_box=secret_box,
            repositories=_repositories(settings),
            slugs=slugs,
            scheduler=scheduler,
            ingress=ingress,
            logs=logs,
            log_feeds=feeds(logs),
            wakes=wakes,
            _closing=stack.pop_all(),
            _builder=builder,
        )


async def chosen_engine(settings: Settings) -> Engine:
    """The configured engine; ``auto`` is Nomad when its address answers, and embedded otherwise.

    A home that has once run on Nomad stays there: to fall back while Nomad restarts would start every
    app a second time. Raises ExternalFailure then.
    """
    if settings.scheduler != "auto":
        return settings.scheduler
    if not settings.nomad_addr:
        return "embedded"
    mark = settings.home_path / "runs-on-nomad"
    if await _answers(settings):
        mark.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        mark.touch()
        return "nomad"
    if mark.exists():
        raise ExternalFailure(
            f"Nomad at {settings.nomad_addr} does not answer, and this platform runs on it.",
            hint="Start Nomad; or set PAAS_SCHEDULER=embedded to leave it for good.",
        )
    logger.warning("Nomad at %s does not answer; using the embedded engine.", settings.nomad_addr)
    return "embedded"


async def _answers(settings: Settings) -> bool:
    """Whether Nomad's agent is there; a refusal of our token is an answer too."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(f"{settings.nomad_addr.rstrip('/')}/v1/status/leader") as response,
        ):
            return response.status < 500
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False


def _engine_adapters(settings: Settings, engine: Engine) -> tuple[Scheduler, Ingress]:
    if engine == "nomad":
        from app.adapters.consul.ingress import ConsulIngress
        from app.adapters.nomad.scheduler import NomadScheduler

        return NomadScheduler(settings), ConsulIngress(settings)
    from app.adapters.local.ingress import LocalIngress
    from app.adapters.local.scheduler import LocalScheduler

    return LocalScheduler(settings), LocalIngress(settings)


def _repositories(settings: Settings) -> Repositories:
    from app.adapters.git.repositories import LocalRepositories

    return LocalRepositories(
        settings.home_path / "repositories", push_max_bytes=settings.push_max_mb * 1024**2
    )


def _slugs(settings: Settings, secret_box: SecretBox) -> SlugStore:
    from app.adapters.local.slugs import LocalSlugStore

    return LocalSlugStore(settings.home_path / "slugs", secret_box, settings.node_url)


def _logs(settings: Settings) -> LogStore:
    from app.adapters.segments.store import SegmentStore

    return SegmentStore(
        settings.home_path / "logs" / "apps",
        keep_bytes=settings.log_keep_mb * 1024**2,
        keep=timedelta(hours=settings.log_keep_hours),
    )


def _builder(settings: Settings, engine: Engine, slugs: SlugStore) -> Builder:
    from app.adapters.builder.builder import LocalBuilder

    return LocalBuilder(settings, slugs, engine)
