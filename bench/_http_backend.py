"""The floor of every push: ``git http-backend`` behind as little of a web server as there can be.

    python -m bench._http_backend FOLDER      serves the bare repositories in it; prints its port

A thread a connection, which stays open between requests, and for each request one ``git http-backend``:
what nginx with fcgiwrap does, without the hop between the two.
"""

from __future__ import annotations

import socketserver
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

_CONFIGURATION = ("http.receivepack", "true")
"""Pushing without credentials: ours are checked, the floor has none to check."""


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle(self) -> None:
        while request := self.rfile.readline():
            method, target, _ = request.decode("latin-1").split(" ", 2)
            headers = self._headers()
            body = self.rfile.read(int(headers.get("content-length", "0")))
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                stdout=subprocess.PIPE,
                env=_environment(method, target, headers),
                check=True,
            )
            self._answer(done.stdout)

    def _headers(self) -> dict[str, str]:
        found = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            found[name.lower()] = value.strip()
        assert "transfer-encoding" not in found, "a push of more than http.postBuffer"
        return found

    def _answer(self, output: bytes) -> None:
        head, _, content = output.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Status:")]
        status = next(
            (s[7:].strip() for s in head.split(b"\r\n") if s[:7] == b"Status:"), b"200 OK"
        )
        lines = [b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(content)]
        self.wfile.write(b"\r\n".join(lines) + b"\r\n\r\n" + content)
        self.wfile.flush()


def _environment(method: str, target: str, headers: dict[str, str]) -> dict[str, str]:
    path, _, query = target.partition("?")
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GIT_PROJECT_ROOT": sys.argv[1],
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH_INFO": unquote(path),
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": headers.get("content-length", ""),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
        "REMOTE_USER": "",
    }


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def http_backend(folder: Path) -> Iterator[str]:
    """Serves the folder from a process of its own: its address, ``http://127.0.0.1:PORT``."""
    command = [sys.executable, "-m", "bench._http_backend", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def bare_repository(folder: Path, name: str) -> Path:
    """``NAME.git`` in the folder, that takes pushes over HTTP."""
    path = folder / f"{name}.git"
    create = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)]
    subprocess.run(create, check=True)
    subprocess.run(["git", "-C", str(path), "config", *_CONFIGURATION], check=True)
    return path


def main() -> None:
    with _Server(("127.0.0.1", 0), _Connection) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever(poll_interval=60)


if __name__ == "__main__":
    main()
