"""From rows to the job that ``jobs`` renders. The only place that knows both."""

from __future__ import annotations

from app.models import BuildKind
from app.ports.builder import SlugStore
from app.rollouts.state import Frozen, Loaded
from jobs import Artifact, Capabilities, JobInput, Scale, render
from jobs.render import Job


def job_for(
    loaded: Loaded,
    frozen: Frozen,
    *,
    slugs: SlugStore,
    capabilities: Capabilities,
    healthy_seconds: int = 120,
) -> Job:
    """The job that runs this release of the instance. Its secrets are not in it."""
    release, build = frozen.release, frozen.build
    return render(
        JobInput(
            platform=loaded.platform,
            organization=loaded.organization.slug,
            project=loaded.project.slug,
            app=loaded.app.slug,
            environment=loaded.environment.slug,
            instance_id=loaded.instance.id,
            release_id=release.id,
            release_number=release.number,
            commit_sha=build.commit_sha,
            hostnames=(loaded.instance.hostname,),
            container_port=release.container_port,
            artifact=_artifact(frozen, slugs),
            scale=Scale(release.replicas, release.cpu_millis, release.memory_mb),
            platform_env=_platform_env(loaded, frozen),
            healthy_deadline_seconds=healthy_seconds,
        ),
        capabilities,
    )


def _artifact(frozen: Frozen, slugs: SlugStore) -> Artifact:
    build = frozen.build
    command = build.processes.get("web", "")
    artifact = build.artifact or ""
    if build.kind is BuildKind.IMAGE:
        return Artifact("image", artifact, command=command)
    return Artifact("slug", slugs.url(artifact), sha256=artifact, command=command)


def _platform_env(loaded: Loaded, frozen: Frozen) -> dict[str, str]:
    """What an app may want to know of itself; never a secret, since it stands in the job."""
    return {
        "PAAS_ORGANIZATION": loaded.organization.slug,
        "PAAS_PROJECT": loaded.project.slug,
        "PAAS_APP": loaded.app.slug,
        "PAAS_ENVIRONMENT": loaded.environment.slug,
        "PAAS_RELEASE": str(frozen.release.number),
        "PAAS_COMMIT": frozen.build.commit_sha,
    }
