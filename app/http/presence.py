"""The API's own entry in the service catalog, so that operators and routers find it beside the apps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from app.errors import PaasError
from app.ports.ingress import Ingress
from app.settings import Settings

logger = logging.getLogger(__name__)

SERVICE = "paas-api"
_EVERYWHERE = {"", "0.0.0.0", "::"}
_PERIOD_SECONDS = 30.0


@asynccontextmanager
async def announced(
    ingress: Ingress, settings: Settings, *, period: float = _PERIOD_SECONDS
) -> AsyncIterator[None]:
    """While the block runs. A catalog that is away delays nothing, and is told once it is back.

    Where Nomad runs the API, Nomad has registered it.
    """
    if settings.nomad_alloc_id:
        yield
        return
    keeping = asyncio.create_task(_keep(ingress, settings, period))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        try:
            await ingress.deregister_platform(SERVICE)
        except PaasError as error:
            logger.warning("%s stays in the catalog until its check fails: %s", SERVICE, error)


async def _keep(ingress: Ingress, settings: Settings, period: float) -> None:
    """Again and again: a catalog may forget, and saying the same twice changes nothing."""
    reason = ""
    while True:
        try:
            await ingress.register_platform(SERVICE, _host(settings), settings.api_port)
            reason = ""
        except PaasError as error:
            if error.message != reason:
                logger.warning("%s is not in the catalog: %s", SERVICE, error.message)
            reason = error.message
        await asyncio.sleep(period)


def _host(settings: Settings) -> str:
    """Where others reach it; the address of "everywhere" says nothing to them."""
    if settings.api_host not in _EVERYWHERE:
        return settings.api_host
    return urlsplit(settings.node_url).hostname or settings.api_host
