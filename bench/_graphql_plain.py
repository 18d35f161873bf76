"""The platform's own schema without the compiler: Strawberry's executor, data loaders, SQLAlchemy's ORM."""

from __future__ import annotations

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from app import loop
from app.container import open_container
from app.graphql.asgi import graphql_app
from app.main import server_config
from app.settings import Settings, load_settings


async def _serve(settings: Settings) -> None:
    container = await open_container(settings, role="api")
    try:
        application = Starlette(routes=[Route("/graphql", graphql_app(container, compiled=False))])
        await uvicorn.Server(server_config(settings, application)).serve()
    finally:
        await container.close()


if __name__ == "__main__":
    loop.run(_serve(load_settings()))
