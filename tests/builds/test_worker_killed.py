"""A worker is killed, as by a power cut, at every step of a build; another one goes on."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from app.builds.reconcile import STEPS
from app.crypto import SecretBox
from app.db import Database
from app.models import BuildStatus
from app.settings import Settings
from tests.builds.workshop import Workshop
from tests.builds.yard import Yard
from tests.factories import make_instance

_KEY = base64.b64encode(b"k" * 32).decode()


async def _work(home: Path, database_url: str, build_id: str, *, die_at: str = "") -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.builds.worker",
        build_id,
        env={
            **os.environ,
            "PAAS_HOME": str(home),
            "PAAS_DATABASE_URL": database_url,
            "PAAS_SECRET_KEY": _KEY,
            "PAAS_FAULT_KILL": die_at,
        },
    )
    return await process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
async def test_build_ends_once_and_leaves_nothing(
    step: str,
    database: Database,
    database_url: str,
    secret_box: SecretBox,
    workshop: Workshop,
) -> None:
    yard = Yard(database, secret_box, Settings(home=str(workshop.home)))
    placed = await make_instance(database)
    queued, _ = await yard.queue(placed)
    assert await _work(workshop.home, database_url, queued.id, die_at=step) == -signal.SIGKILL
    async with database.write_transaction() as session:
        await session.execute(text("DELETE FROM lease"))
    assert await _work(workshop.home, database_url, queued.id) == 0
    build = await yard.row(queued.id)
    assert build.status is BuildStatus.SUCCEEDED
    assert await workshop.slugs.list() == [build.artifact]
    assert await workshop.builder.leftovers() == []
    await yard.prune()
    assert list((workshop.home / "builds").iterdir()) == []
