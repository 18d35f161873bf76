"""A real OpenID provider in a process of its own, and a person who signs in there."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

_SOURCE = Path(__file__).parent / "provider"
_FORM = re.compile(r'<form[^>]* action="([^"]+)"')


def installed() -> Path:
    """A folder with the locked packages; made once a machine. Skips where npm or its registry is not."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: the real OpenID provider is a package of it")
    lock = (_SOURCE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "paas" / f"oidc-provider-{hashlib.sha256(lock).hexdigest()[:12]}"
    if (folder / "installed").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_SOURCE / name, folder / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110)
    if done.returncode != 0:
        pytest.skip(f"npm ci failed: {done.stderr[-500:]}")
    (folder / "installed").touch()
    return folder


@contextmanager
def provider(port: int, redirect_uri: str) -> Iterator[str]:
    """Its issuer, while the block runs."""
    process = subprocess.Popen(
        ["node", str(_SOURCE / "provider.mjs"), str(port), redirect_uri],
        cwd=installed(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert any(line.strip() == "ready" for line in process.stdout), "it did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


async def signs_in(url: str, login: str) -> str:
    """A browser that is sent to ``url``, and signs in there and consents; where it is sent back to."""
    async with httpx2.AsyncClient() as http:
        response = await http.get(url)
        for _ in range(12):
            if response.is_redirect:
                url = urljoin(str(response.url), response.headers["location"])
                if not url.startswith("http://127.0.0.1"):
                    return url
                response = await http.get(url)
                continue
            form = _FORM.search(response.text)
            assert form is not None, response.text
            prompt = "login" if 'value="login"' in response.text else "consent"
            given = {"prompt": prompt, "login": login, "password": "any"}
            action = urljoin(str(response.url), form[1])
            response = await http.post(action, data=given)
    raise AssertionError("the provider never sent the browser back")
