"""Encrypt what is stored anew, with the newest key, so that older keys can be dropped.

An instance at a time, in one transaction: its variables and its releases hold keyed digests that are
compared with one another, and must change together.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.instances import secrets
from app.models import Build, EnvVar, Instance, Release


async def rotate(database: Database, box: SecretBox) -> int:
    """How many rows were encrypted anew. Running it again finishes what an interrupted run left."""
    box.refresh()
    async with database.read_session() as session:
        instances = await _instances(session, box.current_key_id)
        builds = await _builds(session, box.current_key_id)
    count = 0
    for instance_id in instances:
        async with database.write_transaction() as session:
            count += await _rotate_instance(session, box, instance_id)
    for build_id in builds:
        async with database.write_transaction() as session:
            count += await _rotate_build(session, box, build_id)
    return count


async def uses_other_keys(session: AsyncSession, key_id: str) -> bool:
    """Whether anything is still encrypted with another key than this."""
    found = await session.scalar(
        select(
            or_(
                exists().where(EnvVar.key_id != key_id),
                exists().where(Release.key_id != key_id),
                exists().where(Build.build_env.is_not(None), Build.build_env_key_id != key_id),
            )
        )
    )
    return bool(found)


async def _instances(session: AsyncSession, key_id: str) -> Sequence[str]:
    statement = union(
        select(EnvVar.instance_id).where(EnvVar.key_id != key_id),
        select(Release.instance_id).where(Release.key_id != key_id),
    )
    return (await session.scalars(statement)).all()


async def _builds(session: AsyncSession, key_id: str) -> Sequence[str]:
    statement = select(Build.id).where(
        Build.build_env.is_not(None), Build.build_env_key_id != key_id
    )
    return (await session.scalars(statement)).all()


async def _rotate_instance(session: WriteSession, box: SecretBox, instance_id: str) -> int:
    await session.execute(select(Instance.id).where(Instance.id == instance_id).with_for_update())
    variables = (
        await session.scalars(
            select(EnvVar).where(EnvVar.instance_id == instance_id).with_for_update()
        )
    ).all()
    for variable in variables:
        value = secrets.open_value(box, variable)
        sealed = secrets.seal_value(box, instance_id, variable.name, value)
        variable.ciphertext, variable.key_id = sealed.ciphertext, sealed.key_id
        variable.digest = secrets.digest_of(
            box, instance_id, variable.name, value, is_build=variable.is_build
        )
    releases = (
        await session.scalars(select(Release).where(Release.instance_id == instance_id))
    ).all()
    for release in releases:
        _rotate_release(box, release)
    return len(variables) + len(releases)


def _rotate_release(box: SecretBox, release: Release) -> None:
    values = secrets.open_release_env(box, release)
    sealed = secrets.seal_release_env(box, release.id, values)
    release.env_ciphertext, release.key_id = sealed.ciphertext, sealed.key_id
    release.env_digests = {
        name: secrets.digest_of(
            box,
            release.instance_id,
            name,
            value,
            is_build=secrets.is_build_digest(release.env_digests.get(name, "")),
        )
        for name, value in values.items()
    }


async def _rotate_build(session: WriteSession, box: SecretBox, build_id: str) -> int:
    build = await session.scalar(select(Build).where(Build.id == build_id).with_for_update())
    if build is None or build.build_env is None:
        return 0
    sealed = secrets.seal_build_env(box, build.id, secrets.open_build_env(box, build))
    build.build_env, build.build_env_key_id = sealed.ciphertext, sealed.key_id
    return 1
