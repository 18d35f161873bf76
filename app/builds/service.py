"""What can be done to builds. One commit and the same inputs are built once, for every environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.dialects.postgresql import insert

from app.builds import queries
from app.crypto import SecretBox
from app.db import WriteSession
from app.ids import new_id
from app.instances.secrets import seal_build_env
from app.models import App, Build, BuildStatus


async def ensure(
    session: WriteSession,
    *,
    app: App,
    commit_sha: str,
    build_env: Mapping[str, str],
    box: SecretBox,
    profile: str = "",
) -> Build:
    """The build of these inputs that is under way or succeeded, or the next attempt at it.

    ``profile`` names what else shapes the result (the engine, the registry): another profile is another
    build. The row stays locked until the transaction ends, so that nobody cancels or prunes it before
    the deployment that needs it is recorded.
    """
    digest = inputs_digest(build_env, box, profile)
    while True:
        latest = await queries.latest_attempt(session, app.id, commit_sha, digest)
        if latest is not None and is_reusable(latest):
            return latest
        attempt = latest.attempt + 1 if latest is not None else 1
        created = await _insert(session, app, commit_sha, digest, attempt, build_env, box)
        if created is not None:
            await session.wake("build", created.id)
            return created


def is_reusable(build: Build) -> bool:
    """Under way, or succeeded with its artifact still kept."""
    if build.status in queries.LIVE:
        return True
    return build.status is BuildStatus.SUCCEEDED and build.artifact is not None


def inputs_digest(build_env: Mapping[str, str], box: SecretBox, profile: str) -> str:
    """A keyed hash, since the variables are secret and may be short."""
    described = json.dumps([profile, sorted(build_env.items())])
    return box.digest(described, context="build inputs")


async def cancel_if_unneeded(session: WriteSession, build_id: str) -> bool:
    """Cancel a build that no unfinished deployment waits for; whether it is cancelled now.

    Its reconciler is woken, and stops what it has started.
    """
    build = await queries.locked(session, build_id)
    if build is None or build.status not in queries.LIVE:
        return False
    if await queries.waiting_instances(session, build_id):
        return False
    end(build, BuildStatus.CANCELED)
    await session.wake("build", build_id)
    return True


def end(build: Build, status: BuildStatus) -> None:
    """Its variables are needed no longer."""
    build.status = status
    build.finished_at = datetime.now(UTC)
    build.build_env = None
    build.build_env_key_id = None


async def _insert(
    session: WriteSession,
    app: App,
    commit_sha: str,
    digest: str,
    attempt: int,
    build_env: Mapping[str, str],
    box: SecretBox,
) -> Build | None:
    """None when somebody else made this attempt meanwhile."""
    build_id = new_id("bld")
    sealed = seal_build_env(box, build_id, build_env) if build_env else None
    statement = (
        insert(Build)
        .values(
            id=build_id,
            app_id=app.id,
            commit_sha=commit_sha,
            inputs_digest=digest,
            attempt=attempt,
            build_env=sealed.ciphertext if sealed else None,
            build_env_key_id=sealed.key_id if sealed else None,
            status=BuildStatus.QUEUED,
            processes={},
            runtime={},
        )
        .on_conflict_do_nothing(index_elements=["app_id", "commit_sha", "inputs_digest", "attempt"])
        .returning(Build)
    )
    return (await session.scalars(statement)).one_or_none()
