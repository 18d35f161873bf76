"""The platform's own two processes as components; the same on both engines."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from app.settings import Settings
from app.up import probe
from app.up.children import ChildSpec


def paas(*arguments: str) -> list[str]:
    """This very installation's ``paas``, as a process."""
    return [sys.executable, "-m", "app.cli.main", *arguments]


def api(settings: Settings, environment: Mapping[str, str]) -> ChildSpec:
    async def ready() -> bool:
        return await probe.is_ok(_reachable(settings.api_host), settings.api_port, "/readyz")

    return ChildSpec(
        name="api",
        title="API",
        argv=paas("serve"),
        ready=ready,
        detail=settings.external_url,
        env=environment,
    )


def _reachable(host: str) -> str:
    """Where to connect to something that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
