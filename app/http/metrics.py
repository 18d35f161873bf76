"""``/metrics``, for Prometheus alone: it tells the names of every tenant's apps."""

from __future__ import annotations

import asyncio
import hmac
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.db import Database
from app.http.measured import Counted
from app.metrics import queries
from app.settings import Settings


def route(settings: Settings, database: Database, counted: Counted) -> Route:
    async def metrics(request: Request) -> Response:
        if not settings.metrics_token:
            return PlainTextResponse(
                "Metrics are off. Set PAAS_METRICS_TOKEN, and send it as a bearer token.\n", 404
            )
        given = request.headers.get("authorization", "").partition(" ")[2].strip()
        if not hmac.compare_digest(given.encode(), settings.metrics_token.encode()):
            return PlainTextResponse(
                "Send PAAS_METRICS_TOKEN as a bearer token.\n",
                401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        from app.metrics import prometheus

        async with database.read_session() as session:
            state = await queries.state(session)
        period = timedelta(seconds=settings.metrics_period_seconds)
        body = await asyncio.to_thread(prometheus.page, state, counted, period=period)
        return Response(body, headers={"Content-Type": prometheus.CONTENT_TYPE})

    return Route("/metrics", metrics)
