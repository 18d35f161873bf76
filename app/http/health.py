"""``/healthz``: this process answers. ``/readyz``: it can also do its work, since the database answers."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.db import Database

logger = logging.getLogger(__name__)

_SECONDS = 3


def routes(database: Database) -> list[BaseRoute]:
    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        problem = await _problem(database)
        if problem is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "unavailable", "reason": problem}, status_code=503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def _problem(database: Database) -> str | None:
    try:
        async with asyncio.timeout(_SECONDS), database.read_session() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        logger.warning("The database does not answer: %s", error)
        return "the database does not answer"
    return None
