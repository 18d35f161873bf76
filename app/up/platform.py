"""The platform's own two processes as components; the same on both engines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from app.settings import Settings
from app.up import probe
from app.up.children import ChildSpec


def program(module: str) -> list[str]:
    """A process of this very installation. Without the command line's parser: that is memory, too."""
    return [sys.executable, "-m", module]


def processes(settings: Settings, environment: Mapping[str, str]) -> list[ChildSpec]:
    """``environment``: what they must be told beyond our own, e.g. which engine it is."""
    told = {"PAAS_HOME": str(settings.home_path), **environment}
    return [_api(settings, told), _worker(settings, told)]


def _api(settings: Settings, environment: Mapping[str, str]) -> ChildSpec:
    async def ready() -> bool:
        return await probe.is_ok(_reachable(settings.api_host), settings.api_port, "/readyz")

    return ChildSpec(
        name="api",
        title="API",
        argv=program("app.main"),
        ready=ready,
        detail=settings.external_url,
        env=environment,
    )


def _reachable(host: str) -> str:
    """Where to connect to something that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _worker(settings: Settings, environment: Mapping[str, str]) -> ChildSpec:
    async def ready() -> bool:
        return file.exists()

    async def forget() -> None:
        file.unlink(missing_ok=True)

    file = ready_file(settings)
    return ChildSpec(
        name="worker",
        title="Worker",
        argv=program("app.worker"),
        ready=ready,
        detail="builds, deploys, repairs",
        env={**environment, "PAAS_READY_FILE": str(file)},
        before_start=forget,
    )


def ready_file(settings: Settings) -> Path:
    """Touched by the worker once it listens for work: it has no port to ask."""
    return settings.home_path / "run" / "worker.ready"
