"""Pages that stand in a file beside this one, each with one script that its policy lets run, and nothing else."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from html import escape
from importlib.resources import files

from starlette.responses import HTMLResponse

from app.errors import PaasError


def page(name: str) -> HTMLResponse:
    text, policy = _read(name)
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})


@cache
def _read(name: str) -> tuple[str, str]:
    text = files("app.http").joinpath(name).read_text()
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


_PROBLEM = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · paas</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem }}
</style>
<h1>You are not signed in</h1>
<p role="alert">{message}</p>
<p>{hint}</p>
<p><a href="/auth/">Sign in in another way</a></p>
</html>
"""


def problem(error: PaasError) -> HTMLResponse:
    """For a person whom another site has just sent back here."""
    text = _PROBLEM.format(message=escape(error.message), hint=escape(error.hint or ""))
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(text, error.http_status, headers={"Content-Security-Policy": policy})
