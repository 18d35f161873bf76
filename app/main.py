"""The API process: GraphQL, REST, git over HTTP and slug downloads, over one container."""

from __future__ import annotations

import gc
import ipaddress
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp

from app import faults, log, loop, tracing
from app.container import Container, database_url, open_container
from app.errors import InvalidInput
from app.http import auth, health, landing, metrics, presence
from app.http.measured import Answers, Measured
from app.http.on_demand import OnDemand, Stoppable
from app.http.protocol import BoundedProtocol
from app.http.rate_limits import RateLimitMiddleware
from app.live.sockets import MAX_MESSAGE_BYTES, PING_SECONDS
from app.migrate import migrate_if_behind
from app.settings import Settings, load_settings

_SHUTDOWN_SECONDS = 10
"""How long requests under way may take to end; pushing clients that still watch are let go then."""


def create_app(container: Container) -> Starlette:
    """The ASGI application; whoever opened the container closes it afterwards.

    Each part limits what it reads: GraphQL and REST their bodies, git its streams.
    """

    def lifespan(app: Starlette) -> AbstractAsyncContextManager[None]:
        return presence.announced(container.ingress, container.settings)

    def load_graphql() -> Callable[[], Stoppable]:
        from app.graphql.asgi import graphql_app

        return lambda: graphql_app(container)

    graphql = OnDemand(load_graphql)
    answers: dict[tuple[str, str], Answers] = {}
    application = Starlette(
        routes=[
            *_routes(container, graphql),
            metrics.route(container.settings, container.database, answers),
        ],
        lifespan=lifespan,
        middleware=[
            Middleware(Measured, answers),
            Middleware(RateLimitMiddleware, container.settings),
        ],
    )
    # A redirect to the other spelling of a path would lead to whatever host the request names.
    application.router.redirect_slashes = False
    application.state.stop_streams = graphql.stop
    return application


def _routes(container: Container, graphql: ASGIApp) -> list[BaseRoute]:
    from app import rest
    from app.http import hooks, slugs
    from app.http.git import GitApp

    git: ASGIApp = GitApp(container)
    return [
        Route("/graphql", graphql),  # the busiest first: each request tries one after another
        WebSocketRoute("/graphql", graphql),
        landing.route(container.settings.external_url),
        *health.routes(container.database),
        *rest.routes(container),
        *auth.routes(container),
        *slugs.routes(container),
        *hooks.routes(container),
        Mount("/git", app=git),
    ]


def _proxies(settings: Settings) -> list[str]:
    """Raises InvalidInput for what is no address: to believe everybody is to believe nobody."""
    parts = [part.strip() for part in settings.trusted_proxies.split(",") if part.strip()]
    try:
        return [str(ipaddress.ip_network(part)) for part in parts]
    except ValueError as error:
        raise InvalidInput(
            f"PAAS_TRUSTED_PROXIES is wrong: {error}.",
            hint="List addresses and networks, separated by commas: 10.0.0.5, 192.168.0.0/16.",
        ) from error


def server_config(settings: Settings, application: ASGIApp) -> uvicorn.Config:
    """How it listens."""
    return uvicorn.Config(
        application,
        host=settings.api_host,
        port=settings.api_port,
        http=BoundedProtocol,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=_proxies(settings),
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


class Server(uvicorn.Server):
    """Event streams end when it stops; uvicorn itself closes sockets (1012) and lets requests end."""

    def __init__(self, config: uvicorn.Config, *, stop_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop_streams = stop_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop_streams()
        await super().shutdown(sockets)


async def serve(settings: Settings) -> None:
    """Bring the schema up to date, then serve until SIGTERM or SIGINT."""
    log.configure(settings)
    faults.arm(settings.fault_kill)
    await migrate_if_behind(database_url(settings))
    container = await open_container(settings, role="api")
    try:
        tracing.configure(settings, role="api", database=container.database)
        application = create_app(container)
        # What is there by now stays: to look through it again and again for garbage would hold requests up.
        gc.collect()
        gc.freeze()
        config = server_config(settings, tracing.traced(application))
        await Server(config, stop_streams=application.state.stop_streams).serve()
    finally:
        tracing.close()
        await container.close()


def run(settings: Settings) -> None:
    """The process's entry."""
    loop.run(serve(settings))


if __name__ == "__main__":
    run(load_settings())
