"""A web app in a few lines of WSGI: any framework would stand in its place."""

import html
import os

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Hello from {environment}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 18px/1.6 system-ui; margin: 4rem auto; max-width: 36rem }}</style>
<h1>Hello from {environment}</h1>
<p>This is <code>{app}</code>, release {release}, at commit <code>{commit}</code>.</p>
<p>{greeting}</p>
</html>
"""


def application(environ, start_response):
    page = PAGE.format(
        environment=setting("PAAS_ENVIRONMENT", "nowhere"),
        app=setting("PAAS_APP", "an app"),
        release=setting("PAAS_RELEASE", "0"),
        commit=setting("PAAS_COMMIT", "unknown")[:12],
        greeting=setting("GREETING", "Set the variable GREETING, and this sentence changes."),
    )
    body = page.encode()
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def setting(name, default):
    return html.escape(os.environ.get(name, default))
