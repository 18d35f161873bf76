"""What the agent answers: to the platform over a Unix socket, and to Traefik over loopback."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.agent.engine import Engine
from app.errors import PaasError
from app.ports.scheduler import JobConflict, JobRef, Output, SchedulerRejected

logger = logging.getLogger(__name__)

_LONGEST_WATCH = 300.0
_LARGEST_BODY = 16 * 1024 * 1024

Handler = Callable[[Request], Awaitable[Any]]


class Failure(msgspec.Struct):
    """A typed error on the wire: ``kind`` is the class that the client raises again."""

    kind: str
    message: str
    hint: str | None = None


def platform_api(engine: Engine, shutdown: Callable[[], Awaitable[None]]) -> Starlette:
    """Whoever may open the socket may do everything: its folder is the platform's own (0700)."""
    handlers = _Handlers(engine, shutdown)
    job = "/v1/jobs/{namespace}/{job}"
    return Starlette(
        routes=[
            _route("/v1/capabilities", "GET", handlers.capabilities),
            _route("/v1/namespaces/{namespace}", "DELETE", handlers.delete_namespace),
            _route("/v1/jobs", "GET", handlers.list_jobs),
            _route("/v1/jobs", "PUT", handlers.submit),
            _route("/v1/plan", "POST", handlers.plan),
            _route(job, "GET", handlers.observe),
            _route(job, "DELETE", handlers.stop),
            _route(job + "/secrets", "GET", handlers.list_secrets),
            _route(job + "/secrets", "PUT", handlers.put_secrets),
            _route(job + "/secrets", "DELETE", handlers.delete_secrets),
            _route(job + "/logs/{copy}", "GET", handlers.log_tail),
            _route(job + "/output/{copy}", "GET", handlers.output),
            _route(job + "/copies", "GET", handlers.list_copies),
            _route("/v1/copies", "GET", handlers.watch_copies),
            _route("/v1/usage", "GET", handlers.usage),
            _route("/v1/services", "GET", handlers.services),
            _route("/v1/services/{service}", "GET", handlers.routes),
            _route("/v1/releases/{release}", "GET", handlers.release),
            _route("/v1/shutdown", "POST", handlers.shutdown),
        ]
    )


def router_api(engine: Engine) -> Starlette:
    """For Traefik's HTTP provider. Any process of this machine may read it: it holds no secret."""

    async def configuration(_: Request) -> Response:
        return Response(engine.router.fetch(), media_type="application/json")

    return Starlette(routes=[Route("/traefik.json", configuration)])


class _Handlers:
    def __init__(self, engine: Engine, shutdown: Callable[[], Awaitable[None]]) -> None:
        self._engine = engine
        self._shutdown = shutdown

    async def capabilities(self, request: Request) -> Any:
        return await self._engine.capabilities()

    async def delete_namespace(self, request: Request) -> None:
        self._engine.delete_namespace(request.path_params["namespace"])

    async def list_jobs(self, request: Request) -> Any:
        return self._engine.list_jobs()

    async def submit(self, request: Request) -> Any:
        expected = int(request.query_params["expected_index"])
        return self._engine.submit(await _body(request, dict[str, Any]), expected)

    async def plan(self, request: Request) -> Any:
        return self._engine.plan(await _body(request, dict[str, Any]))

    async def observe(self, request: Request) -> Any:
        query = request.query_params
        if "cursor" not in query:
            return self._engine.observe(_ref(request))
        timeout = min(float(query["timeout"]), _LONGEST_WATCH)
        return await self._engine.watch(_ref(request), query["cursor"], timeout)

    async def stop(self, request: Request) -> None:
        self._engine.stop(_ref(request), purge=request.query_params.get("purge") == "true")

    async def list_secrets(self, request: Request) -> Any:
        return self._engine.list_secrets(_ref(request))

    async def put_secrets(self, request: Request) -> None:
        values = await _body(request, dict[str, str])
        self._engine.put_secrets(_ref(request), request.query_params["path"], values)

    async def delete_secrets(self, request: Request) -> None:
        self._engine.delete_secrets(_ref(request), request.query_params["path"])

    async def log_tail(self, request: Request) -> Any:
        lines = int(request.query_params["lines"])
        return await self._engine.log_tail(_ref(request), request.path_params["copy"], lines)

    async def list_copies(self, request: Request) -> Any:
        return self._engine.list_copies(_ref(request))

    async def watch_copies(self, request: Request) -> Any:
        query = request.query_params
        timeout = min(float(query["timeout"]), _LONGEST_WATCH)
        return await self._engine.watch_copies(query["cursor"], timeout)

    async def usage(self, request: Request) -> Any:
        return await self._engine.usage()

    async def output(self, request: Request) -> Any:
        """Frames, for as long as the client reads them."""
        query = request.query_params
        offsets = {stream: int(query[stream]) for stream in Output if stream in query}
        follow = query.get("follow") == "true"
        return StreamingResponse(
            self._engine.follow_output(
                _ref(request), request.path_params["copy"], offsets, follow=follow
            ),
            media_type="application/octet-stream",
        )

    async def services(self, request: Request) -> Any:
        return self._engine.services()

    async def routes(self, request: Request) -> Any:
        return self._engine.routes(request.path_params["service"])

    async def release(self, request: Request) -> Any:
        return self._engine.addresses_of(request.path_params["release"])

    async def shutdown(self, request: Request) -> None:
        await self._shutdown()


def _ref(request: Request) -> JobRef:
    return JobRef(request.path_params["namespace"], request.path_params["job"])


async def _body(request: Request, kind: Any) -> Any:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_BODY:
            raise SchedulerRejected(f"The request is larger than {_LARGEST_BODY >> 20} MB.")
    return msgspec.json.decode(content, type=kind)


def _route(path: str, method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            answer = await handler(request)
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            return _failed(SchedulerRejected(f"The request does not parse: {error!r}"))
        except PaasError as error:
            return _failed(error)
        if isinstance(answer, Response):
            return answer
        return Response(msgspec.json.encode(answer), media_type="application/json")

    return Route(path, endpoint, methods=[method])


def _failed(error: PaasError) -> Response:
    kind = "JobConflict" if isinstance(error, JobConflict) else type(error).__name__
    body = msgspec.json.encode(Failure(kind, error.message, error.hint))
    return Response(body, status_code=error.http_status, media_type="application/json")
