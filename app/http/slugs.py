"""``GET /artifacts/slugs/{sha256}.tar.gz?sig=…``: where nodes fetch slugs.

The signature is the permission; a wrong one and an absent slug look the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from app.errors import NotFound
from app.ports.builder import SlugStore


class SlugContainer(Protocol):
    """What of the process's wiring is used here."""

    @property
    def slugs(self) -> SlugStore: ...


def routes(container: SlugContainer) -> list[BaseRoute]:
    async def download(request: Request) -> Response:
        sha256 = request.path_params["sha256"]
        try:
            if not container.slugs.verify(sha256, request.query_params.get("sig", "")):
                return _not_found()
            size = await container.slugs.size(sha256)
        except NotFound:
            return _not_found()
        headers = {
            "content-length": str(size),
            "etag": f'"{sha256}"',
            "cache-control": "private, max-age=31536000, immutable",
        }
        body = container.slugs.open(sha256) if request.method == "GET" else _nothing()
        return StreamingResponse(body, media_type="application/gzip", headers=headers)

    return [Route("/artifacts/slugs/{sha256}.tar.gz", download, methods=["GET", "HEAD"])]


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _not_found() -> Response:
    error = {
        "code": NotFound.code,
        "message": "There is no such slug, or the signature is not its own.",
        "field": None,
        "hint": "Use the URL exactly as it stands in the job; deploy again when the slug was pruned.",
    }
    return JSONResponse({"error": error}, status_code=NotFound.http_status)
