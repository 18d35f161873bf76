"""The same answers by hand: Starlette, asyncpg, one SQL statement each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench._graphql_queries import APP_SQL, DASHBOARD_SQL


@asynccontextmanager
async def _pool(application: Starlette) -> AsyncIterator[None]:
    url = os.environ["PAAS_DATABASE_URL"]
    settings = {"jit": "off"}
    async with asyncpg.create_pool(url, min_size=8, max_size=8, server_settings=settings) as pool:
        application.state.pool = pool
        yield


async def _answer(request: Request) -> Response:
    variables = (await request.json())["variables"]
    if "path" in variables:
        statement, values = APP_SQL, variables["path"].split("/")
    else:
        statement, values = DASHBOARD_SQL, [variables["organization"]]
    data = await request.app.state.pool.fetchval(statement, *values)
    return Response(f'{{"data":{data}}}', media_type="application/json")


application = Starlette(routes=[Route("/graphql", _answer, methods=["POST"])], lifespan=_pool)

if __name__ == "__main__":
    uvicorn.run(
        application,
        port=int(os.environ["PAAS_API_PORT"]),
        loop="asyncio",
        http="httptools",
        access_log=False,
    )
