"""Releases: freezing what is desired, and making a frozen one desired again."""

from __future__ import annotations

from collections.abc import Mapping, Set

from sqlalchemy import delete, select, update

from app.crypto import SecretBox
from app.db import WriteSession
from app.errors import PreconditionFailed
from app.ids import new_id
from app.instances import secrets
from app.models import App, Deployment, DeploymentTrigger, EnvVar, Instance, Release


async def freeze(session: WriteSession, deployment: Deployment, box: SecretBox) -> Release:
    """The release that ``deployment`` rolls out: its build with what the instance should run with now.

    A rollback copies the release that it goes back to, whatever was changed since it was asked for.
    """
    instance = await _count_up(session, deployment.instance_id)
    release = Release(
        id=new_id("rel"),
        instance_id=instance.id,
        number=instance.release_count,
        build_id=deployment.build_id,
    )
    source = await _rolled_back_to(session, deployment)
    if source is not None:
        _copy(source, release, box)
    else:
        await _copy_desired(session, instance, release, box)
    session.add(release)
    await session.flush()
    return release


async def _count_up(session: WriteSession, instance_id: str) -> Instance:
    statement = (
        update(Instance)
        .where(Instance.id == instance_id)
        .values(release_count=Instance.release_count + 1)
        .returning(Instance)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).one()


async def _rolled_back_to(session: WriteSession, deployment: Deployment) -> Release | None:
    if deployment.trigger is not DeploymentTrigger.ROLLBACK:
        return None
    release = await session.scalar(
        select(Release)
        .join(Deployment, Deployment.release_id == Release.id)
        .where(Deployment.id == deployment.source_deployment_id)
    )
    if release is None:
        raise PreconditionFailed(
            "The release to roll back to is gone.", hint="Choose another deployment."
        )
    return release


def _copy(source: Release, release: Release, box: SecretBox) -> None:
    values = secrets.open_release_env(box, source)
    build_names = {n for n, d in source.env_digests.items() if secrets.is_build_digest(d)}
    release.replicas = source.replicas
    release.cpu_millis = source.cpu_millis
    release.memory_mb = source.memory_mb
    release.container_port = source.container_port
    seal_environment(release, values, build_names, box)


async def _copy_desired(
    session: WriteSession, instance: Instance, release: Release, box: SecretBox
) -> None:
    rows = (await session.scalars(select(EnvVar).where(EnvVar.instance_id == instance.id))).all()
    port = await session.scalar(select(App.container_port).where(App.id == instance.app_id))
    release.replicas = instance.replicas
    release.cpu_millis = instance.cpu_millis
    release.memory_mb = instance.memory_mb
    release.container_port = port or 0
    values = {row.name: secrets.open_value(box, row) for row in rows}
    seal_environment(release, values, {row.name for row in rows if row.is_build}, box)


def seal_environment(
    release: Release, values: Mapping[str, str], build_names: Set[str], box: SecretBox
) -> None:
    """Fill the release's ciphertext and digests. ``build_names``: variables that the build sees too."""
    sealed = secrets.seal_release_env(box, release.id, values)
    release.env_ciphertext, release.key_id = sealed.ciphertext, sealed.key_id
    release.env_digests = {
        name: secrets.digest_of(box, release.instance_id, name, value, is_build=name in build_names)
        for name, value in values.items()
    }


async def build_environment(
    session: WriteSession, instance_id: str, box: SecretBox
) -> dict[str, str]:
    """The variables that the instance's builds are given."""
    rows = (
        await session.scalars(
            select(EnvVar).where(EnvVar.instance_id == instance_id, EnvVar.is_build)
        )
    ).all()
    return {row.name: secrets.open_value(box, row) for row in rows}


async def make_desired(
    session: WriteSession, instance: Instance, release: Release, box: SecretBox
) -> None:
    """The release's variables and scale become what the instance should run with."""
    instance.replicas = release.replicas
    instance.cpu_millis = release.cpu_millis
    instance.memory_mb = release.memory_mb
    await session.flush()
    await session.execute(
        delete(EnvVar)
        .where(EnvVar.instance_id == instance.id)
        .execution_options(synchronize_session="fetch")
    )
    for name, value in secrets.open_release_env(box, release).items():
        is_build = secrets.is_build_digest(release.env_digests.get(name, ""))
        session.add(secrets.new_variable(box, instance.id, name, value, is_build=is_build))
    await session.flush()
