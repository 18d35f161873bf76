"""Serves a static site: copied into slugs as ``.paas/serve_static.py``, and run there.

Files in a slug carry no time, so what a browser may keep is told by a digest of the content.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

_REVALIDATE = "public, max-age=0, must-revalidate"


class Site(StaticFiles):
    """``index.html`` for folders, ``404.html`` for what is missing; hidden files do not exist."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        parts = path.split("/")
        if any(part.startswith(".") and part not in {".", ".well-known"} for part in parts):
            raise HTTPException(status_code=404)
        if not os.path.splitext(parts[-1])[1] and self._is_file(f"{path}.html"):
            path = f"{path}.html"
        return await super().get_response(path, scope)

    def _is_file(self, path: str) -> bool:
        found, status = self.lookup_path(path)
        return status is not None and os.path.isfile(found)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = FileResponse(full_path, status_code=status_code, stat_result=stat_result)
        del response.headers["last-modified"]
        response.headers["etag"] = content_tag(os.fspath(full_path))
        response.headers["cache-control"] = _REVALIDATE
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


@lru_cache(maxsize=10_000)
def content_tag(path: str) -> str:
    with open(path, "rb") as file:
        return f'"{hashlib.file_digest(file, "sha256").hexdigest()[:32]}"'


class CompressWhole:
    """gzip for whole answers; a range counts bytes of the file as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.plain = app
        self.compressed = GZipMiddleware(app, minimum_size=1024, compresslevel=5)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        ranged = scope["type"] == "http" and "range" in Headers(scope=scope)
        await (self.plain if ranged else self.compressed)(scope, receive, send)


def application(folder: str) -> ASGIApp:
    site = Starlette(routes=[Mount("/", Site(directory=folder, html=True))])
    return CompressWhole(site)


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1]),
        host="0.0.0.0",
        port=int(os.environ["PORT"]),
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=10,
    )
