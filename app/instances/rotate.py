"""Re-encrypt everything at rest with the newest key, so that an older one can be dropped.

Works in small transactions beside a running platform and may be interrupted or run twice: it looks for
rows that another key sealed. An instance's variables and its current release change together, because
their digests are compared to say what is pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.instances import secrets
from app.models import Build, EnvVar, Instance, Release

_BATCH = 100


@dataclass(frozen=True)
class Rotated:
    variables: int = 0
    releases: int = 0
    builds: int = 0

    def __add__(self, other: Rotated) -> Rotated:
        return Rotated(
            self.variables + other.variables,
            self.releases + other.releases,
            self.builds + other.builds,
        )


async def rotate(database: Database, box: SecretBox) -> Rotated:
    """Raises PreconditionFailed when a row's key is not held; what was done until then stays."""
    total = Rotated()
    for step in (_rotate_instance, _rotate_releases, _rotate_builds):
        while True:
            async with database.write_transaction() as session:
                done = await step(session, box)
            if done == Rotated():
                break
            total += done
    return total


async def _rotate_instance(session: WriteSession, box: SecretBox) -> Rotated:
    """One instance's variables and current release."""
    stale = (
        select(Instance)
        .outerjoin(EnvVar, EnvVar.instance_id == Instance.id)
        .outerjoin(Release, Release.id == Instance.current_release_id)
        .where(
            (EnvVar.key_id != box.current_key_id) | (Release.key_id != box.current_key_id),
        )
        .limit(1)
        .with_for_update(of=Instance, key_share=True)
    )
    instance = await session.scalar(stale)
    if instance is None:
        return Rotated()
    variables = (
        await session.scalars(
            select(EnvVar).where(
                EnvVar.instance_id == instance.id, EnvVar.key_id != box.current_key_id
            )
        )
    ).all()
    for variable in variables:
        _reseal_variable(variable, box)
    current = (
        select(Release)
        .where(Release.id == instance.current_release_id, Release.key_id != box.current_key_id)
        .with_for_update()
    )
    return Rotated(
        variables=len(variables),
        releases=_reseal_releases((await session.scalars(current)).all(), box),
    )


async def _rotate_releases(session: WriteSession, box: SecretBox) -> Rotated:
    stale = (
        select(Release)
        .where(Release.key_id != box.current_key_id)
        .order_by(Release.id)
        .limit(_BATCH)
        .with_for_update()
    )
    return Rotated(releases=_reseal_releases((await session.scalars(stale)).all(), box))


async def _rotate_builds(session: WriteSession, box: SecretBox) -> Rotated:
    stale = (
        select(Build)
        .where(Build.build_env.is_not(None), Build.build_env_key_id != box.current_key_id)
        .order_by(Build.id)
        .limit(_BATCH)
        .with_for_update()
    )
    builds = (await session.scalars(stale)).all()
    for build in builds:
        sealed = secrets.seal_build_env(box, build.id, secrets.open_build_env(box, build))
        build.build_env, build.build_env_key_id = sealed.ciphertext, sealed.key_id
    return Rotated(builds=len(builds))


def _reseal_variable(variable: EnvVar, box: SecretBox) -> None:
    value = secrets.open_value(box, variable)
    sealed = secrets.seal_value(box, variable.instance_id, variable.name, value)
    variable.ciphertext, variable.key_id = sealed.ciphertext, sealed.key_id
    variable.digest = secrets.digest_of(
        box, variable.instance_id, variable.name, value, is_build=variable.is_build
    )


def _reseal_releases(releases: Sequence[Release], box: SecretBox) -> int:
    for release in releases:
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
    return len(releases)
