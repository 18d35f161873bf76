"""Signing in with a browser: it comes back to a port of this machine with a code (app/http/auth_cli.py)."""

from __future__ import annotations

import hashlib
import secrets
import socket
import webbrowser
from base64 import urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from app.cli.client.transport import Client
from app.cli.failures import NotSignedIn
from app.cli.output import say, spinner

WAIT_SECONDS = 300.0

_DONE = "<!doctype html><meta charset=utf-8><title>paas</title><p>Done. You may close this page."


def token_from_browser(host: str) -> str:
    """Raises NotSignedIn when nobody allowed it in time, Unreachable."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    with _Loopback(state) as loopback:
        asked = {
            "port": loopback.server_port,
            "state": state,
            "challenge": _challenge(verifier),
            "name": socket.gethostname()[:100] or "a machine",
        }
        url = f"{host}/auth/cli?{urlencode(asked)}"
        say(f"Allow it in your browser: {url}")
        webbrowser.open(url)
        with spinner("Waiting for the browser"):
            code = loopback.code()
    answer = Client(host, None).post("/auth/cli/token", {"code": code, "verifier": verifier})
    return str(answer["token"])


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


class _Loopback(HTTPServer):
    """Takes one request that knows the state; others, of whoever looks at ports, change nothing."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.found: str | None = None

    def code(self) -> str:
        import time

        deadline = time.monotonic() + WAIT_SECONDS
        while self.found is None:
            self.timeout = deadline - time.monotonic()
            if self.timeout <= 0:
                raise NotSignedIn(
                    "Nobody allowed it in the browser.",
                    hint="Begin again, or sign in with a token: paas login --token",
                )
            self.handle_request()
        return self.found


class _Handler(BaseHTTPRequestHandler):
    server: _Loopback
    timeout = 5

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        given = query.get("state", [""])[0]
        if not secrets.compare_digest(given.encode(), self.server.state.encode()):
            self.send_error(404)
            return
        self.server.found = query.get("code", [""])[0]
        body = _DONE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the terminal is the person's."""
