"""One page that says which release answers, and ``/healthz``; stops at SIGTERM."""

import html
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE / "page.html").read_text()


def facts() -> dict[str, str]:
    environment = os.environ
    return {
        "app": environment.get("PAAS_APP", "dockerfile-app"),
        "environment": environment.get("PAAS_ENVIRONMENT", "your machine"),
        "release": environment.get("PAAS_RELEASE", "none yet"),
        "commit": environment.get("PAAS_COMMIT", "not pushed")[:10],
        "build token": (HERE / "had-build-token").read_text().strip(),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer("application/json", json.dumps({"status": "ok", **facts()}))
        elif self.path == "/":
            self.answer("text/html; charset=utf-8", page())
        else:
            self.answer("text/plain", "There is no such page.\n", 404)

    def answer(self, kind: str, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """The router has the access log."""


def page() -> str:
    greeting = os.environ.get("GREETING", "It is live.")
    rows = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in facts().items()
    )
    return PAGE.replace("{{greeting}}", html.escape(greeting)).replace("{{facts}}", rows)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
