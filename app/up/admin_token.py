"""The first operator's token, in ``{home}/admin.token`` (mode 0600), made once a home."""

from __future__ import annotations

import os
from pathlib import Path

from app.container import database_url
from app.settings import Settings
from app.up import probe


def token_file(settings: Settings) -> Path:
    return settings.home_path / "admin.token"


async def ensure(settings: Settings) -> str:
    """The token in the file; a new one when there is none, or when the API no longer knows it."""
    path = token_file(settings)
    if path.exists():
        secret = path.read_text().strip()
        headers = {"Authorization": f"Bearer {secret}"}
        answer = await probe.request(
            "GET", settings.api_host, settings.api_port, "/api/orgs/", headers=headers
        )
        if answer.status != 401:
            return secret
    secret = await _make(settings)
    write_secret(path, secret)
    return secret


def write_secret(path: Path, secret: str) -> None:
    """At no moment readable by anybody else, and never half-written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    partial.rename(path)


async def _make(settings: Settings) -> str:
    from app.db import Database
    from app.tokens.issue import issue

    database = Database(database_url(settings), pool_size=1)
    try:
        async with database.write_transaction() as session:
            return await issue(session, user_name="admin", token_name="paas up", is_admin=True)
    finally:
        await database.close()
