"""Counts the requests of this API process, for ``/metrics``: by part of the API and kind of answer."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics.plan import BOUNDS

_PARTS = frozenset(
    {"git", "graphql", "api", "auth", "artifacts", "hooks", "healthz", "readyz", "metrics"}
)
"""First parts of our paths. Any other counts as ``other``: a stranger's paths must not make series."""


@dataclass
class Answers:
    count: int = 0
    seconds: float = 0.0
    by_bound: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
        self.by_bound[bisect_left(BOUNDS, seconds)] += 1


class Measured:
    """ASGI middleware. Times are until the whole answer was sent: of a push, until it was deployed."""

    def __init__(self, app: ASGIApp, answers: dict[tuple[str, str], Answers]) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, code = time.perf_counter(), "none"

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = f"{message['status'] // 100}xx"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            key = (_part(scope["path"]), code)
            self._answers.setdefault(key, Answers()).add(time.perf_counter() - began)


def _part(path: str) -> str:
    first = path[1:].partition("/")[0]
    return first if first in _PARTS else "other"


Counted = Mapping[tuple[str, str], Answers]
