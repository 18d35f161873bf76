"""The page at ``/``: what this is, and where to go on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>paas</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.6 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem }
  pre { padding: 1rem; overflow-x: auto; border: 1px solid; border-radius: 6px }
</style>
<h1>Push a branch, get a running app</h1>
<p>This is the API of a self-hosted platform. Every request needs a token:
<code>Authorization: Bearer …</code>; git asks for it as the password.</p>
<pre>git remote add paas {url}/git/ORG/PROJECT/APP.git
git push paas main</pre>
<ul>
  <li><a href="/auth/">Sign in</a></li>
  <li><a href="/graphql">GraphQL</a>, with an editor in the browser</li>
  <li><a href="/api/openapi.json">REST, as an OpenAPI document</a></li>
  <li><a href="/readyz">Is it ready?</a></li>
</ul>
</html>
"""


def route(external_url: str) -> Route:
    page = _PAGE.replace("{url}", external_url)

    async def landing(request: Request) -> Response:
        return HTMLResponse(page)

    return Route("/", landing)
