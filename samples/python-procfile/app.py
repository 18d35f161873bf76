"""One page that says which release answers, and ``/healthz``."""

import html
import os
import platform
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

PAGE = (Path(__file__).parent / "page.html").read_text()


def facts() -> dict[str, str]:
    environment = os.environ
    return {
        "app": environment.get("PAAS_APP", "python-procfile"),
        "environment": environment.get("PAAS_ENVIRONMENT", "your machine"),
        "release": environment.get("PAAS_RELEASE", "none yet"),
        "commit": environment.get("PAAS_COMMIT", "not pushed")[:10],
        "python": platform.python_version(),
    }


async def home(request: Request) -> Response:
    greeting = os.environ.get("GREETING", "It is live.")
    rows = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in facts().items()
    )
    return HTMLResponse(
        PAGE.replace("{{greeting}}", html.escape(greeting)).replace("{{facts}}", rows)
    )


async def healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok", **facts()})


app = Starlette(routes=[Route("/", home), Route("/healthz", healthz)])
