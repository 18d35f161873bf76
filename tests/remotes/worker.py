"""A worker of webhooks, remotes, statuses and previews that dies at the step it is told.

Arguments: database URL, home, step.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app import faults
from app.adapters.git import LocalRepositories
from app.adapters.statuses.github import HttpCommitStatuses
from app.crypto import SecretBox
from app.db import Database
from app.environments.previews import PreviewMaker
from app.environments.reconcile import PreviewReconciler
from app.outbound.client import Outbound
from app.reconcile.driver import Driver
from app.remotes.reconcile import RemoteReconciler
from app.remotes.statuses import CommitStatusReconciler
from app.settings import Settings
from app.webhooks.reconcile import WebhookReconciler
from tests.remotes.conftest import LOOPBACK

LEASE_SECONDS = 1.0


def driver(database: Database, home: str) -> Driver:
    box, outbound = SecretBox([b"k" * 32]), Outbound(LOOPBACK)
    repositories = LocalRepositories(Path(home) / "repositories")
    settings = Settings(home=home)
    maker = PreviewMaker(box, settings.wildcard_base)
    reconcilers = (
        WebhookReconciler(database, box, outbound),
        RemoteReconciler(database, box, repositories, repositories, LOOPBACK, maker),
        CommitStatusReconciler(database, box, HttpCommitStatuses(outbound), settings),
        PreviewReconciler(database, repositories),
    )
    return Driver(database, reconcilers, lease_seconds=LEASE_SECONDS)


if __name__ == "__main__":
    faults.arm(sys.argv[3])
    asyncio.run(driver(Database(sys.argv[1]), sys.argv[2]).run_until_idle())
