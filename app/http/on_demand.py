"""An application that is loaded by its first request: what nobody asks for costs no memory, and no start."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Protocol

from starlette.types import Receive, Scope, Send


class Stoppable(Protocol):
    """An ASGI application with streams that a stopping server need not wait for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def stop(self) -> None: ...


Make = Callable[[], Stoppable]


class OnDemand:
    """``load`` imports, in a thread, so that other requests go on; what it returns makes the application."""

    def __init__(self, load: Callable[[], Make]) -> None:
        self._load = load
        self._loading = asyncio.Lock()
        self._application: Stoppable | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._application or await self._loaded()
        await application(scope, receive, send)

    async def _loaded(self) -> Stoppable:
        async with self._loading:
            if self._application is None:
                make = await asyncio.to_thread(self._load)
                self._application = make()
                gc.freeze()  # as app/main.py does at the start; to look through a schema takes a tenth of a second
            return self._application

    def stop(self) -> None:
        if self._application is not None:
            self._application.stop()
