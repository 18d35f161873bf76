"""One pass of the build reconciler in a process of its own: ``python -m tests.builds.worker BUILD_ID``.

Reads the platform's own settings, so that ``PAAS_FAULT_KILL`` kills it as it would a real worker.
"""

from __future__ import annotations

import asyncio
import sys

from app import faults
from app.adapters.builder.builder import LocalBuilder
from app.adapters.local.slugs import LocalSlugStore
from app.builds.reconcile import BuildReconciler
from app.crypto import load_secret_box
from app.db import Database
from app.reconcile.lease import acquire
from app.settings import load_settings
from tests.builds.yard import Exporting


async def main(build_id: str) -> None:
    settings = load_settings()
    faults.arm(settings.fault_kill)
    box, database = load_secret_box(settings), Database(settings.database_url)
    slugs = LocalSlugStore(settings.home_path / "slugs", box, "http://api.test")
    builder = LocalBuilder(settings, slugs, "embedded")
    reconciler = BuildReconciler(database, box, Exporting(), builder, slugs, settings)  # type: ignore[arg-type]
    lease = await acquire(database, "build", build_id, owner="worker", seconds=1)
    await reconciler.reconcile(build_id, lease)
    await lease.release()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
