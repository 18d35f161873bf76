"""The REST API: the product specification's curl endpoints, over the same services as GraphQL.

``endpoint`` is the table's row, ``dispatch`` a request's way through it, ``openapi`` its description;
each noun has a module of its own with its answers, handlers and rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.rest import (
    access,
    apps,
    deployments,
    environments,
    instances,
    invitations,
    logs,
    organizations,
    projects,
    tokens,
    webhooks,
)
from app.rest.dispatch import PathApp
from app.rest.endpoint import Endpoint, RestContainer
from app.rest.openapi import document

ENDPOINTS: tuple[Endpoint, ...] = (
    *organizations.ENDPOINTS,
    *invitations.ENDPOINTS,
    *projects.ENDPOINTS,
    *environments.ENDPOINTS,
    *apps.ENDPOINTS,
    *instances.ENDPOINTS,
    *deployments.ENDPOINTS,
    *logs.ENDPOINTS,
    *tokens.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *access.ENDPOINTS,
)


def routes(container: RestContainer) -> Sequence[BaseRoute]:
    """Everything below ``/api/``. Every path is answered with and without its trailing slash."""
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path.rstrip("/"), []).append(endpoint)
    found: list[BaseRoute] = [Route("/api/openapi.json", _openapi(), methods=["GET"])]
    for path, endpoints in by_path.items():
        app = PathApp(container, endpoints)
        found += [Route(path, app), Route(path + "/", app)]
    nothing = PathApp(container, ())
    return [*found, Route("/api", nothing), Route("/api/{rest:path}", nothing)]


def _openapi() -> Callable[[Request], Awaitable[Response]]:
    body = msgspec.json.format(msgspec.json.encode(document(ENDPOINTS)), indent=2)

    async def openapi(request: Request) -> Response:
        return Response(body, media_type="application/json")

    return openapi
